//! The play, act by act. Everything that is shown is what the running system answered.

use std::{collections::BTreeMap, time::Duration};

use mockex::{Delivery, Fault, FaultKind};
use postroad_proto::{
    locator::v1::Verdict,
    mailbox::v1::{
        Mailbox, MailboxSelection, Status, TestAndEnableMailboxesRequest, test_and_enable_mailboxes_response::Report,
    },
    profile::v1::{TestProfileRequest, test_profile_response},
};
use system::{Deployment, SetUp, activities, letter, message_id};

use crate::{
    cast,
    figures::{Figures, percentile},
    screen::Screen,
};

/// Messages per mailbox while all is well.
const FIRST_WAVE: usize = 6;
/// Messages per mailbox while a region is down.
const SECOND_WAVE: usize = 3;
/// More than anything here takes on a slow machine.
const DEADLINE: Duration = Duration::from_secs(180);

/// Why the play stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The stage or a role failed.
    #[error(transparent)]
    System(#[from] system::Error),
    /// The fake Exchange refused a delivery.
    #[error("mockex: {0}")]
    Exchange(#[from] mockex::Error),
    /// A call was refused.
    #[error("{}", .0.message())]
    Call(Box<tonic::Status>),
    /// Something did not happen in time.
    #[error("{0}")]
    Late(String),
}

impl From<tonic::Status> for Error {
    fn from(status: tonic::Status) -> Self {
        Self::Call(Box::new(status))
    }
}

/// The play on its stage.
pub struct Play<'a> {
    pub deployment: &'a Deployment,
    pub screen: Screen,
    pub figures: Figures,
}

