//! `postroad key`: sealing keys.

mod reseal;

use std::{fs::OpenOptions, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::PathBuf};

use clap::{Args, Subcommand, ValueHint};
use postroad_journal::sealing::Keyring;

use crate::{
    failure::{Exit, Failure},
    output::Output,
    session::Global,
};

/// Sealing keys
#[derive(Args, Debug)]
pub struct Group {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Make a fresh sealing key: 32 random bytes in Base64
    ///
    /// Passwords are sealed with it before they are stored. Keep it as long as anything sealed with it: to change keys, give
    /// the new one another id (sealing.key_id), name the old one in sealing.former_keys, and seal what there is anew.
    #[command(
        after_help = "Examples:\n  postroad key new --out /etc/postroad/sealing.key\n  postroad key new | kubectl create secret generic postroad-sealing --from-file=sealing.key=/dev/stdin"
    )]
    New {
        /// Write it to a new file that only its owner can read, instead of printing it
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        out: Option<PathBuf>,
    },
    /// Seal everything that is stored with the present key, so that former keys can be thrown away
    ///
    /// Nothing stops meanwhile, and it may be repeated at any time: what is sealed with the present key already is let be.
    #[command(
        after_help = "Exit code 1 where something could not be sealed anew; it says which key is missing.\n\nExamples:\n  postroad key reseal\n  postroad key reseal --json | jq 'select(.fault != null)'"
    )]
    Reseal,
}

impl Command {
    /// Runs it.
    pub async fn run(self, global: &Global) -> Result<Exit, Failure> {
        match self {
            Self::New { out } => new(global, out),
            Self::Reseal => reseal::run(&mut global.session()?).await,
        }
    }
}

fn new(global: &Global, out: Option<PathBuf>) -> Result<Exit, Failure> {
    let mut output = Output::standard(global.json);
    let key = Keyring::new_key();
    match out {
        Some(file) => {
            let refused = |error: std::io::Error| Failure::file("--out", &file, "created", &error);
            // Never over an existing key: what it sealed could not be opened any more.
            let mut key_file =
                OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file).map_err(refused)?;
            writeln!(key_file, "{key}").map_err(refused)?;
            if output.is_json() {
                output.json(&serde_json::json!({ "key_file": file }))?;
            } else {
                output.line(format!("wrote a fresh sealing key to {}; set sealing.key_file to it", file.display()))?;
            }
        }
        None if output.is_json() => output.json(&serde_json::json!({ "key": key }))?,
        None => output.line(key)?,
    }
    Ok(Exit::Success)
}
