//! What a request wants to see of items and folders, and how that is written: always in the schema's order.

pub mod extended;
mod folder;
mod item;

pub use folder::folder;
pub use item::{View, item, item_id, value_of};

use self::extended::Path as ExtendedPath;
use crate::soap::Element;

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

/// An `ItemShape` or `FolderShape`.
#[derive(Clone, Debug)]
pub struct Shape {
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
}

// === impl Shape ===

impl Shape {
    /// Reads a shape; an absent one asks for ids only.
    pub fn read(element: Option<&Element>) -> Self {
        let Some(element) = element else {
            return Self { base: Base::IdOnly, mime: false, body: BodyType::Best, additional: Vec::new() };
        };
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
        let additional = additional.into_iter().flatten().filter_map(Path::read).collect();
        let named_mime = |paths: &Vec<Path>| paths.contains(&Path::Field("item:MimeContent".to_owned()));
        let mime = element.child_is_true("IncludeMimeContent") || named_mime(&additional);
        Self { base, mime, body, additional }
    }

    /// Whether a property is wanted, by its field and by whether the base shapes have it.
    pub fn wants(&self, field: &str, in_default: bool) -> bool {
        let by_base = match self.base {
            Base::IdOnly => false,
            Base::Default => in_default,
            Base::AllProperties => true,
        };
        by_base || self.additional.iter().any(|path| matches!(path, Path::Field(named) if named == field))
    }

    /// The extended properties that are wanted.
    pub fn extended(&self) -> impl Iterator<Item = &ExtendedPath> {
        self.additional.iter().filter_map(|path| match path {
            Path::Extended(path) => Some(path),
            Path::Field(_) | Path::Indexed(..) => None,
        })
    }
}
