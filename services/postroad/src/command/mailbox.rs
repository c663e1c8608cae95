//! `postroad mailbox`: mailboxes.

use clap::{Args, Subcommand};
use postroad_proto::mailbox::v1::{
    ActivateMailboxesRequest, ApplyDefaultSettingsRequest, Approval, ApproveMailboxesRequest, Condition,
    DeactivateMailboxesRequest, ListMailboxesRequest, MailboxKind, MailboxSelection,
};
use postroad_rig::Role;

use crate::{
    contract,
    failure::{Exit, Failure},
    secret::{Need, PasswordSource, Standard},
    session::Session,
};

mod one;
mod past;
mod selection;
mod settings;
mod sync;
mod test;
pub mod view;

use selection::{ChangeSelection, Selection};

/// Mailboxes
#[derive(Args, Debug)]
pub struct Group {
    #[command(subcommand)]
    pub command: Command,
}

const CREATE_EXAMPLES: &str = "Examples:
  postroad mailbox create ada@contoso.example --regarding ada@contoso.example --profile Contoso --incoming-method server_side_sync
  postroad mailbox create support@contoso.example --kind queue --regarding support@contoso.example --profile Contoso
  postroad mailbox create -f mailbox.toml";

const UPDATE_EXAMPLES: &str = "Examples:
  postroad mailbox update ada@contoso.example --filtering-method no_messages
  postroad mailbox update --of-profile Contoso --profile Fabrikam
  postroad mailbox update ada@contoso.example -f mailbox.toml --etag 7

One mailbox is changed as a whole or not at all; of several, each is changed or refused for itself.";

const TEST_EXAMPLES: &str = "Examples:
  postroad mailbox test ada@contoso.example
  postroad mailbox test --profile Contoso
  postroad mailbox test --all --json

