//! Writes answers. Characters that XML forbids become character references, as Exchange writes them.

use std::fmt::Write as _;

use super::element::is_legal;

/// Text under construction.
#[derive(Debug, Default)]
pub struct Xml(String);

impl Xml {
    pub const fn new() -> Self {
        Self(String::new())
    }

    pub fn open(&mut self, name: &str) {
        self.start(name, &[]);
        self.0.push('>');
    }

    pub fn open_with(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.start(name, attributes);
        self.0.push('>');
    }

    pub fn close(&mut self, name: &str) {
        self.0.push_str("</");
        self.0.push_str(name);
        self.0.push('>');
    }

    pub fn empty(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.start(name, attributes);
        self.0.push_str("/>");
    }

    pub fn text(&mut self, name: &str, text: &str) {
        self.text_with(name, &[], text);
    }

    pub fn text_with(&mut self, name: &str, attributes: &[(&str, &str)], text: &str) {
        if text.is_empty() {
            return self.empty(name, attributes);
        }
        self.open_with(name, attributes);
        escape(&mut self.0, text);
        self.close(name);
    }

    pub fn boolean(&mut self, name: &str, value: bool) {
        self.text(name, if value { "true" } else { "false" });
    }

    pub fn number(&mut self, name: &str, value: impl std::fmt::Display) {
        self.open(name);
        // Writing to a String cannot fail.
        let _written = write!(self.0, "{value}");
        self.close(name);
    }

    /// Adds what is already XML.
    pub fn raw(&mut self, xml: &str) {
        self.0.push_str(xml);
    }

    pub fn into_string(self) -> String {
        self.0
    }

    fn start(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.0.push('<');
        self.0.push_str(name);
        for (key, value) in attributes {
            self.0.push(' ');
            self.0.push_str(key);
            self.0.push_str("=\"");
            escape(&mut self.0, value);
            self.0.push('"');
        }
    }
}

fn escape(out: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\r' => out.push_str("&#xD;"),
            legal if is_legal(legal) => out.push(legal),
            illegal => {
                let _written = write!(out, "&#x{:X};", illegal as u32);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn illegal_characters_become_references() {
        let mut xml = Xml::new();
        xml.text_with("t:Subject", &[("a", "\"<")], "a\u{b}b & <c>\u{0}\u{fffe}");
        assert_eq!(xml.into_string(), "<t:Subject a=\"&quot;&lt;\">a&#xB;b &amp; &lt;c&gt;&#x0;&#xFFFE;</t:Subject>");
    }
}
