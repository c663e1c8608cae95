//! Everything works again, until all that was put in has come out.

use std::{collections::BTreeSet, time::Duration};

use jiff::SignedDuration;
use postroad_proto::{
    crm::v1::{Email, EmailStatus, ResendEmailRequest},
    mailbox::v1::{ListMailboxesRequest, Mailbox},
};
use stage::{smtp::Behaviour, wire::Condition};
use system::{Role, activities::emails, fragile::Member, scene::is_enabled};
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::{CALL, PATIENCE, Play, fragile, signal};
use crate::{
    Error,
    evidence::Evidence,
    other,
    plan::{MAILBOXES, WORKERS, address},
};

impl Play {
    /// Everything works again; waits until all that was put in has come out.
    pub async fn calm(&mut self) -> Result<(), Error> {
        println!("everything works again");
        self.undo_all().await?;
        for role in Role::ALL {
            self.scene.deployment.wait_serving(role).await?;
        }
        while let Some(queued) = self.queueing.join_next().await {
            queued.map_err(other)??;
        }
        let (mut progress, mut moved, mut repaired) = ((0, 0), Instant::now(), None::<Instant>);
        loop {
            let now = self.progress().await.unwrap_or(progress);
            if now == (self.mail.delivered, self.mail.queued.len()) && self.is_well().await {
                return Ok(());
            }
            self.supervise().await?;
            if now != progress {
                let (decided, sent) = now;
                let (letters, emails) = (self.mail.delivered, self.mail.queued.len());
                println!("calm: {decided} of {letters} messages decided, {sent} of {emails} emails sent");
                (progress, moved) = (now, Instant::now());
            }
            if moved.elapsed() > PATIENCE {
                let wanted = (self.mail.delivered, self.mail.queued.len());
                let what = "messages decided and emails sent, and no more, or a mailbox does not get well";
                return Err(other(format!("{progress:?} of {wanted:?} {what}")));
            }
            if repaired.is_none_or(|at| at.elapsed() > CALL) {
                self.repair();
                self.send_again().await;
                repaired = Some(Instant::now());
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// Whether all mailboxes are well.
    async fn is_well(&self) -> bool {
        let request = ListMailboxesRequest { page_size: 1000, ..ListMailboxesRequest::default() };
        let Ok(answer) = self.scene.deployment.mailboxes().list_mailboxes(request).await else { return false };
        let is_well =
            |mailbox: &Mailbox| is_enabled(mailbox) && mailbox.fault.is_none() && mailbox.throttled_until.is_none();
        answer.into_inner().mailboxes.iter().all(is_well)
    }

    /// How many messages have a verdict, and how many emails the CRM knows to be sent.
    async fn progress(&self) -> Result<(usize, usize), Error> {
        let decided = Evidence::read(&self.scene.deployment).await?.decided();
        let is_decided = |(address, items): (&String, &BTreeSet<String>)| {
            decided.get(address).map_or(0, |known| items.iter().filter(|item| known.contains(*item)).count())
        };
        let emails = emails(&self.scene.deployment).await?;
        let sent = emails.iter().filter(|email| self.is_queued(email) && email.status() == EmailStatus::Sent);
        Ok((self.mail.items.iter().map(is_decided).sum(), sent.count()))
    }

    pub(super) fn is_queued(&self, email: &Email) -> bool {
        Uuid::parse_str(&email.id).is_ok_and(|id| self.mail.queued.contains(&id))
    }

    /// What was given up is queued again, as people do.
    async fn send_again(&self) {
        let Ok(emails) = emails(&self.scene.deployment).await else { return };
        for email in emails {
            if self.is_queued(&email) && email.status() == EmailStatus::Failed {
                let mut crm = self.scene.deployment.crm();
                let _ = timeout(CALL, crm.resend_email(ResendEmailRequest { email_id: email.id })).await;
            }
        }
    }

    async fn undo_all(&mut self) -> Result<(), Error> {
        let deployment = &mut self.scene.deployment;
        deployment.exchange.clear_faults();
        deployment.relay.behave(Behaviour::default());
        for mailbox in 0..MAILBOXES {
            deployment.exchange.set_full(&address(mailbox), false).map_err(other)?;
        }
        let fragile = fragile(&self.scene)?;
        fragile.wires().for_each(|(_, wire)| wire.set(Condition::Whole));
        for clock in fragile.clocks() {
            clock.set(SignedDuration::ZERO).map_err(other)?;
        }
        self.scene.deployment.nats.signal("CONT").await.map_err(other)?;
        for member in Member::all(WORKERS) {
            signal(&mut self.scene, member, "CONT").await?;
        }
        self.away.clear();
        self.supervise().await
    }

    /// All processes end and start anew, with nothing but the journal.
    pub async fn start_anew(&mut self) -> Result<(), Error> {
        for member in Member::all(WORKERS) {
            if let Some(process) = self.scene.deployment.process(member) {
                process.restart().await.map_err(other)?;
            }
        }
        for role in Role::ALL {
            self.scene.deployment.wait_serving(role).await?;
        }
        Ok(())
    }
}
