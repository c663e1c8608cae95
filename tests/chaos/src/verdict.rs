//! Whether what is there after a play keeps INV-1 to INV-10, by the functions of `core`.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use mail_parser::MessageParser;
use mockex::hostile::Seen;
use postroad_core::{
    autodiscover::{Pattern, Release},
    invariant::{
        Broken, at_most_one_activity, at_most_one_notification, credentials_only_where_released,
        disabled_has_a_way_back, no_attempt_within_back_off, nothing_passed_over, notifications_arrive_once,
        one_verdict_per_item, replay_is_equal, sent_at_most_once, sent_exactly_once, stale_owner_cannot_append,
    },
    mailbox::{self, Decision},
    notification,
};
use postroad_journal::Commit;
use stage::{eventually, smtp};
use system::activities::emails;
use url::Url;

use crate::{
    Error,
    evidence::{Answers, Evidence},
    other,
    plan::{MAILBOXES, address},
    play::Play,
};

/// What was counted on the way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Summary {
    /// Letters delivered.
    pub delivered: usize,
    /// Those with a verdict that tracks them.
    pub tracked: usize,
    /// Emails sent.
    pub sent: usize,
    /// How often a mailbox changed its owner.
    pub claims: usize,
    /// Attempts that failed.
    pub failures: usize,
    /// Back-offs that were noted.
    pub back_offs: usize,
    /// Mails to the owner.
    pub notifications: usize,
    /// Requests that reached the stranger.
    pub strayed: usize,
    /// Processes that ended by themselves and were started again.
    pub revivals: usize,
}

/// Checks everything; all roles are started anew in between.
pub async fn judge(play: &mut Play) -> Result<Summary, Error> {
    let evidence = Evidence::read(&play.scene.deployment).await?;
    for commits in evidence.mailboxes.values() {
        histories(commits, play.clocks_right_until)?;
    }
    let deployment = &play.scene.deployment;
    let addressed = evidence.mailboxes.values().filter_map(|commits| {
        let mailbox = Evidence::state(commits).shared()?;
        Some((mailbox.settings.address.to_string(), commits))
    });
    for (address, commits) in addressed {
        let items = play.mail.items.get(&address).into_iter().flatten().map(String::as_str);
        nothing_passed_over(items, Evidence::events(commits))?;
    }

    let activities = emails(deployment).await?;
    at_most_one_activity(activities.iter().map(|email| email.message_id.as_str()))?;
    let known: BTreeSet<String> = activities.iter().map(|email| system::activities::bare(&email.message_id)).collect();
    let missing: Vec<_> = play.mail.sound.iter().filter(|id| !known.contains(*id)).collect();
    if !missing.is_empty() {
        return Err(other(format!("messages that nothing is wrong with are not in the CRM: {missing:?}")));
    }
    let queued: Vec<String> = play.mail.queued.iter().map(ToString::to_string).collect();
    let sent = deployment.exchange.sent();
    let sent: Vec<&str> = sent
        .iter()
        .map(|mail| mail.extended.get("PostroadEmail").and_then(|values| values.first()).map_or("", String::as_str))
        .collect();
    sent_exactly_once(queued.iter().map(String::as_str), sent.iter().copied())?;

    let panics = play.panics();
    if !panics.is_empty() {
        return Err(other(format!("processes panicked: {}", panics.join("\n"))));
    }
    let strayed = deployment.fragile().map(system::fragile::Fragile::seen_by_stranger).unwrap_or_default();
    credentials(&strayed)?;
    let mails = deployment.relay.mails();
    notifications(&evidence, &mails)?;
    let (strayed, notifications, revivals) = (strayed.len(), mails.len(), play.revivals);
    let summary = Summary { strayed, notifications, revivals, ..count(&evidence, sent.len()) };
    replay(play).await?;
    Ok(summary)
}

/// INV-1, INV-4, INV-6, INV-7, INV-10 over one mailbox.
fn histories(commits: &[Commit<mailbox::Event>], clocks_right_until: Option<u64>) -> Result<(), Broken> {
    one_verdict_per_item(Evidence::events(commits))?;
    stale_owner_cannot_append(Evidence::events(commits))?;
    sent_at_most_once(Evidence::events(commits))?;
    // What a clock that jumped says is no evidence.
    let honest = |commit: &&Commit<mailbox::Event>| clocks_right_until.is_none_or(|last| commit.sequence <= last);
    no_attempt_within_back_off(commits.iter().take_while(honest).flat_map(|commit| &commit.events))?;
    let mut state = mailbox::State::default();
    for event in Evidence::events(commits) {
        state = mailbox::evolve(state, event);
        if let Some(live) = state.live() {
            disabled_has_a_way_back(live)?;
        }
    }
    Ok(())
}

