//! What a request asks for: properties, bodies, restrictions.

use crate::xml::Writer;

/// The properties that come without being named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BaseShape {
    /// Ids only: the cheapest.
    IdOnly,
    /// What the type defines as its usual properties.
    Default,
    /// Everything but MIME content.
    AllProperties,
}

/// The form that bodies are asked for in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyType {
    /// As stored.
    Best,
    /// HTML, converted if need be.
    Html,
    /// Plain text, converted if need be.
    Text,
}

/// A property of items or folders, by name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Property {
    /// One of the schema's own, such as `item:Subject` (MS-OXWSCDATA, UnindexedFieldURIType).
    Field(&'static str),
    /// A property of MAPI.
    Extended(ExtendedField),
}

/// How a MAPI property is named (MS-OXWSXPROP).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ExtendedField {
    /// By its tag; below 0x8000 only.
    Tag {
        /// The tag without its type.
        tag: u16,
        /// The type's name, such as `String` or `Binary`.
        kind: &'static str,
    },
    /// By a name in the set `PublicStrings`; each new name uses up a quota of the store for ever.
    Named {
        /// The name.
        name: String,
        /// The type's name.
        kind: &'static str,
    },
}

/// What GetItem, FindItem and SyncFolderItems answer with (MS-OXWSCDATA, ItemResponseShapeType).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemShape {
    /// What comes anyway.
    pub base: BaseShape,
    /// Whether the message comes as MIME; costs the server a conversion.
    pub mime: bool,
    /// The form of bodies; none leaves it to the server.
    pub body: Option<BodyType>,
    /// Further properties.
    pub properties: Vec<Property>,
}

/// What FindFolder and FindItem look for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Restriction {
    /// The property has this value; texts compare without regard to case.
    Equal(Property, String),
    /// The property has this value or a greater one; times as xs:dateTime with a zone.
    AtLeast(Property, String),
    /// The property has a smaller value; times as above.
    Less(Property, String),
    /// All of them hold.
    All(Vec<Self>),
}

// === impl Property ===

impl Property {
    /// The name of a folder.
    pub const FOLDER_NAME: Self = Self::Field("folder:DisplayName");
    /// The class of a folder.
    pub const FOLDER_CLASS: Self = Self::Field("folder:FolderClass");
    /// The class of an item, such as `IPM.Note`.
    pub const ITEM_CLASS: Self = Self::Field("item:ItemClass");
    /// The subject.
    pub const SUBJECT: Self = Self::Field("item:Subject");
    /// When the item was delivered to this mailbox.
    pub const RECEIVED: Self = Self::Field("item:DateTimeReceived");
    /// The size in bytes.
    pub const SIZE: Self = Self::Field("item:Size");
    /// Categories.
    pub const CATEGORIES: Self = Self::Field("item:Categories");
    /// Whether it is an unsent draft.
    pub const IS_DRAFT: Self = Self::Field("item:IsDraft");
    /// The message id of RFC 5322.
    pub const INTERNET_MESSAGE_ID: Self = Self::Field("message:InternetMessageId");
    /// Whether it was read.
    pub const IS_READ: Self = Self::Field("message:IsRead");

    pub(crate) fn write(&self, writer: &mut Writer) {
        match self {
            Self::Field(name) => writer.empty("t:FieldURI", &[("FieldURI", name)]),
            Self::Extended(field) => field.write(writer),
        }
    }
}

impl ExtendedField {
    pub(crate) fn write(&self, writer: &mut Writer) {
        match self {
            Self::Tag { tag, kind } => {
                let tag = format!("0x{tag:04X}");
                writer.empty("t:ExtendedFieldURI", &[("PropertyTag", &tag), ("PropertyType", kind)]);
            }
            Self::Named { name, kind } => writer.empty(
                "t:ExtendedFieldURI",
                &[("DistinguishedPropertySetId", "PublicStrings"), ("PropertyName", name), ("PropertyType", kind)],
            ),
        }
    }
}

// === impl ItemShape ===

impl ItemShape {
    /// Ids only.
    #[must_use]
    pub fn ids() -> Self {
        Self { base: BaseShape::IdOnly, mime: false, body: None, properties: Vec::new() }
    }

