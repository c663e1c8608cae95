//! `postroad mailbox explain`, `audit`, `retry`, `backfill` and `folder`: what was decided in a mailbox, and what is left to do.

use clap::Subcommand;
use futures::TryStreamExt as _;
use jiff::Timestamp;
use postroad_proto::sync::v1::{
    AuditMailboxRequest, AuditTotals, Folder, GetProgressRequest, ListFoldersRequest, ListVerdictsRequest,
    MessageVerdict, PauseBackfillRequest, RetryMessagesRequest, TrackFolderRequest, UntrackFolderRequest,
    audit_mailbox_response::Result as Told,
};
use postroad_rig::{Role, wire};

use crate::{
    failure::{Exit, Failure},
    output::{
        paint::{bad, cell, faint, good, strong},
        time,
    },
    session::Session,
};

/// The tracked folders of a mailbox.
#[derive(Subcommand, Debug)]
pub enum FolderCommand {
    /// List the folders under the Inbox, and which are tracked
    List {
        /// Address or id
        mailbox: String,
    },
    /// Track a folder: its messages become activities that regard a record
    #[command(
        after_help = "Example:\n  postroad mailbox folder track ada@contoso.example 'Customers/Fabrikam' --regarding 5f0c..."
    )]
    Track {
        /// Address or id of the mailbox
        mailbox: String,
        /// Its name below the Inbox, with slashes
        folder: String,
        /// The record, by id
        #[arg(long, value_name = "ID")]
        regarding: String,
    },
    /// Stop tracking a folder; its activities stay
    Untrack {
        /// Address or id of the mailbox
        mailbox: String,
        /// Its name below the Inbox
        folder: String,
    },
}

/// What to do with a backfill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum BackfillAction {
    /// Show how far it is
    Show,
    /// Let it wait
    Pause,
    /// Let it go on
    Resume,
}

pub async fn explain(
    session: &mut Session,
    mailbox: String,
    only_not_tracked: bool,
    since: Option<Timestamp>,
    last: usize,
) -> Result<Exit, Failure> {
    let request = ListVerdictsRequest { mailbox, only_not_tracked, since: since.map(wire::timestamp) };
    let mut client = session.connection.sync()?;
    let answers = client.list_verdicts(request).await.map_err(session.connection.failed(Role::Sync))?;
    let answers = answers.into_inner().try_collect::<Vec<_>>().await.map_err(session.connection.failed(Role::Sync))?;
    let verdicts: Vec<MessageVerdict> = answers.into_iter().filter_map(|answer| answer.verdict).collect();
    let shown = verdicts.get(verdicts.len().saturating_sub(last)..).unwrap_or_default();
    if session.output.is_json() {
        session.output.messages(shown)?;
        return Ok(Exit::Success);
    }
    for verdict in shown {
        let mark = match (verdict.tracked, verdict.pending) {
            (true, _) => good("tracked"),
            (false, true) => faint("pending"),
            (false, false) => bad("not tracked"),
        };
        let at = time::full(verdict.at.as_ref());
        session.output.line(format!("{mark}  {}  {}", strong(&verdict.message_id), faint(at)))?;
        session.output.line(format!("    {}", verdict.sentence))?;
        for fact in &verdict.facts {
            session.output.line(format!("    {}", faint(fact)))?;
        }
    }
    let more = verdicts.len() - shown.len();
    if more > 0 {
        session.output.line(faint(format!("{more} older ones; show more with --last")))?;
    }
    if verdicts.is_empty() {
        session.output.line(faint("nothing was decided"))?;
    }
    Ok(Exit::Success)
}

pub async fn audit(session: &mut Session, mailbox: String) -> Result<Exit, Failure> {
    let mut client = session.connection.sync()?;
    let answers = client.audit_mailbox(AuditMailboxRequest { mailbox }).await;
    let mut answers = answers.map_err(session.connection.failed(Role::Sync))?.into_inner();
    let mut exit = Exit::Success;
    while let Some(answer) = answers.message().await.map_err(session.connection.failed(Role::Sync))? {
        if matches!(answer.result, Some(Told::Gap(_))) {
            exit = Exit::Failed;
        }
        if session.output.is_json() {
            session.output.message_event(&answer)?;
            continue;
        }
        match answer.result {
            Some(Told::Progress(progress)) if session.output.is_terminal() => {
                let line = format!("{}: {} of {}", progress.folder, progress.compared, progress.total);
                session.output.line(faint(line))?;
            }
            Some(Told::Gap(gap)) => {
                let received = time::full(gap.received_at.as_ref());
                session.output.line(format!("{} {}  {received}", bad("✗"), strong(&gap.message_id)))?;
                session.output.line(format!("    {}", gap.what))?;
            }
            Some(Told::Totals(totals)) => session.output.line(totals_line(&totals))?,
            Some(Told::Progress(_)) | None => {}
        }
    }
    Ok(exit)
}

