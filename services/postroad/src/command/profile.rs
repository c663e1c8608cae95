//! `postroad profile`: email server profiles.

use clap::{Args, Subcommand};
use postroad_proto::{
    locator::v1::Outcome,
    profile::v1::{
        ActivateProfileRequest, AssignProfileRequest, CreateProfileRequest, DeactivateProfileRequest,
        DeleteProfileRequest, GetProfileRequest, ListProfileChangesRequest, ListProfilesRequest, Profile,
        ProfileChange, ProfileSettings, ReleaseHostRequest, UpdateProfileRequest, WithdrawHostRequest,
    },
};
use postroad_rig::Role;

use crate::{
    connection::pages,
    contract::{Extent, Written},
    failure::{Exit, Failure},
    output::paint::good,
    secret::{Need, PasswordSource, Standard},
    session::Session,
};

mod report;
pub mod settings;
pub mod test;
pub mod view;

/// Email server profiles; with --config FILE and no subcommand, run the profile role
#[derive(Args, Debug)]
pub struct Group {
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Create a profile; it is active at once
    #[command(after_help = "Examples:\n  \
        postroad profile create Contoso --owner ada@contoso.example --server-type exchange_server_hybrid --user-name crm@contoso.example\n  \
        postroad profile create Fixed --owner ada@contoso.example --server-type exchange_server --user-name crm@contoso.example \\\n      \
        --autodiscover no --incoming-location https://mail.contoso.example/EWS/Exchange.asmx --password-file password.txt\n  \
        postroad profile create -f profile.toml --password-stdin < password.txt")]
    Create {
        /// Its name, unless the file says it
        name: Option<String>,
        #[command(flatten)]
        flags: Box<settings::Flags>,
        #[command(flatten)]
        password: PasswordSource,
    },
    /// Show a profile
    #[command(
        after_help = "Examples:\n  postroad profile get Contoso\n  postroad profile get Contoso --toml > profile.toml"
    )]
    Get {
        /// Name or id
        profile: String,
        /// Print the settings as a file for `create -f` and `update -f`
        #[arg(long, conflicts_with = "json")]
        toml: bool,
    },
    /// List profiles
    List,
    /// Change the settings that are given, and no others
    #[command(after_help = "Examples:\n  \
        postroad profile update Contoso --maximum-concurrent-connections 10\n  \
        postroad profile update Contoso --password-prompt\n  \
        postroad profile update Contoso -f profile.toml --etag 7")]
    Update {
        /// Name or id
        profile: String,
        /// Its new name
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        flags: Box<settings::Flags>,
        #[command(flatten)]
        password: PasswordSource,
        /// Change it only if this is its current etag
        #[arg(long, default_value = "", hide_default_value = true)]
        etag: String,
    },
    /// Delete a profile that no mailbox uses
    Delete {
        /// Name or id
        profile: String,
        /// Delete it only if this is its current etag
        #[arg(long, default_value = "", hide_default_value = true)]
        etag: String,
    },
    /// Assign a profile to another owner
    #[command(after_help = "Example:\n  postroad profile assign Contoso --owner bob@contoso.example")]
    Assign {
        /// Name or id
        profile: String,
        /// The new owner: a user of the CRM, by address or id
        #[arg(long)]
        owner: String,
        /// Assign it only if this is its current etag
        #[arg(long, default_value = "", hide_default_value = true)]
        etag: String,
    },
    /// Let the mailboxes of a profile be processed
    Activate {
        /// Name or id
        profile: String,
    },
    /// Stop processing the mailboxes of a profile
    Deactivate {
        /// Name or id
        profile: String,
    },
    /// Test the connection, step by step; with settings, as if they were saved, and nothing is
    #[command(after_help = "Examples:\n  \
        postroad profile test Contoso\n  \
        postroad profile test Contoso --mailbox ada@contoso.example --report contoso.md\n  \
        postroad profile test Contoso --autodiscover no --incoming-location https://mail.contoso.example\n  \
        postroad profile test -f profile.toml --password-prompt --mailbox ada@contoso.example")]
    Test {
        /// Name or id; may be left out where settings are given
        profile: Option<String>,
        /// Test with this mailbox instead of the service account's own
        #[arg(long, value_name = "ADDRESS", default_value = "", hide_default_value = true)]
        mailbox: String,
        /// Show the request and the answer of the step that failed
        #[arg(long)]
        evidence: bool,
        /// Write a report in Markdown, to be handed to the Exchange administrator
        #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
        report: Option<std::path::PathBuf>,
        #[command(flatten)]
        flags: Box<settings::Flags>,
        #[command(flatten)]
        password: PasswordSource,
    },
    /// Let Autodiscover use a host, and the service account's credentials go there
    #[command(after_help = "Examples:\n  \
        postroad profile release Contoso mail.hoster.example\n  \
        postroad profile release Contoso '*.hoster.example'")]
    Release {
        /// Name or id
        profile: String,
        /// HOST, or *.HOST for everything below it; with :PORT or :* if the port is not 443
        host: String,
    },
    /// Take back a host that was released
    Withdraw {
        /// Name or id
        profile: String,
        /// As it was released
        host: String,
    },
    /// Show who changed what, from what to what, and when; the newest first
    History {
        /// Name or id
        profile: String,
        /// At most so many changes
        #[arg(long, value_name = "NUMBER")]
        limit: Option<usize>,
    },
}

