//! Properties of MAPI, by tag or by name.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::soap::{Element, Xml};
use crate::store::Item;

/// `ExtendedFieldURI`: the attributes as the client wrote them, since answers repeat them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Path {
    attributes: Vec<(String, String)>,
    tag: Option<u16>,
}

/// A stored value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Extended {
    pub path: Path,
    pub values: Vec<String>,
    /// Whether it is an array.
    pub many: bool,
}

// === impl Path ===

impl Path {
    pub fn read(element: &Element) -> Self {
        let tag = element.attribute("PropertyTag").and_then(|text| {
            let text = text.trim();
            match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
                Some(digits) => u16::from_str_radix(digits, 16).ok(),
                None => text.parse().ok(),
            }
        });
        Self { attributes: element.attributes.clone(), tag }
    }

    fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether two paths name the same property, however its tag or set is spelt.
    pub fn names_same(&self, other: &Self) -> bool {
        let same = |name: &str| match (self.attribute(name), other.attribute(name)) {
            (None, None) => true,
            (Some(one), Some(two)) => one.eq_ignore_ascii_case(two),
            _ => false,
        };
        match (self.tag, other.tag) {
            (Some(one), Some(two)) => one == two,
            (None, None) => ["DistinguishedPropertySetId", "PropertySetId", "PropertyName", "PropertyId"]
                .iter()
                .all(|name| same(name)),
            _ => false,
        }
    }

    /// The value that an item has.
    pub fn value(&self, item: &Item) -> Option<Vec<String>> {
        if let Some(stored) = item.extended.iter().find(|stored| stored.path.names_same(self)) {
            return Some(stored.values.clone());
        }
        let content = &item.content;
        let one = match self.tag? {
            0x001A => content.class.clone(),
            0x0037 | 0x0E1D => content.subject.clone()?,
            0x007D => headers(item),
            0x1035 => content.message_id.clone()?,
            0x1039 => content.references.clone()?,
            0x1042 => content.in_reply_to.clone()?,
            0x300B => STANDARD.encode(item.search_key),
            0x0E07 => if item.is_read { "1" } else { "0" }.to_owned(),
            0x0E06 => item.received?.to_string(),
            0x0E08 => content.size().to_string(),
            _ => return None,
        };
        Some(vec![one])
    }

    /// Writes the property, if the item has it.
    pub fn write(&self, xml: &mut Xml, item: &Item) {
        let Some(values) = self.value(item) else { return };
        let attributes: Vec<(&str, &str)> =
            self.attributes.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        xml.open("t:ExtendedProperty");
        xml.empty("t:ExtendedFieldURI", &attributes);
        let is_array = self.attribute("PropertyType").is_some_and(|kind| kind.ends_with("Array"));
        if is_array {
            xml.open("t:Values");
            values.iter().for_each(|value| xml.text("t:Value", value));
            xml.close("t:Values");
        } else {
            xml.text("t:Value", values.first().map_or("", String::as_str));
        }
        xml.close("t:ExtendedProperty");
    }
}

// === impl Extended ===

impl Extended {
    /// Reads an `ExtendedProperty`.
    pub fn read(element: &Element) -> Option<Self> {
        let path = Path::read(element.child("ExtendedFieldURI")?);
        if let Some(values) = element.child("Values") {
            let values = values.children.iter().map(|value| value.text.clone()).collect();
            return Some(Self { path, values, many: true });
        }
        Some(Self { path, values: vec![element.child("Value")?.text.clone()], many: false })
    }
}

fn headers(item: &Item) -> String {
    item.content.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect()
}
