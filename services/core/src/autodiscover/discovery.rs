//! The algorithm as a step machine (§3 to §7): it is given answers and says what to ask next.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use url::Url;

use super::{Answer, Entry, Question, Release, Service, Settings, Verdict, Withheld, release::is_public_suffix};
use crate::{
    EmailAddress,
    address::is_host_name,
    fault::{Code, Report},
};

mod conclusion;
mod weighing;

use conclusion::{Attempt, summary};
pub use conclusion::{Failure, Found};

/// Redirects of all kinds that one discovery follows (§5).
pub const REDIRECTS: usize = 10;
/// The time for a whole discovery.
pub const DEADLINE: Duration = Duration::from_secs(90);
/// The time for one answer.
pub const ANSWER: Duration = Duration::from_secs(30);
/// Refusals of the credentials after which no other host is tried with them, for fear of a lockout.
const REJECTIONS: usize = 2;

/// What a discovery may do.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Where credentials may go.
    pub release: Release,
    /// The endpoint that worked last for the domain and account, asked first.
    pub cached: Option<(Service, Url)>,
    /// Ways of authentication that hosts were seen to offer: one that now offers Basic only is not trusted.
    pub offered: BTreeMap<String, Vec<String>>,
    /// Any number; decides between SRV records that are equal.
    pub luck: u64,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Ask this, within this time.
    Ask(Question, Duration),
    /// It is over.
    Done(Result<Found, Failure>),
}

/// A discovery under way.
#[derive(Clone, Debug)]
pub struct Discovery {
    rules: Rules,
    address: String,
    waiting: VecDeque<Question>,
    asked: Option<Question>,
    visited: BTreeSet<String>,
    addresses: BTreeSet<String>,
    busy: BTreeSet<String>,
    redirects: usize,
    rejections: usize,
    elapsed: Duration,
    attempts: Vec<Attempt>,
    offered: BTreeMap<String, Vec<String>>,
    transcript: Vec<Entry>,
}

impl Discovery {
    /// Begins; nothing is asked if the address has no domain that could be asked.
    pub fn begin(address: &EmailAddress, rules: Rules) -> (Self, Step) {
        let mut discovery = Self {
            rules,
            address: address.as_str().to_owned(),
            waiting: VecDeque::new(),
            asked: None,
            visited: BTreeSet::new(),
            addresses: BTreeSet::new(),
            busy: BTreeSet::new(),
            redirects: REDIRECTS,
            rejections: 0,
            elapsed: Duration::ZERO,
            attempts: Vec::new(),
            offered: BTreeMap::new(),
            transcript: Vec::new(),
        };
        if let Err(report) = discovery.start(address) {
            let failure = discovery.stop(address.as_str().to_owned(), String::new(), report, None, Duration::ZERO);
            return (discovery, Step::Done(Err(failure)));
        }
        if let Some((service, url)) = discovery.rules.cached.clone() {
            discovery.waiting.push_front(Question::Ask { service, url, address: address.as_str().to_owned() });
        }
        let step = discovery.next();
        (discovery, step)
    }

    /// Takes an answer that came after `elapsed`, and says what to do next.
    pub fn answer(&mut self, answer: Answer, elapsed: Duration) -> Step {
        self.elapsed = self.elapsed.saturating_add(elapsed);
        let Some(question) = self.asked.take() else { return self.next() };
        match self.weigh(&question, answer, elapsed) {
            Some(done) => Step::Done(done.map_err(|failure| *failure)),
            None => self.next(),
        }
    }

    /// What was asked so far, in order.
    pub fn transcript(&self) -> &[Entry] {
        &self.transcript
    }

    /// The ways of authentication that services offered, by host.
    pub fn offered(&self) -> &BTreeMap<String, Vec<String>> {
        &self.offered
    }

