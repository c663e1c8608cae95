//! What a command works with: the configuration, the connection to the roles, the output and who runs it.
#![expect(clippy::disallowed_methods, reason = "who runs the command is known from the environment only")]

use std::{path::PathBuf, sync::Arc};

use clap::{Args, ValueHint};
use postroad_rig::{
    Channels, Config,
    caller::{Introduction, TokenFile},
};

use crate::{
    connection::{Connection, Server},
    failure::Failure,
    output::Output,
};

/// Apart from what a command has of its own, so that this is seen first.
const HEADING: &str = "Options of every command";

/// Flags of every command.
#[derive(Args, Debug)]
pub struct Global {
    /// The configuration: its section `endpoints` says where the roles are; defaults are for a single machine
    #[arg(long, global = true, help_heading = HEADING)]
    #[arg(env = "POSTROAD_CONFIG", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// Print JSON: an array for lists, one object per line for streams
    #[arg(long, global = true, help_heading = HEADING)]
    pub json: bool,
    /// Where a role is, whatever the configuration says; may be repeated
    #[arg(long, global = true, help_heading = HEADING, value_name = "ROLE=URL")]
    pub server: Vec<Server>,
    /// A file with the token that says who calls: an access token of the issuer, or the local token [default: the local token of
    /// the configuration, where this user can read it]
    #[arg(long, global = true, help_heading = HEADING)]
    #[arg(env = "POSTROAD_TOKEN_FILE", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub token_file: Option<PathBuf>,
    /// Who is recorded as having done it, with the local token [default: admin and the name of the user]
    #[arg(long, global = true, help_heading = HEADING, value_name = "NAME")]
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
        Ok(Session { connection: self.connection()?, output: Output::standard(self.json) })
    }

    /// The way to the roles that the configuration names.
    pub fn connection(&self) -> Result<Connection, Failure> {
        let config = self.configuration()?;
        let channels = self.introduced(Channels::open(&config)?, &config)?;
        Ok(Connection::new(channels, &self.server, &self.actor()))
    }

    /// A way to the roles that says who calls: by the token that was named, or by the local one, if there is any.
    pub fn introduced(&self, channels: Channels, config: &Config) -> Result<Channels, Failure> {
        let token = match &self.token_file {
            Some(file) => Some(TokenFile::open("--token-file", file)?),
            None => match config.local_token_file().filter(|file| file.exists()) {
                Some(file) => Some(TokenFile::open("access.token_file", &file)?),
                None => None,
            },
        };
        Ok(channels.introduced_as(Introduction::new(token.map(Arc::new)), config.tls.allow_plaintext))
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