Checks address, approval, profile, location, TLS, credentials, impersonation and access to the Inbox, and enables the
directions that pass. Exit code 4 says that some mailboxes failed.";

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Create a mailbox: active, not approved, nothing enabled
    #[command(after_help = CREATE_EXAMPLES)]
    Create {
        /// The primary SMTP address in Exchange, unless the file says it
        email_address: Option<String>,
        /// Whose mailbox it is [default: user]
        #[arg(long, value_parser = settings::kind())]
        kind: Option<MailboxKind>,
        #[command(flatten)]
        flags: Box<settings::Flags>,
        #[command(flatten)]
        password: PasswordSource,
    },
    /// Show a mailbox: settings, state, and what fails
    Get {
        /// Address or id
        mailbox: String,
        /// Print the settings as a file for `create -f` and `update -f`
        #[arg(long, conflicts_with = "json")]
        toml: bool,
    },
    /// List mailboxes
    #[command(
        after_help = "Examples:\n  postroad mailbox list --profile Contoso\n  postroad mailbox list --state disabled --state retrying\n  postroad mailbox list --fault CONNECT_REFUSED"
    )]
    List {
        /// Only those of this profile, by name or id
        #[arg(long, value_name = "PROFILE", default_value = "", hide_default_value = true)]
        profile: String,
        /// Only those in this state; may be repeated
        #[arg(long, value_parser = contract::choice("CONDITION", view::CONDITIONS, Condition::from_str_name))]
        state: Vec<Condition>,
        /// Only those whose address or name contains this
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        search: String,
        /// Only those that fail with this fault
        #[arg(long, value_name = "CODE", default_value = "", hide_default_value = true)]
        fault: String,
    },
    /// Change the settings that are given, of one mailbox or of many
    #[command(after_help = UPDATE_EXAMPLES)]
    Update {
        #[command(flatten)]
        selection: ChangeSelection,
        /// Its new primary SMTP address; for one mailbox only
        #[arg(long, value_name = "ADDRESS")]
        email_address: Option<String>,
        #[command(flatten)]
        flags: Box<settings::Flags>,
        #[command(flatten)]
        password: PasswordSource,
        /// Change it only if this is its current etag; for one mailbox only
        #[arg(long)]
        etag: Option<String>,
    },
    /// Give mailboxes the default profile and synchronization methods
    #[command(
        after_help = "Example:\n  postroad mailbox apply-defaults --all\n\nThe defaults are the section profile.defaults of the configuration."
    )]
    ApplyDefaults {
        #[command(flatten)]
        selection: Selection,
    },
    /// Approve the addresses of mailboxes
    Approve {
        #[command(flatten)]
        selection: Selection,
    },
    /// Reject the addresses of mailboxes
    Reject {
        #[command(flatten)]
        selection: Selection,
    },
    /// Let mailboxes be processed
    Activate {
        #[command(flatten)]
        selection: Selection,
    },
    /// Stop processing mailboxes
    Deactivate {
        #[command(flatten)]
        selection: Selection,
    },
    /// Delete a mailbox; its activities in the CRM stay
    Delete {
        /// Address or id
        mailbox: String,
        /// Delete it only if this is its current etag
        #[arg(long, default_value = "", hide_default_value = true)]
        etag: String,
    },
    /// Test mailboxes and enable the directions that pass
    #[command(after_help = TEST_EXAMPLES)]
    Test {
        #[command(flatten)]
        selection: Selection,
        /// Show the request and the answer of steps that failed
        #[arg(long)]
        evidence: bool,
    },
    /// Process mailboxes now, whatever their polling interval
    #[command(
        after_help = "Example:\n  postroad mailbox sync ada@contoso.example\n\nA back-off that Exchange asked for still holds. Returns when the request is noted."
    )]
    Sync {
        #[command(flatten)]
        selection: Selection,
    },
    /// Say what was decided about the messages of a mailbox, and what was known then
    #[command(after_help = "Example:\n  postroad mailbox explain ada@contoso.example --not-tracked --last 20")]
    Explain {
        /// Address or id
        mailbox: String,
        /// Only messages that were not tracked
        #[arg(long)]
        not_tracked: bool,
        /// Only what was decided since
        #[arg(long, value_name = "TIME")]
        since: Option<jiff::Timestamp>,
        /// Only the newest so many
        #[arg(long, value_name = "NUMBER", default_value_t = 50)]
        last: usize,
    },
    /// Compare the folders of a mailbox with what was decided: prove that no message was passed over, or name the gap
    #[command(
        after_help = "Example:\n  postroad mailbox audit ada@contoso.example\n\nExit code 1 says that there is a gap. Writes nothing."
    )]
    Audit {
        /// Address or id
        mailbox: String,
    },
    /// Try messages again that failed too often
    Retry {
        /// Address or id
        mailbox: String,
        /// Only this message
        #[arg(value_name = "MESSAGE-ID")]
        message_id: Option<String>,
    },
    /// Show, pause or resume the reading of older mail, which a lowered Process Email From began
    Backfill {
        /// Address or id
        mailbox: String,
        /// What to do
        #[arg(value_enum, default_value_t = past::BackfillAction::Show)]
        action: past::BackfillAction,
    },
    /// Tracked folders
    #[command(subcommand)]
    Folder(past::FolderCommand),
    /// Show the event log of a mailbox as sentences
    #[command(after_help = "Example:\n  postroad mailbox timeline ada@contoso.example --last 20")]
    Timeline {
        /// Address or id
        mailbox: String,
        /// Only the newest so many events
        #[arg(long, value_name = "NUMBER")]
        last: Option<usize>,
    },
}

const QUESTION: &str = "Password of the mailbox: ";

