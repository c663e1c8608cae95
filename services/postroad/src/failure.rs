//! What went wrong, as one block of text or one JSON object, and the exit code that tells scripts which kind it is.

use std::{io, io::Write as _, path::Path, process::ExitCode};

use postroad_core::{
    Refusal,
    fault::{Actor, Code, Report},
};
use postroad_proto::fault::v1::{self as wire, Fault};
use postroad_rig::{Role, status};
use serde::Serialize;

use crate::output::paint;

/// The exit codes, part of the command line's contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It was done.
    Success = 0,
    /// It failed.
    Failed = 1,
    /// The input was refused, and nothing was changed.
    Refused = 2,
    /// A role did not answer.
    Unreachable = 3,
    /// Some mailboxes failed their test.
    TestFailed = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command ended without doing what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A fault, with the field and the rule where a field is at fault.
    #[error("{}", .0.headline())]
    Fault(Box<Problem>),
    /// A role that does not answer.
    #[error("the {} role does not answer at {endpoint}", role.name())]
    Unreachable {
        /// Which role.
        role: Role,
        /// Where it was looked for.
        endpoint: String,
        /// What the connection said.
        reason: String,
    },
    /// What is for people was asked for by a script.
    #[error("this needs a terminal")]
    NoTerminal {
        /// What scripts do instead.
        remedy: &'static str,
    },
    /// The terminal, pipe or file that the answer goes to.
    #[error("the answer could not be written")]
    Output(#[from] io::Error),
}

/// A fault as it is printed.
#[derive(Clone, Debug, Serialize)]
pub struct Problem {
    /// The row's name.
    pub code: String,
    /// The field or setting at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What is wrong with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// What happened.
    pub what: String,
    /// What was seen.
    pub detail: String,
    /// Why it usually happens.
    pub cause: String,
    /// What to do.
    pub remedy: String,
    /// Who can do it.
    pub who: String,
    #[serde(skip)]
    scope: i32,
}

impl Problem {
    /// A fault, with the field and rule that it names.
    pub fn new(fault: &Fault, field: Option<(String, String)>) -> Self {
        let (field, rule) = field.unzip();
        Self {
            code: fault.code.clone(),
            field,
            rule,
            what: fault.what.clone(),
            detail: fault.detail.clone(),
            cause: fault.cause.clone(),
            remedy: fault.remedy.clone(),
            who: fault.who.clone(),
            scope: fault.scope,
        }
    }

    /// The line that is read first: the field and the rule, or what happened.
    pub fn headline(&self) -> String {
        match (&self.field, &self.rule) {
            (Some(field), Some(rule)) => format!("{field}: {rule}"),
            _ if self.detail.is_empty() => self.what.clone(),
            _ => format!("{} ({})", self.what, self.detail),
        }
    }

    /// The other lines, as pairs of a label and a text.
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = Vec::new();
        if self.rule.is_some() {
            lines.push(("what", self.what.clone()));
        }
        lines.push(("cause", self.cause.clone()));
        lines.push(("remedy", self.remedy.clone()));
        lines.push(("who", self.who.clone()));
        lines.retain(|(_, text)| !text.is_empty());
        lines.push(("code", format!("{code} (postroad fault show {code})", code = self.code)));
        lines
    }

    fn is_refusal(&self) -> bool {
        let not_let_in = [Code::CallerUnknown, Code::AccessTokenRefused, Code::AccessDenied, Code::CertificateExpires];
        self.scope == i32::from(wire::Scope::Input) || not_let_in.iter().any(|code| code.name() == self.code)
    }
}

impl From<&Fault> for Failure {
    fn from(fault: &Fault) -> Self {
        Self::Fault(Box::new(Problem::new(fault, None)))
    }
}

impl From<&Report> for Failure {
    fn from(report: &Report) -> Self {
        Self::from(&status::to_wire(report))
    }
}

