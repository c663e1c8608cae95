//! Subscribe and Unsubscribe: notifications of one mailbox (MS-OXWSNTIF; streaming from Exchange 2010 SP1 on).

use crate::{
    FolderRef, Operation,
    response::{self, ReadError},
    xml::{Element, Namespace, Reader, Writer, XmlError},
};

/// What a subscription tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventType {
    /// Mail was delivered.
    NewMail,
    /// Something was made.
    Created,
    /// Something was deleted.
    Deleted,
    /// Something was changed.
    Modified,
    /// Something was moved.
    Moved,
    /// Something was copied.
    Copied,
}

impl EventType {
    /// What says that there may be something to synchronize.
    pub const CHANGES: [Self; 5] = [Self::NewMail, Self::Created, Self::Modified, Self::Moved, Self::Copied];

    const fn name(self) -> &'static str {
        match self {
            Self::NewMail => "NewMailEvent",
            Self::Created => "CreatedEvent",
            Self::Deleted => "DeletedEvent",
            Self::Modified => "ModifiedEvent",
            Self::Moved => "MovedEvent",
            Self::Copied => "CopiedEvent",
        }
    }
}

/// Asks for streaming notifications; the answer is the subscription's id, which has no watermark.
#[derive(Clone, Debug)]
pub struct Subscribe {
    /// Folders of one mailbox; empty for all of them.
    pub folders: Vec<FolderRef>,
    /// What is told.
    pub events: Vec<EventType>,
}

impl Operation for Subscribe {
    const NAME: &'static str = "Subscribe";
    const IS_SHORT: bool = true;
    type Response = String;

    fn write(&self, writer: &mut Writer) {
        let all: &[(&str, &str)] = &[("SubscribeToAllFolders", "true")];
        let attributes = if self.folders.is_empty() { all } else { &[] };
        writer.element("m:Subscribe", &[], |writer| {
            writer.element("m:StreamingSubscriptionRequest", attributes, |writer| {
                if !self.folders.is_empty() {
                    let write = |writer: &mut Writer| self.folders.iter().for_each(|folder| folder.write(writer));
                    writer.element("t:FolderIds", &[], write);
                }
                writer.element("t:EventTypes", &[], |writer| {
                    self.events.iter().for_each(|event| writer.text("t:EventType", event.name()));
                });
            });
        });
    }

    fn read(&self, reader: &mut Reader<'_>, response: &Element<'_>) -> Result<String, ReadError> {
        let answers = response::messages(reader, response, Self::NAME, |id: &mut String, reader, part| {
            if part.key() == (Namespace::Messages, "SubscriptionId") {
                reader.text()?.trim().clone_into(id);
            }
            Ok(())
        })?;
        let id = response::single(answers)?;
        if id.is_empty() {
            return Err(XmlError::Unexpected("a subscription without an id".to_owned()).into());
        }
        Ok(id)
    }
}

/// Ends a subscription.
#[derive(Clone, Debug)]
pub struct Unsubscribe {
    /// Its id.
    pub id: String,
}

impl Operation for Unsubscribe {
    const NAME: &'static str = "Unsubscribe";
    type Response = ();

    fn write(&self, writer: &mut Writer) {
        writer.element("m:Unsubscribe", &[], |writer| writer.text("m:SubscriptionId", &self.id));
    }

    fn read(&self, reader: &mut Reader<'_>, response: &Element<'_>) -> Result<(), ReadError> {
        response::single(response::messages(reader, response, Self::NAME, |(): &mut (), _, _| Ok(()))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Identity, RequestServerVersion, operation::answer, reference, request};

    fn text(folders: Vec<FolderRef>) -> String {
        let events = vec![EventType::NewMail, EventType::Created];
        request(&Subscribe { folders, events }, RequestServerVersion::default(), &Identity::Own)
    }

    #[test]
    fn it_names_folders_or_asks_for_all() {
        let events = "<t:EventTypes><t:EventType>NewMailEvent</t:EventType><t:EventType>CreatedEvent</t:EventType></t:EventTypes>";
        let folders = "<t:FolderIds><t:DistinguishedFolderId Id=\"inbox\"/></t:FolderIds>";
        let end = "</m:StreamingSubscriptionRequest></m:Subscribe>";
        let some = format!("<m:Subscribe><m:StreamingSubscriptionRequest>{folders}{events}{end}");
        assert!(text(vec![FolderRef::INBOX]).contains(&some));
        let all = format!("<m:StreamingSubscriptionRequest SubscribeToAllFolders=\"true\">{events}{end}");
        assert!(text(Vec::new()).contains(&all));
    }

    #[test]
    fn the_answer_is_an_id() {
        let Some(sample) = reference::sample("110-subscribe-streaming.resp.xml") else { return };
        let subscribe = Subscribe { folders: Vec::new(), events: Vec::new() };
        let id = answer(&subscribe, &sample).unwrap().unwrap();
        assert!(id.starts_with("JgBlhwX/") && id.ends_with("AAg="), "{id}");
    }
}
