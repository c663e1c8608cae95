//! `postroad email`: emails to be sent.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand, ValueHint};
use jiff::Timestamp;
use postroad_proto::crm::v1::{
    Attachment, Content, Email, Party, PartyRole, ResendEmailRequest, SendEmailRequest, SendHeader,
    send_email_request::Part,
};
use postroad_rig::{Role, wire};
use sha2::{Digest as _, Sha256};

use crate::{
    failure::{Exit, Failure},
    output::paint::good,
    session::Session,
};

/// The largest piece of content in one message of the stream (crm.proto).
const PIECE: usize = 1024 * 1024;

/// Emails to be sent
#[derive(Args, Debug)]
pub struct Group {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Queue an email: it is sent through the sender's mailbox
    #[command(
        after_help = "Examples:\n  postroad email send --from ada@contoso.example --to buyer@fabrikam.example \\\n      \
        --subject 'Your order' --text order.txt --attach quote.pdf\n  echo Hello | postroad email send --from ada@contoso.example \\\n      \
        --to buyer@fabrikam.example --subject Hello --text -"
    )]
    Send(Box<Send>),
    /// Queue an email again whose delivery failed
    Resend {
        /// Its id
        email: String,
    },
}

/// An email to send.
#[derive(Args, Debug)]
pub struct Send {
    /// The user or queue it is from, by address
    #[arg(long, value_name = "ADDRESS")]
    from: String,
    /// A recipient; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    to: Vec<String>,
    /// A recipient of a copy; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    cc: Vec<String>,
    /// A recipient of a blind copy; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    bcc: Vec<String>,
    /// The subject
    #[arg(long, default_value = "", hide_default_value = true)]
    subject: String,
    /// A file with the text; - is standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    text: Option<PathBuf>,
    /// A file with the HTML body
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    html: Option<PathBuf>,
    /// A file to attach; may be repeated
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    attach: Vec<PathBuf>,
    /// The record that it regards, by id
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    regarding: String,
    /// The email activity that it answers, by id
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    answers: String,
    /// Send it then, such as 2026-12-01T08:00:00Z
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    /// Who submits it, by address [default: who it is from]
    #[arg(long, value_name = "ADDRESS", default_value = "", hide_default_value = true)]
    submitter: String,
}

impl Command {
    /// Runs it.
    pub async fn run(self, session: &mut Session) -> Result<Exit, Failure> {
        match self {
            Self::Send(email) => send(session, *email).await,
            Self::Resend { email } => {
                let failed = session.connection.failed(Role::Crm);
                let request = ResendEmailRequest { email_id: email.clone() };
                let answer = session.connection.crm()?.resend_email(request).await.map_err(&failed)?.into_inner();
                drop(failed);
                if session.output.is_json() {
                    session.output.json(&serde_json::json!({ "id": email, "attempt": answer.attempt }))?;
                } else {
                    let line = format!("{} queued {email} again (attempt {})", good("✓"), answer.attempt);
                    session.output.line(line)?;
                }
                Ok(Exit::Success)
            }
        }
    }
}

async fn send(session: &mut Session, email: Send) -> Result<Exit, Failure> {
    let (header, contents) = compose(email)?;
    let pieces = contents.into_iter().flat_map(|content| {
        let pieces: Vec<_> = content.chunks(PIECE).map(|piece| Part::Piece(piece.to_vec())).collect();
        pieces
    });
    let parts = std::iter::once(Part::Header(header)).chain(pieces);
    let requests: Vec<_> = parts.map(|part| SendEmailRequest { part: Some(part) }).collect();
    let failed = session.connection.failed(Role::Crm);
    let sent = session.connection.crm()?.send_email(futures::stream::iter(requests)).await;
    let id = sent.map_err(&failed)?.into_inner().email_id;
    drop(failed);
    if session.output.is_json() {
        session.output.json(&serde_json::json!({ "id": id }))?;
    } else {
        session
            .output
            .line(format!("{} queued as {id}; see what becomes of it: postroad activity show {id}", good("✓")))?;
    }
    Ok(Exit::Success)
}

fn compose(email: Send) -> Result<(SendHeader, Vec<Vec<u8>>), Failure> {
    let party = |role: PartyRole| move |address: String| Party { role: role.into(), address, ..Party::default() };
    let mut parties = vec![party(PartyRole::From)(email.from)];
    parties.extend(email.to.into_iter().map(party(PartyRole::To)));
    parties.extend(email.cc.into_iter().map(party(PartyRole::Cc)));
    parties.extend(email.bcc.into_iter().map(party(PartyRole::Bcc)));
    let mut contents = Vec::new();
    let mut body = |path: Option<PathBuf>, field: &str| -> Result<Option<Content>, Failure> {
        let Some(path) = path else { return Ok(None) };
        let bytes = read(&path, field)?;
        let described = described(&bytes);
        contents.push(bytes);
        Ok(Some(described))
    };
    let text = body(email.text, "text")?;
    let html = body(email.html, "html")?;
    let mut attachments = Vec::new();
    for path in &email.attach {
        let bytes = read(path, "attach")?;
        attachments.push(Attachment {
            name: path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
            content_type: "application/octet-stream".to_owned(),
            content: Some(described(&bytes)),
            ..Attachment::default()
        });
        contents.push(bytes);
    }
    let wanted = Email {
        subject: email.subject,
        parties,
        text,
        html,
        attachments,
        regarding_id: email.regarding,
        send_after: email.at.map(wire::timestamp),
        ..Email::default()
    };
    let header = SendHeader {
        email: Some(wanted),
        submitter: email.submitter,
        answers_email_id: email.answers,
        request_id: uuid::Uuid::now_v7().to_string(),
    };
    Ok((header, contents))
}

fn read(path: &Path, field: &str) -> Result<Vec<u8>, Failure> {
    let refused = |error: std::io::Error| Failure::file(field, path, "read", &error);
    if path == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).map_err(refused)?;
        return Ok(bytes);
    }
    std::fs::read(path).map_err(refused)
}

fn described(bytes: &[u8]) -> Content {
    let digest = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    Content { digest, size: bytes.len() as u64 }
}
