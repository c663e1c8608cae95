//! Writes requests. Order is the caller's: the server checks it.

use super::{REPLACEMENT, is_legal};

/// A document under construction. Names carry their prefix (`m:GetItem`); texts are escaped, and characters that XML cannot
/// carry are replaced by U+FFFD, because one of them makes Exchange refuse the whole request (`ErrorSchemaValidation`).
#[derive(Debug)]
pub struct Writer {
    text: String,
}

impl Writer {
    /// A document that begins with the XML declaration.
    #[must_use]
    pub fn document() -> Self {
        Self { text: String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?>") }
    }

    /// The document.
    #[must_use]
    pub fn finish(self) -> String {
        self.text
    }

    /// An element with content.
    pub fn element(&mut self, name: &str, attributes: &[(&str, &str)], content: impl FnOnce(&mut Self)) {
        self.open(name, attributes);
        self.text.push('>');
        content(self);
        self.text.push_str("</");
        self.text.push_str(name);
        self.text.push('>');
    }

    /// An element without content.
    pub fn empty(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.open(name, attributes);
        self.text.push_str("/>");
    }

    /// An element with a text and no attributes.
    pub fn text(&mut self, name: &str, text: &str) {
        self.element(name, &[], |writer| writer.escaped(text, false));
    }

    /// The text of an element that is open.
    pub fn value(&mut self, text: &str) {
        self.escaped(text, false);
    }

    fn open(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.text.push('<');
        self.text.push_str(name);
        for (key, value) in attributes {
            self.text.push(' ');
            self.text.push_str(key);
            self.text.push_str("=\"");
            self.escaped(value, true);
            self.text.push('"');
        }
    }

    /// Line ends and tabs go as references where a parser would otherwise turn them into something else.
    fn escaped(&mut self, text: &str, in_attribute: bool) {
        for character in text.chars() {
            match character {
                '&' => self.text.push_str("&amp;"),
                '<' => self.text.push_str("&lt;"),
                '>' => self.text.push_str("&gt;"),
                '\r' => self.text.push_str("&#xD;"),
                '"' if in_attribute => self.text.push_str("&quot;"),
                '\n' if in_attribute => self.text.push_str("&#xA;"),
                '\t' if in_attribute => self.text.push_str("&#x9;"),
                legal if is_legal(legal) => self.text.push(legal),
                _ => self.text.push(REPLACEMENT),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::xml::Reader;

    #[test]
    fn escapes_and_filters() {
        let mut writer = Writer::document();
        writer.element("a", &[("b", "\"<&>\r\n\t\u{B}'")], |writer| writer.text("c", "\"<&>\r\n\t\u{0}\u{FFFF}"));
        writer.empty("d", &[]);
        assert_eq!(
            writer.finish(),
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><a b=\"&quot;&lt;&amp;&gt;&#xD;&#xA;&#x9;\u{FFFD}'\"><c>\"&lt;&amp;&gt;&#xD;\n\t\u{FFFD}\u{FFFD}</c></a><d/>"
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(text in any::<String>(), attribute in any::<String>()) {
            let expected = |text: &str| text.chars().map(|c| if is_legal(c) { c } else { REPLACEMENT }).collect::<String>();
            let mut writer = Writer::document();
            writer.element("a", &[("b", &attribute)], |writer| writer.text("c", &text));
            let document = writer.finish();
            let mut reader = Reader::new(&document);
            let root = reader.root().unwrap();
            prop_assert_eq!(root.attribute("b").unwrap(), Some(expected(&attribute)));
            let mut read = None;
            reader.children(|reader, _| { read = Some(reader.text()?.into_owned()); Ok(()) }).unwrap();
            prop_assert_eq!(read, Some(expected(&text)));
        }
    }
}
