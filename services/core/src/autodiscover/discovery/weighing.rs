//! What an answer means for a discovery (§3 to §5).

use std::time::Duration;

use url::Url;

use super::{Discovery, Failure, Found, REJECTIONS, host, url};
use crate::{
    EmailAddress,
    autodiscover::{Answer, Question, Service, ServiceRecord, Settings, Verdict, release::is_online},
    fault::{Code, Report},
};

impl Discovery {
    /// What an answer means. `Some` ends the discovery.
    pub(super) fn weigh(
        &mut self,
        question: &Question,
        answer: Answer,
        elapsed: Duration,
    ) -> Option<Result<Found, Box<Failure>>> {
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
}

fn no_service() -> Report {
    Report::new(Code::AutodiscoverFailed, "no Autodiscover service")
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
