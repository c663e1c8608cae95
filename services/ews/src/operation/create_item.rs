//! CreateItem: a draft of a message (MS-OXWSCORE, CreateItem).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;

use crate::{
    Body, FolderRef, Item, ItemError, ItemId, Operation, Party,
    response::{self, ReadError},
    shape::ExtendedField,
    xml::{Element, Namespace, Reader, Writer},
};

/// What happens to a message that is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// It stays as a draft; the only one that answers with its id.
    SaveOnly,
    /// It is sent.
    SendOnly,
    /// It is sent, and a copy kept.
    SendAndSaveCopy,
}

/// A message to be made.
#[derive(Clone, Debug, Default)]
pub struct NewMessage {
    /// The message as MIME; what is given besides overrides it.
    pub mime: Option<Bytes>,
    /// The subject.
    pub subject: Option<String>,
    /// The body, instead of that of the MIME.
    pub body: Option<Body>,
    /// Categories.
    pub categories: Vec<String>,
    /// MAPI properties with their texts.
    pub extended: Vec<(ExtendedField, String)>,
    /// Recipients; the MIME's if none.
    pub to: Vec<Party>,
    /// Recipients of copies; the MIME's if none.
    pub cc: Vec<Party>,
    /// Recipients of blind copies; MIME does not carry them.
    pub bcc: Vec<Party>,
    /// The author, where that is not the mailbox: needs Send As or Send on behalf.
    pub from: Option<Party>,
    /// Whether it is read; an unread draft becomes an unread copy in Sent Items.
    pub is_read: Option<bool>,
}

/// Makes one message.
#[derive(Clone, Debug)]
pub struct CreateItem {
    /// The message.
    pub message: NewMessage,
    /// What happens to it.
    pub disposition: Disposition,
    /// Where it is kept; none leaves it to the server: Drafts, or Sent Items.
    pub folder: Option<FolderRef>,
}

impl Disposition {
    const fn name(self) -> &'static str {
        match self {
            Self::SaveOnly => "SaveOnly",
            Self::SendOnly => "SendOnly",
            Self::SendAndSaveCopy => "SendAndSaveCopy",
        }
    }
}

impl Operation for CreateItem {
    const NAME: &'static str = "CreateItem";
    /// Its id; none where it was sent.
    type Response = Result<Option<ItemId>, ItemError>;

    fn write(&self, writer: &mut Writer) {
        writer.element("m:CreateItem", &[("MessageDisposition", self.disposition.name())], |writer| {
            if let Some(folder) = &self.folder {
                writer.element("m:SavedItemFolderId", &[], |writer| folder.write(writer));
            }
            writer.element("m:Items", &[], |writer| {
                writer.element("t:Message", &[], |writer| self.message.write(writer));
            });
        });
    }

    fn read(&self, reader: &mut Reader<'_>, response: &Element<'_>) -> Result<Self::Response, ReadError> {
        let answers =
            response::messages(reader, response, Self::NAME, |items: &mut Vec<Item>, reader, part| match part.key() {
                (Namespace::Messages, "Items") => Item::read_list(reader, items),
                _ => Ok(()),
            })?;
        let id = |items: Vec<Item>| items.into_iter().find_map(|item| item.id);
        let mut made = response::pair(answers.into_iter().map(|answer| answer.map(id)).collect(), 1);
        Ok(made.pop().unwrap_or(Err(ItemError::Missing)))
    }
}

