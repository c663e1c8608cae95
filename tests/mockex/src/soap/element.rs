//! A light element tree of a request, which keeps where each element stood.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use quick_xml::NsReader;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;

/// No request is deeper; a hostile one must not exhaust the stack.
const MAXIMUM_DEPTH: usize = 128;

/// An element, its attributes and children, and its text with the children's text left out.
#[derive(Clone, Debug)]
pub struct Element {
    pub namespace: Namespace,
    pub name: String,
    /// Unprefixed attributes; declarations and attributes of other namespaces are not kept.
    pub attributes: Vec<(String, String)>,
    pub children: Vec<Element>,
    pub text: String,
    /// Byte offset of the start tag.
    pub offset: usize,
}

/// The namespaces that occur in requests.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Namespace {
    Soap,
    Messages,
    Types,
    Autodiscover,
    PoxRequest,
    /// Any other, or none.
    Other,
}

/// Why a text is no XML that a server would read.
#[derive(Clone, Debug)]
pub struct Malformed {
    pub offset: usize,
    pub reason: String,
}

// === impl Element ===

impl Element {
    /// Reads a document.
    pub fn parse(source: &str) -> Result<Self, Malformed> {
        legal_characters(source)?;
        let mut reader = NsReader::from_str(source);
        reader.config_mut().expand_empty_elements = true;
        let mut open: Vec<Self> = Vec::new();
        let mut root = None;
        loop {
            let offset = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
            let failed = |reason: String| Malformed { offset, reason };
            let event = reader.read_event().map_err(|error| failed(error.to_string()))?;
            match event {
                Event::Start(start) => {
                    if open.len() >= MAXIMUM_DEPTH || root.is_some() {
                        return Err(failed("too deep, or more than one root element".to_owned()));
                    }
                    open.push(Self::start(&reader, &start, offset)?);
                }
                Event::End(_) => {
                    let Some(element) = open.pop() else { return Err(failed("an end tag without a start".to_owned())) };
                    match open.last_mut() {
                        Some(parent) => parent.children.push(element),
                        None => root = Some(element),
                    }
                }
                Event::Text(text) => append(&mut open, &text.xml10_content()).map_err(failed)?,
                Event::CData(text) => append(&mut open, &text.xml10_content()).map_err(failed)?,
                Event::GeneralRef(reference) => {
                    let text = resolve(&format!("&{};", &*reference)).map_err(failed)?;
                    append(&mut open, &text).map_err(failed)?;
                }
                Event::DocType(_) => return Err(failed("a document type is not allowed".to_owned())),
                Event::Eof => {
                    return if open.is_empty() {
                        root.ok_or_else(|| failed("no root element".to_owned()))
                    } else {
                        Err(failed("unexpected end of file".to_owned()))
                    };
                }
                Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            }
        }
    }

    fn start(reader: &NsReader<&[u8]>, start: &BytesStart<'_>, offset: usize) -> Result<Self, Malformed> {
        let failed = |reason: String| Malformed { offset, reason };
        let (resolved, local) = reader.resolver().resolve_element(start.name());
        if matches!(resolved, ResolveResult::Unknown(_)) {
            return Err(failed(format!("the prefix of '{}' is not declared", start.name().0)));
        }
        let mut attributes = Vec::new();
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|error| failed(error.to_string()))?;
            let value = resolve(&attribute.value).map_err(failed)?;
            if attribute.key.prefix().is_none() && attribute.key.as_namespace_binding().is_none() {
                attributes.push((attribute.key.0.to_owned(), value));
            }
        }
        let name = local.into_inner().to_owned();
        Ok(Self {
            namespace: Namespace::of(&resolved),
            name,
            attributes,
            children: Vec::new(),
            text: String::new(),
            offset,
        })
    }

    pub fn is(&self, namespace: Namespace, name: &str) -> bool {
        self.namespace == namespace && self.name == name
    }

    /// The first child of this name, whatever its namespace.
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The element at the end of a path of names.
    pub fn path(&self, names: &[&str]) -> Option<&Self> {
        names.iter().try_fold(self, |element, name| element.child(name))
    }

    /// The trimmed text of a child.
    pub fn child_text(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.trim())
    }

    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether the text means true.
    pub fn is_true(&self) -> bool {
        matches!(self.text.trim(), "true" | "1")
    }

    /// The bytes that the text stands for, which may be broken into lines; none if it is no base64.
    pub fn base64(&self) -> Option<Bytes> {
        let text: Vec<u8> = self.text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        STANDARD.decode(text).ok().map(Bytes::from)
    }

    /// Whether a child's text means true.
    pub fn child_is_true(&self, name: &str) -> bool {
        self.child(name).is_some_and(Self::is_true)
    }
}

