//! Loading, deciding and appending, with optimistic concurrency.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use postroad_metric::journal::JOURNAL;
use postroad_proto::journal::v1 as stored;
use prost::Message as _;
use tokio::time::Instant;
use tracing::Instrument as _;
use uuid::Uuid;

use crate::{
    Actor, Commit, Error, Executed, Journal, Kind, Part, Recorded, Snapshot,
    backend::{AppendError, Entry, Stored},
    codec::time,
    next, trace,
};

/// Tries before a command gives up against others that change the same aggregate.
const TRIES: u32 = 16;
/// Tries of one append against a journal that does not answer; the same commit id each time.
const APPENDS: u32 = 3;

/// Why a command was not executed.
#[derive(Debug)]
pub enum ExecuteError<R> {
    /// The aggregate refuses it. Nothing was stored.
    Refused(R),
    /// Others changed the aggregate each time. Nothing was stored.
    Contended,
    /// The journal does not answer. It may have been stored.
    Journal(Error),
}

impl<R: std::fmt::Display> std::fmt::Display for ExecuteError<R> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(refusal) => write!(formatter, "refused: {refusal}"),
            Self::Contended => formatter.write_str("too many changes at the same time"),
            Self::Journal(error) => write!(formatter, "{error}"),
        }
    }
}

impl<R: std::fmt::Debug + std::fmt::Display> std::error::Error for ExecuteError<R> {}

impl<R> From<Error> for ExecuteError<R> {
    fn from(error: Error) -> Self {
        Self::Journal(error)
    }
}

impl Journal {
    /// The state of an aggregate.
    pub async fn load<A: Recorded>(&self, id: Uuid) -> Result<Snapshot<A>, Error> {
        let mut snapshot = Snapshot::default();
        self.catch_up::<A>(id, &mut snapshot).await?;
        Ok(snapshot)
    }

    /// Executes a command on what the journal has. `facts` is asked anew for each try.
    pub async fn execute<A: Recorded>(
        &self,
        id: Uuid,
        actor: &Actor,
        command: &A::Command,
        facts: impl Fn(&A::State) -> A::Facts + Send + Sync,
    ) -> Result<Executed<A>, ExecuteError<A::Refusal>> {
        let mut known = self.load::<A>(id).await?;
        self.execute_on(id, actor, &mut known, |state| A::decide(state, command, &facts(state))).await
    }

    /// Decides on a state that the caller keeps, and appends. The state is brought up to date where it was not.
    pub async fn execute_on<A: Recorded>(
        &self,
        id: Uuid,
        actor: &Actor,
        known: &mut Snapshot<A>,
        decide: impl Fn(&A::State) -> Result<Vec<A::Event>, A::Refusal> + Send + Sync,
    ) -> Result<Executed<A>, ExecuteError<A::Refusal>> {
        for attempt in 0..TRIES {
            let events = decide(&known.state).map_err(ExecuteError::Refused);
            let events = match events {
                // What is refused on an old state might not be on the present one.
                Err(refused) if attempt == 0 => {
                    let before = known.sequence;
                    self.catch_up::<A>(id, known).await?;
                    if known.sequence == before {
                        return Err(refused);
                    }
                    continue;
                }
                events => events?,
            };
            if events.is_empty() {
                return Ok(Executed { state: known.state.clone(), events, sequence: known.sequence });
            }
            let commit_id = Uuid::now_v7();
            match self.append::<A>(id, actor, known.sequence, (commit_id, &events)).await {
                Ok(sequence) => {
                    known.state = A::fold(std::mem::take(&mut known.state), &events);
                    known.sequence = sequence;
                    return Ok(Executed { state: known.state.clone(), events, sequence });
                }
                Err(AppendError::Conflict) => {
                    tokio::time::sleep(jitter(attempt)).await;
                    let before = known.clone();
                    // Its acknowledgement was lost, and another commit followed: deciding anew would do it twice, or take it for refused.
                    if let Some(sequence) = self.catch_up_past::<A>(id, known, commit_id).await? {
                        return Ok(Executed { state: A::fold(before.state, &events), events, sequence });
                    }
                }
                Err(AppendError::Journal(error)) => return Err(ExecuteError::Journal(error)),
            }
        }
        Err(ExecuteError::Contended)
    }

