//! `postroad health`: whether the role that runs here serves, for probes that cannot show a certificate.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use clap::Args;
use postroad_rig::{Channels, Config, Role};

use crate::{
    connection::Connection,
    failure::{Exit, Failure},
    output::Output,
    session::Global,
};

/// Probes of Kubernetes wait for five seconds.
const PATIENCE: Duration = Duration::from_secs(4);

/// Ask the role on this machine whether it serves
#[derive(Args, Debug)]
#[command(after_help = "\
Asks by gRPC health checking at the port where the role listens by the configuration, with the certificate that it names.

Example:
  postroad health sync --config postroad.toml

Exit code 0 says that it serves, 1 that it is not ready, 3 that it does not answer.")]
pub struct Health {
    /// profile, locator, sync, alert or crm
    #[arg(value_parser = role)]
    role: Role,
}

fn role(name: &str) -> Result<Role, String> {
    let names = || Role::ALL.map(Role::name).join(", ");
    Role::ALL.into_iter().find(|role| role.name() == name).ok_or_else(|| format!("the roles are {}", names()))
}

impl Health {
    /// Asks.
    pub async fn run(self, global: &Global) -> Result<Exit, Failure> {
        let config = global.configuration()?;
        let role = self.role;
        let connection = connection(&config, global, role)?;
        let endpoint = connection.endpoint(role).to_owned();
        let asked = tokio::time::timeout(PATIENCE, postroad_rig::is_serving(connection.channel(role)?)).await;
        let serves = match asked {
            Ok(answer) => answer.map_err(|status| Failure::of_call(role, &endpoint, &status))?,
            Err(_) => {
                return Err(Failure::Unreachable { role, endpoint, reason: "no answer in time".to_owned() });
            }
        };
        let mut output = Output::standard(global.json);
        if output.is_json() {
            output.json(&serde_json::json!({ "role": role.name(), "serves": serves }))?;
        } else {
            let state = if serves { "serves" } else { "is not ready" };
            output.line(format!("{} {state} at {endpoint}", role.name()))?;
        }
        Ok(if serves { Exit::Success } else { Exit::Failed })
    }
}

/// To the role's own port on this machine, unless `--server` says otherwise.
fn connection(config: &Config, global: &Global, role: Role) -> Result<Connection, Failure> {
    let channels = Channels::open(config)?.with(role, &format!("http://{}", near(listen(config, role))));
    Ok(Connection::new(channels, &global.server, &global.actor()))
}

const fn listen(config: &Config, role: Role) -> SocketAddr {
    match role {
        Role::Profile => config.profile.listen,
        Role::Locator => config.locator.listen,
        Role::Sync => config.sync.listen,
        Role::Alert => config.alert.listen,
        Role::Crm => config.crm.listen,
    }
}

/// What listens on every address listens on the loopback one.
fn near(listen: SocketAddr) -> SocketAddr {
    let address = match listen.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    };
    SocketAddr::new(address, listen.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_that_listens_everywhere_is_asked_on_the_loopback_address() {
        let near = |text: &str| near(text.parse().unwrap()).to_string();
        assert_eq!(near("0.0.0.0:7403"), "127.0.0.1:7403");
        assert_eq!(near("[::]:7403"), "[::1]:7403");
        assert_eq!(near("192.0.2.7:7403"), "192.0.2.7:7403");
    }

    #[tokio::test]
    async fn a_role_that_does_not_run_does_not_answer() {
        // A port that was free a moment ago, and that nobody listens on.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("[alert]\nlisten = \"127.0.0.1:{port}\"\n")).unwrap();
        let global = Global {
            config: Some(file.path().to_owned()),
            json: true,
            server: Vec::new(),
            token_file: None,
            actor: None,
        };
        let failure = Health { role: Role::Alert }.run(&global).await.unwrap_err();
        assert_eq!(failure.exit(), Exit::Unreachable);
    }
}