impl From<postroad_rig::Error> for Failure {
    fn from(error: postroad_rig::Error) -> Self {
        Self::from(&error.report())
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let fault = status::to_wire(&Report::new(refusal.code, refusal.to_string()));
        let field = (!refusal.field.is_empty()).then_some((refusal.field, refusal.rule));
        Self::Fault(Box::new(Problem::new(&fault, field)))
    }
}

impl Failure {
    /// A refusal by the command line itself.
    pub fn refused(code: Code, field: impl Into<String>, rule: impl Into<String>) -> Self {
        Refusal::new(code, field, rule).into()
    }

    /// A file that was named and cannot be used; `what` says what could not be done with it.
    pub fn file(field: &str, file: &Path, what: &str, error: &io::Error) -> Self {
        Self::refused(Code::FileUnusable, field, format!("{} cannot be {what}: {error}", file.display()))
    }

    /// What a failed call means. A call without a fault of ours never reached the role, or reached something else.
    pub fn of_call(role: Role, endpoint: &str, status: &tonic::Status) -> Self {
        if let Some(fault) = status::fault_of(status) {
            return Self::Fault(Box::new(Problem::new(&fault, status::field_of(status))));
        }
        match status.code() {
            tonic::Code::Unavailable
            | tonic::Code::Unknown
            | tonic::Code::Cancelled
            | tonic::Code::DeadlineExceeded => {
                Self::Unreachable { role, endpoint: endpoint.to_owned(), reason: innermost(status) }
            }
            // What the role itself says has no source: the connection broke, as one without TLS does where TLS is spoken.
            tonic::Code::Internal if std::error::Error::source(status).is_some() => {
                Self::Unreachable { role, endpoint: endpoint.to_owned(), reason: innermost(status) }
            }
            tonic::Code::Unimplemented => Self::from(&Report::new(
                Code::ConfigurationInvalid,
                format!(
                    "endpoints.{}: what answers at {endpoint} is not this role, or another version of it",
                    role.name()
                ),
            )),
            _ => Self::from(&Report::new(
                Code::Internal,
                format!("the {} role at {endpoint} answered: {}", role.name(), status.message()),
            )),
        }
    }

    /// The code that the process ends with.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Fault(problem) if problem.is_refusal() => Exit::Refused,
            Self::Fault(_) => Exit::Failed,
            Self::Unreachable { .. } => Exit::Unreachable,
            Self::NoTerminal { .. } => Exit::Refused,
            // The reader of a pipe has seen enough: `postroad fault list | head`.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Success,
            Self::Output(_) => Exit::Failed,
        }
    }

    /// Prints it to standard error, and gives the exit code.
    pub fn print(&self, json: bool) -> Exit {
        let exit = self.exit();
        if exit != Exit::Success {
            let mut stream = anstream::stderr();
            // Nobody is left to tell if standard error is gone.
            let _ = if json { writeln!(stream, "{}", self.json()) } else { stream.write_all(self.text().as_bytes()) };
        }
        exit
    }

    /// The block for people: what, why, what to do, who.
    pub fn text(&self) -> String {
        let mut text = format!("{} {self}\n", paint::bad("error:"));
        for (label, line) in self.lines() {
            text.push_str(&format!("  {} {line}\n", paint::faint(format!("{label:<7}"))));
        }
        text
    }

    /// The object for machines.
    pub fn json(&self) -> serde_json::Value {
        let error = match self {
            Self::Fault(problem) => serde_json::to_value(problem).unwrap_or_default(),
            Self::Unreachable { role, endpoint, reason } => serde_json::json!({
                "code": "UNREACHABLE", "role": role.name(), "endpoint": endpoint, "detail": reason, "what": self.to_string(),
                "remedy": start_hint(*role),
            }),
            Self::NoTerminal { remedy } => {
                serde_json::json!({"code": "NO_TERMINAL", "what": self.to_string(), "remedy": remedy})
            }
            Self::Output(error) => {
                serde_json::json!({"code": "OUTPUT", "what": self.to_string(), "detail": error.to_string()})
            }
        };
        serde_json::json!({ "error": error })
    }

    /// What follows the headline, as pairs of a label and a text.
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Fault(problem) => problem.lines(),
            Self::Unreachable { role, reason, .. } => vec![
                ("cause", format!("it does not run, or listens elsewhere ({reason})")),
                ("remedy", start_hint(*role)),
                ("who", Actor::Operator.phrase().to_owned()),
            ],
            Self::NoTerminal { remedy } => vec![
                ("cause", "standard input or output is a file, a pipe or another program".to_owned()),
                ("remedy", (*remedy).to_owned()),
            ],
            Self::Output(error) => vec![("cause", error.to_string())],
        }
    }
}

