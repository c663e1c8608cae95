//! Autodiscover: asks the candidates one after the other, and gives credentials to none that is not released (INV-5).
//!
//! Each host is first asked without credentials whether it is an Autodiscover service. Redirects are followed within a budget,
//! to released hosts only (AUTODISCOVER of the reference pack, 3 to 6).

use std::{collections::HashSet, time::Duration};

use postroad_core::{
    autodiscover::{candidates, is_released},
    fault::{Code, Report},
};
use postroad_ews::{
    Endpoint, Error,
    autodiscover::{self, Outcome, Probe, Service, Settings},
};

use crate::{access::Access, cache::Source};

/// Redirects that one discovery follows.
const REDIRECTS: usize = 10;
/// Time for one answer: Autodiscover is quick where it works.
const ANSWER: Duration = Duration::from_secs(30);

/// A location that was found.
#[derive(Clone, Debug)]
pub struct Located {
    /// Where.
    pub endpoint: Endpoint,
    /// How.
    pub source: Source,
}

/// Asks Autodiscover where a mailbox is served.
pub async fn discover(access: &Access, released: &[String]) -> Result<Located, Report> {
    let candidates = candidates(&access.address).map_err(|refusal| Report::new(refusal.code, refusal.to_string()))?;
    let mut hosts: Vec<String> = candidates.into_iter().map(|candidate| candidate.host).collect();
    hosts.dedup();
    let domain = access.address.domain();
    let mut discovery =
        Discovery { access, released, domain, redirects: REDIRECTS, visited: HashSet::new(), attempts: Vec::new() };
    for host in hosts {
        if let Some(located) = discovery.host(&host).await? {
            return Ok(located);
        }
    }
    Err(summary(&access.address.domain(), discovery.attempts))
}

/// One question.
enum Step {
    /// Is it an Autodiscover service?
    Probe(Endpoint),
    /// Where is the mailbox?
    Ask(Service, Endpoint),
}

/// What one host said, if it did not say where the mailbox is.
struct Attempt {
    url: String,
    report: Report,
    /// Whether an Autodiscover service said it.
    is_service: bool,
}

struct Discovery<'a> {
    access: &'a Access,
    released: &'a [String],
    domain: String,
    redirects: usize,
    visited: HashSet<String>,
    attempts: Vec<Attempt>,
}

impl Discovery<'_> {
    /// Asks a host and where it redirects to. `Err` ends the discovery: the answer is conclusive.
    async fn host(&mut self, host: &str) -> Result<Option<Located>, Report> {
        let url = format!("https://{host}/autodiscover/autodiscover.xml");
        let Ok(endpoint) = Endpoint::parse(&url) else { return Ok(None) };
        let mut steps = vec![Step::Probe(endpoint)];
        while let Some(step) = steps.pop() {
            match step {
                Step::Probe(endpoint) => self.probe(endpoint, &mut steps).await,
                Step::Ask(service, endpoint) => {
                    if let Some(located) = self.ask(service, endpoint, &mut steps).await? {
                        return Ok(Some(located));
                    }
                }
            }
        }
        Ok(None)
    }

    async fn probe(&mut self, endpoint: Endpoint, steps: &mut Vec<Step>) {
        if !self.visited.insert(endpoint.as_str().to_lowercase()) {
            return;
        }
        match autodiscover::probe(&self.access.transport, &endpoint, self.timeout()).await {
            Ok(Probe::Autodiscover) => {
                let soap = sibling(&endpoint, ".svc");
                steps.push(Step::Ask(Service::Pox, endpoint));
                steps.extend(soap.map(|soap| Step::Ask(Service::Soap, soap)));
            }
            Ok(Probe::Redirect(location)) => match self.follow(&endpoint, &location) {
                Ok(target) => steps.push(Step::Probe(sibling(&target, ".xml").unwrap_or(target))),
                Err(report) => self.note(&endpoint, report, false),
            },
            Ok(Probe::Other(status)) => {
                let report = Report::new(Code::AutodiscoverFailed, format!("no Autodiscover service (HTTP {status})"));
                self.note(&endpoint, report, false);
            }
            Err(error) => self.note(&endpoint, report(&error), false),
        }
    }

    async fn ask(
        &mut self,
        service: Service,
        endpoint: Endpoint,
        steps: &mut Vec<Step>,
    ) -> Result<Option<Located>, Report> {
        let access = self.access;
        let address = access.address.as_str();
        let answer =
            autodiscover::ask(&access.transport, service, &endpoint, &access.credentials, address, self.timeout())
                .await;
        match answer {
            Ok(Outcome::Settings(settings)) => self.settle(&settings, service, &endpoint).map(Some),
            Ok(Outcome::RedirectUrl(location)) => {
                let target = self.follow(&endpoint, &location)?;
                // Credentials go there only after it proved to be Autodiscover, as everywhere.
                steps.clear();
                steps.push(Step::Probe(sibling(&target, ".xml").unwrap_or(target)));
                Ok(None)
            }
            Ok(Outcome::RedirectAddress(target)) => Err(Report::new(
                Code::AutodiscoverRedirected,
                format!("{}: {address} is redirected to {target}", endpoint.host()),
            )),
            Ok(Outcome::UserUnknown(message)) => {
                Err(Report::new(Code::AutodiscoverUserUnknown, format!("{}: {address}: {message}", endpoint.host())))
            }
            Ok(Outcome::Failed { code, message, .. }) => {
                let detail = format!("{code}: {message}");
                self.note(&endpoint, Report::new(Code::AutodiscoverServerError, detail), true);
                Ok(None)
            }
            Err(error) => {
                let report = report(&error);
                if report.code == Code::AccountLocked {
                    return Err(report);
                }
                if autodiscover::is_credentials(&error) {
                    // The other service has the same accounts: asking it too would only bring the account nearer to its lockout.
                    steps.clear();
                }
                self.note(&endpoint, report, true);
                Ok(None)
            }
        }
    }

    /// Checks the location that was found.
    fn settle(&self, settings: &Settings, service: Service, asked: &Endpoint) -> Result<Located, Report> {
        let Some(url) = settings.location() else {
            let internal = settings.internal.as_deref().map(|url| format!("; only an internal one: {url}"));
            let detail = format!("{} names no external location{}", asked.host(), internal.unwrap_or_default());
            return Err(Report::new(Code::AutodiscoverUrlMissing, detail));
        };
        let endpoint = Endpoint::parse(url).map_err(|error| {
            Report::new(Code::LocationInvalid, format!("{} answers with {url}: {error}", asked.host()))
        })?;
        self.released(&endpoint)?;
        let source = match service {
            Service::Soap => Source::Soap,
            Service::Pox => Source::Pox,
        };
        Ok(Located { endpoint, source })
    }

    fn follow(&mut self, from: &Endpoint, location: &str) -> Result<Endpoint, Report> {
        let redirected = |reason: &str| {
            Report::new(Code::AutodiscoverFailed, format!("{} redirects to {location}: {reason}", from.host()))
        };
        self.redirects = self.redirects.checked_sub(1).ok_or_else(|| redirected("too many redirects"))?;
        let target = from.join(location).map_err(|error| redirected(&error.to_string()))?;
        self.released(&target)?;
        if self.visited.contains(&target.as_str().to_lowercase()) {
            return Err(redirected("it was asked already"));
        }
        Ok(target)
    }

    fn released(&self, endpoint: &Endpoint) -> Result<(), Report> {
        if is_released(endpoint.host(), &self.domain, self.released) {
            return Ok(());
        }
        let detail = format!("{} is neither below {} nor released", endpoint.host(), self.domain);
        Err(Report::new(Code::AutodiscoverHostRefused, detail))
    }

    fn note(&mut self, endpoint: &Endpoint, report: Report, is_service: bool) {
        self.attempts.push(Attempt { url: endpoint.as_str().to_owned(), report, is_service });
    }

    fn timeout(&self) -> Duration {
        self.access.timeout.min(ANSWER)
    }
}

