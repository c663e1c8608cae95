//! The command line's shape. Each group is defined beside what it does, in [`crate::command`].

use clap::{CommandFactory as _, Parser, Subcommand};
use postroad_rig::Role;

use crate::{
    command::{
        activity, alert, config, doctor, email, fault, health, key, locate, mailbox, nats, organization, person,
        profile, queue, record, rules, server, sync, top,
    },
    failure::{Exit, Failure},
    role,
    session::Global,
};

const EXAMPLES: &str = "\
Start everything on one machine:
  postroad config example > postroad.toml
  postroad key new --out sealing.key
  postroad all --config postroad.toml

Connect an Exchange organisation:
  postroad record load people.csv
  postroad profile create Contoso --owner ada@contoso.example --server-type exchange_server_hybrid \\
      --user-name crm@contoso.example
  postroad profile test Contoso
  postroad mailbox create ada@contoso.example --regarding ada@contoso.example --profile Contoso \\
      --incoming-method server_side_sync
  postroad mailbox approve ada@contoso.example
  postroad mailbox test --profile Contoso

Find out what happened:
  postroad locate ada@contoso.example --explain
  postroad mailbox timeline ada@contoso.example
  postroad activity explain '<message-id@contoso.example>'
  postroad mailbox explain ada@contoso.example --not-tracked
  postroad mailbox audit ada@contoso.example
  postroad alert list
  postroad sync status
  postroad server status
  postroad top
  postroad doctor --config postroad.toml

Exit codes: 0 done, 1 failed, 2 refused or misused, 3 a role does not answer, 4 some mailboxes failed their test.";

/// Server-side synchronization between a CRM and Microsoft Exchange
#[derive(Parser, Debug)]
#[command(name = "postroad", version, after_help = EXAMPLES, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Run every role in this process
    #[command(after_help = "Example:\n  postroad all --config postroad.toml")]
    All,
    /// Email server profiles; with --config FILE and no subcommand, run the profile role
    Profile(profile::Group),
    /// Find where a mailbox is served, and how that was found
    Locate(locate::Locate),
    /// Mailboxes
    Mailbox(mailbox::Group),
    /// Email activities: what became of messages
    Activity(activity::Group),
    /// Emails to be sent
    Email(email::Group),
    /// Queues of the CRM
    Queue(queue::Group),
    /// What decides about messages
    Rules(rules::Group),
    /// Settings of the organization
    Organization(organization::Group),
    /// What is held about a person: export and erasure
    Person(person::Group),
    /// Users, queues, contacts, accounts and leads of the CRM
    Record(record::Group),
    /// Alerts about profiles and mailboxes; with --config FILE and no subcommand, run the alert role
    Alert(alert::Group),
    /// Mail servers: how they are asked, and what they taught
    Server(server::Group),
    /// Watch the fleet: mailboxes, servers, workers, throughput, faults
    Top(top::Top),
    /// Check configuration, NATS, keys, roles and the SMTP relay
    Doctor(doctor::Doctor),
    /// Ask the role on this machine whether it serves: for probes
    Health(health::Health),
    /// Explain the faults that Postroad reports
    Fault(fault::Group),
    /// Sealing keys
    Key(key::Group),
    /// NATS: accounts, users, and the streams that roles share
    Nats(nats::Group),
    /// The configuration file
    Config(config::Group),
    /// Run the locator role: Autodiscover and connection tests
    Locator,
    /// The workers; with --config FILE and no subcommand, run the sync role: the mailboxes' cycles
    Sync(sync::Group),
    /// Run the crm role: the built-in record store
    Crm,
}

impl Cli {
    /// Runs the command. `config_given` says whether `--config` was written.
    pub async fn run(self, config_given: bool) -> Result<Exit, Failure> {
        let Self { global, command } = self;
        match Box::pin(command.run(&global, config_given)).await {
            // It may run and not agree on TLS, of which the call that failed tells little.
            Err(failure @ Failure::Unreachable { .. }) => match global.connection() {
                Ok(connection) => Err(connection.explained(failure).await),
                Err(_) => Err(failure),
            },
            outcome => outcome,
        }
    }
}