fn start_hint(role: Role) -> String {
    let name = role.name();
    format!(
        "start it with `postroad {name} --config FILE`, or all roles with `postroad all --config FILE`; if it runs elsewhere, \
         say where with --config FILE (section endpoints) or --server {name}=http://HOST:PORT"
    )
}

/// The innermost cause, which is what the operating system said.
fn innermost(status: &tonic::Status) -> String {
    let mut reason = status.message().to_owned();
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        reason = error.to_string();
        source = error.source();
    }
    reason
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(failure: &Failure) -> String {
        anstream::adapter::strip_str(&failure.text()).to_string()
    }

    #[test]
    fn a_refusal_is_one_block_with_field_rule_and_fix() {
        let refusal =
            Refusal::new(Code::LocationNotHttps, "incoming_location", "`http://x` does not start with https://");
        let failure = Failure::of_call(Role::Profile, "http://h:1", &status::refused(&refusal));
        let text = plain(&failure);
        let row = Code::LocationNotHttps.row();
        assert!(text.starts_with("error: incoming_location: `http://x` does not start with https://\n"), "{text}");
        for part in [row.what, row.cause, row.remedy, row.who.phrase(), "fault show LOCATION_NOT_HTTPS"] {
            assert!(text.contains(part), "{text}");
        }
        assert_eq!(failure.exit(), Exit::Refused);
        assert_eq!(failure.json()["error"]["field"], "incoming_location");
    }

    #[test]
    fn a_fault_never_shows_a_bare_grpc_code() {
        let failure =
            Failure::of_call(Role::Sync, "http://h:1", &status::failed(&Report::new(Code::JournalUnavailable, "gone")));
        let text = plain(&failure);
        assert!(text.contains(Code::JournalUnavailable.row().remedy) && text.contains("(gone)"), "{text}");
        assert!(!text.contains("status:") && !text.contains("grpc"), "{text}");
        assert_eq!(failure.exit(), Exit::Failed);
    }

    #[test]
    fn an_unreachable_role_is_named_with_its_endpoint_and_how_to_start_it() {
        let failure =
            Failure::of_call(Role::Crm, "http://127.0.0.1:7405", &tonic::Status::unavailable("tcp connect error"));
        let text = plain(&failure);
        for part in
            ["the crm role", "http://127.0.0.1:7405", "postroad crm --config FILE", "postroad all", "--server crm="]
        {
            assert!(text.contains(part), "{text}");
        }
        assert_eq!(failure.exit(), Exit::Unreachable);
    }

    #[test]
    fn something_else_at_the_endpoint_is_said_so() {
        let failure = Failure::of_call(Role::Crm, "http://h:1", &tonic::Status::unimplemented(""));
        assert!(plain(&failure).contains("is not this role"));
        assert_eq!(failure.exit(), Exit::Failed);
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        assert_eq!(Failure::Output(io::ErrorKind::BrokenPipe.into()).exit(), Exit::Success);
        assert_eq!(Failure::Output(io::ErrorKind::StorageFull.into()).exit(), Exit::Failed);
    }

    #[test]
    fn exit_codes_are_a_contract() {
        let codes =
            [Exit::Success, Exit::Failed, Exit::Refused, Exit::Unreachable, Exit::TestFailed].map(|exit| exit as u8);
        assert_eq!(codes, [0, 1, 2, 3, 4]);
    }
}
