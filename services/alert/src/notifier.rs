//! Doing what is due. Intent first, then the mail, then its outcome: the journal decides that an hour has at most one mail
//! (INV-8), and a crash in between is found at the next start as an intention that nobody confirms.

use std::{convert::Infallible, sync::Arc, time::Duration};

use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use postroad_core::{
    Refusal,
    notification::{Command, Facts, Hour, Rules},
};
use postroad_journal::{Actor, ExecuteError, Journal};
use postroad_metric::alert::ALERT;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    board::Board,
    mail,
    mailer::{Mailer, Undelivered},
    plan::{Notice, Sending, plan},
};

/// Profiles that are notified at the same time.
const CONCURRENCY: usize = 8;

/// How long the notifier rests between two looks, so that a storm of attempts costs one look.
const REST: Duration = Duration::from_millis(100);

/// How long it waits after the journal failed.
const RECOVERY: SignedDuration = SignedDuration::from_secs(5);

/// What is added to the mailer's limit before an intention counts as left by a crash: clocks of replicas differ.
const MARGIN: SignedDuration = SignedDuration::from_secs(30);

/// How often an outcome is offered to a journal that does not answer.
const CONFIRMATIONS: u32 = 10;

/// Sends the mails that are due.
pub struct Notifier {
    journal: Journal,
    board: Arc<Board>,
    mailer: Arc<dyn Mailer>,
    now: fn() -> Timestamp,
    actor: Actor,
}

/// The journal failed, and it was logged.
#[derive(Debug)]
struct Failed;

impl Notifier {
    /// A notifier; `now` tells the time.
    pub fn new(journal: Journal, board: Arc<Board>, mailer: Arc<dyn Mailer>, now: fn() -> Timestamp) -> Self {
        Self { journal, board, mailer, now, actor: Actor::new("role alert") }
    }

    /// Looks whenever something happened or the time has come, until shutdown. A mail that is under way is finished.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Infallible> {
        let mut changes = self.board.changes();
        loop {
            changes.borrow_and_update();
            let look_again = self.look((self.now)()).await;
            let wait = Duration::try_from(look_again.duration_since((self.now)())).unwrap_or_default();
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                _ = changes.changed() => {}
                () = tokio::time::sleep(wait) => {}
            }
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = tokio::time::sleep(REST) => {}
            }
        }
    }

    /// Does what is due at `now`; gives when to look again at the latest.
    pub async fn look(&self, now: Timestamp) -> Timestamp {
        let limit = SignedDuration::try_from(self.mailer.limit()).unwrap_or(SignedDuration::MAX).saturating_add(MARGIN);
        let sending = Sending { can_send: self.mailer.can_send(), limit };
        let due = self.board.read(|view| plan(view, now, sending));
        let mut failed = false;
        for (profile, hour) in due.give_up {
            tracing::warn!(profile.id = %profile, hour = %hour.start(), "a mail was under way when a role ended; it is not repeated");
            failed |= self.record(profile, hour, &Command::GiveUp { hour }, now).await.is_err();
        }
        let mut outcomes =
            futures::stream::iter(due.notices).map(|notice| self.notify(notice, now)).buffer_unordered(CONCURRENCY);
        while let Some(outcome) = outcomes.next().await {
            failed |= outcome.is_err();
        }
        let recovered = now.checked_add(RECOVERY).unwrap_or(Timestamp::MAX);
        if failed { due.look_again.min(recovered) } else { due.look_again }
    }

    /// Sends one mail, if the journal agrees that it is due.
    async fn notify(&self, notice: Notice, looked: Timestamp) -> Result<(), Failed> {
        // It may have waited for others: an intention that looks old would be given up by another replica.
        let now = looked.max((self.now)());
        let Some(profile) = self.board.read(|view| view.profile(notice.profile).cloned()) else { return Ok(()) };
        let Notice { profile: id, hour, evidence, mailboxes } = &notice;
        let (id, hour) = (*id, *hour);
        let command = Command::Notify { hour, evidence: evidence.clone(), mailboxes: *mailboxes };
        let facts = Facts { now, switched_on: profile.send_alert_email };
        let intended = self.journal.execute::<Rules>(id, &self.actor, &command, |_| facts).await;
        if intended.map_err(|error| failed(id, hour, &error))?.events.is_empty() {
            return Ok(());
        }
        let mail = mail::compose(id, &profile, &notice, now);
        let began = postroad_rig::clock::instant();
        let sent = self.mailer.send(&mail).await;
        ALERT.mail_duration.observe(began.elapsed().as_secs_f64());
        let result = match &sent {
            Ok(()) => "OK",
            Err(Undelivered::NotAccepted(report)) => report.code.name(),
            Err(Undelivered::Unknown(_)) => "UNKNOWN",
        };
        ALERT.mails.with_label_values(&[result]).inc();
        let outcome = match sent {
            Ok(()) => {
                tracing::info!(profile.id = %id, hour = %hour.start(), failed = evidence.failed, processed = evidence.processed, "the owner was mailed");
                Command::ConfirmSent { hour, recipient: mail.recipient }
            }
            Err(Undelivered::NotAccepted(report)) => {
                tracing::warn!(profile.id = %id, hour = %hour.start(), fault = report.sentence(), "the mail to the owner was not accepted");
                Command::ConfirmFailed { hour, report }
            }
            Err(Undelivered::Unknown(why)) => {
                tracing::warn!(profile.id = %id, hour = %hour.start(), why, "it is unknown whether the mail to the owner was accepted; it is not repeated");
                Command::GiveUp { hour }
            }
        };
        self.confirm(id, hour, &outcome).await
    }

    /// Records an outcome, as often as needed: an outcome that is lost makes a mail that was sent an unknown one.
    async fn confirm(&self, profile: Uuid, hour: Hour, outcome: &Command) -> Result<(), Failed> {
        let mut wait = Duration::from_millis(500);
        for _ in 1..CONFIRMATIONS {
            if self.record(profile, hour, outcome, (self.now)()).await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(wait).await;
            wait = wait.saturating_mul(2).min(Duration::from_secs(10));
        }
        self.record(profile, hour, outcome, (self.now)()).await
    }

    async fn record(&self, profile: Uuid, hour: Hour, command: &Command, now: Timestamp) -> Result<(), Failed> {
        let facts = Facts { now, switched_on: true };
        match self.journal.execute::<Rules>(profile, &self.actor, command, |_| facts).await {
            Ok(_) => Ok(()),
            // Another replica gave the mail up.
            Err(ExecuteError::Refused(refusal)) => {
                tracing::info!(profile.id = %profile, hour = %hour.start(), %refusal, "the mail's outcome was recorded before");
                Ok(())
            }
            Err(error) => Err(failed(profile, hour, &error)),
        }
    }
}

fn failed(profile: Uuid, hour: Hour, error: &ExecuteError<Refusal>) -> Failed {
    let why = match error {
        ExecuteError::Refused(refusal) => refusal.to_string(),
        ExecuteError::Contended => "too many changes at the same time".to_owned(),
        ExecuteError::Journal(error) => error.report().sentence(),
    };
    tracing::warn!(profile.id = %profile, hour = %hour.start(), why, "the mail to the owner could not be recorded");
    Failed
}

#[cfg(test)]
mod tests;
