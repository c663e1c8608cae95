//! The algorithm as a step machine (§3 to §7): it is given answers and says what to ask next.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use url::Url;

use super::{
    Answer, Entry, Question, Release, Service, ServiceRecord, Settings, Verdict, Withheld,
    release::{is_online, is_public_suffix},
};
use crate::{
    EmailAddress,
    address::is_host_name,
    fault::{Code, Report},
};

mod conclusion;

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

    /// What an answer means. `Some` ends the discovery.
    fn weigh(&mut self, question: &Question, answer: Answer, elapsed: Duration) -> Option<Result<Found, Box<Failure>>> {
        match (question, answer) {
            (Question::Probe(url), Answer::Recognised(schemes)) => self.recognised(question, url, schemes, elapsed),
            (Question::Probe(from) | Question::Hint(from), Answer::Redirect { status, location }) => {
                let told = format!("{status} to {location}");
                self.follow(question, from, &location, told, elapsed);
            }
            (Question::Ask { url, .. }, Answer::Redirect { status, location }) => {
                let told = format!("{status} to {location}");
                self.follow(question, url, &location, told, elapsed);
            }
            (Question::Hint(_), Answer::Recognised(_)) => {
                self.note(question, "an answer over http".to_owned(), no_service(), false, None, elapsed);
            }
            (Question::Records(_), Answer::Records(records)) => self.records(question, &records, elapsed),
            (Question::Ask { service, url, .. }, Answer::Settings(settings)) => {
                return Some(self.settle(question, *service, url, settings, elapsed).map_err(Box::new));
            }
            (Question::Ask { url, .. }, Answer::RedirectUrl(target)) => {
                let told = format!("redirects to {target}");
                self.follow(question, url, &target, told, elapsed);
            }
            (Question::Ask { .. }, Answer::RedirectAddress(target)) => {
                return self.readdress(question, &target, elapsed).map(|failure| Err(Box::new(failure)));
            }
            (Question::Ask { url, address, .. }, Answer::UserUnknown(message)) => {
                let detail = format!("{}: {address}: {message}", host(url));
                let report = Report::new(Code::AutodiscoverUserUnknown, detail);
                return Some(Err(Box::new(self.stop(question.to_string(), message, report, None, elapsed))));
            }
            (Question::Ask { .. }, Answer::Locked(report)) => {
                let told = report.detail.clone();
                return Some(Err(Box::new(self.stop(question.to_string(), told, report, None, elapsed))));
            }
            (Question::Ask { url, .. }, Answer::Rejected(report)) => {
                return self.rejected(question, url, report, elapsed).map(|failure| Err(Box::new(failure)));
            }
            (_, Answer::Busy(told)) => self.later(question, told, elapsed),
            (_, Answer::Refused { code, message }) => {
                let told = format!("{code}: {message}");
                let report = Report::new(Code::AutodiscoverServerError, told.clone());
                self.note(question, told, report, true, None, elapsed);
            }
            (_, Answer::Status(status)) => {
                let report = Report::new(Code::AutodiscoverFailed, format!("no Autodiscover service (HTTP {status})"));
                self.note(question, format!("HTTP {status}"), report, false, None, elapsed);
            }
            (_, Answer::Unanswered(report)) => {
                let told = report.sentence();
                self.note(question, told, report, false, None, elapsed);
            }
            (_, _) => self.note(question, "something else".to_owned(), no_service(), false, None, elapsed),
        }
        None
    }

    fn recognised(&mut self, question: &Question, url: &Url, schemes: Vec<String>, elapsed: Duration) {
        let only_basic = |schemes: &[String]| schemes.iter().all(|scheme| scheme.eq_ignore_ascii_case("basic"));
        let told = format!("an Autodiscover service, offering {}", schemes.join(", "));
        let before = self.rules.offered.get(host(url));
        // A host that suddenly wants nothing but passwords in the clear may be somebody else (§6, 6).
        if !schemes.is_empty()
            && only_basic(&schemes)
            && let Some(before) = before.filter(|before| !before.is_empty() && !only_basic(before))
        {
            let detail = format!("{} offered {} before and now only Basic", host(url), before.join(", "));
            self.note(question, told, Report::new(Code::AutodiscoverDowngraded, detail), false, None, elapsed);
            return;
        }
        if !schemes.is_empty() {
            self.offered.insert(host(url).to_owned(), schemes);
        }
        for service in [Service::Pox, Service::Soap] {
            let address = self.address.clone();
            let ask = sibling(url, service).map(|url| Question::Ask { service, url, address });
            ask.into_iter().for_each(|ask| self.waiting.push_front(ask));
        }
        self.enter(question.to_string(), told, Verdict::Followed, "asked with credentials next".to_owned(), elapsed);
    }

    /// Redirects by status, and by an answer (§5).
    fn follow(&mut self, question: &Question, from: &Url, location: &str, told: String, elapsed: Duration) {
        let failed = |reason: &str| Report::new(Code::AutodiscoverFailed, format!("redirects to {location}: {reason}"));
        let Ok(target) = from.join(location.trim()) else {
            return self.note(question, told, failed("no URL"), false, None, elapsed);
        };
        let path = target.path().to_ascii_lowercase();
        if !path.ends_with("autodiscover.xml") && !path.ends_with("autodiscover.svc") {
            return self.note(question, told, failed("no Autodiscover there"), false, None, elapsed);
        }
        let Some(redirects) = self.redirects.checked_sub(1) else {
            return self.note(question, told, failed("more than 10 redirects"), false, None, elapsed);
        };
        self.redirects = redirects;
        if let Err(withheld) = self.rules.release.check(&target) {
            return self.withhold(question, &target, &withheld, told, elapsed);
        }
        let Some(target) = sibling(&target, Service::Pox) else {
            return self.note(question, told, failed("no URL"), false, None, elapsed);
        };
        let next = Question::Probe(target);
        if self.visited.contains(&next.to_string().to_lowercase()) {
            return self.note(question, told, failed("it was asked already: a loop"), false, None, elapsed);
        }
        // What the redirecting service would say otherwise does not count any more.
        self.forget(host(from));
        self.waiting.push_front(next);
        self.enter(
            question.to_string(),
            told,
            Verdict::Followed,
            "probed next, without credentials".to_owned(),
            elapsed,
        );
    }

    /// SRV: port 443 only, the lowest priority first, then the highest weight (§3, 4).
    fn records(&mut self, question: &Question, records: &[ServiceRecord], elapsed: Duration) {
        let mut records = records.to_vec();
        let luck = self.rules.luck;
        records.sort_by_key(|record| {
            let chance = record.target.bytes().fold(luck, |sum, byte| sum.rotate_left(5) ^ u64::from(byte));
            (record.priority, u16::MAX - record.weight, chance)
        });
        if records.is_empty() {
            let report = Report::new(Code::AutodiscoverFailed, "no record");
            return self.note(question, "no record".to_owned(), report, false, None, elapsed);
        }
        let mut targets = Vec::new();
        for record in records {
            let target = record.target.trim_end_matches('.').to_lowercase();
            let told = format!("{} {} {} {target}", record.priority, record.weight, record.port);
            if record.port != 443 {
                let report =
                    Report::new(Code::AutodiscoverFailed, format!("{target}: port {} is no https", record.port));
                self.note(question, told, report, false, None, elapsed);
                continue;
            }
            let Some(url) = url("https", &target) else { continue };
            match self.rules.release.check(&url) {
                Ok(()) => targets.push(url),
                Err(withheld) => self.withhold(question, &url, &withheld, told, elapsed),
            }
        }
        for target in targets.into_iter().rev() {
            let told = format!("target {}", host(&target));
            self.enter(
                question.to_string(),
                told,
                Verdict::Followed,
                "probed, without credentials".to_owned(),
                elapsed,
            );
            self.waiting.push_front(Question::Probe(target));
        }
    }

    /// The mailbox has another address elsewhere (§5, §7). `Some` ends the discovery.
    fn readdress(&mut self, question: &Question, target: &str, elapsed: Duration) -> Option<Failure> {
        let told = format!("redirects to the address {target}");
        let failed = |reason: &str| Report::new(Code::AutodiscoverRedirected, format!("{target}: {reason}"));
        let Ok(address) = EmailAddress::parse("address", target) else {
            self.note(question, told, failed("no address"), true, None, elapsed);
            return None;
        };
        if is_online(&address.domain()) && !self.rules.release.online {
            let report = Report::new(Code::MailboxInExchangeOnline, format!("redirected to {target}"));
            return Some(self.stop(question.to_string(), told, report, None, elapsed));
        }
        let Some(redirects) = self.redirects.checked_sub(1) else {
            self.note(question, told, failed("more than 10 redirects"), true, None, elapsed);
            return None;
        };
        self.redirects = redirects;
        if self.addresses.contains(&address.key()) {
            self.note(question, told, failed("it was asked about already: a loop"), true, None, elapsed);
            return None;
        }
        match self.start(&address) {
            Ok(()) => {
                let reason = format!("{target} is asked about from the beginning");
                self.enter(question.to_string(), told, Verdict::Followed, reason, elapsed);
                None
            }
            Err(report) => {
                self.note(question, told, report, true, None, elapsed);
                None
            }
        }
    }

    /// The same credentials are not tried at many hosts (§3). `Some` ends the discovery.
    fn rejected(&mut self, question: &Question, url: &Url, report: Report, elapsed: Duration) -> Option<Failure> {
        self.forget(host(url));
        let counts = report.code == Code::CredentialsRejected;
        let told = report.detail.clone();
        self.rejections += usize::from(counts);
        if counts && self.rejections >= REJECTIONS {
            return Some(self.stop(question.to_string(), told, report, None, elapsed));
        }
        self.note(question, told, report, true, None, elapsed);
        None
    }

    fn later(&mut self, question: &Question, told: String, elapsed: Duration) {
        let report = Report::new(Code::AutodiscoverServerError, told.clone());
        if self.busy.insert(question.to_string()) {
            self.waiting.push_back(question.clone());
            self.enter(question.to_string(), told, Verdict::Followed, "asked once more at the end".to_owned(), elapsed);
        } else {
            self.busy.remove(&question.to_string());
            self.note(question, told, report, true, None, elapsed);
        }
    }

    /// The location must be one that credentials may go to as well (§4.3).
    fn settle(
        &mut self,
        question: &Question,
        service: Service,
        asked: &Url,
        settings: Settings,
        elapsed: Duration,
    ) -> Result<Found, Failure> {
        let Some(location) = settings.location(self.rules.release.internal) else {
            let internal = settings.internal.as_deref().map(|url| format!("; only an internal one: {url}"));
            let told = format!("no external location{}", internal.unwrap_or_default());
            let report = Report::new(Code::AutodiscoverUrlMissing, format!("{} names {told}", host(asked)));
            return Err(self.stop(question.to_string(), told, report, None, elapsed));
        };
        let told = format!("settings with {location}");
        let Ok(url) = Url::parse(location.trim()) else {
            let report = Report::new(Code::LocationInvalid, format!("{} answers with {location}", host(asked)));
            return Err(self.stop(question.to_string(), told, report, None, elapsed));
        };
        if let Err(withheld) = self.rules.release.check(&url) {
            let (report, wants) = (withheld.report(&url), withheld.wants());
            return Err(self.stop(question.to_string(), told, report, wants, elapsed));
        }
        self.enter(question.to_string(), told, Verdict::Taken, format!("{url} is released"), elapsed);
        Ok(Found { url, service, endpoint: asked.clone(), address: self.address.clone(), settings })
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

fn no_service() -> Report {
    Report::new(Code::AutodiscoverFailed, "no Autodiscover service")
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

/// The same place's other service.
fn sibling(url: &Url, service: Service) -> Option<Url> {
    let mut sibling = url.clone();
    let (stem, _) = url.path().rsplit_once('.')?;
    sibling.set_path(&format!("{stem}{}", service.extension()));
    sibling.set_query(None);
    sibling.set_fragment(None);
    Some(sibling)
}

fn host(url: &Url) -> &str {
    url.host_str().unwrap_or_default()
}

#[cfg(test)]
mod tests;
