//! The invariants over what can be seen from outside: what Exchange, the mail relay and strangers got, and what roles answer.

use std::collections::{BTreeMap, HashMap, HashSet};

use url::Url;

use super::Broken;
use crate::{
    autodiscover::Release,
    mailbox::Event,
    notification::{self, Hour},
};

/// INV-2: the CRM holds an item at most once; given the message ids of its activities.
pub fn at_most_one_activity<'a>(message_ids: impl IntoIterator<Item = &'a str>) -> Result<(), Broken> {
    let mut seen = HashSet::new();
    for id in message_ids {
        if !seen.insert(crate::email::normalized(id)) {
            return Err(Broken { id: "INV-2", evidence: format!("message {id} has two activities") });
        }
    }
    Ok(())
}

/// INV-3: the cursor never passes an item without a verdict; given the ids of the items that it passed, and the history of their
/// mailbox. An item that failed and is tried again was not passed over.
pub fn nothing_passed_over<'a>(
    passed: impl IntoIterator<Item = &'a str>,
    history: impl IntoIterator<Item = &'a Event>,
) -> Result<(), Broken> {
    let mut known = HashSet::new();
    for event in history {
        let Event::AttemptFinished { verdicts, deferrals, .. } = event else { continue };
        known.extend(verdicts.iter().map(|verdict| verdict.item.id.as_str()));
        known.extend(deferrals.iter().map(|deferral| deferral.item.id.as_str()));
    }
    let missing: Vec<&str> = passed.into_iter().filter(|id| !known.contains(id)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Broken { id: "INV-3", evidence: format!("the cursor passed items without a verdict: {}", missing.join(", ")) })
}

/// INV-5: no credential to a host that was not released; given the URLs that got one.
pub fn credentials_only_where_released<'a>(
    shown: impl IntoIterator<Item = &'a Url>,
    release: &Release,
) -> Result<(), Broken> {
    for url in shown {
        if let Err(withheld) = release.check(url) {
            return Err(Broken { id: "INV-5", evidence: format!("a credential went to {url}: {withheld}") });
        }
    }
    Ok(())
}

/// INV-8: at most one notification mail per profile and hour, none at 50 % or below; over the history of one profile's
/// notifications. A second mail is begun only where the first was certainly not sent.
pub fn at_most_one_notification<'a>(history: impl IntoIterator<Item = &'a notification::Event>) -> Result<(), Broken> {
    let broken = |what: String| Err(Broken { id: "INV-8", evidence: what });
    // Whether the mail of an hour may have been sent.
    let mut begun: HashMap<Hour, bool> = HashMap::new();
    for event in history {
        match event {
            notification::Event::Intended { hour, evidence, .. } => {
                if !evidence.more_than_half_failed() {
                    let (failed, processed) = (evidence.failed, evidence.processed);
                    return broken(format!("hour {}: a mail was meant though {failed} of {processed} failed", hour.0));
                }
                if begun.insert(*hour, true) == Some(true) {
                    return broken(format!("hour {}: a second mail was begun", hour.0));
                }
            }
            notification::Event::Failed { hour, .. } => drop(begun.insert(*hour, false)),
            notification::Event::Sent { hour, .. } | notification::Event::Unknown { hour, .. } => {
                if begun.get(hour) != Some(&true) {
                    return broken(format!("hour {}: a mail was sent that was not meant", hour.0));
                }
            }
        }
    }
    Ok(())
}

/// INV-8 where the mail arrives: none came twice, and each was meant; given what names profile and hour of each mail that came, and of
/// each that was meant.
pub fn notifications_arrive_once<'a>(
    arrived: impl IntoIterator<Item = &'a str>,
    meant: impl IntoIterator<Item = &'a str>,
) -> Result<(), Broken> {
    let meant: HashSet<&str> = meant.into_iter().collect();
    let mut seen = HashSet::new();
    for key in arrived {
        let what = if !meant.contains(key) {
            "was not meant"
        } else if !seen.insert(key) {
            "came twice"
        } else {
            continue;
        };
        return Err(Broken { id: "INV-8", evidence: format!("the notification {key} {what}") });
    }
    Ok(())
}

/// INV-9: replaying the journal gives equal views; given what was folded as commits came, and what was folded anew.
pub fn replay_is_equal<T: PartialEq + std::fmt::Debug>(what: &str, kept: &T, replayed: &T) -> Result<(), Broken> {
    if kept == replayed {
        return Ok(());
    }
    Err(Broken { id: "INV-9", evidence: format!("{what} is {kept:?}, and {replayed:?} by replay") })
}

/// INV-10: a queued mail is sent exactly once; given the ids of what was queued, and of what the mail server sent.
pub fn sent_exactly_once<'a>(
    queued: impl IntoIterator<Item = &'a str>,
    sent: impl IntoIterator<Item = &'a str>,
) -> Result<(), Broken> {
    let mut counts: BTreeMap<&str, u32> = queued.into_iter().map(|id| (id, 0)).collect();
    let broken = |what: String| Err(Broken { id: "INV-10", evidence: what });
    for id in sent {
        match counts.get_mut(id) {
            Some(count) => *count += 1,
            None => return broken(format!("an email was sent that nobody queued: {id}")),
        }
    }
    match counts.into_iter().find(|(_, count)| *count != 1) {
        Some((id, count)) => broken(format!("email {id} was sent {count} times")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