impl NewMessage {
    /// In the order of the schema: what items have, then what messages have.
    fn write(&self, writer: &mut Writer) {
        if let Some(mime) = &self.mime {
            writer
                .element("t:MimeContent", &[("CharacterSet", "UTF-8")], |writer| writer.value(&STANDARD.encode(mime)));
        }
        if let Some(subject) = &self.subject {
            writer.text("t:Subject", subject);
        }
        if let Some(body) = &self.body {
            let kind = if body.is_html { "HTML" } else { "Text" };
            writer.element("t:Body", &[("BodyType", kind)], |writer| writer.value(&body.text));
        }
        if !self.categories.is_empty() {
            writer.element("t:Categories", &[], |writer| {
                self.categories.iter().for_each(|category| writer.text("t:String", category));
            });
        }
        for (field, value) in &self.extended {
            writer.element("t:ExtendedProperty", &[], |writer| {
                field.write(writer);
                writer.text("t:Value", value);
            });
        }
        let parties = |writer: &mut Writer, name: &str, parties: &[Party]| {
            if !parties.is_empty() {
                writer.element(name, &[], |writer| parties.iter().for_each(|party| party.write(writer)));
            }
        };
        parties(writer, "t:ToRecipients", &self.to);
        parties(writer, "t:CcRecipients", &self.cc);
        parties(writer, "t:BccRecipients", &self.bcc);
        parties(writer, "t:From", self.from.as_slice());
        if let Some(is_read) = self.is_read {
            writer.text("t:IsRead", if is_read { "true" } else { "false" });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Class, Distinguished, Identity, RequestServerVersion, operation::answer, reference, request};

    fn draft() -> CreateItem {
        let party = |address: &str| Party { address: Some(address.to_owned()), ..Party::default() };
        let message = NewMessage {
            mime: Some(Bytes::from_static(b"Subject: a\r\n\r\nb")),
            subject: Some("a & b".to_owned()),
            body: Some(Body { is_html: true, text: "<p>b</p>".to_owned() }),
            categories: vec!["Red".to_owned()],
            extended: vec![
                (ExtendedField::Named { name: "id".to_owned(), kind: "String" }, "7".to_owned()),
                (ExtendedField::Tag { tag: 0x1035, kind: "String" }, "<1@x.example>".to_owned()),
            ],
            to: vec![party("a@x.example")],
            cc: vec![party("b@x.example")],
            bcc: vec![party("c@x.example")],
            from: Some(party("d@x.example")),
            is_read: Some(true),
        };
        let folder = Some(FolderRef::Distinguished(Distinguished::Drafts));
        CreateItem { message, disposition: Disposition::SaveOnly, folder }
    }

    #[test]
    fn the_schemas_order_is_kept() {
        let text = request(&draft(), RequestServerVersion::default(), &Identity::Own);
        let parts = [
            "<m:CreateItem MessageDisposition=\"SaveOnly\"",
            "<m:SavedItemFolderId><t:DistinguishedFolderId Id=\"drafts\"",
            "<t:MimeContent CharacterSet=\"UTF-8\">U3ViamVjdDogYQ0KDQpi<",
            "<t:Subject>a &amp; b<",
            "<t:Body BodyType=\"HTML\">&lt;p&gt;b&lt;/p&gt;<",
            "<t:Categories><t:String>Red<",
            "PropertyName=\"id\"",
            "<t:Value>7<",
            "PropertyTag=\"0x1035\"",
            "<t:ToRecipients><t:Mailbox><t:EmailAddress>a@x.example<",
            "<t:CcRecipients>",
            "<t:BccRecipients>",
            "<t:From><t:Mailbox>",
            "<t:IsRead>true<",
        ];
        let places: Vec<_> =
            parts.iter().map(|part| text.find(part).unwrap_or_else(|| panic!("{part}: {text}"))).collect();
        assert!(places.is_sorted(), "{text}");
    }

    #[test]
    fn reads_the_drafts_id() {
        let Some(text) = reference::sample("060-createitem-draft.resp.xml") else { return };
        let id = answer(&draft(), &text).unwrap().unwrap().unwrap().unwrap();
        assert!(id.id.starts_with("AAMkAGQzuoPZ") && id.change_key.is_some());
    }

    #[test]
    fn reads_refusals() {
        for (name, class) in
            [("065-createitem-sendas-denied.resp.xml", Class::Auth), ("068-createitem-quota.resp.xml", Class::Quota)]
        {
            let Some(text) = reference::sample(name) else { return };
            assert_eq!(answer(&draft(), &text).unwrap().unwrap().unwrap_err().class(), class, "{name}");
        }
    }
}