/// INV-5: the stranger was asked, but never shown anything.
fn credentials(seen: &[Seen]) -> Result<(), Error> {
    let patterns = vec![Pattern::parse("network.released_hosts", "*.contoso.example:*").map_err(other)?];
    let release = Release { domains: vec!["contoso.example".to_owned()], patterns, ..Release::default() };
    let shown = seen.iter().filter(|seen| seen.with_credentials);
    let shown: Vec<Url> = shown
        .map(|seen| Url::parse(&format!("{}://{}{}", seen.scheme, seen.host, seen.path)).map_err(other))
        .collect::<Result<_, _>>()?;
    Ok(credentials_only_where_released(&shown, &release)?)
}

/// INV-8, in the journal and at the relay.
fn notifications(evidence: &Evidence, mails: &[smtp::Mail]) -> Result<(), Error> {
    let mut meant = Vec::new();
    for (profile, commits) in &evidence.notifications {
        let events: Vec<_> = commits.iter().flat_map(|commit| &commit.events).collect();
        at_most_one_notification(events.iter().copied())?;
        meant.extend(events.into_iter().filter_map(|event| match event {
            notification::Event::Intended { hour, .. } => Some(format!("postroad.{profile}.{}", hour.0)),
            _ => None,
        }));
    }
    let key = |mail: &smtp::Mail| {
        let message = MessageParser::default().parse(mail.data.as_bytes())?;
        Some(message.message_id()?.split('@').next()?.to_owned())
    };
    let arrived: Option<Vec<String>> = mails.iter().map(key).collect();
    let arrived = arrived.ok_or_else(|| other("a notification without a message id"))?;
    Ok(notifications_arrive_once(arrived.iter().map(String::as_str), meant.iter().map(String::as_str))?)
}

/// INV-9: what the roles say now is what they say after a start from the journal alone.
async fn replay(play: &mut Play) -> Result<(), Error> {
    const PATIENCE: Duration = Duration::from_secs(30);
    let mut seen = Ok(());
    // At a full hour, each mailbox notes that it is well: then it is begun anew.
    for _ in 0..3 {
        let (commits, kept) = at_rest(play).await?;
        println!("everything starts anew");
        play.start_anew().await?;
        let deployment = &play.scene.deployment;
        let same = eventually(PATIENCE, || async {
            let replayed = Answers::ask(deployment).await.ok()?;
            replay_is_equal("everything", &kept, &replayed).ok()
        });
        if same.await.is_some() {
            return Ok(());
        }
        let replayed = Answers::ask(deployment).await?;
        if let Some((what, kept, replayed)) = kept.difference(&replayed) {
            println!("{what} differ:\n{kept}\n--- by replay:\n{replayed}");
            seen = replay_is_equal(what, &kept, &replayed);
        }
        if Evidence::commits(deployment).await? == commits {
            break;
        }
    }
    Ok(seen?)
}

/// How many commits there are and what all roles say, once a round of polls changes neither.
async fn at_rest(play: &Play) -> Result<(u64, Answers), Error> {
    let mut before = None;
    for _ in 0..40 {
        let now = (Evidence::commits(&play.scene.deployment).await?, Answers::ask(&play.scene.deployment).await?);
        if before.as_ref() == Some(&now) {
            return Ok(now);
        }
        before = Some(now);
        polled(play).await?;
    }
    Err(other("it never comes to rest"))
}

/// Waits until each mailbox was polled twice: what the first of the polls that began since came to is committed by then.
async fn polled(play: &Play) -> Result<(), Error> {
    /// Polls are two seconds apart.
    const PATIENCE: Duration = Duration::from_secs(60);
    let exchange = &play.scene.deployment.exchange;
    let since = exchange.counters().requests;
    let is_polled = || {
        let new = usize::try_from(exchange.counters().requests.saturating_sub(since)).unwrap_or(usize::MAX);
        if new < 2 * MAILBOXES {
            return false;
        }
        let mut polls = BTreeMap::<String, usize>::new();
        let is_poll = |request: &mockex::Request| request.operation.as_deref() == Some("SyncFolderItems");
        for request in exchange.requests().into_iter().rev().take(new).filter(is_poll) {
            *polls.entry(request.mailbox.unwrap_or_default()).or_default() += 1;
        }
        (0..MAILBOXES).all(|mailbox| polls.get(&address(mailbox)).is_some_and(|polls| *polls >= 2))
    };
    let polled = eventually(PATIENCE, || std::future::ready(is_polled().then_some(()))).await;
    polled.ok_or_else(|| other("a mailbox is not polled any more"))
}

fn count(evidence: &Evidence, sent: usize) -> Summary {
    let mut summary = Summary { sent, ..Summary::default() };
    for event in evidence.mailboxes.values().flat_map(|commits| Evidence::events(commits)) {
        match event {
            mailbox::Event::AttemptFinished { verdicts, .. } => {
                summary.delivered += verdicts.len();
                let tracked = verdicts.iter().filter(|verdict| matches!(verdict.decision, Decision::Tracked { .. }));
                summary.tracked += tracked.count();
            }
            mailbox::Event::Claimed { .. } => summary.claims += 1,
            mailbox::Event::AttemptFailed { .. } => summary.failures += 1,
            mailbox::Event::Throttled { .. } => summary.back_offs += 1,
            _ => {}
        }
    }
    summary
}
