//! How long what Autodiscover said is believed (§8).

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::Settings;
use crate::{
    clock::is_ahead,
    fault::{Code, Report},
};

const DAY: i64 = 24 * 3600;
/// A refreshed location is asked for again after a day, give or take a sixth, so that mailboxes do not come together.
const SPREAD: u64 = DAY as u64 / 3;
/// The first time that a failure is believed; it doubles up to a day.
const FIRST: i64 = 15 * 60;

/// What is remembered of a mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Where it was found last. Kept while nothing better is found.
    pub known: Option<Known>,
    /// Why it was not found when it was asked for last.
    pub missing: Option<Missing>,
    /// When Autodiscover was asked last.
    pub asked_at: Option<Timestamp>,
    /// What the answer depends on: account, released hosts, certificates. Another value means that an administrator acted.
    pub depends_on: String,
}

/// A location that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// EWS URL.
    pub url: String,
    /// Which service told it.
    pub service: super::Service,
    /// When.
    pub at: Timestamp,
    /// Everything it told.
    #[serde(default)]
    pub settings: Settings,
}

/// That it was not found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// Why.
    pub report: Report,
    /// A host that Autodiscover wants to use and nobody released.
    pub wants: Option<String>,
    /// How often in a row.
    pub times: u32,
    /// Believed until then.
    pub until: Timestamp,
}

/// What to do about a question for a location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Use {
    /// Use what is known.
    Keep(Known),
    /// Use what is known, and ask in the background: it is older than a day.
    Refresh(Known),
    /// Ask, and use what is known if nothing better is found.
    Ask(Option<Known>),
    /// It was not found a short while ago.
    Refuse(Report),
}

impl Memory {
    /// What to do. `failed` is a location that has just failed to serve the mailbox; `patience` the shortest time between
    /// two discoveries because of failures; `spread` any number that differs between mailboxes.
    pub fn decide(
        &self,
        depends_on: &str,
        failed: Option<&str>,
        now: Timestamp,
        patience: SignedDuration,
        spread: u64,
    ) -> Use {
        // What a clock that was ahead noted is believed no longer than what was noted under other settings.
        let acted = self.depends_on != depends_on || self.asked_at.is_some_and(|at| is_ahead(at, now));
        let missing = self.missing.as_ref().filter(|missing| !acted && now < missing.until);
        let Some(known) = &self.known else {
            return missing.map_or(Use::Ask(None), |missing| Use::Refuse(missing.report.clone()));
        };
        let is_fresh = !acted && self.asked_at.is_some_and(|at| now.duration_since(at) < patience);
        match failed {
            Some(url) if url == known.url && is_fresh => missing
                .filter(|missing| missing.report.code.is_permanent())
                .map_or_else(|| Use::Keep(known.clone()), |missing| Use::Refuse(missing.report.clone())),
            Some(url) if url == known.url => Use::Ask(Some(known.clone())),
            _ if acted => Use::Ask(Some(known.clone())),
            _ if missing.is_some() => Use::Keep(known.clone()),
            // Found by a clock that was ahead, and asked for in vain since.
            _ if now < refresh_at(known, spread) && !is_ahead(known.at, now) => Use::Keep(known.clone()),
            _ => Use::Refresh(known.clone()),
        }
    }

    /// Notes what a discovery found.
    #[must_use]
    pub fn found(known: Known, depends_on: &str) -> Self {
        let asked_at = Some(known.at);
        Self { known: Some(known), missing: None, asked_at, depends_on: depends_on.to_owned() }
    }

    /// Notes that a discovery found nothing; what was known stays until something better is found.
    #[must_use]
    pub fn missed(self, report: Report, wants: Option<String>, depends_on: &str, now: Timestamp) -> Self {
        let times = self.missing.as_ref().map_or(0, |missing| missing.times).saturating_add(1);
        let seconds = if is_conclusive(report.code) {
            DAY
        } else {
            FIRST.saturating_mul(1_i64.checked_shl(times - 1).unwrap_or(i64::MAX).max(1)).min(DAY)
        };
        let until = now.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(now);
        Self {
            known: self.known,
            missing: Some(Missing { report, wants, times, until }),
            asked_at: Some(now),
            depends_on: depends_on.to_owned(),
        }
    }
}

/// Asking again within a day gives the same answer, unless somebody acts.
fn is_conclusive(code: Code) -> bool {
    matches!(code, Code::AutodiscoverUserUnknown | Code::MailboxInExchangeOnline)
}

