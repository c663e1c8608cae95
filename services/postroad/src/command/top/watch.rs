//! The terminal: keys in, frames out, until it was enough. Whatever happens, the terminal is as it was.

use std::{
    collections::{HashMap, HashSet},
    io::IsTerminal as _,
    time::{Duration, Instant},
};

use crossterm::event::{Event, EventStream, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use futures::{StreamExt as _, stream::FuturesUnordered};
use postroad_rig::clock;
use ratatui::DefaultTerminal;
use tokio::signal::unix::{SignalKind, signal};

use super::{
    ask, draw,
    key::Key,
    model::{Input, Model},
    palette::Palette,
    question::Question,
};
use crate::{
    failure::{Exit, Failure},
    session::Session,
};

/// How often it is looked what is to be asked, and the clock.
const TICK: Duration = Duration::from_millis(200);

/// Shows the fleet until a key or a signal ends it.
pub async fn run(session: &Session) -> Result<Exit, Failure> {
    if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        return Err(Failure::NoTerminal {
            remedy: "run it in one; for scripts, `postroad top --once` prints a frame and `postroad top --json` a snapshot",
        });
    }
    // Restores the terminal before a panic is printed, too.
    let mut terminal = ratatui::try_init()?;
    let outcome = watch(&mut terminal, session).await;
    let shown = terminal.show_cursor();
    let restored = ratatui::try_restore();
    outcome?;
    shown?;
    restored?;
    Ok(Exit::Success)
}

async fn watch(terminal: &mut DefaultTerminal, session: &Session) -> Result<(), Failure> {
    let palette = Palette::standard();
    let mut events = EventStream::new();
    let (mut terminated, mut hung_up) = (signal(SignalKind::terminate())?, signal(SignalKind::hangup())?);
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut ticks = tokio::time::interval(TICK);
    let mut asking = FuturesUnordered::new();
    let mut asked = Asked::default();
    let mut model = Model::new(clock::now());
    while !model.is_over {
        for question in asked.due(model.questions(), clock::instant()) {
            asking.push(ask::ask(&session.connection, question));
        }
        terminal.draw(|frame| draw::draw(frame, &model, palette))?;
        model = tokio::select! {
            event = events.next() => match event {
                Some(Ok(Event::Key(event))) => match key(event) {
                    Some(key) => model.step(Input::Key(key)),
                    None => model,
                },
                // Another size: drawn anew.
                Some(Ok(_)) => model,
                Some(Err(error)) => return Err(error.into()),
                None => return Ok(()),
            },
            Some(answer) = asking.next() => {
                asked.answered(&answer.question);
                model.step(Input::Answer(Box::new(answer)))
            }
            _ = ticks.tick() => model.step(Input::Clock(clock::now())),
            _ = terminated.recv() => return Ok(()),
            _ = hung_up.recv() => return Ok(()),
            _ = interrupted.recv() => return Ok(()),
        };
    }
    Ok(())
}

/// When what was asked: nothing twice at a time, nothing more often than its period.
#[derive(Default)]
struct Asked {
    open: HashSet<Question>,
    last: HashMap<Question, Instant>,
}

impl Asked {
    fn due(&mut self, wanted: Vec<Question>, now: Instant) -> Vec<Question> {
        // What is not shown any more is forgotten, and asked at once when it is shown again.
        self.last.retain(|question, _| wanted.contains(question));
        let is_due = |question: &Question| {
            let last = self.last.get(question);
            !self.open.contains(question) && last.is_none_or(|last| now.duration_since(*last) >= question.period())
        };
        let due: Vec<_> = wanted.into_iter().filter(is_due).collect();
        for question in &due {
            self.open.insert(question.clone());
            self.last.insert(question.clone(), now);
        }
        due
    }

    fn answered(&mut self, question: &Question) {
        self.open.remove(question);
    }
}

fn key(event: KeyEvent) -> Option<Key> {
    if event.kind == KeyEventKind::Release {
        return None;
    }
    Some(match event.code {
        KeyCode::Char('c') if event.modifiers.contains(KeyModifiers::CONTROL) => Key::Interrupt,
        KeyCode::Char(_) if event.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) => return None,
        KeyCode::Char(character) => Key::Char(character),
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Escape,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Tab | KeyCode::Right => Key::Next,
        KeyCode::BackTab | KeyCode::Left => Key::Previous,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_asked_twice_at_a_time_or_too_often() {
        let mut asked = Asked::default();
        let start = clock::instant();
        let wanted = || vec![Question::Summary];
        assert_eq!(asked.due(wanted(), start), [Question::Summary]);
        assert_eq!(asked.due(wanted(), start + Duration::from_secs(9)), [], "it was not answered yet");
        asked.answered(&Question::Summary);
        assert_eq!(asked.due(wanted(), start + Duration::from_millis(999)), []);
        assert_eq!(asked.due(wanted(), start + Duration::from_secs(1)), [Question::Summary]);
    }

    #[test]
    fn what_is_shown_again_is_asked_at_once() {
        let mut asked = Asked::default();
        let start = clock::instant();
        asked.due(vec![Question::Alerts], start);
        asked.answered(&Question::Alerts);
        asked.due(Vec::new(), start);
        assert_eq!(asked.due(vec![Question::Alerts], start), [Question::Alerts]);
    }
}
