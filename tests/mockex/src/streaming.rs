//! The hanging connection of GetStreamingEvents (MS-OXWSNTIF): envelopes one after the other for as long as it was asked for.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::time::Instant;

use crate::fault::FaultKind;
use crate::operations::{Call, Disturbance};
use crate::options::ServerVersion;
use crate::soap::fault::message_text;
use crate::soap::{Element, Xml, envelope};
use crate::store::feed::Signal;
use crate::subscription::{Hanging, Subscriptions};

/// The most subscriptions of one connection.
const MOST: usize = 200;
const MESSAGES: &str = "http://schemas.microsoft.com/exchange/services/2006/messages";
const TYPES: &str = "http://schemas.microsoft.com/exchange/services/2006/types";

/// The body of the answer, as it comes.
pub type Body = mpsc::Receiver<std::io::Result<Bytes>>;

/// A connection that hangs.
struct Stream {
    version: ServerVersion,
    subscriptions: Arc<Subscriptions>,
    hanging: Hanging,
    signals: UnboundedReceiver<Signal>,
    out: mpsc::Sender<std::io::Result<Bytes>>,
    fault: Option<FaultKind>,
    /// Envelopes with events so far.
    told: u32,
}

/// What ends a stream before its time.
enum End {
    /// The reader is gone.
    Left,
    /// The connection breaks.
    Broken,
    /// Nothing more is said.
    Done,
}

/// Begins to answer.
pub fn begin(call: &Call<'_>, operation: &Element, version: ServerVersion, fault: Option<FaultKind>) -> Body {
    let (out, body) = mpsc::channel(64);
    let ids: Vec<&str> = operation
        .child("SubscriptionIds")
        .map(|ids| ids.children.iter().map(|id| id.text.trim()).collect())
        .unwrap_or_default();
    let minutes = operation.child_text("ConnectionTimeout").and_then(|text| text.parse().ok()).unwrap_or(1);
    let last = |content: &str| {
        // There is room for one: the channel is new.
        drop(out.try_send(Ok(envelope_of(version, content))));
    };
    if let Some(Disturbance::FirstError { code, .. }) = &call.disturbance {
        last(&failure(code, &[], None));
        return body;
    }
    if ids.len() > MOST {
        last(&failure("ErrorInvalidSubscriptionRequest", &[], None));
        return body;
    }
    let found: Vec<_> = ids.iter().map(|id| (*id, call.subscriptions.find(call.back_end, call.caller, id))).collect();
    if let Some(code) = found.iter().find_map(|(_, found)| found.as_ref().err()) {
        let concerned: Vec<&str> =
            found.iter().filter(|(_, found)| found.as_ref().err() == Some(code)).map(|(id, _)| *id).collect();
        last(&failure(code, &concerned, None));
        return body;
    }
    let feeds: Vec<_> = found.into_iter().filter_map(|(_, found)| found.ok()).collect();
    let (sender, signals) = mpsc::unbounded_channel();
    let charged = call.account.map_or("", |account| account.address.as_str());
    let limit = call.subscriptions.options.hanging_limit.unwrap_or_else(|| version.hanging_limit());
    let Some(hanging) = call.subscriptions.hang(charged, limit, &feeds, &sender) else {
        last(&failure("ErrorExceededConnectionCount", &[], Some(limit)));
        return body;
    };
    let subscriptions = Arc::clone(call.subscriptions);
    let stream = Stream { version, subscriptions, hanging, signals, out, fault, told: 0 };
    tokio::spawn(stream.run(minutes));
    body
}

// === impl Stream ===

impl Stream {
    async fn run(mut self, minutes: u32) {
        let options = self.subscriptions.options.clone();
        let heartbeat = Duration::from_millis(options.heartbeat_ms);
        let closing = Instant::now() + options.minute() * minutes;
        let end = self.speak(heartbeat, closing).await;
        if matches!(end, Err(End::Broken)) {
            let reset = std::io::Error::new(std::io::ErrorKind::ConnectionReset, "cut by a fault");
            drop(self.out.send(Err(reset)).await);
        }
        drop(self.hanging);
    }