impl Command {
    /// Runs it.
    pub async fn run(self, session: &mut Session) -> Result<Exit, Failure> {
        match self {
            Self::Create { email_address, kind, flags, password } => {
                let mut changes = flags.changes(email_address)?;
                // Users' mailboxes are the common case; a file may say otherwise.
                let kind = kind.or_else(|| (!changes.has("kind")).then_some(MailboxKind::User));
                changes.set_if("kind", kind, |settings, kind| settings.set_kind(kind));
                settings::set_password(&mut changes, password.read(Need::Optional, QUESTION, &mut Standard)?);
                one::create(session, changes.into_settings()).await
            }
            Self::Get { mailbox, toml } => one::get(session, mailbox, toml).await,
            Self::List { profile, state, search, fault } => {
                let conditions = state.into_iter().map(i32::from).collect();
                let wanted = ListMailboxesRequest { profile, conditions, search, fault, ..Default::default() };
                one::list(session, &wanted).await
            }
            Self::Update { selection, email_address, flags, password, etag } => {
                let mut changes = flags.changes(email_address)?;
                settings::set_password(&mut changes, password.read(Need::Optional, QUESTION, &mut Standard)?);
                one::update(session, selection, changes.into_update()?, etag).await
            }
            Self::Delete { mailbox, etag } => one::delete(session, mailbox, etag).await,
            Self::ApplyDefaults { selection } => apply_defaults(session, selection.into()).await,
            Self::Approve { selection } => approve(session, selection.into(), Approval::Approved).await,
            Self::Reject { selection } => approve(session, selection.into(), Approval::Rejected).await,
            Self::Activate { selection } => activate(session, selection.into()).await,
            Self::Deactivate { selection } => deactivate(session, selection.into()).await,
            Self::Test { selection, evidence } => test::run(session, selection.into(), evidence).await,
            Self::Sync { selection } => sync::run(session, selection.into()).await,
            Self::Explain { mailbox, not_tracked, since, last } => {
                past::explain(session, mailbox, not_tracked, since, last).await
            }
            Self::Audit { mailbox } => past::audit(session, mailbox).await,
            Self::Retry { mailbox, message_id } => past::retry(session, mailbox, message_id).await,
            Self::Backfill { mailbox, action } => past::backfill(session, mailbox, action).await,
            Self::Folder(command) => past::folder(session, command).await,
            Self::Timeline { mailbox, last } => one::timeline(session, mailbox, last).await,
        }
    }
}

async fn apply_defaults(session: &mut Session, selection: MailboxSelection) -> Result<Exit, Failure> {
    let request = ApplyDefaultSettingsRequest { selection: Some(selection) };
    let failed = session.connection.failed(Role::Profile);
    let answer = session.connection.mailboxes()?.apply_default_settings(request).await.map_err(failed)?.into_inner();
    view::results(&mut session.output, "applied the defaults to", &answer.results)
}

async fn approve(session: &mut Session, selection: MailboxSelection, approval: Approval) -> Result<Exit, Failure> {
    let request = ApproveMailboxesRequest { selection: Some(selection), approval: approval.into() };
    let failed = session.connection.failed(Role::Profile);
    let answer = session.connection.mailboxes()?.approve_mailboxes(request).await.map_err(failed)?.into_inner();
    let what = if approval == Approval::Approved { "approved" } else { "rejected" };
    view::results(&mut session.output, what, &answer.results)
}

async fn activate(session: &mut Session, selection: MailboxSelection) -> Result<Exit, Failure> {
    let request = ActivateMailboxesRequest { selection: Some(selection) };
    let failed = session.connection.failed(Role::Profile);
    let answer = session.connection.mailboxes()?.activate_mailboxes(request).await.map_err(failed)?.into_inner();
    view::results(&mut session.output, "activated", &answer.results)
}

async fn deactivate(session: &mut Session, selection: MailboxSelection) -> Result<Exit, Failure> {
    let request = DeactivateMailboxesRequest { selection: Some(selection) };
    let failed = session.connection.failed(Role::Profile);
    let answer = session.connection.mailboxes()?.deactivate_mailboxes(request).await.map_err(failed)?.into_inner();
    view::results(&mut session.output, "deactivated", &answer.results)
}
