//! From the model to a frame.

use jiff::Timestamp;
use postroad_proto::alert::v1::{Alert, Level};
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::Style,
    text::{Line, Span},
    widgets::{Block, BorderType, Clear, Padding, Paragraph},
};

use super::{
    model::{Model, Tab},
    palette::Palette,
};
use crate::output::paint::Tone;

mod faults;
mod grid;
mod mailbox;
mod mailboxes;
mod overview;
mod servers;
mod words;
mod workers;

use words::grouped;

/// Less than this shows nothing readable.
const LEAST: (u16, u16) = (50, 16);

/// Draws everything.
pub fn draw(frame: &mut Frame<'_>, model: &Model, palette: Palette) {
    let area = frame.area();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        let text = format!("The terminal is too small; postroad top needs {} columns and {} rows.", LEAST.0, LEAST.1);
        frame.render_widget(Paragraph::new(text).wrap(ratatui::widgets::Wrap { trim: true }), area);
        return;
    }
    let troubles = u16::try_from(model.troubles.len()).unwrap_or_default();
    let rows = [1, 1, troubles].map(Constraint::Length);
    let [head, tabs, trouble, body, foot] =
        Layout::vertical(rows.into_iter().chain([Constraint::Fill(1), Constraint::Length(1)])).areas(area);
    draw_head(frame, head, model, palette);
    frame.render_widget(tabs_line(model, palette), tabs);
    frame.render_widget(Paragraph::new(trouble_lines(model, palette)), trouble);
    match (&model.opened, model.tab) {
        (Some(opened), _) => mailbox::draw(frame, body, opened, model.now, palette),
        (None, Tab::Overview) => overview::draw(frame, body, model, palette),
        (None, Tab::Servers) => servers::draw(frame, body, model, palette),
        (None, Tab::Workers) => workers::draw(frame, body, model, palette),
        (None, Tab::Mailboxes) => mailboxes::draw(frame, body, model, palette),
        (None, Tab::Faults) => faults::draw(frame, body, model, palette),
    }
    frame.render_widget(foot_line(model, palette), foot);
    if model.is_helping {
        help(frame, body, palette);
    }
}

fn draw_head(frame: &mut Frame<'_>, area: Rect, model: &Model, palette: Palette) {
    let mut parts = Vec::new();
    if let Some(summary) = &model.summary {
        parts.push(words::count(u64::from(summary.total), "mailbox", "mailboxes"));
    }
    if let Some(servers) = &model.servers {
        parts.push(words::count(servers.len() as u64, "server", "servers"));
    }
    if let Some(fleet) = &model.workers {
        parts.push(words::count(fleet.workers.len() as u64, "worker", "workers"));
    }
    let facts = if parts.is_empty() { "asking the roles".to_owned() } else { parts.join(" · ") };
    let left = Line::from(vec![
        Span::styled(" postroad top", palette.strong().patch(palette.accent())),
        Span::styled(format!("  {facts}"), palette.faint()),
    ]);
    let (format, wide) = if area.width < 100 { ("%H:%M:%S UTC", 14) } else { ("%Y-%m-%d %H:%M:%S UTC", 25) };
    let clock = Span::styled(format!("{} ", model.now.strftime(format)), palette.faint());
    let [start, end] = Layout::horizontal([Constraint::Fill(1), Constraint::Length(wide)]).areas(area);
    frame.render_widget(left, start);
    frame.render_widget(Line::from(clock).right_aligned(), end);
}

fn tabs_line(model: &Model, palette: Palette) -> Line<'static> {
    let mut spans = vec![Span::raw(" ")];
    for (number, tab) in Tab::ALL.into_iter().enumerate() {
        let style = if tab == model.tab { palette.picked() } else { Style::new() };
        spans.push(Span::styled(format!(" {} {} ", number + 1, tab.title()), style));
        spans.push(Span::raw(" "));
    }
    Line::from(spans)
}

fn trouble_lines(model: &Model, palette: Palette) -> Vec<Line<'static>> {
    let line = |trouble: &super::model::Trouble| {
        let text = format!(" ✗ {}, for {}", trouble.text, words::lasting(model.now, trouble.since));
        Line::from(Span::styled(text, palette.of(Tone::Bad)))
    };
    model.troubles.values().map(line).collect()
}

