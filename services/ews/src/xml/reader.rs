//! Reads answers by (namespace, local name), without building a tree.

use std::borrow::Cow;

use base64::Engine;
use quick_xml::{
    Error, NsReader, XmlVersion,
    errors::SyntaxError,
    escape::resolve_predefined_entity,
    events::{BytesRef, BytesStart, Event},
    name::ResolveResult,
};

use super::{Namespace, XmlError};

/// Nesting beyond this is an attack; the deepest real answers (attached mails inside attached mails) stay below 40.
const DEPTH: usize = 128;

/// A pull reader that stands inside an element.
///
/// [`Reader::children`] and [`Reader::text`] each consume the element that the reader stands in, and are called at most once for
/// it; what a caller does not consume is skipped.
#[derive(Debug)]
pub struct Reader<'a> {
    inner: NsReader<&'a [u8]>,
    depth: usize,
    defect: Option<Defect>,
}

/// The start of an element.
#[derive(Debug)]
pub struct Element<'a> {
    namespace: Namespace,
    start: BytesStart<'a>,
}

/// A value that could not be read. It fails the item it belongs to, not the batch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the value of {element} cannot be read")]
pub struct Defect {
    /// The element's local name.
    pub element: String,
}

enum Token<'a> {
    Open(Element<'a>),
    Text(Cow<'a, str>),
    Close,
}

// === impl Reader ===

impl<'a> Reader<'a> {
    /// A reader of a document that went through [`super::Filter`].
    #[must_use]
    pub fn new(document: &'a str) -> Self {
        let document = document.trim_start_matches('\u{FEFF}').trim_start();
        let mut inner = NsReader::from_str(document);
        inner.config_mut().expand_empty_elements = true;
        Self { inner, depth: 0, defect: None }
    }

    /// Enters the document's root element.
    pub fn root(&mut self) -> Result<Element<'a>, XmlError> {
        loop {
            match self.next()? {
                Token::Open(element) => return Ok(element),
                Token::Text(text) if text.trim().is_empty() => {}
                Token::Text(_) | Token::Close => {
                    return Err(XmlError::Malformed("text before the first element".to_owned()));
                }
            }
        }
    }

    /// Visits each child of the current element. A child that the visitor leaves unread is skipped.
    pub fn children(
        &mut self,
        mut visit: impl FnMut(&mut Self, &Element<'a>) -> Result<(), XmlError>,
    ) -> Result<(), XmlError> {
        let depth = self.depth;
        loop {
            match self.next()? {
                Token::Open(element) => {
                    visit(self, &element)?;
                    while self.depth > depth {
                        self.next()?;
                    }
                }
                Token::Text(_) => {}
                Token::Close => return Ok(()),
            }
        }
    }

    /// The text of the current element; elements inside it are skipped.
    pub fn text(&mut self) -> Result<Cow<'a, str>, XmlError> {
        let depth = self.depth;
        let mut text = Cow::Borrowed("");
        loop {
            match self.next()? {
                Token::Text(_) if self.depth > depth => {}
                Token::Text(part) if text.is_empty() => text = part,
                Token::Text(part) => text.to_mut().push_str(&part),
                Token::Open(_) => {}
                Token::Close if self.depth < depth => return Ok(text),
                Token::Close => {}
            }
        }
    }

    /// The text of the current element as an owned string.
    pub fn string(&mut self) -> Result<Option<String>, XmlError> {
        self.text().map(|text| Some(text.into_owned()))
    }

    /// The text of the current element, read as a value; one that cannot be read is noted as a [`Defect`].
    pub fn value<T>(
        &mut self,
        element: &Element<'_>,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, XmlError> {
        let text = self.text()?;
        let value = parse(text.trim());
        if value.is_none() {
            self.note(element.name());
        }
        Ok(value)
    }

    /// A number.
    pub fn number<T: std::str::FromStr>(&mut self, element: &Element<'_>) -> Result<Option<T>, XmlError> {
        self.value(element, |text| text.parse().ok())
    }

    /// `true`, `false`, `1` or `0`.
    pub fn boolean(&mut self, element: &Element<'_>) -> Result<Option<bool>, XmlError> {
        self.value(element, |text| match text {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        })
    }

    /// An xs:dateTime; without a zone it is UTC. MAPI's ways to say "no date" (years 1 and 4501) are no value.
    pub fn instant(&mut self, element: &Element<'_>) -> Result<Option<jiff::Timestamp>, XmlError> {
        self.value(element, |text| {
            text.parse::<jiff::Timestamp>().ok().or_else(|| {
                let civil = text.parse::<jiff::civil::DateTime>().ok()?;
                Some(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
            })
        })
        .map(|instant| instant.filter(is_a_date))
    }

    /// Base64 content, decoded straight from the answer's text.
    pub fn base64(&mut self, element: &Element<'_>) -> Result<Option<Vec<u8>>, XmlError> {
        let engine = &base64::engine::general_purpose::STANDARD;
        self.value(element, |text| {
            engine.decode(text).ok().or_else(|| {
                // Lines: rare, so they are joined only when the straight way failed.
                let joined: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
                engine.decode(joined).ok()
            })
        })
    }

    /// Takes the first defect since the last call.
    pub fn take_defect(&mut self) -> Option<Defect> {
        self.defect.take()
    }

    /// Notes that something could not be read.
    pub fn note(&mut self, element: &str) {
        if self.defect.is_none() {
            self.defect = Some(Defect { element: element.to_owned() });
        }
    }

    fn next(&mut self) -> Result<Token<'a>, XmlError> {
        loop {
            let (resolved, event) = self.inner.read_resolved_event().map_err(malformed)?;
            match event {
                Event::Start(start) | Event::Empty(start) => {
                    let namespace = match resolved {
                        ResolveResult::Bound(namespace) => Namespace::of(namespace.0),
                        ResolveResult::Unbound => Namespace::Unqualified,
                        ResolveResult::Unknown(_) => Namespace::Foreign,
                    };
                    self.depth += 1;
                    if self.depth > DEPTH {
                        return Err(XmlError::TooDeep(DEPTH));
                    }
                    return Ok(Token::Open(Element { namespace, start }));
                }
                Event::End(_) => {
                    self.depth = self.depth.saturating_sub(1);
                    return Ok(Token::Close);
                }
                Event::Text(text) => return Ok(Token::Text(text.xml10_content())),
                Event::CData(text) => return Ok(Token::Text(text.xml10_content())),
                Event::GeneralRef(reference) => return resolve(&reference).map(Token::Text),
                Event::DocType(_) => return Err(XmlError::Doctype),
                Event::Eof => return Err(XmlError::Truncated),
                Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            }
        }
    }
}