impl Command {
    async fn run(self, global: &Global, config_given: bool) -> Result<Exit, Failure> {
        match self {
            Self::All => Box::pin(role::all(global)).await,
            Self::Locator => Box::pin(role::one(global, Role::Locator)).await,
            Self::Crm => Box::pin(role::one(global, Role::Crm)).await,
            Self::Profile(group) => match group.command {
                Some(command) => Box::pin(command.run(&mut global.session()?)).await,
                None => role_or_help(global, Role::Profile, config_given).await,
            },
            Self::Alert(group) => match group.command {
                Some(command) => Box::pin(command.run(&mut global.session()?)).await,
                None => role_or_help(global, Role::Alert, config_given).await,
            },
            Self::Sync(group) => match group.command {
                Some(command) => Box::pin(command.run(&mut global.session()?)).await,
                None => role_or_help(global, Role::Sync, config_given).await,
            },
            Self::Server(group) => Box::pin(group.command.run(&mut global.session()?)).await,
            Self::Top(top) => Box::pin(top.run(&mut global.session()?)).await,
            Self::Locate(locate) => Box::pin(locate.run(&mut global.session()?)).await,
            Self::Mailbox(group) => Box::pin(group.command.run(&mut global.session()?)).await,
            Self::Activity(group) => Box::pin(group.command.run(&mut global.session()?)).await,
            Self::Email(group) => Box::pin(group.command.run(&mut global.session()?)).await,
            Self::Queue(group) => Box::pin(group.command.run(&mut global.session()?)).await,
            Self::Rules(group) => Box::pin(group.command.run(&mut global.session()?)).await,
            Self::Organization(group) => Box::pin(group.command.run(&mut global.session()?)).await,
            Self::Person(group) => Box::pin(group.command.run(&mut global.session()?)).await,
            Self::Record(group) => Box::pin(group.command.run(&mut global.session()?)).await,
            Self::Doctor(doctor) => Box::pin(doctor.run(global)).await,
            Self::Health(health) => Box::pin(health.run(global)).await,
            Self::Fault(group) => group.command.run(global),
            Self::Key(group) => Box::pin(group.command.run(global)).await,
            Self::Nats(group) => Box::pin(group.command.run(global)).await,
            Self::Config(group) => group.command.run(global),
        }
    }
}

/// The names of some groups are roles as well: a configuration makes them one.
async fn role_or_help(global: &Global, role: Role, config_given: bool) -> Result<Exit, Failure> {
    if config_given {
        return Box::pin(role::one(global, role)).await;
    }
    let mut cli = Cli::command();
    // Builds the subcommands, so that their usage shows the whole command.
    cli.build();
    if let Some(group) = cli.find_subcommand_mut(role.name()) {
        anstream::eprint!("{}", group.render_help().ansi());
    }
    Ok(Exit::Refused)
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches as _;

    use super::*;

    #[test]
    fn the_definitions_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn config_is_seen_wherever_it_is_written() {
        for line in [
            &["postroad", "--config", "p.toml", "profile"][..],
            &["postroad", "profile", "--config", "p.toml"],
            &["postroad", "profile", "list", "--config", "p.toml"],
        ] {
            let matches = Cli::command().try_get_matches_from(line).unwrap();
            assert!(crate::is_config_given(&matches), "{line:?}");
            let cli = Cli::from_arg_matches(&matches).unwrap();
            assert_eq!(cli.global.config.as_deref(), Some(std::path::Path::new("p.toml")));
        }
        assert!(!crate::is_config_given(&Cli::command().try_get_matches_from(["postroad", "profile"]).unwrap()));
    }

    #[test]
    fn passwords_cannot_be_given_as_values() {
        let error = Cli::try_parse_from(["postroad", "profile", "update", "Contoso", "--password", "x"]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
    }
}