    /// The candidates of an address: its full domain and nothing derived by cutting labels (§3).
    fn start(&mut self, address: &EmailAddress) -> Result<(), Report> {
        let domain = domain(address)?;
        address.as_str().clone_into(&mut self.address);
        self.addresses.insert(address.key());
        self.visited.clear();
        self.waiting.clear();
        for host in [domain.clone(), format!("autodiscover.{domain}")] {
            self.waiting.extend(url("https", &host).map(Question::Probe));
        }
        self.waiting.extend(url("http", &format!("autodiscover.{domain}")).map(Question::Hint));
        self.waiting.push_back(Question::Records(format!("_autodiscover._tcp.{domain}")));
        Ok(())
    }

    fn next(&mut self) -> Step {
        while let Some(question) = self.waiting.pop_front() {
            let left = DEADLINE.saturating_sub(self.elapsed);
            if left.is_zero() {
                let report =
                    Report::new(Code::AutodiscoverFailed, format!("no answer within {} s", DEADLINE.as_secs()));
                self.note(&question, String::new(), report, false, None, Duration::ZERO);
                self.waiting.clear();
                break;
            }
            if !self.visited.insert(question.to_string().to_lowercase()) && !self.busy.contains(&question.to_string()) {
                continue;
            }
            // INV-5, whatever led here: the one place from which credentials leave.
            if let Question::Ask { url, .. } = &question
                && let Err(withheld) = self.rules.release.check(url)
            {
                self.withhold(&question, &url.clone(), &withheld, String::new(), Duration::ZERO);
                continue;
            }
            self.asked = Some(question.clone());
            return Step::Ask(question, ANSWER.min(left));
        }
        Step::Done(Err(summary(&self.address, &self.attempts)))
    }

    /// A host that credentials may not go to.
    fn withhold(&mut self, question: &Question, url: &Url, withheld: &Withheld, told: String, elapsed: Duration) {
        let (report, wants) = (withheld.report(url), withheld.wants());
        self.note(question, told, report, false, wants, elapsed);
    }

    /// Drops what is still to be asked of a host.
    fn forget(&mut self, name: &str) {
        self.waiting.retain(|question| !matches!(question, Question::Ask { url, .. } if host(url) == name));
    }

    fn note(
        &mut self,
        question: &Question,
        told: String,
        report: Report,
        is_service: bool,
        wants: Option<String>,
        elapsed: Duration,
    ) {
        self.enter(question.to_string(), told, Verdict::Dropped, report.sentence(), elapsed);
        self.attempts.push(Attempt { question: question.clone(), report, is_service, wants });
    }

    fn stop(
        &mut self,
        question: String,
        told: String,
        report: Report,
        wants: Option<String>,
        elapsed: Duration,
    ) -> Failure {
        self.enter(question, told, Verdict::Stopped, report.sentence(), elapsed);
        Failure { report, wants }
    }

    fn enter(&mut self, question: String, answer: String, verdict: Verdict, reason: String, elapsed: Duration) {
        let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        self.transcript.push(Entry { question, answer, verdict, reason, elapsed_ms });
    }
}

/// The domain to ask, in ASCII form.
fn domain(address: &EmailAddress) -> Result<String, Report> {
    let invalid = |why: &str| Report::new(Code::AddressInvalid, format!("{address}: {why}"));
    let Ok(url::Host::Domain(domain)) = url::Host::parse(&address.domain()) else {
        return Err(invalid("its domain is no name"));
    };
    if !is_host_name(&domain) || !domain.contains('.') {
        return Err(invalid("its domain is no full name"));
    }
    if is_public_suffix(&domain) {
        return Err(invalid("its domain is open to registration by anybody"));
    }
    Ok(domain)
}

fn url(scheme: &str, host: &str) -> Option<Url> {
    Url::parse(&format!("{scheme}://{host}/autodiscover/autodiscover.xml")).ok()
}

fn host(url: &Url) -> &str {
    url.host_str().unwrap_or_default()
}

#[cfg(test)]
mod tests;
