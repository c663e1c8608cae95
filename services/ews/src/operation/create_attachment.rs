//! CreateAttachment: a file for a draft (MS-OXWSATT, CreateAttachment). One in a request, so that a large one is a request of its own.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;

use crate::{
    ItemError, ItemId, Operation,
    response::{self, ReadError},
    xml::{Element, Namespace, Reader, Writer, XmlError},
};

/// Adds one file to an item, which gets another change key by it.
#[derive(Clone, Debug)]
pub struct CreateAttachment {
    /// The item, with its newest change key.
    pub parent: ItemId,
    /// The file's name.
    pub name: String,
    /// Its media type.
    pub content_type: String,
    /// The id that an HTML body refers to it by.
    pub content_id: Option<String>,
    /// Whether the body shows it.
    pub is_inline: bool,
    /// Its content.
    pub content: Bytes,
}

impl Operation for CreateAttachment {
    const NAME: &'static str = "CreateAttachment";
    /// The item with its new change key.
    type Response = Result<ItemId, ItemError>;

    fn write(&self, writer: &mut Writer) {
        writer.element("m:CreateAttachment", &[], |writer| {
            let change_key = self.parent.change_key.as_deref();
            let mut attributes = vec![("Id", self.parent.id.as_str())];
            attributes.extend(change_key.map(|key| ("ChangeKey", key)));
            writer.empty("m:ParentItemId", &attributes);
            writer.element("m:Attachments", &[], |writer| {
                writer.element("t:FileAttachment", &[], |writer| {
                    writer.text("t:Name", &self.name);
                    writer.text("t:ContentType", &self.content_type);
                    if let Some(content_id) = &self.content_id {
                        writer.text("t:ContentId", content_id);
                    }
                    if self.is_inline {
                        writer.text("t:IsInline", "true");
                    }
                    writer.text("t:Content", &STANDARD.encode(&self.content));
                });
            });
        });
    }

    fn read(&self, reader: &mut Reader<'_>, response: &Element<'_>) -> Result<Self::Response, ReadError> {
        let answers = response::messages(reader, response, Self::NAME, |root: &mut Option<ItemId>, reader, part| {
            if part.key() != (Namespace::Messages, "Attachments") {
                return Ok(());
            }
            reader.children(|reader, _| {
                reader.children(|_, child| {
                    if child.name() == "AttachmentId" {
                        *root = read_root(child)?;
                    }
                    Ok(())
                })
            })
        })?;
        let answers = answers.into_iter().map(|answer| answer.and_then(|root| root.ok_or(ItemError::Missing)));
        Ok(response::pair(answers.collect(), 1).pop().unwrap_or(Err(ItemError::Missing)))
    }
}

fn read_root(element: &Element<'_>) -> Result<Option<ItemId>, XmlError> {
    let id = element.attribute("RootItemId")?;
    let change_key = element.attribute("RootItemChangeKey")?;
    Ok(id.map(|id| ItemId { id, change_key }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Class, Identity, RequestServerVersion, operation::answer, reference};

    fn request() -> CreateAttachment {
        CreateAttachment {
            parent: ItemId::new("a"),
            name: "a.pdf".to_owned(),
            content_type: "application/pdf".to_owned(),
            content_id: None,
            is_inline: false,
            content: Bytes::from_static(b"%PDF"),
        }
    }

    #[test]
    fn the_schemas_order_is_kept() {
        let parent = ItemId { id: "a".to_owned(), change_key: Some("k".to_owned()) };
        let inline = CreateAttachment { parent, content_id: Some("logo@x".to_owned()), is_inline: true, ..request() };
        let text = crate::request(&inline, RequestServerVersion::default(), &Identity::Own);
        let expected = "<m:CreateAttachment><m:ParentItemId Id=\"a\" ChangeKey=\"k\"/><m:Attachments><t:FileAttachment>\
            <t:Name>a.pdf</t:Name><t:ContentType>application/pdf</t:ContentType><t:ContentId>logo@x</t:ContentId>\
            <t:IsInline>true</t:IsInline><t:Content>JVBERg==</t:Content></t:FileAttachment></m:Attachments></m:CreateAttachment>";
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn reads_the_items_new_change_key() {
        let Some(text) = reference::sample("100-createattachment.resp.xml") else { return };
        let root = answer(&request(), &text).unwrap().unwrap().unwrap();
        assert_eq!(root.change_key.as_deref(), Some("CQAAABYAAACXCbrRfPzG5DOXlXVX7mTVYRj8AAA="));
    }

    #[test]
    fn too_large_is_told() {
        let Some(text) = reference::sample("103-createattachment-too-big.resp.xml") else { return };
        assert_eq!(answer(&request(), &text).unwrap().unwrap().unwrap_err().class(), Class::Quota);
    }
}