fn resolve<'a>(reference: &BytesRef<'_>) -> Result<Cow<'a, str>, XmlError> {
    if let Some(character) = reference.resolve_char_ref().map_err(malformed)? {
        return Ok(Cow::Owned(character.to_string()));
    }
    resolve_predefined_entity(reference)
        .map(Cow::Borrowed)
        .ok_or_else(|| XmlError::Malformed(format!("unknown entity {}", excerpt(reference))))
}

fn is_a_date(instant: &jiff::Timestamp) -> bool {
    let year = instant.to_zoned(jiff::tz::TimeZone::UTC).year();
    year > 1601 && year < 4500
}

fn malformed(error: Error) -> XmlError {
    match error {
        Error::Syntax(SyntaxError::InvalidBangMarkup) => XmlError::Malformed(error.to_string()),
        // All others of this kind say that the input ended before something was closed.
        Error::Syntax(_) => XmlError::Truncated,
        other => XmlError::Malformed(excerpt(&other.to_string())),
    }
}

/// At most some characters: an error must not carry a message's content.
fn excerpt(text: &str) -> String {
    text.chars().take(120).collect()
}

// === impl Element ===

impl Element<'_> {
    /// Its namespace.
    #[must_use]
    pub fn namespace(&self) -> Namespace {
        self.namespace
    }

    /// Its local name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.start.local_name().into_inner()
    }

    /// Namespace and local name, for matching.
    #[must_use]
    pub fn key(&self) -> (Namespace, &str) {
        (self.namespace, self.name())
    }

    /// An unqualified attribute.
    pub fn attribute(&self, name: &str) -> Result<Option<String>, XmlError> {
        let invalid = |error: &dyn std::fmt::Display| XmlError::Malformed(excerpt(&error.to_string()));
        let Some(attribute) = self.start.try_get_attribute(name).map_err(|error| invalid(&error))? else {
            return Ok(None);
        };
        let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|error| invalid(&error))?;
        Ok(Some(value.into_owned()))
    }

    /// An attribute that has to be there.
    pub fn required(&self, name: &str) -> Result<String, XmlError> {
        self.attribute(name)?.ok_or_else(|| XmlError::Unexpected(format!("{} without {name}", self.name())))
    }

    /// Whether `xsi:nil` is set, whatever its prefix.
    #[must_use]
    pub fn is_nil(&self) -> bool {
        let mut attributes = self.start.attributes().flatten();
        attributes.any(|attribute| {
            attribute.key.local_name().into_inner() == "nil" && matches!(&*attribute.value, "true" | "1")
        })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn texts(document: &str) -> Result<Vec<(Namespace, String, String)>, XmlError> {
        let mut reader = Reader::new(document);
        reader.root()?;
        let mut seen = Vec::new();
        reader.children(|reader, element| {
            let key = (element.namespace(), element.name().to_owned());
            seen.push((key.0, key.1, reader.text()?.into_owned()));
            Ok(())
        })?;
        Ok(seen)
    }

    #[test]
    fn goes_by_namespace_and_local_name() {
        let document = "\u{FEFF}<?xml version='1.0'?>\r\n<q:r xmlns:q='http://schemas.microsoft.com/exchange/services/2006/types'>\
            <q:a>1 &lt;&#xE9;<skip>no</skip><![CDATA[ & ]]></q:a><b xmlns='urn:x'/><!-- c --><c xmlns=''> t </c></q:r>";
        assert_eq!(
            texts(document).unwrap(),
            [
                (Namespace::Types, "a".to_owned(), "1 <é & ".to_owned()),
                (Namespace::Foreign, "b".to_owned(), String::new()),
                (Namespace::Unqualified, "c".to_owned(), " t ".to_owned()),
            ]
        );
    }

    #[test]
    fn skips_what_is_not_read() {
        let mut reader = Reader::new("<r><a><x><y/></x></a><b>1</b></r>");
        reader.root().unwrap();
        let mut names = Vec::new();
        reader
            .children(|_, element| {
                names.push(element.name().to_owned());
                Ok(())
            })
            .unwrap();
        assert_eq!(names, ["a", "b"]);
    }

    #[rstest]
    #[case("<r><a>1</a>", XmlError::Truncated)]
    #[case("<r><a", XmlError::Truncated)]
    #[case("", XmlError::Truncated)]
    #[case("<!DOCTYPE r [<!ENTITY x 'y'>]><r>&x;</r>", XmlError::Doctype)]
    fn refuses(#[case] document: &str, #[case] error: XmlError) {
        assert_eq!(texts(document), Err(error));
    }

    #[rstest]
    #[case("<r><a></b></r>")]
    #[case("<r><a>&unknown;</a></r>")]
    #[case("text")]
    fn refuses_what_is_not_well_formed(#[case] document: &str) {
        assert!(texts(document).is_err());
    }

    #[test]
    fn refuses_deep_nesting() {
        let document = "<a>".repeat(DEPTH + 1);
        assert_eq!(texts(&document), Err(XmlError::TooDeep(DEPTH)));
    }

    #[rstest]
    #[case("2016-03-01T08:15:30Z", Some("2016-03-01T08:15:30Z"))]
    #[case("2016-03-01T10:15:30.5+02:00", Some("2016-03-01T08:15:30.5Z"))]
    #[case("2016-03-01T08:15:30", Some("2016-03-01T08:15:30Z"))]
    #[case("0001-01-01T00:00:00Z", None)]
    #[case("4501-01-01T00:00:00Z", None)]
    fn reads_instants(#[case] text: &str, #[case] expected: Option<&str>) {
        let document = format!("<a>{text}</a>");
        let mut reader = Reader::new(&document);
        let root = reader.root().unwrap();
        assert_eq!(reader.instant(&root).unwrap().map(|instant| instant.to_string()).as_deref(), expected);
        assert_eq!(reader.take_defect(), None);
    }

    #[test]
    fn notes_what_cannot_be_read() {
        let mut reader = Reader::new("<r><a>yes</a><b>12x</b></r>");
        reader.root().unwrap();
        reader
            .children(|reader, element| {
                match element.name() {
                    "a" => assert_eq!(reader.boolean(element)?, None),
                    _ => assert_eq!(reader.number::<u32>(element)?, None),
                }
                Ok(())
            })
            .unwrap();
        assert_eq!(reader.take_defect(), Some(Defect { element: "a".to_owned() }));
        assert_eq!(reader.take_defect(), None);
    }

    #[test]
    fn decodes_base64_in_one_or_many_lines() {
        for text in ["aGVsbG8=", "aGVs\r\nbG8=", " aGVsbG8= ", "aGVs&#xD;\nbG8="] {
            let document = format!("<a>{text}</a>");
            let mut reader = Reader::new(&document);
            let root = reader.root().unwrap();
            assert_eq!(reader.base64(&root).unwrap().as_deref(), Some(b"hello".as_slice()), "{text}");
        }
    }
}
