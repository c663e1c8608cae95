//! How a discovery ended.

use url::Url;

use super::{Question, Service, Settings, host};
use crate::fault::{Code, Report};

/// A location that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The EWS location; released.
    pub url: Url,
    /// Which service told it.
    pub service: Service,
    /// Where that service is.
    pub endpoint: Url,
    /// The address it was told for: another one than was asked for after a redirect.
    pub address: String,
    /// Everything it told.
    pub settings: Settings,
}

/// Why none was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The row and the attempts.
    pub report: Report,
    /// A host that Autodiscover wants to use and that an administrator may release.
    pub wants: Option<String>,
}

/// One candidate that did not lead to the mailbox.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub question: Question,
    pub report: Report,
    /// Whether an Autodiscover service said it, to whom the credentials were shown.
    pub is_service: bool,
    pub wants: Option<String>,
}

/// What a service said counts more than that something else is no service; a refused host and a refused certificate count
/// more than an absent one. The administrator sees every attempt.
pub fn summary(address: &str, attempts: &[Attempt]) -> Failure {
    let list: Vec<String> =
        attempts.iter().map(|attempt| format!("{}: {}", place(&attempt.question), short(&attempt.report))).collect();
    let told = attempts.iter().find(|attempt| attempt.is_service);
    let refused = attempts.iter().find(|attempt| counts(attempt));
    let cause = told.or(refused);
    let detail = if list.is_empty() { address.to_owned() } else { list.join("; ") };
    let code = cause.map_or(Code::AutodiscoverFailed, |attempt| attempt.report.code);
    let wants = cause.and_then(|attempt| attempt.wants.clone());
    Failure { report: Report::new(code, detail), wants }
}

/// Whether a failure short of a service's answer is the cause to name.
fn counts(attempt: &Attempt) -> bool {
    match attempt.report.code {
        Code::AutodiscoverHostRefused | Code::AutodiscoverDowngraded | Code::MailboxInExchangeOnline => true,
        // Any web site may stand at the domain itself; only a host named after the service was meant to be one.
        Code::TlsNameMismatch | Code::TlsUntrusted | Code::TlsExpired | Code::TlsObsolete | Code::AddressRefused => {
            matches!(&attempt.question, Question::Probe(url) if host(url).starts_with("autodiscover."))
        }
        _ => false,
    }
}

/// What was seen; what kind of fault it is stands in the transcript.
fn short(report: &Report) -> String {
    if report.detail.is_empty() { report.code.row().what.to_owned() } else { report.detail.clone() }
}

fn place(question: &Question) -> String {
    match question {
        Question::Probe(url) | Question::Hint(url) => url.to_string(),
        Question::Records(name) => format!("SRV {name}"),
        Question::Ask { url, .. } => url.to_string(),
    }
}
