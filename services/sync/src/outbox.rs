//! Sending the emails of a mailbox's outbox, each exactly once (INV-10; `core/mailbox/sending.rs` has the rules).
//!
//! Every step is noted in the journal before the next one is taken. Whoever goes on after a crash or a lost answer looks first: a draft
//! that was only intended is removed and made anew, a ready one is sent if it is still there, and counts as sent if it is not.

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use postroad_core::{
    fault::{Code, Report},
    mailbox::{Confirmation, Mailbox, SendCommand, Sending, Stage},
    organization::Settings,
};
use postroad_proto::crm::v1::EmailStatus;
use uuid::Uuid;

use crate::{
    crm::{Crm, Delivery, Queued, Refused},
    exchange::{Draft, Exchange, Failure, SendAnswer},
};

mod composition;
#[cfg(test)]
mod tests;

pub use composition::compose;

/// Emails of one mailbox in one cycle.
const LIMIT: u32 = 100;
/// How often a draft that changed meanwhile is looked at again.
const STALE: u32 = 3;

/// Why sending stops for now.
#[derive(Debug)]
pub enum Stopped {
    /// The mail server failed.
    Exchange(Failure),
    /// The CRM does not answer.
    Crm(Report),
    /// The journal refused: another owner, or an administrator stopped the mailbox.
    Refused,
    /// The journal does not answer.
    Journal,
}

/// Where steps are noted.
#[async_trait]
pub trait Ledger: Send {
    /// The mailbox as of the last note.
    fn mailbox(&self) -> Option<Mailbox>;
    /// Notes a step; refused to who lost the mailbox.
    async fn note(&mut self, command: SendCommand) -> Result<(), Stopped>;
    /// Now.
    fn now(&self) -> Timestamp;
    /// The distance of tries.
    fn distance(&self) -> SignedDuration;
}

/// One mailbox's outbox.
pub struct Outbox<'a, L: Ledger> {
    /// Where steps are noted.
    pub ledger: &'a mut L,
    /// Its mailbox in Exchange.
    pub exchange: &'a dyn Exchange,
    /// Where emails come from.
    pub crm: &'a dyn Crm,
    /// The organization's settings.
    pub settings: &'a Settings,
}

