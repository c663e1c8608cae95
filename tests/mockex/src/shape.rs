//! What a request wants to see of items and folders, and how that is written: always in the schema's order.

pub mod extended;
pub mod folder;
mod item;
mod value;

pub use folder::folder;
pub use item::{View, attached_item, item, item_id};
pub use value::{Kind, Value, kind_of, value_of};

use self::extended::Path as ExtendedPath;
use crate::schema::Level;
use crate::soap::{Element, Xml};

/// A property, by the path a request names it by.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Path {
    /// `FieldURI`, e.g. `item:Subject`.
    Field(String),
    /// `IndexedFieldURI`; only contacts and headers have such.
    Indexed(String, String),
    /// `ExtendedFieldURI`.
    Extended(ExtendedPath),
}

/// `BaseShape`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Base {
    IdOnly,
    Default,
    AllProperties,
}

/// `BodyType`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BodyType {
    Best,
    Html,
    Text,
}

/// An `ItemShape`, `FolderShape` or `AttachmentShape`.
#[derive(Clone, Debug)]
pub struct Shape {
    /// The schema that the answer is written in.
    pub level: Level,
    pub base: Base,
    pub mime: bool,
    pub body: BodyType,
    pub additional: Vec<Path>,
}

// === impl Path ===

impl Path {
    /// Reads one of the three kinds of path.
    pub fn read(element: &Element) -> Option<Self> {
        match element.name.as_str() {
            "FieldURI" => element.attribute("FieldURI").map(|uri| Self::Field(uri.to_owned())),
            "IndexedFieldURI" => {
                let (uri, index) = (element.attribute("FieldURI")?, element.attribute("FieldIndex")?);
                Some(Self::Indexed(uri.to_owned(), index.to_owned()))
            }
            "ExtendedFieldURI" => Some(Self::Extended(ExtendedPath::read(element))),
            _ => None,
        }
    }

    /// The first path among the children of an element.
    pub fn within(element: &Element) -> Option<Self> {
        element.children.iter().find_map(Self::read)
    }

    /// Whether the path can name a property at all; the schema does not tell for extended ones.
    pub fn is_valid(&self) -> bool {
        match self {
            Self::Extended(path) => path.is_valid(),
            Self::Field(_) | Self::Indexed(..) => true,
        }
    }

    /// Writes the path, as errors name the property at fault.
    pub fn write(&self, xml: &mut Xml) {
        match self {
            Self::Field(uri) => xml.empty("t:FieldURI", &[("FieldURI", uri)]),
            Self::Indexed(uri, index) => {
                xml.empty("t:IndexedFieldURI", &[("FieldURI", uri), ("FieldIndex", index)]);
            }
            Self::Extended(path) => path.write_path(xml),
        }
    }
}

// === impl Shape ===

impl Shape {
    /// Only the ids.
    pub const fn ids(level: Level) -> Self {
        Self { level, base: Base::IdOnly, mime: false, body: BodyType::Best, additional: Vec::new() }
    }

    /// Reads a shape; an absent one asks for ids only.
    pub fn read(element: Option<&Element>, level: Level) -> Self {
        let Some(element) = element else { return Self::ids(level) };
        let base = match element.child_text("BaseShape") {
            Some("AllProperties") => Base::AllProperties,
            Some("Default") => Base::Default,
            _ => Base::IdOnly,
        };
        let body = match element.child_text("BodyType") {
            Some("HTML") => BodyType::Html,
            Some("Text") => BodyType::Text,
            _ => BodyType::Best,
        };
        let additional = element.child("AdditionalProperties").map(|list| &list.children);
        let additional: Vec<Path> = additional.into_iter().flatten().filter_map(Path::read).collect();
        let mime = element.child_is_true("IncludeMimeContent")
            || additional.contains(&Path::Field("item:MimeContent".to_owned()));
        Self { level, base, mime, body, additional }
    }

    /// Reads the shape of attachments, which has no base: attached items come with everything.
    pub fn of_attachments(element: Option<&Element>, level: Level) -> Self {
        Self { base: Base::AllProperties, ..Self::read(element, level) }
    }

    /// The first path that names nothing: `ErrorInvalidExtendedProperty`.
    pub fn invalid_path(&self) -> Option<&Path> {
        self.additional.iter().find(|path| !path.is_valid())
    }

    /// Whether a property is wanted, by its field and by whether the shape `Default` has it.
    pub fn wants(&self, field: &str, in_default: bool) -> bool {
        let by_base = match self.base {
            Base::IdOnly => false,
            Base::Default => in_default,
            Base::AllProperties => true,
        };
        by_base || self.names(field)
    }

    /// Whether a property is asked for by name; some come no other way.
    pub fn names(&self, field: &str) -> bool {
        self.additional.iter().any(|path| matches!(path, Path::Field(named) if named == field))
    }

    /// The extended properties that are wanted.
    pub fn extended(&self) -> impl Iterator<Item = &ExtendedPath> {
        self.additional.iter().filter_map(|path| match path {
            Path::Extended(path) => Some(path),
            Path::Field(_) | Path::Indexed(..) => None,
        })
    }

    /// The header fields that are wanted one by one.
    pub fn headers(&self) -> impl Iterator<Item = &str> {
        self.additional.iter().filter_map(|path| match path {
            Path::Indexed(uri, name) if uri == "item:InternetMessageHeader" => Some(name.as_str()),
            _ => None,
        })
    }
}
