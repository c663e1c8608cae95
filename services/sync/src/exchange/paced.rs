//! A mailbox whose requests keep the pace: none within a back-off (INV-4), none to a server that is down, none for a mailbox that is
//! another worker's by now, and what each answer taught is kept.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use postroad_core::{
    fault::{Code, Report},
    mailbox::{From, Place as Folder},
};
use uuid::Uuid;

use super::{
    Changes, Done, Draft, Exchange, Failure, FolderName, ItemFailure, Listing, Message, NewAttachment, NewDraft,
    SendAnswer,
};
use crate::{
    ownership::Ownership,
    pace::{Pace, Permit, Route},
    place::Place,
};

/// A mailbox at the worker's pace.
pub struct Paced {
    /// The mailbox of the server.
    pub inner: Arc<dyn Exchange>,
    /// The pace.
    pub pace: Arc<Pace>,
    /// To whom its requests are charged.
    pub route: Route,
    /// Which it is.
    pub mailbox: Uuid,
    /// How it is reached.
    pub place: Place,
    /// Set where only the mailbox's owner may act.
    pub ownership: Option<Arc<Ownership>>,
}

/// The worker lost the mailbox.
fn not_owned() -> Failure {
    Failure::Fault(Report::new(Code::NotOwner, "the lease of the mailbox is not held any more"))
}

impl Paced {
    async fn ask<T>(&self, call: impl Future<Output = Result<T, Failure>> + Send) -> Result<T, Failure> {
        loop {
            if self.ownership.as_ref().is_some_and(|ownership| !ownership.holds(self.mailbox)) {
                return Err(not_owned());
            }
            match self.pace.permit(&self.route, Some(self.mailbox)) {
                Permit::Now => break,
                Permit::Later(pause) => tokio::time::sleep(pause).await,
                Permit::Rest(left) => {
                    let detail = format!("{}: not asked within its back-off", self.route.server);
                    return Err(Failure::Throttled(left, Report::new(Code::ServerBusy, detail)));
                }
                Permit::Down(report) => return Err(Failure::Fault(report)),
            }
        }
        self.pace.sent(&self.route);
        match call.await {
            Err(Failure::Throttled(hint, report)) => {
                let hint = Some(hint).filter(|hint| !hint.is_zero());
                let wait = self.pace.refused(&self.route, self.mailbox, hint, &report);
                Err(Failure::Throttled(wait, report))
            }
            Err(failure) if postroad_core::pace::is_unreachable(failure.report().code) => {
                self.pace.failed(&self.route, self.mailbox, failure.report(), &self.place);
                Err(failure)
            }
            result => {
                self.pace.answered(&self.route, self.mailbox);
                result
            }
        }
    }
}

#[async_trait]
impl Exchange for Paced {
    async fn changes(&self, place: &Folder, cursor: Option<&str>, most: u32) -> Result<Changes, Failure> {
        self.ask(self.inner.changes(place, cursor, most)).await
    }

    async fn fetch(&self, ids: &[String]) -> Result<Vec<Result<Message, ItemFailure>>, Failure> {
        self.ask(self.inner.fetch(ids)).await
    }

    async fn move_to_undeliverable(&self, id: &str) -> Done<Option<String>> {
        self.ask(self.inner.move_to_undeliverable(id)).await
    }

    async fn delete(&self, id: &str) -> Done<()> {
        self.ask(self.inner.delete(id)).await
    }

    async fn categorize(&self, ids: &[String], category: &str) -> Result<Vec<Result<(), Report>>, Failure> {
        self.ask(self.inner.categorize(ids, category)).await
    }

    async fn older(&self, from: From, before: Timestamp, offset: u32, most: u32) -> Result<Listing, Failure> {
        self.ask(self.inner.older(from, before, offset, most)).await
    }

    async fn list(&self, place: &Folder, offset: u32) -> Result<Listing, Failure> {
        self.ask(self.inner.list(place, offset)).await
    }

    async fn folders(&self) -> Result<Vec<FolderName>, Failure> {
        self.ask(self.inner.folders()).await
    }

    async fn drafts(&self, email_id: Uuid) -> Result<Vec<Draft>, Failure> {
        self.ask(self.inner.drafts(email_id)).await
    }

    async fn make_draft(&self, draft: &NewDraft) -> Done<Draft> {
        self.ask(self.inner.make_draft(draft)).await
    }

    async fn attach(&self, draft: &Draft, attachment: &NewAttachment) -> Done<Draft> {
        self.ask(self.inner.attach(draft, attachment)).await
    }

    async fn draft(&self, id: &str) -> Result<Option<Draft>, Failure> {
        self.ask(self.inner.draft(id)).await
    }

    async fn is_sent(&self, email_id: Uuid) -> Result<bool, Failure> {
        self.ask(self.inner.is_sent(email_id)).await
    }

    async fn send(&self, draft: &Draft, saves: bool) -> Result<SendAnswer, Failure> {
        self.ask(self.inner.send(draft, saves)).await
    }

    async fn discard(&self, drafts: &[Draft]) -> Result<(), Failure> {
        self.ask(self.inner.discard(drafts)).await
    }
}