impl<L: Ledger> Outbox<'_, L> {
    /// Sends what waits, in order; gives whether anything did. An email that fails by itself lets the next ones pass; a mailbox or
    /// server that fails does not.
    pub async fn send(&mut self) -> Result<bool, Stopped> {
        let mailbox = self.ledger.mailbox().ok_or(Stopped::Refused)?;
        let address = mailbox.settings.address.as_str();
        let waiting = self.crm.outbox(address, LIMIT).await.map_err(|refused| Stopped::Crm(refused.report()))?;
        // What is on its way and not in the outbox any more was sent, and is only to be reported.
        let known = mailbox.sync.sending.iter();
        let rest: Vec<Queued> = known
            .filter(|(id, _)| waiting.iter().all(|queued| queued.email_id != **id))
            .map(|(id, sending)| Queued { email_id: *id, attempt: sending.attempt })
            .collect();
        let has_any = !rest.is_empty() || !waiting.is_empty();
        for queued in rest.into_iter().chain(waiting) {
            self.send_one(queued).await?;
        }
        Ok(has_any)
    }

    fn sending(&self, email_id: Uuid) -> Option<Sending> {
        self.ledger.mailbox().and_then(|mailbox| mailbox.sync.sending.get(&email_id).cloned())
    }

    async fn send_one(&mut self, queued: Queued) -> Result<(), Stopped> {
        let known = self.sending(queued.email_id);
        let now = self.ledger.now();
        let next_try = known.as_ref().and_then(|sending| sending.next_try);
        if next_try.is_some_and(|next| postroad_core::clock::waits(next, self.ledger.distance(), now)) {
            return Ok(());
        }
        let mut fresh = None;
        match known.as_ref().map(|sending| &sending.stage) {
            None => fresh = self.prepare(queued, false).await?,
            Some(Stage::Intended) => fresh = self.prepare(queued, true).await?,
            Some(Stage::Ready { .. } | Stage::Sent | Stage::Failed(_)) => {}
        }
        if let Some(Stage::Ready { draft_id }) = self.sending(queued.email_id).map(|sending| sending.stage) {
            self.deliver(queued, &draft_id, fresh).await?;
        }
        self.tell(queued).await
    }

    /// Makes the draft ready. `may_exist`: an earlier try may have left drafts; nothing but a ready one is ever sent, so they are removed,
    /// once the journal has confirmed that none of those that were found is ready by now (tests/model).
    async fn prepare(&mut self, queued: Queued, may_exist: bool) -> Result<Option<Draft>, Stopped> {
        let Queued { email_id, attempt } = queued;
        let mailbox = self.ledger.mailbox().ok_or(Stopped::Refused)?;
        let domain = mailbox.settings.address.domain();
        let message_id = format!("<{}.{attempt}@{domain}>", email_id.simple());
        let has_earlier = may_exist || attempt > 1;
        let left = match has_earlier {
            true => self.exchange.drafts(email_id).await.map_err(Stopped::Exchange)?,
            false => Vec::new(),
        };
        self.ledger.note(SendCommand::Intend { email_id, attempt, message_id: message_id.clone() }).await?;
        if !left.is_empty() {
            self.exchange.discard(&left).await.map_err(Stopped::Exchange)?;
        }
        let email = match self.crm.claim(queued, &message_id).await {
            Ok(email) => email,
            Err(Refused::Unavailable(report)) => return Err(Stopped::Crm(report)),
            Err(refused) => return self.fail(email_id, refused.report()).await.map(|()| None),
        };
        let composed = compose(self.crm, &email, mailbox.settings.address.as_str(), self.settings).await;
        let (draft, attachments) = match composed {
            Ok(composed) => composed,
            Err(Refused::Unavailable(report)) => return Err(Stopped::Crm(report)),
            Err(refused) => return self.fail(email_id, refused.report()).await.map(|()| None),
        };
        let mut made = match self.exchange.make_draft(&draft).await.map_err(Stopped::Exchange)? {
            Ok(made) => made,
            Err(report) => return self.fail(email_id, report).await.map(|()| None),
        };
        for attachment in &attachments {
            made = match self.exchange.attach(&made, attachment).await.map_err(Stopped::Exchange)? {
                Ok(made) => made,
                Err(report) => {
                    self.exchange.discard(&[made]).await.map_err(Stopped::Exchange)?;
                    return self.fail(email_id, report).await.map(|()| None);
                }
            };
        }
        let noted = self.ledger.note(SendCommand::RecordDraft { email_id, draft_id: made.id.clone() }).await;
        if let Err(Stopped::Refused) = noted {
            // Another owner goes on with a draft of its own; this one is never sent, and need not lie there.
            self.exchange.discard(&[made]).await.map_err(Stopped::Exchange)?;
            return Err(Stopped::Refused);
        }
        noted.map(|()| Some(made))
    }

    /// Sends a ready draft, unless it was sent before. `fresh` is the draft as it was just made.
    async fn deliver(&mut self, queued: Queued, draft_id: &str, mut fresh: Option<Draft>) -> Result<(), Stopped> {
        let email_id = queued.email_id;
        for _ in 0..STALE {
            let draft = match fresh.take() {
                Some(draft) => Some(draft),
                None => self.exchange.draft(draft_id).await.map_err(Stopped::Exchange)?,
            };
            let Some(draft) = draft else {
                let has_copy = self.exchange.is_sent(email_id).await.map_err(Stopped::Exchange)?;
                let confirmation = if has_copy { Confirmation::CopyFound } else { Confirmation::DraftGone };
                return self.ledger.note(SendCommand::RecordSent { email_id, confirmation }).await;
            };
            match self.exchange.send(&draft, self.settings.save_sent).await.map_err(Stopped::Exchange)? {
                SendAnswer::Sent => {
                    let confirmation = Confirmation::Answered;
                    return self.ledger.note(SendCommand::RecordSent { email_id, confirmation }).await;
                }
                SendAnswer::Changed => {}
                SendAnswer::Refused(report) => {
                    // Noted first: a ready draft that is gone counts as sent.
                    self.fail(email_id, report).await?;
                    if self.sending(email_id).is_some_and(|sending| matches!(sending.stage, Stage::Failed(_))) {
                        self.exchange.discard(&[draft]).await.map_err(Stopped::Exchange)?;
                    }
                    return Ok(());
                }
            }
        }
        let report = Report::new(Code::EmailNotSent, "SendItem: the draft is changed again and again by somebody else");
        self.fail(email_id, report).await
    }

    async fn fail(&mut self, email_id: Uuid, report: Report) -> Result<(), Stopped> {
        self.ledger.note(SendCommand::RecordFailure { email_id, report: report.clone() }).await?;
        let Some(sending) = self.sending(email_id) else { return Ok(()) };
        if matches!(sending.stage, Stage::Failed(_)) {
            return Ok(());
        }
        // It is tried again; that the CRM shows why it waits is a service, not a promise.
        let queued = Queued { email_id, attempt: sending.attempt };
        let delivery = Delivery { queued, status: EmailStatus::PendingSend, report: Some(report) };
        if let Err(refused) = self.crm.report(&delivery).await {
            tracing::debug!(%email_id, detail = refused.report().detail, "the CRM does not take the reason of a delay");
        }
        Ok(())
    }

    /// Tells the CRM what became of it.
    async fn tell(&mut self, queued: Queued) -> Result<(), Stopped> {
        let email_id = queued.email_id;
        let Some(sending) = self.sending(email_id) else { return Ok(()) };
        let (status, report) = match sending.stage {
            Stage::Sent => (EmailStatus::Sent, None),
            Stage::Failed(report) => (EmailStatus::Failed, Some(report)),
            Stage::Intended | Stage::Ready { .. } => return Ok(()),
        };
        let queued = Queued { email_id, attempt: sending.attempt };
        match self.crm.report(&Delivery { queued, status, report }).await {
            Ok(()) => {}
            Err(Refused::Unavailable(report)) => return Err(Stopped::Crm(report)),
            // The CRM knows better, or has lost the email: nothing is gained by telling it for ever.
            Err(refused) => {
                let report = refused.report();
                tracing::warn!(%email_id, detail = report.detail, "the CRM does not take what became of an email");
            }
        }
        self.ledger.note(SendCommand::RecordReport { email_id }).await
    }
}
