//! `postroad person`: what is held about a person, and its erasure.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use crate::{
    failure::{Exit, Failure},
    session::Session,
};

mod erase;
mod export;

/// What is held about a person: export and erasure
#[derive(Args, Debug)]
pub struct Group {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Write all that is held about a person into a directory
    ///
    /// The directory gets person.json (addresses, records, and of each email what the CRM knows and what was decided about it in every
    /// mailbox), and each email's original as .eml, or its bodies and attachments where it was written here.
    #[command(after_help = "Example:\n  postroad person export eve@fabrikam.example --out eve")]
    Export {
        /// An address, or the id of a record; either stands for all addresses of the record
        person: String,
        /// A directory that does not exist yet
        #[arg(long, value_name = "DIRECTORY", value_hint = ValueHint::DirPath)]
        out: PathBuf,
    },
    /// Erase a person: records, and every email received or sent up to now that names one of their addresses
    ///
    /// Contents become unreadable with their keys, in backups too; the journal keeps that something was erased, and nothing of it. Mail of before
    /// does not come back, whatever mailbox it lies in; what arrives later is new. Mail that is just being sent is erased afterwards. The messages
    /// themselves stay in the mailboxes of Exchange. This cannot be undone.
    #[command(after_help = "Examples:\n  postroad person erase eve@fabrikam.example --dry-run\n  \
        postroad person erase eve@fabrikam.example --yes")]
    Erase {
        /// An address, or the id of a contact, account or lead; either stands for all addresses of the record
        person: String,
        /// Only tell what would be erased
        #[arg(long)]
        dry_run: bool,
        /// Do it without asking
        #[arg(long, conflicts_with = "dry_run")]
        yes: bool,
    },
}

impl Command {
    /// Runs it.
    pub async fn run(self, session: &mut Session) -> Result<Exit, Failure> {
        match self {
            Self::Export { person, out } => export::run(session, &person, &out).await,
            Self::Erase { person, dry_run, yes } => erase::run(session, &person, dry_run, yes).await,
        }
    }
}
