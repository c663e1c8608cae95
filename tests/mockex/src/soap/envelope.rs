//! The envelope of a request, taken apart, and the envelope of an answer.

use super::element::{Element, Namespace};
use crate::options::ServerVersion;

/// The header block and the operation element of a request.
#[derive(Debug)]
pub struct Envelope {
    pub headers: Vec<Element>,
    /// The single child of the body.
    pub operation: Element,
}

impl Envelope {
    /// Takes a document apart; none if it is no SOAP 1.1 envelope with one body child. The offset tells where it went wrong.
    pub fn new(root: Element) -> Result<Self, (usize, String)> {
        if !root.is(Namespace::Soap, "Envelope") {
            return Err((root.offset, "the root element is no SOAP 1.1 Envelope".to_owned()));
        }
        let mut headers = Vec::new();
        let mut operation = None;
        for part in root.children {
            let offset = part.offset;
            if part.is(Namespace::Soap, "Header") && operation.is_none() && headers.is_empty() {
                headers = part.children;
            } else if part.is(Namespace::Soap, "Body") && operation.is_none() {
                let mut children = part.children.into_iter();
                operation = children.next();
                if children.next().is_some() {
                    return Err((offset, "the Body holds more than one element".to_owned()));
                }
            } else {
                return Err((offset, format!("the Envelope holds an unexpected element '{}'", part.name)));
            }
        }
        let operation = operation.ok_or_else(|| (root.offset, "the Body is missing or empty".to_owned()))?;
        Ok(Self { headers, operation })
    }

    /// The header of this name in the types namespace.
    pub fn header(&self, name: &str) -> Option<&Element> {
        self.headers.iter().find(|header| header.is(Namespace::Types, name))
    }

    /// The name of the operation.
    pub fn operation_name(&self) -> &str {
        &self.operation.name
    }
}

/// An EWS answer around what the body holds. Without a version there is no header, as on some faults.
pub fn answer(version: Option<ServerVersion>, body: &str) -> String {
    let mut text = String::with_capacity(body.len() + 1024);
    text.push_str(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\">",
    );
    if let Some(version) = version {
        let [major, minor, build, revision] = version.build();
        text.push_str(&format!(
            "<s:Header><h:ServerVersionInfo MajorVersion=\"{major}\" MinorVersion=\"{minor}\" MajorBuildNumber=\"{build}\" MinorBuildNumber=\"{revision}\" Version=\"{}\" xmlns:h=\"{types}\" xmlns=\"{types}\" xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"/></s:Header>",
            version.schema_name(),
            types = Namespace::Types.uri(),
        ));
    }
    text.push_str("<s:Body xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\">");
    text.push_str(body);
    text.push_str("</s:Body></s:Envelope>");
    text
}
