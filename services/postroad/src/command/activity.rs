//! `postroad activity`: email activities, and what was decided about messages.

use std::{collections::BTreeSet, path::PathBuf};

use clap::{Args, Subcommand, ValueHint};
use postroad_core::fault::Code;
use postroad_proto::{
    crm::v1::{Email, GetEmailRequest, SearchEmailsRequest},
    sync::v1::{ExplainMessageRequest, MessageVerdict},
};
use postroad_rig::{Role, status};

use crate::{
    connection::pages,
    failure::{Exit, Failure},
    session::Session,
};

mod read;
mod view;

pub use read::pieces;

/// Email activities: what became of messages
#[derive(Args, Debug)]
pub struct Group {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Search email activities, the newest first
    #[command(
        visible_alias = "search",
        after_help = "Examples:\n  postroad activity list\n  postroad activity list quarterly report --mailbox ada@contoso.example"
    )]
    List {
        /// Words that must all occur in subject, names, addresses or message id
        words: Vec<String>,
        /// Only those found in this mailbox, by address or id
        #[arg(long, value_name = "ADDRESS", default_value = "", hide_default_value = true)]
        mailbox: String,
        /// At most so many
        #[arg(long, value_name = "NUMBER", default_value_t = 100)]
        limit: usize,
    },
    /// Show an email activity: parties, dates, contents, and the mailboxes it was found in
    Show {
        /// Its id, or the Internet message id
        email: String,
    },
    /// Say what was decided about a message in every mailbox it lies in, and why
    #[command(
        after_help = "Example:\n  postroad activity explain '<CAF+x1@mail.contoso.example>'\n\nExit code 1 says that no mailbox has met the message."
    )]
    Explain {
        /// The Internet message id, with or without angle brackets
        #[arg(value_name = "MESSAGE-ID")]
        message_id: String,
    },
    /// Print a body, the original or an attachment, or write it to a file
    #[command(after_help = "Examples:\n  postroad activity read '<CAF+x1@mail.contoso.example>'\n  \
        postroad activity read '<CAF+x1@mail.contoso.example>' --part mime > message.eml\n  \
        postroad activity read '<CAF+x1@mail.contoso.example>' --attachment report.pdf --out report.pdf")]
    Read {
        /// Its id, or the Internet message id
        email: String,
        /// Which content [default: the text, or else the HTML body]
        #[arg(long, value_enum, conflicts_with = "attachment")]
        part: Option<read::Part>,
        /// An attachment, by name or number from 1
        #[arg(long, value_name = "NAME|NUMBER")]
        attachment: Option<String>,
        /// Write it to this file
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        out: Option<PathBuf>,
    },
}

impl Command {
    /// Runs it.
    pub async fn run(self, session: &mut Session) -> Result<Exit, Failure> {
        match self {
            Self::List { words, mailbox, limit } => list(session, words.join(" "), mailbox, limit).await,
            Self::Show { email } => show(session, email).await,
            Self::Explain { message_id } => explain(session, message_id).await,
            Self::Read { email, part, attachment, out } => {
                let email = get(session, email).await?;
                let content = read::choose(&email, part, attachment.as_deref())?;
                read::content(session, content, out.as_deref()).await
            }
        }
    }
}

async fn list(session: &mut Session, query: String, mailbox: String, limit: usize) -> Result<Exit, Failure> {
    let mut client = session.connection.crm()?;
    let mut total = 0;
    let emails: Vec<Email> = pages(Some(limit), async |page_size, page_token| {
        let request = SearchEmailsRequest { query: query.clone(), mailbox: mailbox.clone(), page_size, page_token };
        let answer = client.search_emails(request).await.map_err(session.connection.failed(Role::Crm))?.into_inner();
        total = answer.total;
        Ok((answer.emails, answer.next_page_token))
    })
    .await?;
    if session.output.is_json() {
        session.output.messages(&emails)?;
    } else {
        view::table(&mut session.output, &emails, total)?;
    }
    Ok(Exit::Success)
}

async fn get(session: &Session, email: String) -> Result<Email, Failure> {
    let failed = session.connection.failed(Role::Crm);
    let answer = session.connection.crm()?.get_email(GetEmailRequest { email }).await.map_err(failed)?.into_inner();
    Ok(answer.email.unwrap_or_default())
}

async fn show(session: &mut Session, email: String) -> Result<Exit, Failure> {
    let email = get(session, email).await?;
    if session.output.is_json() {
        session.output.message(&email)?
    } else {
        view::facts(&mut session.output, &email)?
    }
    Ok(Exit::Success)
}

async fn explain(session: &mut Session, message_id: String) -> Result<Exit, Failure> {
    let request = ExplainMessageRequest { message_id: message_id.clone() };
    let failed = session.connection.failed(Role::Sync);
    let answer = session.connection.sync()?.explain_message(request).await.map_err(failed)?;
    let mut verdicts = answer.into_inner().verdicts;
    tell_erased(session, &mut verdicts).await?;
    if session.output.is_json() {
        session.output.messages(&verdicts)?;
    } else {
        view::verdicts(&mut session.output, &message_id, &verdicts)?;
    }
    Ok(if verdicts.is_empty() { Exit::Failed } else { Exit::Success })
}

/// The verdicts say what was decided then; an activity may have been erased since.
async fn tell_erased(session: &Session, verdicts: &mut [MessageVerdict]) -> Result<(), Failure> {
    let ids: BTreeSet<String> = verdicts.iter().map(|verdict| verdict.email_id.clone()).collect();
    for email_id in ids.into_iter().filter(|id| !id.is_empty()) {
        let asked = session.connection.crm()?.get_email(GetEmailRequest { email: email_id.clone() }).await;
        let Some(fault) = asked.err().as_ref().and_then(status::fault_of) else { continue };
        if fault.code == Code::EmailErased.name() {
            for verdict in verdicts.iter_mut().filter(|verdict| verdict.email_id == email_id) {
                verdict.sentence.push_str(" Since then the activity was erased, with a person whom it concerned.");
            }
        }
    }
    Ok(())
}
