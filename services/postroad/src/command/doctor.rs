//! `postroad doctor`: checks everything that Postroad stands on, and says what to do about what is wrong.

use std::{future::Future, time::Duration};

use clap::Args;
use postroad_core::fault::{Code, Report};
use postroad_rig::{Channels, Identity, Role};
use serde::Serialize;

use crate::{
    connection::Connection,
    failure::{Exit, Failure},
    output::{
        Output,
        paint::{bad, faint, good, strong, wary},
    },
    session::Global,
};

mod access;
mod certificates;
mod durability;
mod nats;
mod roles;
mod sealing;
mod smtp;

/// A check that takes longer has found its problem.
const PATIENCE: Duration = Duration::from_secs(5);

/// Check configuration, NATS, keys, roles and the SMTP relay
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  postroad doctor --config postroad.toml\n  postroad doctor --json | jq '.[] | select(.state == \"problem\")'\n\n\
    Nothing is changed. Without a configuration, what only it can tell is not checked. Exit code 1 says that something is wrong."
)]
pub struct Doctor {}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nothing is wrong.
    Well,
    /// It works, with something to mind.
    Warning,
    /// It does not work.
    Problem,
    /// It could not be looked at from here.
    NotChecked,
}

/// One check.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// What was checked.
    pub name: String,
    /// How it ended.
    pub state: State,
    /// What was found.
    pub found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// The row of the fault table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

impl Check {
    fn new(name: impl Into<String>, state: State, found: impl Into<String>) -> Self {
        Self { name: name.into(), state, found: found.into(), remedy: None, code: None }
    }

    /// Nothing is wrong.
    pub fn well(name: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(name, State::Well, found)
    }

    /// Something to mind, and what to do about it.
    pub fn warning(name: impl Into<String>, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..Self::new(name, State::Warning, found) }
    }

    /// It could not be looked at, and why.
    pub fn not_checked(name: impl Into<String>, why: impl Into<String>) -> Self {
        Self::new(name, State::NotChecked, why)
    }

    /// What a failure means.
    pub fn problem(name: impl Into<String>, failure: &Failure) -> Self {
        let line = |label: &str| failure.lines().into_iter().find(|(found, _)| *found == label).map(|(_, text)| text);
        let code = match failure {
            Failure::Fault(problem) => Some(problem.code.clone()),
            Failure::Unreachable { .. } | Failure::NoTerminal { .. } | Failure::Output(_) => None,
        };
        let found = match failure {
            // Whether nothing listens there or something drops the packets calls for another remedy.
            Failure::Unreachable { reason, .. } => format!("{failure} ({reason})"),
            failure => failure.to_string(),
        };
        Self { remedy: line("remedy"), code, ..Self::new(name, State::Problem, found) }
    }

    /// What a fault means.
    pub fn fault(name: impl Into<String>, code: Code, detail: impl Into<String>) -> Self {
        Self::problem(name, &Failure::from(&Report::new(code, detail)))
    }
}

impl Doctor {
    /// Runs all checks.
    pub async fn run(self, global: &Global) -> Result<Exit, Failure> {
        let mut output = Output::standard(global.json);
        let checks = Box::pin(checks(global)).await;
        show(&mut output, &checks)?;
        Ok(exit(&checks))
    }
}

fn exit(checks: &[Check]) -> Exit {
    if checks.iter().any(|check| check.state == State::Problem) { Exit::Failed } else { Exit::Success }
}

