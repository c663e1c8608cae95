//! Reading a stream in order by batches (`DIRECT.GET` with `batch`, ADR-31 of NATS). No consumer is needed, which would be told by whoever
//! makes it where the server is to deliver.

use std::{collections::HashSet, time::Duration};

use async_nats::{
    Client, HeaderMap, StatusCode, Subscriber,
    jetstream::{message::StreamMessage, stream::Stream},
};
use futures::StreamExt as _;
use serde_json::json;

/// How long a server may be silent within a batch.
const PATIENCE: Duration = Duration::from_secs(5);
/// Messages in a batch: far fewer than a subscription holds.
const MESSAGES: usize = 1000;
/// Bytes in a batch: what is read ahead of who reads it.
const BYTES: usize = 8 << 20;
/// The header with the sequence before, within a batch.
const BEFORE: &str = "Nats-Last-Sequence";
/// The status at the end of a batch.
const END: u16 = 204;

/// Reads a stream.
#[derive(Clone)]
pub struct Batches {
    client: Client,
    /// What requests about the stream begin with.
    api: &'static str,
    stream: Stream,
    name: String,
}

/// The answer to one request.
pub struct Batch {
    answers: Subscriber,
    /// The sequence that came last; 0 before the first.
    before: u64,
}

/// What a stream is now, as its leader says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// When it was made.
    pub created: i128,
    /// Its last sequence.
    pub last: u64,
}

impl Batches {
    /// Of this stream.
    pub fn new(client: Client, api: &'static str, stream: Stream) -> Self {
        let name = stream.cached_info().config.name.clone();
        Self { client, api, stream, name }
    }

    /// The stream.
    pub const fn stream(&self) -> &Stream {
        &self.stream
    }

    /// The stream's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The connection.
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// How far the stream goes. The leader says it.
    ///
    /// # Errors
    /// It does not answer in time.
    pub async fn reach(&self) -> Result<Reach, String> {
        let info = tokio::time::timeout(PATIENCE, self.stream.get_info()).await;
        let info = info.map_err(|_| "the stream's leader does not answer")?.map_err(|error| error.to_string())?;
        Ok(Reach { created: info.created.unix_timestamp_nanos(), last: info.state.last_sequence })
    }

    /// Whether nothing is left in a stretch of the stream. The leader says it: a replica that answers that it has nothing there may not
    /// have it yet.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn is_deleted(&self, from: u64, to: u64) -> Result<bool, String> {
        let info = self.stream.info_builder().with_deleted(true).fetch().await.map_err(|error| error.to_string())?;
        let state = &info.info.state;
        let deleted: HashSet<_> = state.deleted.iter().flatten().copied().collect();
        Ok((from..=to).all(|sequence| sequence < state.first_sequence || deleted.contains(&sequence)))
    }

    /// Asks for the messages from a sequence on.
    ///
    /// # Errors
    /// The connection is closed.
    pub async fn from(&self, sequence: u64) -> Result<Batch, String> {
        self.ask(&json!({ "seq": sequence, "batch": MESSAGES, "max_bytes": BYTES })).await
    }

    /// Asks for at most so many messages of a subject from a sequence on. There may be more of them than come.
    ///
    /// # Errors
    /// The connection is closed.
    pub async fn of(&self, subject: &str, sequence: u64, most: usize) -> Result<Batch, String> {
        let most = most.min(MESSAGES);
        self.ask(&json!({ "seq": sequence, "next_by_subj": subject, "batch": most, "max_bytes": BYTES })).await
    }

    /// Asks for the message at a sequence; what comes may be the next one.
    ///
    /// # Errors
    /// The connection is closed.
    pub async fn at(&self, sequence: u64) -> Result<Batch, String> {
        self.ask(&json!({ "seq": sequence, "batch": 1 })).await
    }

    /// Each request has an inbox of its own: where the answer comes from another account, NATS keeps the way to an inbox until nobody
    /// listens there any more.
    async fn ask(&self, request: &serde_json::Value) -> Result<Batch, String> {
        let inbox = self.client.new_inbox();
        let answers = self.client.subscribe(inbox.clone()).await.map_err(|error| error.to_string())?;
        let subject = format!("{}.DIRECT.GET.{}", self.api, self.name);
        let asked = self.client.publish_with_reply(subject, inbox, request.to_string().into()).await;
        asked.map_err(|error| error.to_string())?;
        Ok(Batch { answers, before: 0 })
    }
}

impl Batch {
    /// The next message; `None` at the end.
    ///
    /// # Errors
    /// The server does not answer, or a message was lost on the way.
    pub async fn next(&mut self) -> Result<Option<StreamMessage>, String> {
        let answer = tokio::time::timeout(PATIENCE, self.answers.next()).await;
        let answer = answer.map_err(|_| "the stream does not answer")?.ok_or("the connection is closed")?;
        match answer.status {
            None | Some(StatusCode::OK) => {}
            Some(StatusCode::NOT_FOUND) => return Ok(None),
            Some(status) if status.as_u16() == END => {
                return follows(self.before, answer.headers.as_ref()).map(|()| None);
            }
            Some(status) => return Err(answer.description.unwrap_or_else(|| status.to_string())),
        }
        follows(self.before, answer.headers.as_ref())?;
        let message = StreamMessage::try_from(answer).map_err(|error| error.to_string())?;
        self.before = message.sequence;
        Ok(Some(message))
    }
}

/// Each message of a batch, and its end, says which one was before.
fn follows(before: u64, headers: Option<&HeaderMap>) -> Result<(), String> {
    // The server's own header is the last one; whoever published the message may have written others.
    let said = headers.and_then(|headers| headers.get_last(BEFORE)).and_then(|said| said.as_str().parse::<u64>().ok());
    match said == Some(before) {
        true => Ok(()),
        false => Err(format!("a message after {before} was lost on its way")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_is_missing_is_noticed() {
        let headers = |before: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(BEFORE, before);
            headers
        };
        assert!(follows(0, Some(&headers("0"))).is_ok() && follows(7, Some(&headers("7"))).is_ok());
        let mut forged = headers("9");
        forged.append(BEFORE, "7");
        assert!(follows(7, Some(&forged)).is_ok(), "what the server says counts");
        for (before, said) in [(7, Some(headers("9"))), (7, Some(headers("x"))), (7, None)] {
            assert!(follows(before, said.as_ref()).is_err(), "{said:?}");
        }
    }
}