/// The same service in its other form.
fn sibling(endpoint: &Endpoint, extension: &str) -> Option<Endpoint> {
    let (stem, _) = endpoint.as_str().rsplit_once('.')?;
    Endpoint::parse(&format!("{stem}{extension}")).ok()
}

fn report(error: &Error) -> Report {
    Report::new(error.fault(), error.to_string())
}

/// What a service said counts more than that something else is no service; a refused host and a refused certificate count
/// more than an absent one. The administrator sees every attempt.
fn summary(domain: &str, attempts: Vec<Attempt>) -> Report {
    let list: Vec<String> =
        attempts.iter().map(|attempt| format!("{}: {}", attempt.url, attempt.report.sentence())).collect();
    let list = list.join("; ");
    let told = attempts.iter().find(|attempt| attempt.is_service).map(|attempt| attempt.report.code);
    let refused =
        || attempts.iter().map(|attempt| attempt.report.code).find(|code| *code == Code::AutodiscoverHostRefused);
    let code = told.or_else(refused).unwrap_or(Code::AutodiscoverFailed);
    Report::new(code, if list.is_empty() { domain.to_owned() } else { list })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(code: Code, is_service: bool) -> Attempt {
        Attempt { url: "https://contoso.example/x".to_owned(), report: Report::new(code, "seen"), is_service }
    }

    #[test]
    fn a_service_is_believed_before_a_web_server() {
        let attempts = vec![attempt(Code::AutodiscoverFailed, false), attempt(Code::CredentialsRejected, true)];
        assert_eq!(summary("contoso.example", attempts).code, Code::CredentialsRejected);
    }

    #[test]
    fn without_a_service_every_attempt_is_listed() {
        let attempts = vec![attempt(Code::ConnectRefused, false), attempt(Code::DnsFailed, false)];
        let report = summary("contoso.example", attempts);
        assert_eq!(report.code, Code::AutodiscoverFailed);
        assert_eq!(report.detail.matches("https://contoso.example/x").count(), 2);
    }

    #[test]
    fn services_are_siblings() {
        let endpoint = Endpoint::parse("https://autodiscover.contoso.example/autodiscover/autodiscover.xml").unwrap();
        assert_eq!(
            sibling(&endpoint, ".svc").unwrap().as_str(),
            "https://autodiscover.contoso.example/autodiscover/autodiscover.svc"
        );
    }
}