fn foot_line(model: &Model, palette: Palette) -> Line<'static> {
    let keys: &[(&str, &str)] = match (&model.opened, model.tab) {
        _ if model.is_helping => &[("any key", "close")],
        _ if model.is_searching => &[("Enter", "done"), ("Esc", "all mailboxes")],
        (Some(_), _) => &[("Esc", "back"), ("↑↓", "scroll"), ("PgUp PgDn", "page"), ("?", "help"), ("q", "quit")],
        (None, Tab::Mailboxes) => &[
            ("↑↓", "pick"),
            ("Enter", "timeline"),
            ("/", "search"),
            ("f", "state"),
            ("Esc", "all"),
            ("?", "help"),
            ("q", "quit"),
        ],
        (None, Tab::Overview | Tab::Faults) => {
            &[("1-5", "view"), ("↑↓", "pick"), ("Enter", "open"), ("/", "search"), ("?", "help"), ("q", "quit")]
        }
        (None, Tab::Servers | Tab::Workers) => {
            &[("1-5", "view"), ("↑↓", "pick"), ("/", "search"), ("?", "help"), ("q", "quit")]
        }
    };
    let mut spans = vec![Span::raw(" ")];
    for (key, what) in keys {
        spans.push(Span::styled((*key).to_owned(), palette.strong()));
        spans.push(Span::styled(format!(" {what}   "), palette.faint()));
    }
    Line::from(spans)
}

const HELP: &[(&str, &str)] = &[
    ("1 2 3 4 5", "overview, servers, workers, mailboxes, faults"),
    ("← → Tab", "the view beside"),
    ("↑ ↓ j k", "pick a row, scroll"),
    ("PgUp PgDn", "ten rows"),
    ("Home End g G", "the first row, the last"),
    ("Enter", "open: a mailbox's timeline, a fault's mailboxes"),
    ("/", "search mailboxes by address or name"),
    ("f", "mailboxes of one state, then the next"),
    ("Esc", "back; all mailboxes"),
    ("q Ctrl-C", "quit"),
];

fn help(frame: &mut Frame<'_>, area: Rect, palette: Palette) {
    let lines: Vec<_> = HELP
        .iter()
        .map(|(keys, what)| {
            Line::from(vec![Span::styled(format!("{keys:<14}"), palette.strong()), Span::raw((*what).to_owned())])
        })
        .collect();
    let [area] = Layout::horizontal([Constraint::Length(66)]).flex(ratatui::layout::Flex::Center).areas(area);
    let height = u16::try_from(lines.len()).unwrap_or_default() + 2;
    let [area] = Layout::vertical([Constraint::Length(height)]).flex(ratatui::layout::Flex::Center).areas(area);
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(lines).block(pane("Keys", palette)), area);
}

/// A frame around a part.
fn pane(title: &str, palette: Palette) -> Block<'static> {
    let block = Block::bordered().border_type(BorderType::Rounded).border_style(palette.faint());
    let block = block.padding(Padding::horizontal(1));
    if title.is_empty() { block } else { block.title(Span::styled(format!(" {title} "), title_style(palette))) }
}

fn title_style(palette: Palette) -> Style {
    // The frame is faint; its title is not.
    Style::reset().patch(palette.strong()).patch(palette.accent())
}

/// How grave an alert is, in a word.
fn level(alert: &Alert) -> (Tone, &'static str) {
    match alert.level() {
        _ if alert.resolved_at.is_some() => (Tone::Good, "resolved"),
        Level::Error => (Tone::Bad, "error"),
        Level::Warning => (Tone::Wary, "warning"),
        Level::Information | Level::Unspecified => (Tone::Plain, "information"),
    }
}

/// When an alert was seen or resolved last.
fn last(alert: &Alert, now: Timestamp) -> String {
    words::ago(now, alert.resolved_at.as_ref().or(alert.last_at.as_ref()))
}

/// A number for people: `12 345`.
fn number(number: impl Into<u64>) -> String {
    grouped(number.into())
}