    /// The commits of an aggregate after a sequence, the oldest first.
    pub async fn history<A: Recorded>(
        &self,
        id: Uuid,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Commit<A::Event>>, Error> {
        let found = self.backend.read(A::KIND.part(), &A::KIND.subject(id), after, limit).await?;
        found.iter().map(commit::<A>).collect()
    }

    /// The commit at a sequence of the part where the aggregate's kind is, and the aggregate's id; `None` if there is none or it is of
    /// another kind.
    pub async fn at<A: Recorded>(&self, sequence: u64) -> Result<Option<(Uuid, Commit<A::Event>)>, Error> {
        let Some(found) = self.backend.at(A::KIND.part(), sequence).await? else { return Ok(None) };
        match Kind::of_subject(&found.subject) {
            Some((kind, id)) if kind == A::KIND => Ok(Some((id, commit::<A>(&found)?))),
            _ => Ok(None),
        }
    }

    async fn catch_up<A: Recorded>(&self, id: Uuid, known: &mut Snapshot<A>) -> Result<(), Error> {
        self.catch_up_past(id, known, Uuid::nil()).await.map(drop)
    }

    /// The same; gives the sequence of a commit, if it was met.
    async fn catch_up_past<A: Recorded>(
        &self,
        id: Uuid,
        known: &mut Snapshot<A>,
        commit_id: Uuid,
    ) -> Result<Option<u64>, Error> {
        let mut met = None;
        loop {
            let commits = self.history::<A>(id, known.sequence, 256).await?;
            for commit in &commits {
                met = met.or_else(|| (commit.id == commit_id).then_some(commit.sequence));
                known.state = A::fold(std::mem::take(&mut known.state), &commit.events);
                known.sequence = commit.sequence;
            }
            if commits.len() < 256 {
                return Ok(met);
            }
        }
    }

    async fn append<A: Recorded>(
        &self,
        id: Uuid,
        actor: &Actor,
        expected: u64,
        (commit_id, events): (Uuid, &[A::Event]),
    ) -> Result<u64, AppendError> {
        let encoded = events.iter().map(|event| stored::Event { event: Some(A::encode(event)) }).collect();
        let payload = stored::Commit { at: Some(time(decided_at(commit_id))), events: encoded }.encode_to_vec();
        let payload = next::written(A::KIND, payload);
        let entry = Entry { id: commit_id, actor: actor.as_str().to_owned(), payload: Bytes::from(payload) };
        let subject = A::KIND.subject(id);
        let span = trace::commit(&subject, commit_id);
        let appended = self.append_surely(A::KIND.part(), &subject, expected, entry).instrument(span.clone());
        let began = Instant::now();
        let appended = appended.await;
        let kind = A::KIND.token();
        JOURNAL.commit_duration.with_label_values(&[kind]).observe(began.elapsed().as_secs_f64());
        let result = match &appended {
            Ok(sequence) => {
                span.record("journal.sequence", sequence);
                "ok"
            }
            Err(AppendError::Conflict) => "conflict",
            Err(AppendError::Journal(_)) => {
                span.record("otel.status_code", "ERROR");
                "failed"
            }
        };
        JOURNAL.commits.with_label_values(&[kind, result]).inc();
        appended
    }

    /// An append without an answer is repeated: its id tells whether it succeeded.
    async fn append_surely(&self, part: Part, subject: &str, expected: u64, entry: Entry) -> Result<u64, AppendError> {
        let mut last = Error::Unreachable(String::new());
        for attempt in 0..APPENDS {
            match self.backend.append(part, subject, expected, entry.clone()).await {
                Err(AppendError::Journal(Error::Unreachable(why))) => last = Error::Unreachable(why),
                result => return result,
            }
            tokio::time::sleep(jitter(attempt + 4)).await;
        }
        Err(AppendError::Journal(last))
    }
}

pub(crate) fn commit<A: Recorded>(found: &Stored) -> Result<Commit<A::Event>, Error> {
    let unreadable = || Error::Unreadable { subject: found.subject.clone(), sequence: found.sequence };
    let (_, id) = Kind::of_subject(&found.subject).ok_or_else(unreadable)?;
    let decoded = stored::Commit::decode(found.payload.clone()).map_err(|_| unreadable())?;
    let events: Option<Vec<_>> = decoded
        .events
        .into_iter()
        .filter(|event| !next::is_of_next(event))
        .map(|event| event.event.and_then(|event| A::decode(id, event)))
        .collect();
    Ok(Commit {
        id: found.id,
        sequence: found.sequence,
        at: crate::codec::at(decoded.at).ok_or_else(unreadable)?,
        actor: Actor::new(found.actor.clone()),
        events: events.ok_or_else(unreadable)?,
    })
}

/// The time of a commit is that of its id (UUID version 7), to the millisecond.
pub(crate) fn decided_at(id: Uuid) -> Timestamp {
    let millis = id.get_timestamp().map_or(0, |at| {
        let (seconds, nanos) = at.to_unix();
        i64::try_from(seconds).unwrap_or_default().saturating_mul(1000) + i64::from(nanos / 1_000_000)
    });
    Timestamp::from_millisecond(millis).unwrap_or_default()
}

/// Up to 1, 2, 4 ... 256 ms, so that competitors part.
fn jitter(attempt: u32) -> Duration {
    let most = 1_u64 << attempt.min(8);
    Duration::from_micros(rand::random_range(0..=most.saturating_mul(1000)))
}

#[cfg(test)]
mod tests;