impl Play<'_> {
    /// All acts, to the recovery.
    pub async fn perform(&self, set_up: &SetUp<'_>) -> Result<(), Error> {
        self.set_up(set_up).await?;
        self.test_connection().await?;
        self.test_and_enable().await?;
        let _lookout = self.figures.look_out(self.deployment.crm());
        self.mail_arrives().await?;
        let fault = self.region_fails().await?;
        self.owner_is_told().await?;
        self.region_recovers(fault).await
    }

    async fn set_up(&self, set_up: &SetUp<'_>) -> Result<(), Error> {
        self.screen.act("An administrator describes the mail server and its mailboxes");
        let profile = set_up.profile().await?;
        let settings = profile.settings.unwrap_or_default();
        self.screen.good(format_args!(
            "profile \"{}\": Autodiscover, service account {}, owner {}",
            settings.name, settings.user_name, profile.owner_address
        ));
        let mailboxes = cast::mailboxes();
        for (address, _) in &mailboxes {
            set_up.mailbox(address).await?;
        }
        self.screen.good(format_args!("{} mailboxes created, attached to the profile and approved", mailboxes.len()));
        Ok(())
    }

    async fn test_connection(&self) -> Result<(), Error> {
        self.screen.act("Test Connection");
        let (address, _) = cast::mailboxes().swap_remove(0);
        let request = TestProfileRequest { profile: cast::PROFILE.to_owned(), email_address: address };
        let mut steps = self.deployment.profiles().test_profile(request).await?.into_inner();
        while let Some(message) = steps.message().await? {
            match message.report {
                Some(test_profile_response::Report::Step(step)) if step.verdict() != Verdict::Running => {
                    let elapsed = step.elapsed.map_or(0, |elapsed| elapsed.nanos / 1_000_000);
                    let line = format!("{:<38} {:>5} ms  {}", step.title, elapsed, step.detail);
                    match step.verdict() {
                        Verdict::Failed | Verdict::NotAttempted => self.screen.bad(line),
                        _ => self.screen.good(line),
                    }
                }
                Some(test_profile_response::Report::Outcome(outcome)) => {
                    if let Some(fault) = outcome.incoming {
                        return Err(Error::Late(format!(
                            "the connection test failed: {}: {}",
                            fault.code, fault.detail
                        )));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    async fn test_and_enable(&self) -> Result<(), Error> {
        self.screen.act("Test & enable all mailboxes of the profile");
        let selection = MailboxSelection { profile: cast::PROFILE.to_owned(), ..MailboxSelection::default() };
        let request = TestAndEnableMailboxesRequest { selection: Some(selection) };
        let mut progress = self.deployment.mailboxes().test_and_enable_mailboxes(request).await?.into_inner();
        let regions: BTreeMap<String, &str> = cast::mailboxes().into_iter().collect();
        let mut enabled = 0;
        while let Some(message) = progress.message().await? {
            let Some(Report::Mailbox(mailbox)) = message.report else { continue };
            let region = regions.get(&message.email_address).copied().unwrap_or("?");
            let place = format!("{region}, {}", cast::version(region));
            let line = format!("{:>2}/{}  {:<26} {place}", message.done, message.total, message.email_address);
            if is_enabled(&mailbox) {
                enabled += 1;
                self.screen.good(format_args!("{line}: incoming email enabled"));
            } else {
                let fault = mailbox.fault.unwrap_or_default();
                self.screen.bad(format_args!("{line}: {} ({})", fault.what, fault.code));
            }
        }
        if enabled == regions.len() {
            return Ok(());
        }
        Err(Error::Late(format!("only {enabled} of {} mailboxes were enabled", regions.len())))
    }

    async fn mail_arrives(&self) -> Result<(), Error> {
        self.screen.act("Mail arrives");
        let mailboxes = cast::mailboxes();
        for round in 0..FIRST_WAVE {
            for (number, (address, _)) in mailboxes.iter().enumerate() {
                self.deliver("monday", round * mailboxes.len() + number, address, false)?;
            }
        }
        self.screen.say(format_args!(
            "{} messages delivered to {} mailboxes",
            self.figures.wanted().len(),
            mailboxes.len()
        ));
        self.wait_for(&self.figures.wanted()).await?;
        let latencies = self.figures.latencies();
        let shown = |percent| percentile(&latencies, percent).unwrap_or_default().as_millis();
        self.screen.good(format_args!(
            "all are email activities of the CRM: half within {} ms, 99 of 100 within {} ms",
            shown(50),
            shown(99)
        ));
        Ok(())
    }

    async fn region_fails(&self) -> Result<u64, Error> {
        self.screen.act(format_args!("The region {} goes down, while mail goes on arriving everywhere", cast::FAILING));
        let fault = self.deployment.exchange.set_fault(Fault::new(FaultKind::Down).region(cast::FAILING));
        let mailboxes = cast::mailboxes();
        for round in 0..SECOND_WAVE {
            for (number, (address, region)) in mailboxes.iter().enumerate() {
                self.deliver("tuesday", round * mailboxes.len() + number, address, *region == cast::FAILING)?;
            }
        }
        self.wait_for(&self.figures.wanted_now()).await?;
        self.screen.good("the other regions are not disturbed: their mail is in the CRM");
        Ok(fault)
    }

    async fn owner_is_told(&self) -> Result<(), Error> {
        self.screen.act("More than half of the profile's mailboxes fail: its owner gets one mail");
        let mails = self.deployment.relay.wait_for(1, DEADLINE).await;
        let mail = mails.and_then(|mails| mails.into_iter().next());
        let mail = mail.ok_or_else(|| Error::Late("the alert mail did not come".to_owned()))?;
        self.screen.good(format_args!("mail to {}", mail.to.join(", ")));
        self.screen.quote(&mail.readable());
        Ok(())
    }

    async fn region_recovers(&self, fault: u64) -> Result<(), Error> {
        self.screen.act(format_args!("The region {} is back", cast::FAILING));
        self.deployment.exchange.clear_fault(fault);
        self.wait_for(&self.figures.wanted()).await?;
        self.screen.good("the gap is filled: what arrived during the outage is in the CRM, without anybody's doing");
        let healed = stage::eventually(DEADLINE, || async {
            let request = postroad_proto::mailbox::v1::ListMailboxesRequest::default();
            let page = self.deployment.mailboxes().list_mailboxes(request).await.ok()?.into_inner();
            page.mailboxes.iter().all(is_enabled).then_some(())
        });
        healed.await.ok_or_else(|| Error::Late("not every mailbox healed by itself".to_owned()))?;
        self.screen.good("every mailbox is enabled and well again");
        Ok(())
    }

    fn deliver(&self, play: &str, number: usize, address: &str, during_outage: bool) -> Result<(), Error> {
        let delivery =
            Delivery { mailbox: address.to_owned(), mime: letter(play, number, address).into(), ..Delivery::default() };
        self.deployment.exchange.deliver(delivery)?;
        self.figures.delivered(message_id(play, number), during_outage);
        Ok(())
    }

    async fn wait_for(&self, wanted: &std::collections::BTreeSet<String>) -> Result<(), Error> {
        activities::wait_for(self.deployment, wanted, DEADLINE).await.map_err(|missing| {
            Error::Late(format!("{} of {} messages are not in the CRM: {missing:?}", missing.len(), wanted.len()))
        })
    }
}

fn is_enabled(mailbox: &Mailbox) -> bool {
    mailbox.incoming.as_ref().is_some_and(|incoming| incoming.enabled && incoming.status() == Status::Success)
}
