//! What a command works with: the configuration, the connection to the roles, the output and who runs it.
#![expect(clippy::disallowed_methods, reason = "who runs the command is known from the environment only")]

use std::path::PathBuf;

use clap::{Args, ValueHint};
use postroad_rig::{Channels, Config};

use crate::{
    connection::{Connection, Server},
    failure::Failure,
    output::Output,
};

/// Flags of every command.
#[derive(Args, Debug)]
pub struct Global {
    /// The configuration: its section `endpoints` says where the roles are; defaults are for a single machine
    #[arg(long, global = true, env = "POSTROAD_CONFIG", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// Print JSON: an array for lists, one object per line for streams
    #[arg(long, global = true)]
    pub json: bool,
    /// Where a role is, whatever the configuration says; may be repeated
    #[arg(long, global = true, value_name = "ROLE=URL")]
    pub server: Vec<Server>,
    /// Who is recorded as having done it [default: admin and the name of the user]
    #[arg(long, global = true, value_name = "NAME")]
    pub actor: Option<String>,
}

/// What a command works with.
pub struct Session {
    /// The roles.
    pub connection: Connection,
    /// Where the answer goes.
    pub output: Output,
}

impl Global {
    /// The configuration that was named, or the defaults.
    pub fn configuration(&self) -> Result<Config, Failure> {
        Ok(self.config.as_deref().map_or_else(|| Ok(Config::default()), Config::read)?)
    }

    /// A session with the roles that the configuration names.
    pub fn session(&self) -> Result<Session, Failure> {
        let connection = Connection::new(Channels::open(&self.configuration()?)?, &self.server, &self.actor());
        Ok(Session { connection, output: Output::standard(self.json) })
    }

    /// Who is recorded.
    pub fn actor(&self) -> String {
        let user = || std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).ok().filter(|name| !name.is_empty());
        match &self.actor {
            Some(actor) => actor.clone(),
            None => user().map_or_else(|| "admin".to_owned(), |name| format!("admin {name}")),
        }
    }
}