    async fn speak(&mut self, heartbeat: Duration, closing: Instant) -> Result<(), End> {
        if matches!(self.fault, Some(FaultKind::GarbageStream)) {
            self.write(Bytes::from_static(b"<html><body>Bad gateway</body></html></Envelope>")).await?;
        }
        self.say(&status("OK")).await?;
        let mut next = Instant::now() + heartbeat;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(closing) => return self.say(&status("Closed")).await,
                () = tokio::time::sleep_until(next) => {
                    self.say(&status("OK")).await?;
                    next = Instant::now() + heartbeat;
                }
                () = self.out.closed() => return Err(End::Left),
                signal = self.signals.recv() => {
                    let Some(signal) = signal else { return Err(End::Left) };
                    self.hear(signal).await?;
                    next = Instant::now() + heartbeat;
                }
            }
        }
    }

    async fn hear(&mut self, first: Signal) -> Result<(), End> {
        if let Some(FaultKind::SlowStream { milliseconds }) = self.fault {
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        }
        let mut events: Vec<(String, String)> = Vec::new();
        let mut signal = Some(first);
        while let Some(heard) = signal {
            match heard {
                Signal::Event { subscription, xml } => match events.iter_mut().find(|(id, _)| *id == subscription) {
                    Some((_, known)) => known.push_str(&xml),
                    None => events.push((subscription, xml)),
                },
                Signal::Forgotten(id) => {
                    self.say(&failure("ErrorSubscriptionNotFound", &[&id], None)).await?;
                }
                Signal::TakenOver(id) => {
                    self.say(&failure("ErrorNewEventStreamConnectionOpened", &[&id], None)).await?;
                    return Err(End::Done);
                }
                Signal::Cut => return Err(End::Broken),
            }
            signal = self.signals.try_recv().ok();
        }
        if events.is_empty() {
            return Ok(());
        }
        if let Some(FaultKind::CutStream { after }) = self.fault
            && self.told >= after
        {
            return Err(End::Broken);
        }
        self.told += 1;
        self.say(&notifications(&events)).await
    }

    async fn say(&self, content: &str) -> Result<(), End> {
        if matches!(self.fault, Some(FaultKind::BufferedStream)) {
            return Ok(());
        }
        let envelope = envelope_of(self.version, content);
        if matches!(self.fault, Some(FaultKind::SingleBytes)) {
            for index in 0..envelope.len() {
                self.write(envelope.slice(index..=index)).await?;
            }
            return Ok(());
        }
        self.write(envelope).await
    }

    async fn write(&self, bytes: Bytes) -> Result<(), End> {
        self.out.send(Ok(bytes)).await.map_err(|_| End::Left)
    }
}

fn envelope_of(version: ServerVersion, content: &str) -> Bytes {
    let mut xml = Xml::new();
    xml.open_with("m:GetStreamingEventsResponse", &[("xmlns:m", MESSAGES), ("xmlns:t", TYPES)]);
    xml.open("m:ResponseMessages");
    xml.raw(content);
    xml.close("m:ResponseMessages");
    xml.close("m:GetStreamingEventsResponse");
    Bytes::from(envelope::answer(Some(version), &xml.into_string()))
}

fn success(content: impl FnOnce(&mut Xml)) -> String {
    let mut xml = Xml::new();
    xml.open_with("m:GetStreamingEventsResponseMessage", &[("ResponseClass", "Success")]);
    xml.text("m:ResponseCode", "NoError");
    content(&mut xml);
    xml.close("m:GetStreamingEventsResponseMessage");
    xml.into_string()
}

fn status(status: &str) -> String {
    success(|xml| xml.text("m:ConnectionStatus", status))
}

fn notifications(events: &[(String, String)]) -> String {
    success(|xml| {
        xml.open("m:Notifications");
        for (subscription, events) in events {
            xml.open("m:Notification");
            xml.text("t:SubscriptionId", subscription);
            xml.raw(events);
            xml.close("m:Notification");
        }
        xml.close("m:Notifications");
    })
}

fn failure(code: &str, subscriptions: &[&str], limit: Option<usize>) -> String {
    let mut xml = Xml::new();
    xml.open_with("m:GetStreamingEventsResponseMessage", &[("ResponseClass", "Error")]);
    xml.text("m:MessageText", message_text(code));
    xml.text("m:ResponseCode", code);
    xml.text("m:DescriptiveLinkKey", "0");
    if let Some(limit) = limit {
        xml.open("m:MessageXml");
        xml.text_with("t:Value", &[("Name", "Policy")], "MaxStreamingConcurrency");
        xml.text_with("t:Value", &[("Name", "MaxConcurrencyLimit")], &limit.to_string());
        xml.close("m:MessageXml");
    }
    if !subscriptions.is_empty() {
        xml.open("m:ErrorSubscriptionIds");
        subscriptions.iter().for_each(|id| xml.text("m:SubscriptionId", id));
        xml.close("m:ErrorSubscriptionIds");
    }
    xml.close("m:GetStreamingEventsResponseMessage");
    xml.into_string()
}
