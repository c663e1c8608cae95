//! What a process tells about itself.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::{Error, Role};

/// What a process tells about itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Telemetry {
    /// Where Prometheus finds `/metrics` of this process, over plain HTTP: figures only, no addresses and no names of people.
    pub listen: Option<SocketAddr>,
    /// Where traces are sent, by OTLP over gRPC: `http://HOST:4317` or `https://`.
    pub otlp_endpoint: Option<String>,
    /// The share of traces that are kept, 0-1, where nobody who calls has decided.
    pub sample_ratio: f64,
    /// Where a role that runs apart is found instead of `listen`, so that roles on one machine can share a file.
    pub listeners: Listeners,
}

/// Where `/metrics` of roles that run apart are found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Listeners {
    /// The profile role.
    pub profile: Option<SocketAddr>,
    /// The locator role.
    pub locator: Option<SocketAddr>,
    /// The sync role.
    pub sync: Option<SocketAddr>,
    /// The alert role.
    pub alert: Option<SocketAddr>,
    /// The crm role.
    pub crm: Option<SocketAddr>,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self { listen: None, listeners: Listeners::default(), otlp_endpoint: None, sample_ratio: 1.0 }
    }
}

impl Telemetry {
    /// Where a process with these roles tells its figures.
    pub fn listen(&self, roles: &[Role]) -> Option<SocketAddr> {
        let own = match roles {
            [Role::Profile] => self.listeners.profile,
            [Role::Locator] => self.listeners.locator,
            [Role::Sync] => self.listeners.sync,
            [Role::Alert] => self.listeners.alert,
            [Role::Crm] => self.listeners.crm,
            _ => None,
        };
        own.or(self.listen)
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        let wrong = |setting: &str, rule: &str| Err(Error::Configuration(format!("telemetry.{setting}: {rule}")));
        if !(0.0..=1.0).contains(&self.sample_ratio) {
            return wrong("sample_ratio", "must be between 0 and 1");
        }
        let is_url = |url: &str| url.starts_with("http://") || url.starts_with("https://");
        if self.otlp_endpoint.as_deref().is_some_and(|url| !is_url(url)) {
            return wrong("otlp_endpoint", "must be a URL such as http://127.0.0.1:4317");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::{Config, Role};

    #[test]
    fn a_role_that_runs_apart_may_have_a_listener_of_its_own() {
        let text = "[telemetry]\nlisten = \"127.0.0.1:9464\"\n[telemetry.listeners]\nsync = \"127.0.0.1:9465\"";
        let telemetry = Config::parse(text).unwrap().telemetry;
        let port = |roles: &[Role]| telemetry.listen(roles).map(|address| address.port());
        assert_eq!(port(&Role::ALL), Some(9464));
        assert_eq!((port(&[Role::Sync]), port(&[Role::Crm])), (Some(9465), Some(9464)));
    }
}
