//! `postroad nats`: who may do what in NATS, and what has to be made there.

use clap::{Args, Subcommand};
use postroad_journal::{Denials, Journal, Part};
use postroad_rig::{
    Config, Error,
    nats::{
        self,
        permission::{self, Permissions},
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

/// NATS: users, streams and buckets
#[derive(Args, Debug)]
pub struct Group {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Print the subjects that each role's user needs in NATS; everything else can be denied
    #[command(after_help = "\
With `verify_and_map: true` in the `tls` section of NATS, a certificate's first DNS name that is a user is who connects. For users with \
passwords, add `password` to each. The locator has an account of its own, where it makes its buckets by itself. `all` is the user of `postroad all`, `prepare` that of `postroad nats prepare`.

Examples:
  postroad nats permissions
  postroad nats permissions --conf > users.conf    # then in nats.conf: include users.conf
  postroad nats permissions --json | jq '.[] | select(.user | startswith(\"sync.\"))'")]
    Permissions {
        /// As the section `accounts` of a NATS configuration
        #[arg(long)]
        conf: bool,
    },
    /// Make the journal's streams and the buckets where they are missing
    ///
    /// Roles make them by themselves where NATS lets them. Where each role has a user of its own, they may not: run this
    /// once, as the user prepare, and again after sync.lease_ms has changed.
    #[command(after_help = "Examples:\n  postroad nats prepare --config prepare.toml")]
    Prepare,
}

impl Command {
    /// Runs it.
    pub async fn run(self, global: &Global) -> Result<Exit, Failure> {
        let config = global.configuration()?;
        let mut output = Output::standard(global.json);
        match self {
            Self::Permissions { conf } => show(&mut output, &permission::users(&config.nats.stream), conf)?,
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
                    let streams = Part::ALL.map(|part| part.stream(&config.nats.stream)).join(", ");
                    output.line(format!("the streams {streams} and the buckets are there"))?;
                }
            }
        }
        Ok(Exit::Success)
    }
}

async fn prepare(config: &Config, denials: Denials) -> Result<(), Error> {
    let client = nats::connect(&config.nats, permission::PREPARE, denials.clone()).await?;
    let replicas = config.nats.replicas;
    Journal::prepare(&client, config.nats.journal(Part::ALL, denials)).await?;
    postroad_sync::prepare(&client, config).await?;
    postroad_crm::prepare(&client, replicas).await
}

fn show(output: &mut Output, users: &[Permissions], conf: bool) -> Result<(), Failure> {
    if output.is_json() {
        return output.json(&users);
    }
    if conf {
        return output.line(permission::conf(users).trim_end());
    }
    for user in users {
        output.line(format!("{}  {}", strong(&user.user), faint(format!("account {}", user.account))))?;
        for (verb, subjects) in [("publish", &user.publish), ("subscribe", &user.subscribe)] {
            for subject in subjects {
                output.line(format!("  {} {subject}", faint(format!("{verb:<9}"))))?;
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
            show(&mut output, &permission::users("JOURNAL"), conf).unwrap();
            let text = captured.text();
            for part in ["sync.roles.postroad.internal", "prepare.roles.postroad.internal", "journal.notification.*"] {
                assert!(text.contains(part), "{part}: {text}");
            }
        }
    }
}