impl Command {
    /// Runs it.
    pub async fn run(self, session: &mut Session) -> Result<Exit, Failure> {
        match self {
            Self::Create { name, flags, password } => {
                create(session, flags.changes(name)?.into_settings(), &password).await
            }
            Self::Get { profile, toml } => get(session, profile, toml).await,
            Self::List => list(session).await,
            Self::Update { profile, name, flags, password, etag } => {
                let mut changes = flags.changes(name)?;
                settings::set_password(&mut changes, password.read(Need::Optional, QUESTION, &mut Standard)?);
                let (settings, mask) = changes.into_update()?;
                let request = UpdateProfileRequest { profile, settings: Some(settings), update_mask: Some(mask), etag };
                update(session, request).await
            }
            Self::Delete { profile, etag } => delete(session, profile, etag).await,
            Self::Assign { profile, owner, etag } => {
                assign(session, AssignProfileRequest { profile, owner, etag }).await
            }
            Self::Activate { profile } => activate(session, profile).await,
            Self::Deactivate { profile } => deactivate(session, profile).await,
            Self::Test { profile, mailbox, evidence, report, flags, password } => {
                let mut changes = flags.changes(None)?;
                settings::set_password(&mut changes, password.read(Need::Optional, QUESTION, &mut Standard)?);
                let wanted = test::Wanted { profile, mailbox, evidence, report };
                test::run(session, wanted, changes).await
            }
            Self::Release { profile, host } => release(session, profile, host).await,
            Self::Withdraw { profile, host } => withdraw(session, profile, host).await,
            Self::History { profile, limit } => history(session, profile, limit).await,
        }
    }
}

const QUESTION: &str = "Password of the service account: ";

async fn create(
    session: &mut Session,
    mut settings: ProfileSettings,
    password: &PasswordSource,
) -> Result<Exit, Failure> {
    if let Some(password) = password.read(Need::Required, QUESTION, &mut Standard)? {
        settings.password = secrecy::ExposeSecret::expose_secret(&password).to_owned();
    }
    let failed = session.connection.failed(Role::Profile);
    let request = CreateProfileRequest { settings: Some(settings) };
    let answer = session.connection.profiles()?.create_profile(request).await.map_err(failed)?.into_inner();
    done(session, "created", answer.profile.unwrap_or_default())
}

async fn get(session: &mut Session, profile: String, toml: bool) -> Result<Exit, Failure> {
    let failed = session.connection.failed(Role::Profile);
    let answer =
        session.connection.profiles()?.get_profile(GetProfileRequest { profile }).await.map_err(failed)?.into_inner();
    let profile = answer.profile.unwrap_or_default();
    if toml {
        let text = toml::to_string_pretty(&Written::new(&profile.settings.unwrap_or_default(), Extent::Set)?);
        session.output.line(text.map_err(std::io::Error::other)?.trim_end())?;
    } else if session.output.is_json() {
        session.output.message(&profile)?;
    } else {
        view::facts(&mut session.output, &profile)?;
    }
    Ok(Exit::Success)
}

async fn list(session: &mut Session) -> Result<Exit, Failure> {
    let mut client = session.connection.profiles()?;
    let profiles: Vec<Profile> = pages(None, async |page_size, page_token| {
        let request = ListProfilesRequest { page_size, page_token };
        let answer =
            client.list_profiles(request).await.map_err(session.connection.failed(Role::Profile))?.into_inner();
        Ok((answer.profiles, answer.next_page_token))
    })
    .await?;
    if session.output.is_json() {
        session.output.messages(&profiles)?
    } else {
        view::table(&mut session.output, &profiles)?
    }
    Ok(Exit::Success)
}

