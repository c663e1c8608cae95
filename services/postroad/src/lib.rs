//! The binary `postroad`: the roles as subcommands, and the operator's command line, which speaks to them over gRPC.
//!
//! A command reads its flags ([`command`]), files ([`settings_file`]) and secrets ([`secret`]), asks a role
//! ([`connection`]), and prints what came back for people or as JSON ([`output`]). What goes wrong is printed from the fault
//! table ([`failure`]); its kind decides the exit code.

use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, parser::ValueSource};

mod cli;
mod command;
mod connection;
mod contract;
mod core_file;
mod failure;
mod output;
mod role;
mod secret;
mod session;
mod settings_file;

use crate::{
    cli::Cli,
    failure::{Exit, Failure},
};

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    core_file::forbid();
    let matches = Cli::command().get_matches();
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let json = cli.global.json;
    match run(cli, is_config_given(&matches)) {
        Ok(exit) => exit.into(),
        Err(failure) => failure.print(json).into(),
    }
}

/// Whether `--config` was written: only then does the name of a group without a subcommand start the role.
fn is_config_given(matches: &ArgMatches) -> bool {
    matches.value_source("config") == Some(ValueSource::CommandLine)
}

fn run(cli: Cli, config_given: bool) -> Result<Exit, Failure> {
    // Fails only where a provider is installed already, which is then the same one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(Box::pin(cli.run(config_given)));
    // A role's watch on standard input blocks a thread for ever: it must not keep the process alive.
    runtime.shutdown_background();
    outcome
}