async fn checks(global: &Global) -> Vec<Check> {
    let config = match global.configuration() {
        Ok(config) => config,
        // Nothing else can be trusted: endpoints and servers would be guesses.
        Err(failure) => return vec![Check::problem("configuration", &failure)],
    };
    let given = global.config.is_some();
    let mut checks = vec![match &global.config {
        Some(file) => Check::well("configuration", format!("{} is valid", file.display())),
        None => Check::not_checked("configuration", "no --config FILE; the defaults of a single machine are looked at"),
    }];
    let (found, journal) = Box::pin(nats::check(&config)).await;
    checks.extend(found);
    let now = postroad_rig::clock::now();
    checks.extend(certificates::check_nats(&config.nats, now));
    if given {
        checks.extend(sealing::check(&config, journal.as_ref()).await);
    } else {
        checks.push(Check::not_checked("sealing key", "needs --config FILE"));
    }
    let identity = match Identity::open(&config.tls, None) {
        Ok(identity) => identity,
        Err(error) => {
            // Without it no role can be asked.
            checks.push(Check::problem("certificates", &Failure::from(error)));
            return checks;
        }
    };
    checks.push(certificates::check(identity.as_ref(), now));
    checks.extend(access::check(&config).await);
    let channels = match global.introduced(Channels::new(config.endpoints.clone(), identity), &config) {
        Ok(channels) => channels,
        Err(failure) => {
            checks.push(Check::problem("token", &failure));
            return checks;
        }
    };
    let connection = Connection::new(channels, &global.server, &global.actor());
    for role in Role::ALL {
        let health = roles::health(&connection, role).await;
        let serves = health.state == State::Well;
        checks.push(health);
        // A role that does not serve is one problem, not two.
        match role {
            Role::Crm if serves => {
                checks.push(roles::crm(&connection).await);
                checks.push(sealing::contents(&connection).await);
            }
            Role::Sync if serves => checks.push(roles::workers(&connection).await),
            Role::Profile | Role::Locator | Role::Alert | Role::Crm | Role::Sync => {}
        }
    }
    checks.push(match (&config.alert.smtp, given) {
        (Some(smtp), _) => smtp::check(smtp).await,
        (None, true) => Check::warning(
            "smtp relay",
            "none is configured: owners of profiles get no mail",
            "set the section alert.smtp, as in: postroad config example",
        ),
        (None, false) => Check::not_checked("smtp relay", "needs --config FILE"),
    });
    checks
}

/// Waits for a check as long as its patience lasts.
async fn patiently<T>(what: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(PATIENCE, what).await.ok()
}

fn show(output: &mut Output, checks: &[Check]) -> Result<(), Failure> {
    if output.is_json() {
        return output.json(&checks);
    }
    for check in checks {
        let mark = match check.state {
            State::Well => good("✓"),
            State::Warning => wary("!"),
            State::Problem => bad("✗"),
            State::NotChecked => faint("-"),
        };
        output.line(format!("{mark} {}  {}", strong(&check.name), check.found))?;
        if let Some(remedy) = &check.remedy {
            output.line(format!("    {} {remedy}", faint("remedy")))?;
        }
        if let Some(code) = &check.code {
            output.line(format!("    {} {code} (postroad fault show {code})", faint("code  ")))?;
        }
    }
    let problems = checks.iter().filter(|check| check.state == State::Problem).count();
    output.line("")?;
    match problems {
        0 => output.line(good("no problems")),
        1 => output.line(bad("1 problem")),
        count => output.line(bad(format!("{count} problems"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::tests::captured;

    #[test]
    fn a_problem_comes_with_its_remedy_and_fails_the_command() {
        let checks = [Check::well("configuration", "valid"), Check::fault("nats", Code::NatsTooOld, "2.9.10")];
        let (mut output, captured) = captured(false);
        show(&mut output, &checks).unwrap();
        let text = captured.text();
        assert!(text.contains(Code::NatsTooOld.row().remedy) && text.ends_with("1 problem\n"), "{text}");
        assert_eq!((exit(&checks), exit(&checks[..1])), (Exit::Failed, Exit::Success));
    }

    #[test]
    fn json_is_an_array_of_checks() {
        let (mut output, captured) = captured(true);
        show(&mut output, &[Check::not_checked("sealing key", "needs --config FILE")]).unwrap();
        let checks: serde_json::Value = serde_json::from_str(&captured.text()).unwrap();
        assert_eq!((&checks[0]["state"], &checks[0]["name"]), (&"not_checked".into(), &"sealing key".into()));
    }

    #[tokio::test]
    async fn an_invalid_configuration_is_all_that_is_said() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "[nats]\nreplica = 1\n").unwrap();
        let global = Global {
            config: Some(file.path().to_owned()),
            json: false,
            server: Vec::new(),
            token_file: None,
            actor: None,
        };
        let checks = Box::pin(checks(&global)).await;
        assert_eq!((checks.len(), checks[0].state), (1, State::Problem));
        assert!(checks[0].found.contains("replica"), "{checks:?}");
    }
}
