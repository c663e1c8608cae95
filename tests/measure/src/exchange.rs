//! The fake Exchange in a process of its own.

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
};

use mockex::{Options, Region, ServerVersion};
use serde_json::Value;

use crate::Error;

/// A mailbox of it.
pub const ADA: &str = "ada@contoso.example";
/// The host of its EWS locations.
pub const HOST: &str = "mail.contoso.example";

/// The running process; ends when dropped.
pub struct Exchange {
    child: Child,
    /// The certificate of its authority.
    pub authority: String,
    /// Autodiscover.
    pub autodiscover: SocketAddr,
    /// The service account's password.
    pub password: String,
}

impl Exchange {
    /// Starts it.
    pub async fn start() -> Result<Self, Error> {
        let built = tokio::task::spawn_blocking(stage::binaries::binaries).await;
        let binaries = built.map_err(|error| Error::Missing(error.to_string()))?.map_err(Error::Missing)?;
        let mut options = Options::contoso(vec![Region::new("europe", ServerVersion::Exchange2016, [ADA])]);
        HOST.clone_into(&mut options.public_host);
        let password = options.service_account.password.clone();
        let missing = |error: &dyn std::fmt::Display| Error::Missing(format!("mockex: {error}"));
        let file = tempfile::Builder::new().suffix(".toml").tempfile().map_err(|error| missing(&error))?;
        let text = toml::to_string(&options).map_err(|error| missing(&error))?;
        std::fs::write(file.path(), text).map_err(|error| missing(&error))?;
        let mut child = Command::new(binaries.mockex)
            .arg("--config")
            .arg(file.path())
            .env("POSTROAD_EXIT_WITH_STDIN", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| missing(&error))?;
        let mut line = String::new();
        let output = child.stdout.take().ok_or_else(|| missing(&"it has no output"))?;
        BufReader::new(output).read_line(&mut line).map_err(|error| missing(&error))?;
        let ready: Value = serde_json::from_str(&line).map_err(|error| missing(&error))?;
        let port = ready.pointer("/autodiscover/port").and_then(Value::as_u64);
        let port = port.and_then(|port| u16::try_from(port).ok()).ok_or_else(|| missing(&"it names no port"))?;
        let authority = ready.pointer("/authority_file").and_then(Value::as_str).unwrap_or_default();
        let authority = std::fs::read_to_string(authority).map_err(|error| missing(&error))?;
        Ok(Self { child, authority, autodiscover: SocketAddr::from(([127, 0, 0, 1], port)), password })
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
