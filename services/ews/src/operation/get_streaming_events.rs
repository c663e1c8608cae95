//! GetStreamingEvents: a hanging connection on which events of many subscriptions arrive (MS-OXWSNTIF).

use crate::{
    Operation,
    response::{self, ItemError, ReadError, ResponseError},
    xml::{Element, Namespace, Reader, Writer, XmlError},
};

/// The most subscriptions of one connection.
pub const SUBSCRIPTIONS: usize = 200;
/// The longest life of a connection, in minutes.
pub const MINUTES: u8 = 30;

/// Asks for the events of subscriptions until the connection's time is over.
#[derive(Clone, Debug)]
pub struct GetStreamingEvents {
    /// The subscriptions, at most 200.
    pub subscriptions: Vec<String>,
    /// How long the server keeps the connection, in minutes: 1 to 30.
    pub minutes: u8,
}

/// What one envelope of the stream says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamMessage {
    /// Something happened.
    Notifications(Vec<Notification>),
    /// Nothing happened; the connection lives.
    Alive,
    /// Its time is over: to be opened anew. The subscriptions live on.
    Closed,
    /// It does not go on like this.
    Failed(StreamFailure),
}

/// Events of one subscription.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notification {
    /// The subscription.
    pub subscription: String,
    /// The local names of the events' elements, such as `NewMailEvent`. What happened to which item is not read: a notification only
    /// says look.
    pub events: Vec<String>,
}

/// Why a stream ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamFailure {
    /// The server's error.
    pub error: ResponseError,
    /// The subscriptions that it is about; empty where it is about the connection.
    pub subscriptions: Vec<String>,
}

impl Operation for GetStreamingEvents {
    const NAME: &'static str = "GetStreamingEvents";
    /// What one envelope says; the stream has many.
    type Response = Vec<StreamMessage>;

    fn write(&self, writer: &mut Writer) {
        writer.element("m:GetStreamingEvents", &[], |writer| {
            writer.element("m:SubscriptionIds", &[], |writer| {
                let some = self.subscriptions.iter().take(SUBSCRIPTIONS);
                some.for_each(|id| writer.text("t:SubscriptionId", id));
            });
            writer.text("m:ConnectionTimeout", &self.minutes.clamp(1, MINUTES).to_string());
        });
    }

    fn read(&self, reader: &mut Reader<'_>, response: &Element<'_>) -> Result<Self::Response, ReadError> {
        // Kept beside the messages: the common reader drops what comes with an error.
        let mut concerned = Vec::new();
        let answers = response::messages(reader, response, Self::NAME, |part: &mut Part, reader, element| {
            match element.key() {
                (Namespace::Messages, "Notifications") => reader.children(|reader, element| {
                    // Its namespace is another one in the schema than on the wire.
                    if element.name() == "Notification" {
                        part.notifications.push(Notification::read(reader)?);
                    }
                    Ok(())
                })?,
                (Namespace::Messages, "ConnectionStatus") => reader.text()?.trim().clone_into(&mut part.status),
                (Namespace::Messages, "ErrorSubscriptionIds") => reader.children(|reader, element| {
                    if element.name() == "SubscriptionId" {
                        concerned.push(reader.text()?.trim().to_owned());
                    }
                    Ok(())
                })?,
                _ => {}
            }
            Ok(())
        })?;
        if answers.is_empty() {
            return Err(XmlError::Unexpected("an envelope of events without a message".to_owned()).into());
        }
        let message = |answer| match answer {
            Ok(part) => Ok(Part::message(part)),
            Err(ItemError::Response(error)) => {
                Ok(StreamMessage::Failed(StreamFailure { error, subscriptions: std::mem::take(&mut concerned) }))
            }
            Err(error) => Err(XmlError::Unexpected(error.to_string()).into()),
        };
        answers.into_iter().map(message).collect()
    }
}

#[derive(Default)]
struct Part {
    notifications: Vec<Notification>,
    status: String,
}

impl Part {
    fn message(self) -> StreamMessage {
        match self {
            Self { status, .. } if status == "Closed" => StreamMessage::Closed,
            Self { notifications, .. } if notifications.is_empty() => StreamMessage::Alive,
            Self { notifications, .. } => StreamMessage::Notifications(notifications),
        }
    }
}

impl Notification {
    fn read(reader: &mut Reader<'_>) -> Result<Self, XmlError> {
        let mut notification = Self::default();
        reader.children(|reader, part| {
            match part.name() {
                "SubscriptionId" => reader.text()?.trim().clone_into(&mut notification.subscription),
                event if event.ends_with("Event") => notification.events.push(event.to_owned()),
                _ => {}
            }
            Ok(())
        })?;
        Ok(notification)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Identity, Known, RequestServerVersion, operation::answer, reference, request};

    fn events() -> GetStreamingEvents {
        GetStreamingEvents { subscriptions: vec!["a".to_owned(), "b".to_owned()], minutes: 90 }
    }

    #[test]
    fn it_keeps_to_the_limits() {
        let text = request(&events(), RequestServerVersion::default(), &Identity::Own);
        let ids = "<t:SubscriptionId>a</t:SubscriptionId><t:SubscriptionId>b</t:SubscriptionId>";
        let wanted =
            format!("<m:SubscriptionIds>{ids}</m:SubscriptionIds><m:ConnectionTimeout>30</m:ConnectionTimeout>");
        assert!(text.contains(&wanted), "{text}");
        let many = GetStreamingEvents { subscriptions: vec!["x".to_owned(); 300], minutes: 1 };
        let text = request(&many, RequestServerVersion::default(), &Identity::Own);
        assert_eq!(text.matches("<t:SubscriptionId>").count(), 200);
    }

    #[test]
    fn notifications_are_read_in_both_namespaces() {
        for name in ["113-getstreamingevents-one-envelope.resp.xml", "113b-getstreamingevents-schema-form.resp.xml"] {
            let Some(sample) = reference::sample(name) else { return };
            let messages = answer(&events(), &sample).unwrap().unwrap();
            let [StreamMessage::Notifications(notifications)] = messages.as_slice() else { panic!("{messages:?}") };
            assert!(notifications[0].subscription.starts_with("JgBl"));
            assert!(notifications[0].events.iter().any(|event| event == "NewMailEvent"), "{notifications:?}");
        }
    }

    #[test]
    fn errors_name_their_subscriptions_or_the_connection() {
        for (name, code, concerned) in [
            ("114-getstreamingevents-error.resp.xml", Known::ErrorSubscriptionNotFound, 1),
            ("115-getstreamingevents-hanging-limit.resp.xml", Known::ErrorExceededConnectionCount, 0),
        ] {
            let Some(sample) = reference::sample(name) else { return };
            let messages = answer(&events(), &sample).unwrap().unwrap();
            let [StreamMessage::Failed(failure)] = messages.as_slice() else { panic!("{messages:?}") };
            assert_eq!((&failure.error.code, failure.subscriptions.len()), (&code.into(), concerned));
        }
    }
}