async fn update(session: &mut Session, request: UpdateProfileRequest) -> Result<Exit, Failure> {
    let failed = session.connection.failed(Role::Profile);
    let answer = session.connection.profiles()?.update_profile(request).await.map_err(failed)?.into_inner();
    done(session, "changed", answer.profile.unwrap_or_default())
}

async fn delete(session: &mut Session, profile: String, etag: String) -> Result<Exit, Failure> {
    let failed = session.connection.failed(Role::Profile);
    let request = DeleteProfileRequest { profile: profile.clone(), etag };
    session.connection.profiles()?.delete_profile(request).await.map_err(failed)?;
    if session.output.is_json() {
        session.output.json(&serde_json::json!({ "deleted": profile }))?;
    } else {
        session.output.line(format!("{} deleted {profile}", good("✓")))?;
    }
    Ok(Exit::Success)
}

async fn assign(session: &mut Session, request: AssignProfileRequest) -> Result<Exit, Failure> {
    let failed = session.connection.failed(Role::Profile);
    let answer = session.connection.profiles()?.assign_profile(request).await.map_err(failed)?.into_inner();
    let profile = answer.profile.unwrap_or_default();
    let what = format!("assigned to {} <{}>:", profile.owner_name, profile.owner_address);
    done(session, &what, profile)
}

async fn activate(session: &mut Session, profile: String) -> Result<Exit, Failure> {
    let failed = session.connection.failed(Role::Profile);
    let request = ActivateProfileRequest { profile };
    let answer = session.connection.profiles()?.activate_profile(request).await.map_err(failed)?.into_inner();
    done(session, "activated", answer.profile.unwrap_or_default())
}

async fn deactivate(session: &mut Session, profile: String) -> Result<Exit, Failure> {
    let failed = session.connection.failed(Role::Profile);
    let request = DeactivateProfileRequest { profile };
    let answer = session.connection.profiles()?.deactivate_profile(request).await.map_err(failed)?.into_inner();
    done(session, "deactivated", answer.profile.unwrap_or_default())
}

async fn release(session: &mut Session, profile: String, host: String) -> Result<Exit, Failure> {
    let failed = session.connection.failed(Role::Profile);
    let request = ReleaseHostRequest { profile, host: host.clone() };
    let answer = session.connection.profiles()?.release_host(request).await.map_err(failed)?.into_inner();
    done(session, &format!("{host} is released for"), answer.profile.unwrap_or_default())
}

async fn withdraw(session: &mut Session, profile: String, host: String) -> Result<Exit, Failure> {
    let failed = session.connection.failed(Role::Profile);
    let request = WithdrawHostRequest { profile, host: host.clone() };
    let answer = session.connection.profiles()?.withdraw_host(request).await.map_err(failed)?.into_inner();
    done(session, &format!("{host} is no longer released for"), answer.profile.unwrap_or_default())
}

async fn history(session: &mut Session, profile: String, limit: Option<usize>) -> Result<Exit, Failure> {
    let mut client = session.connection.profiles()?;
    let changes: Vec<ProfileChange> = pages(limit, async |page_size, page_token| {
        let request = ListProfileChangesRequest { profile: profile.clone(), page_size, page_token };
        let answer =
            client.list_profile_changes(request).await.map_err(session.connection.failed(Role::Profile))?.into_inner();
        Ok((answer.changes, answer.next_page_token))
    })
    .await?;
    if session.output.is_json() {
        session.output.messages(&changes)?
    } else {
        view::history(&mut session.output, &changes)?
    }
    Ok(Exit::Success)
}

/// Says what was done to a profile, and what its administrator should know.
fn done(session: &mut Session, what: &str, profile: Profile) -> Result<Exit, Failure> {
    if session.output.is_json() {
        session.output.message(&profile)?;
    } else {
        let name = profile.settings.as_ref().map_or("", |settings| settings.name.as_str());
        session.output.line(format!("{} {what} {name} (id {}, etag {})", good("✓"), profile.id, profile.etag))?;
        view::notes(&mut session.output, &profile)?;
    }
    Ok(Exit::Success)
}

/// Whether a test found nothing wrong in any direction.
pub fn is_passed(outcome: &Outcome) -> bool {
    outcome.incoming.is_none() && outcome.outgoing.is_none() && outcome.appointments_contacts_tasks.is_none()
}