fn totals_line(totals: &AuditTotals) -> String {
    let AuditTotals { examined, decided, waiting, older, in_crm, gaps } = totals;
    let verdict = if *gaps == 0 {
        format!("{} no message was passed over", good("✓"))
    } else {
        format!("{} {gaps} gaps", bad("✗"))
    };
    format!(
        "{verdict}: {examined} messages in the folders, {decided} with a verdict, {waiting} waiting, {older} older than Process \
         Email From; the CRM has all of {in_crm} tracked ones that were found there"
    )
}

pub async fn retry(session: &mut Session, mailbox: String, message_id: Option<String>) -> Result<Exit, Failure> {
    let request = RetryMessagesRequest { mailbox, message_id: message_id.unwrap_or_default() };
    let mut client = session.connection.sync()?;
    let answer = client.retry_messages(request).await.map_err(session.connection.failed(Role::Sync))?.into_inner();
    if session.output.is_json() {
        session.output.json(&serde_json::json!({ "count": answer.count }))?;
    } else {
        session.output.line(format!("{} {} messages are tried again", good("✓"), answer.count))?;
    }
    Ok(Exit::Success)
}

pub async fn backfill(session: &mut Session, mailbox: String, action: BackfillAction) -> Result<Exit, Failure> {
    let mut client = session.connection.sync()?;
    if action != BackfillAction::Show {
        let request = PauseBackfillRequest { mailbox: mailbox.clone(), resume: action == BackfillAction::Resume };
        client.pause_backfill(request).await.map_err(session.connection.failed(Role::Sync))?;
    }
    let answer = client.get_progress(GetProgressRequest { mailbox }).await;
    let progress = answer.map_err(session.connection.failed(Role::Sync))?.into_inner();
    if session.output.is_json() {
        session.output.message(&progress)?;
        return Ok(Exit::Success);
    }
    let line = progress.backfill.map_or_else(
        || "no older mail is being read".to_owned(),
        |backfill| {
            let percent = (backfill.done * 100).checked_div(backfill.total).unwrap_or(100);
            let left = match (backfill.is_paused, backfill.seconds_left) {
                (true, _) => "paused".to_owned(),
                (false, 0) => "time left not known yet".to_owned(),
                (false, seconds) => format!("about {} left", duration(seconds)),
            };
            format!("{} of {} older messages read ({percent} %), {left}", backfill.done, backfill.total)
        },
    );
    session.output.line(line)?;
    session.output.facts(vec![
        ("tried again", progress.deferred.to_string()),
        ("failed too often", progress.undeliverable.to_string()),
        ("being sent", progress.sending.to_string()),
    ])?;
    Ok(Exit::Success)
}

fn duration(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}

pub async fn folder(session: &mut Session, command: FolderCommand) -> Result<Exit, Failure> {
    let mut client = session.connection.sync()?;
    match command {
        FolderCommand::List { mailbox } => {
            let answer = client.list_folders(ListFoldersRequest { mailbox }).await;
            let folders = answer.map_err(session.connection.failed(Role::Sync))?.into_inner().folders;
            if session.output.is_json() {
                session.output.messages(&folders)?;
            } else {
                let row = |folder: &Folder| vec![cell(&folder.name), cell(&folder.regarding_id)];
                session.output.table(&["FOLDER", "REGARDING"], folders.iter().map(row).collect())?;
            }
        }
        FolderCommand::Track { mailbox, folder, regarding } => {
            let request = TrackFolderRequest { mailbox, folder, regarding_id: regarding };
            let answer = client.track_folder(request).await.map_err(session.connection.failed(Role::Sync))?;
            let folder = answer.into_inner().folder.unwrap_or_default();
            if session.output.is_json() {
                session.output.message(&folder)?;
            } else {
                session.output.line(format!("{} {} is tracked", good("✓"), folder.name))?;
            }
        }
        FolderCommand::Untrack { mailbox, folder } => {
            let request = UntrackFolderRequest { mailbox, folder: folder.clone() };
            client.untrack_folder(request).await.map_err(session.connection.failed(Role::Sync))?;
            if session.output.is_json() {
                session.output.json(&serde_json::json!({ "folder": folder }))?;
            } else {
                session.output.line(format!("{} {folder} is not tracked any more", good("✓")))?;
            }
        }
    }
    Ok(Exit::Success)
}