// === impl Namespace ===

impl Namespace {
    fn of(resolved: &ResolveResult<'_>) -> Self {
        let ResolveResult::Bound(namespace) = resolved else { return Self::Other };
        match namespace.0 {
            "http://schemas.xmlsoap.org/soap/envelope/" => Self::Soap,
            "http://schemas.microsoft.com/exchange/services/2006/messages" => Self::Messages,
            "http://schemas.microsoft.com/exchange/services/2006/types" => Self::Types,
            "http://schemas.microsoft.com/exchange/2010/Autodiscover" => Self::Autodiscover,
            "http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006" => Self::PoxRequest,
            _ => Self::Other,
        }
    }

    pub const fn uri(self) -> &'static str {
        match self {
            Self::Soap => "http://schemas.xmlsoap.org/soap/envelope/",
            Self::Messages => "http://schemas.microsoft.com/exchange/services/2006/messages",
            Self::Types => "http://schemas.microsoft.com/exchange/services/2006/types",
            Self::Autodiscover => "http://schemas.microsoft.com/exchange/2010/Autodiscover",
            Self::PoxRequest => "http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006",
            Self::Other => "",
        }
    }
}

/// The line and column of an offset, both from 1.
pub fn position(source: &str, offset: usize) -> (usize, usize) {
    let before = source.get(..offset.min(source.len())).unwrap_or(source);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |rest| rest.chars().count()) + 1;
    (line, column)
}

/// Whether XML 1.0 allows the character.
pub const fn is_legal(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
}

fn legal_characters(source: &str) -> Result<(), Malformed> {
    match source.char_indices().find(|(_, character)| !is_legal(*character)) {
        Some((offset, character)) => Err(Malformed {
            offset,
            reason: format!(
                "'{}', hexadecimal value 0x{:02X}, is an invalid character.",
                character.escape_unicode(),
                character as u32
            ),
        }),
        None => Ok(()),
    }
}

/// Replaces references; refuses those to characters that XML forbids.
fn resolve(raw: &str) -> Result<String, String> {
    let text = quick_xml::escape::unescape(raw).map_err(|error| error.to_string())?;
    match text.chars().find(|character| !is_legal(*character)) {
        Some(character) => Err(format!(
            "'{}', hexadecimal value 0x{:02X}, is an invalid character.",
            character.escape_unicode(),
            character as u32
        )),
        None => Ok(text.into_owned()),
    }
}

fn append(open: &mut [Element], text: &str) -> Result<(), String> {
    match open.last_mut() {
        Some(element) => element.text.push_str(text),
        None if text.trim().is_empty() => {}
        None => return Err("text outside the root element".to_owned()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_matched_by_namespace_and_positions_kept() {
        let source = "<?xml version='1.0'?>\n<a xmlns='http://schemas.xmlsoap.org/soap/envelope/'\n xmlns:t='http://schemas.microsoft.com/exchange/services/2006/types'>\n  <t:Id x='&lt;1'>a&amp;b&#x41;</t:Id></a>";
        let root = Element::parse(source).unwrap();
        assert!(root.is(Namespace::Soap, "a"));
        let child = root.child("Id").unwrap();
        assert_eq!(
            (child.namespace, child.text.as_str(), child.attribute("x")),
            (Namespace::Types, "a&bA", Some("<1"))
        );
        assert_eq!(position(source, child.offset), (4, 3));
    }

    #[test]
    fn what_a_server_refuses_is_refused() {
        for bad in [
            "",
            "<a>",
            "<a></b>",
            "<a/><b/>",
            "<a>&#x1;</a>",
            "<a b='&#11;'/>",
            "<a>\u{1}</a>",
            "<!DOCTYPE a><a/>",
            "<p:a/>",
            "<a>&nbsp;</a>",
            "x<a/>",
        ] {
            assert!(Element::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Element::parse(&"<a>".repeat(5000)).is_err());
    }
}
