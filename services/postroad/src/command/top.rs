//! `postroad top`: the fleet as it is now, in the terminal.
//!
//! - [`model`]: what is known and what is looked at; a fold of keys and answers, without any I/O
//! - [`key`]: what a key does; [`picked`]: which row of a list is picked
//! - [`question`]: what is asked of the roles, and what they answer
//! - [`fleet`]: what several workers know, as one
//! - [`draw`]: from the model to a frame
//! - [`ask`], [`watch`]: the roles and the terminal
//!
//! However many mailboxes there are, a second costs each role one cheap call.

use clap::Args;
use ratatui::{Terminal, backend::TestBackend};

use crate::{
    failure::{Exit, Failure},
    session::Session,
};

mod ask;
mod draw;
mod fleet;
mod key;
mod model;
mod palette;
mod picked;
mod question;
mod watch;

use model::{Input, Model};
use palette::Palette;
use question::{Answer, Question, Reply};

/// The size of a frame that goes to a file or another program.
const FRAME: (u16, u16) = (100, 30);

const HELP: &str = "\
Keys: 1-5 or the arrows choose the view, ↑ ↓ a row, Enter opens it: a mailbox with its timeline and what to do about its faults, \
or the mailboxes of a fault. / searches, f filters mailboxes by state, ? shows all keys, q quits. NO_COLOR is honoured.

Arrival to CRM is measured by the workers over the last minute; Exchange tells arrivals in whole seconds, so each message may have been \
up to a second faster.

Examples:
  postroad top
  postroad top --once
  postroad top --json | jq '.mailboxes.conditions'";

/// Watch the fleet: mailboxes, servers, workers, throughput, faults
#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub struct Top {
    /// Print one frame as plain text, and end; with --json, print one snapshot
    #[arg(long)]
    once: bool,
}

impl Top {
    /// Runs it.
    pub async fn run(self, session: &mut Session) -> Result<Exit, Failure> {
        if session.output.is_json() {
            return snapshot(session).await;
        }
        if self.once {
            return frame(session).await;
        }
        watch::run(session).await
    }
}

/// Everything of the overview, asked once; a role that does not answer is a failure.
async fn overview(session: &Session) -> Result<Vec<Answer>, Failure> {
    let questions = Question::ALWAYS.map(|question| ask::ask(&session.connection, question));
    let mut answers = Vec::new();
    for answer in futures::future::join_all(questions).await {
        match answer.reply {
            Ok(_) => answers.push(answer),
            Err(failure) => return Err(failure),
        }
    }
    Ok(answers)
}

async fn frame(session: &mut Session) -> Result<Exit, Failure> {
    let answers = overview(session).await?;
    let model = answers
        .into_iter()
        .fold(Model::new(postroad_rig::clock::now()), |model, answer| model.step(Input::Answer(Box::new(answer))));
    let (width, height) = if session.output.is_terminal() { crossterm::terminal::size()? } else { FRAME };
    // The command line's prompt needs a line of its own.
    let text = still(&model, width, height.saturating_sub(1).max(FRAME.1))?;
    session.output.line(text)?;
    Ok(Exit::Success)
}

async fn snapshot(session: &mut Session) -> Result<Exit, Failure> {
    use crate::contract::{Extent, Written};
    let mut fields = serde_json::Map::new();
    fields.insert("at".to_owned(), postroad_rig::clock::now().to_string().into());
    for answer in overview(session).await? {
        let json = |value| serde_json::to_value(value).map_err(std::io::Error::from);
        let (name, value) = match answer.reply? {
            Reply::Summary(summary) => ("mailboxes", json(Written::new(&summary, Extent::All)?)?),
            Reply::Workers(fleet) => ("fleet", json(Written::new(&fleet, Extent::All)?)?),
            Reply::Servers(servers) => {
                let each = servers.iter().map(|server| Ok(json(Written::new(server, Extent::All)?)?));
                ("servers", each.collect::<Result<Vec<_>, Failure>>()?.into())
            }
            Reply::Alerts(alerts) => {
                let each = alerts.iter().map(|alert| Ok(json(Written::new(alert, Extent::All)?)?));
                ("alerts", each.collect::<Result<Vec<_>, Failure>>()?.into())
            }
            Reply::Mailboxes(..) | Reply::Mailbox(_) | Reply::Timeline(_) => continue,
        };
        fields.insert(name.to_owned(), value);
    }
    session.output.json(&fields)?;
    Ok(Exit::Success)
}

/// A frame as plain text.
fn still(model: &Model, width: u16, height: u16) -> Result<String, Failure> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).map_err(std::io::Error::other)?;
    let drawn = terminal.draw(|frame| draw::draw(frame, model, Palette::plain()));
    drawn.map_err(std::io::Error::other)?;
    let buffer = terminal.backend().buffer();
    let rows = buffer.content().chunks(usize::from(width.max(1)));
    let lines = rows.map(|row| row.iter().map(ratatui::buffer::Cell::symbol).collect::<String>().trim_end().to_owned());
    Ok(lines.collect::<Vec<_>>().join("\n").trim_end().to_owned())
}

#[cfg(test)]
mod tests;
