//! What was decided, what would be decided otherwise, and what was not decided at all.

use std::sync::Arc;

use futures::{Stream, StreamExt as _};
use jiff::Timestamp;
use postroad_core::{
    Refusal,
    email::normalized,
    fault::Code,
    mailbox::{Cycles, Event, FilteringMethod},
};
use postroad_proto::sync::v1::{
    AuditMailboxResponse, ExplainMessageResponse, ListVerdictsRequest, ListVerdictsResponse, MessageVerdict,
    RuleTotals, TryRulesRequest, TryRulesResponse, audit_mailbox_response, try_rules_response,
};
use postroad_rig::{Caller, status, wire};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use uuid::Uuid;

use super::Service;
use crate::{
    explain::explain,
    past::{self, audit, trial},
};

/// A stream of answers.
pub(super) type Answers<T> = std::pin::Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Answers that wait to be taken.
const WAITING: usize = 64;

impl Service {
    /// All verdicts about a message.
    pub(super) async fn verdicts_about(
        &self,
        caller: &Caller,
        message_id: &str,
    ) -> Result<ExplainMessageResponse, Status> {
        let wanted = normalized(message_id);
        if wanted.is_empty() {
            return Err(status::refused(&Refusal::new(Code::FieldRequired, "message_id", "is required")));
        }
        let mut verdicts = Vec::new();
        // Of a message that nobody has met, too: nothing is told of what is not the caller's.
        let _ = caller.reaches_all();
        for sequence in self.worker.directory.decided(wanted) {
            let commit =
                self.worker.journal.at::<Cycles>(sequence).await.map_err(|error| status::failed(&error.report()))?;
            let Some((mailbox, commit)) = commit.filter(|(mailbox, _)| self.reaches(caller, *mailbox)) else {
                continue;
            };
            let address = self.worker.directory.address(mailbox);
            for event in &commit.events {
                verdicts.extend(explain(event, Some(wanted), &address, commit.sequence));
            }
        }
        // A message that was tried again in a mailbox is told by its last word there.
        let mut last = std::collections::BTreeMap::new();
        for verdict in verdicts {
            last.insert(verdict.email_address.clone(), verdict);
        }
        let mut verdicts: Vec<_> = last.into_values().collect();
        verdicts.sort_by_key(|verdict| verdict.sequence);
        Ok(ExplainMessageResponse { verdicts })
    }

    /// The verdicts of a mailbox.
    pub(super) async fn verdicts_of(
        &self,
        id: Uuid,
        request: ListVerdictsRequest,
    ) -> Result<Answers<ListVerdictsResponse>, Status> {
        let since = since("since", request.since.as_ref())?;
        let address = self.worker.directory.address(id);
        let mut verdicts = Vec::new();
        let looked = past::each(&self.worker, id, |sequence, event| {
            if since.is_none_or(|since| decided_at(event).is_some_and(|at| at >= since)) {
                verdicts.extend(explain(event, None, &address, sequence));
            }
        });
        looked.await.map_err(|error| status::failed(&error.report()))?;
        let wanted = move |verdict: &MessageVerdict| !(request.only_not_tracked && verdict.tracked);
        let answers = verdicts.into_iter().filter(wanted);
        let answers = answers.map(|verdict| Ok(ListVerdictsResponse { verdict: Some(verdict) }));
        Ok(futures::stream::iter(answers).boxed())
    }

    /// What other settings would have decided.
    pub(super) async fn trial(
        &self,
        caller: &Caller,
        request: TryRulesRequest,
    ) -> Result<Answers<TryRulesResponse>, Status> {
        let mailboxes = if request.mailbox.is_empty() {
            let mut all = self.worker.directory.mailboxes();
            if !caller.reaches_all() {
                all.retain(|id| self.reaches(caller, *id));
            }
            all
        } else {
            vec![self.find(caller, &request.mailbox)?]
        };
        let mut settings = self.worker.settings().await.map_err(|report| status::failed(&report))?;
        let mut entries: Vec<_> = request.settings.iter().collect();
        entries.sort();
        for (name, value) in entries {
            settings.set(name, value).map_err(|refusal| status::refused(&refusal.within("settings")))?;
        }
        let method = match request.filtering_method {
            None => None,
            Some(number) => Some(FilteringMethod::by_number(number).ok_or_else(|| {
                let rule = format!("{number} is none of 0, 1, 2, 3, 4");
                status::refused(&Refusal::new(Code::ValueOutOfRange, "filtering_method", rule))
            })?),
        };
        let changes = trial::Changes {
            settings,
            method,
            from: since("process_email_from", request.process_email_from.as_ref())?,
            since: since("since", request.since.as_ref())?,
        };
        let worker = Arc::clone(&self.worker);
        let (answers, receiver) = mpsc::channel(WAITING);
        let work = async move {
            let mut totals = RuleTotals::default();
            for id in mailboxes {
                match trial::run(&worker, id, &changes, &mut totals).await {
                    Ok(found) => {
                        for change in found {
                            let result = Some(try_rules_response::Result::Change(change));
                            if answers.send(Ok(TryRulesResponse { result })).await.is_err() {
                                return;
                            }
                        }
                    }
                    Err(report) => {
                        let _ = answers.send(Err(status::failed(&report))).await;
                        return;
                    }
                }
            }
            let result = Some(try_rules_response::Result::Totals(totals));
            let _ = answers.send(Ok(TryRulesResponse { result })).await;
        };
        Ok(while_taken(work, receiver))
    }

    /// Whether all messages of a mailbox have a verdict.
    pub(super) async fn audit(&self, id: Uuid) -> Result<Answers<AuditMailboxResponse>, Status> {
        let settings = self.worker.settings().await.map_err(|report| status::failed(&report))?;
        let worker = Arc::clone(&self.worker);
        let (answers, receiver) = mpsc::channel(WAITING);
        let work = async move {
            use audit_mailbox_response::Result as Told;
            let (tell, mut steps) = mpsc::channel(WAITING);
            let told = |result| AuditMailboxResponse { result: Some(result) };
            let forward = async {
                while let Some(step) = steps.recv().await {
                    let result = match step {
                        audit::Step::Progress(progress) => Told::Progress(progress),
                        audit::Step::Gap(gap) => Told::Gap(gap),
                    };
                    let _ = answers.send(Ok(told(result))).await;
                }
            };
            let audited = async move { audit::run(&worker, id, &settings, tell).await };
            let (audited, ()) = tokio::join!(audited, forward);
            let last = match audited {
                Ok(totals) => Ok(told(Told::Totals(totals))),
                Err(report) => Err(status::failed(&report)),
            };
            let _ = answers.send(last).await;
        };
        Ok(while_taken(work, receiver))
    }
}

/// What a piece of work answers. It goes on only while somebody takes its answers.
fn while_taken<T: Send + 'static>(
    work: impl Future<Output = ()> + Send + 'static,
    answers: mpsc::Receiver<Result<T, Status>>,
) -> Answers<T> {
    let work = futures::stream::once(work).filter_map(|()| std::future::ready(None));
    futures::stream::select(ReceiverStream::new(answers), work).boxed()
}

fn since(field: &str, time: Option<&prost_types::Timestamp>) -> Result<Option<Timestamp>, Status> {
    wire::time(field, time).map_err(|refusal| status::refused(&refusal))
}

const fn decided_at(event: &Event) -> Option<Timestamp> {
    match event {
        Event::AttemptFinished { at, .. } => Some(*at),
        _ => None,
    }
}
