//! Who may call: whether anybody can, and whether the issuer of access tokens is to be reached.

use postroad_rig::{Config, caller::Oidc};

use super::{Check, patiently};
use crate::failure::Failure;

/// What the configuration lets in.
pub async fn check(config: &Config) -> Vec<Check> {
    let (local, people) = (config.local_token_file(), &config.access.certificates);
    let names = people.administrators.len() + people.operators.len() + people.readers.len();
    let mut ways = Vec::new();
    if let Some(file) = &local {
        let state = if file.exists() { "" } else { ", which the first role makes" };
        ways.push(format!("the local token {}{state}", file.display()));
    }
    if let Some(oidc) = &config.access.oidc {
        ways.push(format!("tokens of {}", oidc.issuer));
    }
    if names > 0 {
        ways.push(format!("certificates with {names} granted names"));
    }
    let mut checks = vec![if ways.is_empty() {
        Check::warning(
            "who may call",
            "nobody but the roles: there is neither a local token nor an issuer, and no certificate is granted anything",
            "set token_file under [access], the section [access.oidc], or names under [access.certificates]",
        )
    } else {
        Check::well("who may call", ways.join("; "))
    }];
    if let Some(oidc) = &config.access.oidc {
        let name = "issuer of access tokens";
        checks.push(match Oidc::open(oidc) {
            Err(error) => Check::problem(name, &Failure::from(error)),
            Ok(issuer) => match patiently(issuer.look()).await {
                Some(Ok(keys)) => Check::well(name, format!("{} publishes {keys} keys that sign", oidc.issuer)),
                Some(Err(report)) => Check::problem(name, &Failure::from(&report)),
                None => Check::fault(name, postroad_core::fault::Code::IssuerUnavailable, "it did not answer in time"),
            },
        });
    }
    checks
}

#[cfg(test)]
mod tests {
    use super::{super::State, *};

    #[tokio::test]
    async fn a_door_that_opens_for_nobody_is_said_so() {
        let tls = "[tls]\ncertificate_file = \"c\"\nkey_file = \"k\"\nauthority_file = \"a\"\n";
        let state = async |more: &str| check(&Config::parse(&format!("{tls}{more}")).unwrap()).await[0].state;
        assert_eq!(state("").await, State::Warning);
        assert_eq!(state("[access]\ntoken_file = \"t\"").await, State::Well);
        assert_eq!(state("[access.certificates]\nreaders = [\"ada\"]").await, State::Well);
    }
}