fn refresh_at(known: &Known, spread: u64) -> Timestamp {
    let offset = i64::try_from(spread % SPREAD).unwrap_or(0) - DAY / 6;
    known.at.saturating_add(SignedDuration::from_secs(DAY + offset)).unwrap_or(known.at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autodiscover::Service;

    const PATIENCE: SignedDuration = SignedDuration::from_hours(1);
    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn at(minutes: i64) -> Timestamp {
        NOW + SignedDuration::from_mins(minutes)
    }

    fn known() -> Known {
        Known { url: "https://old/".to_owned(), service: Service::Soap, at: NOW, settings: Settings::default() }
    }

    fn report(code: Code) -> Report {
        Report::new(code, "seen")
    }

    #[test]
    fn a_location_is_refreshed_daily_and_not_by_all_at_once() {
        let memory = Memory::found(known(), "x");
        let decide = |minutes, spread| memory.decide("x", None, at(minutes), PATIENCE, spread);
        assert_eq!(decide(19 * 60, 0), Use::Keep(known()));
        assert_eq!(decide(29 * 60, u64::MAX), Use::Refresh(known()));
        let due = |spread| (0..).find(|hour| decide(hour * 60, spread) == Use::Refresh(known())).unwrap();
        assert_eq!((due(0), due(SPREAD / 2), due(SPREAD - 1)), (20, 24, 28));
    }

    #[test]
    fn a_location_that_failed_is_asked_for_at_most_once_an_hour() {
        let memory = Memory::found(known(), "x");
        let decide = |minutes, failed| memory.decide("x", Some(failed), at(minutes), PATIENCE, 0);
        assert_eq!(decide(59, "https://old/"), Use::Keep(known()));
        assert_eq!(decide(60, "https://old/"), Use::Ask(Some(known())));
        assert_eq!(decide(60, "https://older/"), Use::Keep(known()));
    }

    #[test]
    fn what_is_not_found_is_asked_for_ever_less_often_and_at_once_after_somebody_acted() {
        let mut memory = Memory::default();
        let mut now = NOW;
        let mut waits = Vec::new();
        for _ in 0..9 {
            memory = memory.missed(report(Code::AutodiscoverFailed), None, "x", now);
            let until = memory.missing.as_ref().unwrap().until;
            waits.push(until.duration_since(now).as_mins());
            let just_before = until - SignedDuration::from_secs(1);
            assert!(matches!(memory.decide("x", None, just_before, PATIENCE, 0), Use::Refuse(_)));
            assert_eq!(memory.decide("x", None, until, PATIENCE, 0), Use::Ask(None));
            assert_eq!(memory.decide("y", None, just_before, PATIENCE, 0), Use::Ask(None));
            now = until;
        }
        assert_eq!(waits, [15, 30, 60, 120, 240, 480, 960, 1440, 1440]);
    }

    #[test]
    fn what_a_clock_that_was_ahead_noted_is_not_waited_for() {
        let found = Memory::found(Known { at: at(120), ..known() }, "x");
        let decide = |memory: &Memory, failed| memory.decide("x", failed, NOW, PATIENCE, 0);
        assert!(matches!(decide(&found, Some("https://old/")), Use::Ask(Some(_))));
        let missed = Memory::default().missed(report(Code::AutodiscoverFailed), None, "x", at(120));
        assert_eq!(decide(&missed, None), Use::Ask(None));
        let later = Memory::found(Known { at: at(120), ..known() }, "x");
        let later = later.missed(report(Code::AutodiscoverFailed), None, "x", NOW);
        let decide = |minutes| later.decide("x", None, at(minutes), PATIENCE, 0);
        assert!(matches!((decide(10), decide(20)), (Use::Keep(_), Use::Refresh(_))), "once nothing forbids to ask");
    }

    #[test]
    fn an_unknown_user_is_asked_for_daily() {
        let memory = Memory::default().missed(report(Code::AutodiscoverUserUnknown), None, "x", NOW);
        assert_eq!(memory.missing.unwrap().until, at(24 * 60));
    }

    #[test]
    fn the_old_location_is_kept_until_a_new_one_is_found() {
        let memory = Memory::found(known(), "x").missed(report(Code::AutodiscoverFailed), None, "x", at(60));
        assert_eq!(memory.decide("x", None, at(3000), PATIENCE, 0), Use::Refresh(known()));
        assert_eq!(memory.decide("x", None, at(61), PATIENCE, 0), Use::Keep(known()));
        assert_eq!(memory.decide("x", Some("https://old/"), at(61), PATIENCE, 0), Use::Keep(known()));
        let moved = Memory::found(known(), "x").missed(report(Code::MailboxInExchangeOnline), None, "x", at(60));
        let told = moved.decide("x", Some("https://old/"), at(61), PATIENCE, 0);
        assert_eq!(told, Use::Refuse(report(Code::MailboxInExchangeOnline)));
    }
}