    /// What a listing is judged by: class, message id, time of arrival and categories.
    #[must_use]
    pub fn arrivals() -> Self {
        Self {
            properties: vec![
                Property::ITEM_CLASS,
                Property::INTERNET_MESSAGE_ID,
                Property::RECEIVED,
                Property::CATEGORIES,
            ],
            ..Self::ids()
        }
    }

    /// Whether an item is an unsent draft.
    #[must_use]
    pub fn draft() -> Self {
        Self { properties: vec![Property::IS_DRAFT], ..Self::ids() }
    }

    /// The categories of an item.
    #[must_use]
    pub fn categories() -> Self {
        Self { properties: vec![Property::CATEGORIES], ..Self::ids() }
    }

    /// A message as MIME, with what Exchange knows of it besides. Everything else stands in the MIME, and a body that is asked for as
    /// well is made, sent and read a second time.
    #[must_use]
    pub fn original() -> Self {
        Self {
            mime: true,
            properties: vec![
                Property::SUBJECT,
                Property::RECEIVED,
                Property::CATEGORIES,
                Property::INTERNET_MESSAGE_ID,
            ],
            ..Self::ids()
        }
    }

    /// A message with all that there is to know about it, its MIME content included.
    #[must_use]
    pub fn message() -> Self {
        Self { mime: true, ..Self::message_without_mime() }
    }

    /// The same without MIME content: for messages that the server fails to convert.
    #[must_use]
    pub fn message_without_mime() -> Self {
        let fields = [
            "item:ParentFolderId",
            "item:ItemClass",
            "item:Subject",
            "item:Sensitivity",
            "item:Body",
            "item:Attachments",
            "item:DateTimeReceived",
            "item:Size",
            "item:Categories",
            "item:Importance",
            "item:InReplyTo",
            "item:IsDraft",
            "item:InternetMessageHeaders",
            "item:DateTimeSent",
            "item:DateTimeCreated",
            "item:HasAttachments",
            "item:LastModifiedTime",
            "item:ConversationId",
            "message:Sender",
            "message:ToRecipients",
            "message:CcRecipients",
            "message:BccRecipients",
            "message:ConversationIndex",
            "message:ConversationTopic",
            "message:From",
            "message:InternetMessageId",
            "message:IsRead",
            "message:References",
            "message:ReplyTo",
        ];
        Self { properties: fields.into_iter().map(Property::Field).collect(), ..Self::ids() }
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.element("m:ItemShape", &[], |writer| {
            writer.text("t:BaseShape", self.base.as_str());
            if self.mime {
                writer.text("t:IncludeMimeContent", "true");
            }
            if let Some(body) = self.body {
                writer.text("t:BodyType", body.as_str());
            }
            write_properties(writer, &self.properties);
        });
    }
}

impl BaseShape {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::IdOnly => "IdOnly",
            Self::Default => "Default",
            Self::AllProperties => "AllProperties",
        }
    }
}

impl BodyType {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Best => "Best",
            Self::Html => "HTML",
            Self::Text => "Text",
        }
    }
}

/// Writes `t:AdditionalProperties`, unless there are none: an empty list is refused.
pub(crate) fn write_properties(writer: &mut Writer, properties: &[Property]) {
    if properties.is_empty() {
        return;
    }
    writer
        .element("t:AdditionalProperties", &[], |writer| properties.iter().for_each(|property| property.write(writer)));
}

// === impl Restriction ===

impl Restriction {
    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.element("m:Restriction", &[], |writer| self.write_expression(writer));
    }

    fn write_expression(&self, writer: &mut Writer) {
        match self {
            Self::Equal(property, value) => comparison(writer, "t:IsEqualTo", property, value),
            Self::AtLeast(property, value) => comparison(writer, "t:IsGreaterThanOrEqualTo", property, value),
            Self::Less(property, value) => comparison(writer, "t:IsLessThan", property, value),
            Self::All(parts) => match parts.as_slice() {
                // And needs two parts.
                [one] => one.write_expression(writer),
                parts => {
                    writer.element("t:And", &[], |writer| parts.iter().for_each(|part| part.write_expression(writer)))
                }
            },
        }
    }
}

fn comparison(writer: &mut Writer, name: &str, property: &Property, value: &str) {
    writer.element(name, &[], |writer| {
        property.write(writer);
        writer.element("t:FieldURIOrConstant", &[], |writer| writer.empty("t:Constant", &[("Value", value)]));
    });
}
