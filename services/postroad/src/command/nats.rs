//! `postroad nats`: the accounts, who may do what in them, and what has to be made there.

use async_nats::jetstream::{self, ErrorCode, context::GetStreamErrorKind};
use clap::{Args, Subcommand};
use postroad_journal::{Denials, Journal, Part};
use postroad_rig::{
    Config, Error,
    nats::{
        self,
        permission::{self, Account, Offer},
    },
};

use crate::{
    failure::{Exit, Failure},
    output::{
        Output,
        paint::{faint, strong},
    },
    session::Global,
};

/// NATS: accounts, users, and the streams that roles share
#[derive(Args, Debug)]
pub struct Group {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Print the account and the subjects that each role's user needs in NATS; everything else can be denied
    #[command(after_help = "\
With `verify_and_map: true` in the `tls` section of NATS, a certificate's first DNS name that is a user is who connects. For users with \
passwords, add `password` to each. Each role has an account of its own, where it makes its streams and buckets by itself, and imports what it needs of the streams \
that roles share. Those are in the account POSTROAD. `prepare` is the user of `postroad nats prepare`, `all` that of `postroad all`, which has everything there.

Examples:
  postroad nats permissions
  postroad nats permissions --conf > users.conf    # then in nats.conf: include users.conf
  postroad nats permissions --json | jq '.[] | select(.account == \"POSTROAD_SYNC\")'")]
    Permissions {
        /// As the section `accounts` of a NATS configuration
        #[arg(long)]
        conf: bool,
    },
    /// Make the streams that roles share where they are missing
    ///
    /// Roles make them by themselves where NATS lets them. Where each role has an account of its own, they may not: run this once, as the
    /// user prepare.
    #[command(after_help = "Examples:\n  postroad nats prepare --config prepare.toml")]
    Prepare,
}

impl Command {
    /// Runs it.
    pub async fn run(self, global: &Global) -> Result<Exit, Failure> {
        let config = global.configuration()?;
        let mut output = Output::standard(global.json);
        match self {
            Self::Permissions { conf } => show(&mut output, &permission::accounts(&config.nats.stream), conf)?,
            Self::Prepare => {
                let denials = Denials::default();
                let denied = denials.any();
                tokio::select! {
                    prepared = Box::pin(prepare(&config, denials.clone())) => prepared?,
                    said = denied => return Err(Failure::from(&postroad_core::fault::Report::new(
                        postroad_core::fault::Code::NatsDenied,
                        said,
                    ))),
                }
                if output.is_json() {
                    output.json(&serde_json::json!({ "prepared": config.nats.url }))?;
                } else {
                    let shared = Part::ALL.into_iter().filter(|part| part.is_shared());
                    let streams: Vec<_> = shared.map(|part| part.stream(&config.nats.stream)).collect();
                    output.line(format!("the streams {} are there", streams.join(" and ")))?;
                }
            }
        }
        Ok(Exit::Success)
    }
}

async fn prepare(config: &Config, denials: Denials) -> Result<(), Error> {
    let client = nats::connect(&config.nats, permission::PREPARE, denials.clone()).await?;
    if nats::account(&client).await.as_deref() == Some(permission::SHARED) {
        misplaced(&client, config).await?;
    }
    Ok(Journal::prepare(&client, config.nats.journal(Part::ALL, denials)).await?)
}

/// Whether what is a role's own is in the account that roles share: `postroad all` has it there, and so had versions in which roles had no
/// accounts. A role would begin without it.
async fn misplaced(client: &async_nats::Client, config: &Config) -> Result<(), Error> {
    let context = jetstream::new(client.clone());
    for stream in permission::missed(&config.nats.stream) {
        match context.get_stream(&stream).await {
            Ok(found) => {
                let messages = found.cached_info().state.messages;
                let why = format!(
                    "its {messages} messages are in the account {}, and its role looks for them in one of its own",
                    permission::SHARED
                );
                return Err(postroad_journal::Error::Layout { stream, why }.into());
            }
            Err(error) => match error.kind() {
                GetStreamErrorKind::JetStream(said) if said.error_code() == ErrorCode::STREAM_NOT_FOUND => {}
                _ => return Err(postroad_journal::Error::Unreachable(format!("{stream}: {error}")).into()),
            },
        }
    }
    Ok(())
}

fn show(output: &mut Output, accounts: &[Account], conf: bool) -> Result<(), Failure> {
    if output.is_json() {
        return output.json(&accounts);
    }
    if conf {
        return output.line(permission::conf(accounts).trim_end());
    }
    for account in accounts {
        let jetstream = if account.jetstream { "JetStream" } else { "no JetStream" };
        output.line(format!("{}  {}", strong(account.account), faint(jetstream)))?;
        for import in &account.imports {
            let to = import.to.as_ref().map(|to| format!(" as {to}")).unwrap_or_default();
            let verb = if import.offer == Offer::Stream { "hears" } else { "asks" };
            output.line(format!("  {} {}{to}", faint(format!("{verb:<9}")), import.subject))?;
        }
        for user in &account.users {
            output.line(format!("  {}", strong(&user.user)))?;
            for (verb, subjects) in [("publish", &user.publish), ("subscribe", &user.subscribe)] {
                for subject in subjects {
                    output.line(format!("    {} {subject}", faint(format!("{verb:<9}"))))?;
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::tests::captured;

    #[test]
    fn every_user_is_printed_in_each_form() {
        for (json, conf) in [(true, false), (false, true), (false, false)] {
            let (mut output, captured) = captured(json);
            show(&mut output, &permission::accounts("JOURNAL"), conf).unwrap();
            let text = captured.text();
            for part in ["sync.roles.postroad.internal", "prepare.roles.postroad.internal", "journal.notification.*"] {
                assert!(text.contains(part), "{part}: {text}");
            }
        }
    }
}
