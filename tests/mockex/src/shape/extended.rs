//! Properties of MAPI, by tag or by name.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::value::{Kind, Value};
use crate::soap::{Element, Xml};
use crate::store::Item;

/// `ExtendedFieldURI`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Path {
    /// As the server writes them: tags in lower-case hexadecimal, so that clients cannot compare texts.
    attributes: Vec<(String, String)>,
    tag: Option<u16>,
}

/// A stored value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Extended {
    pub path: Path,
    pub values: Vec<String>,
}

/// Tags from here on belong to named properties, and name a different one in each mailbox.
const FIRST_NAMED: u16 = 0x8000;

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
        let normal = |(name, text): &(String, String)| {
            let text = match (name.as_str(), tag) {
                ("PropertyTag", Some(tag)) => format!("{tag:#x}"),
                ("PropertySetId", _) => text.to_lowercase(),
                _ => text.clone(),
            };
            (name.clone(), text)
        };
        Self { attributes: element.attributes.iter().map(normal).collect(), tag }
    }

    fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether it names a property in exactly one way (MS-OXWSCORE, PathToExtendedFieldType).
    pub fn is_valid(&self) -> bool {
        let count = |names: [&str; 2]| names.iter().filter(|name| self.attribute(name).is_some()).count();
        let sets = count(["DistinguishedPropertySetId", "PropertySetId"]);
        let names = count(["PropertyName", "PropertyId"]);
        match self.attribute("PropertyTag") {
            Some(_) => sets == 0 && names == 0 && self.tag.is_some_and(|tag| tag < FIRST_NAMED),
            None => sets == 1 && names == 1,
        }
    }

    /// The type of the property.
    pub fn kind(&self) -> Kind {
        match self.attribute("PropertyType").unwrap_or_default() {
            "Integer" | "Long" | "Short" => Kind::Number,
            "Currency" | "Double" | "Float" => Kind::Real,
            "Boolean" => Kind::Flag,
            "SystemTime" => Kind::Time,
            "Binary" => Kind::Bytes,
            other if other.ends_with("Array") => Kind::Texts,
            _ => Kind::Text,
        }
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

    /// The value that an item has. Of the properties that the store keeps itself the common ones are known.
    pub fn value(&self, item: &Item) -> Option<Vec<String>> {
        if let Some(stored) = item.extended.iter().find(|stored| stored.path.names_same(self)) {
            return Some(stored.values.clone());
        }
        let content = &item.content;
        let name = |address: &crate::content::Address| address.name.clone().or_else(|| address.address.clone());
        let one = match self.tag? {
            0x001A => content.class.clone(),
            0x0037 | 0x0E1D => content.subject.clone()?,
            0x0039 => content.sent?.to_string(),
            0x0042 => name(content.from.as_ref()?)?,
            0x007D => headers(item),
            0x0C1A => name(content.sender.as_ref()?)?,
            0x0E06 => item.received?.to_string(),
            // PidTagMessageFlags: read, and not yet sent.
            0x0E07 => (u8::from(item.is_read) | if item.is_draft { 8 } else { 0 }).to_string(),
            0x0E08 => content.size().to_string(),
            0x1035 => content.message_id.clone()?,
            0x1039 => content.references.clone()?,
            0x1042 => content.in_reply_to.clone()?,
            0x3007 => item.created.to_string(),
            0x3008 => item.modified.to_string(),
            0x300B => STANDARD.encode(item.search_key),
            0x5D01 => content.sender.as_ref()?.address.clone()?,
            0x5D02 => content.from.as_ref()?.address.clone()?,
            _ => return None,
        };
        Some(vec![one])
    }

    /// The tag, for the properties of folders.
    pub const fn tag(&self) -> Option<u16> {
        self.tag
    }

    /// What people call the property: its name or number, or its tag as `0x1035`.
    pub fn label(&self) -> String {
        let named = ["PropertyTag", "PropertyName", "PropertyId"].iter().find_map(|name| self.attribute(name));
        named.unwrap_or_default().to_owned()
    }

    /// Writes the property, if the item has it.
    pub fn write(&self, xml: &mut Xml, item: &Item) {
        if let Some(values) = self.value(item) {
            self.write_values(xml, &values);
        }
    }

    /// Writes the property with these values.
    pub fn write_values(&self, xml: &mut Xml, values: &[String]) {
        xml.open("t:ExtendedProperty");
        self.write_path(xml);
        if self.kind() == Kind::Texts {
            xml.open("t:Values");
            values.iter().for_each(|value| xml.text("t:Value", value));
            xml.close("t:Values");
        } else {
            xml.text("t:Value", values.first().map_or("", String::as_str));
        }
        xml.close("t:ExtendedProperty");
    }

    /// Writes the path alone.
    pub fn write_path(&self, xml: &mut Xml) {
        let attributes: Vec<(&str, &str)> =
            self.attributes.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        xml.empty("t:ExtendedFieldURI", &attributes);
    }
}

// === impl Extended ===

impl Extended {
    /// Reads an `ExtendedProperty`; none if a value is not of the type, or an array is not where one is due.
    pub fn read(element: &Element) -> Option<Self> {
        let path = Path::read(element.child("ExtendedFieldURI")?);
        let values: Vec<String> = match (path.kind(), element.child("Values"), element.child("Value")) {
            (Kind::Texts, Some(values), _) => values.children.iter().map(|value| value.text.clone()).collect(),
            (kind, None, Some(value)) if kind != Kind::Texts => {
                Value::read(kind, &value.text)?;
                if kind == Kind::Bytes {
                    STANDARD.decode(value.text.trim()).ok()?;
                }
                vec![value.text.clone()]
            }
            _ => return None,
        };
        Some(Self { path, values })
    }

    /// Name and value of the header field that the property stands for, if it stands for one.
    pub fn internet_header(&self) -> Option<(&str, &str)> {
        let set = self.path.attribute("DistinguishedPropertySetId")?;
        let name = self.path.attribute("PropertyName").filter(|_| set == "InternetHeaders")?;
        Some((name, self.values.first()?))
    }
}

fn headers(item: &Item) -> String {
    item.content.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(attributes: &str) -> Path {
        Path::read(&Element::parse(&format!("<ExtendedFieldURI {attributes}/>")).unwrap())
    }

    #[test]
    fn a_tag_is_the_same_however_it_is_spelt_and_comes_back_normalised() {
        let upper = path("PropertyTag='0x300B' PropertyType='Binary'");
        assert!(upper.names_same(&path("PropertyTag='12299' PropertyType='Binary'")));
        let mut xml = Xml::new();
        upper.write_path(&mut xml);
        assert_eq!(xml.into_string(), "<t:ExtendedFieldURI PropertyTag=\"0x300b\" PropertyType=\"Binary\"/>");
    }

    #[test]
    fn a_property_is_named_in_exactly_one_way() {
        for good in [
            "PropertyTag='0x1035' PropertyType='String'",
            "DistinguishedPropertySetId='PublicStrings' PropertyName='x' PropertyType='String'",
            "PropertySetId='00020329-0000-0000-C000-000000000046' PropertyId='35' PropertyType='Binary'",
        ] {
            assert!(path(good).is_valid(), "{good}");
        }
        for bad in [
            "PropertyTag='0x8084' PropertyType='String'",
            "PropertyTag='0x1035' PropertyName='x' PropertyType='String'",
            "PropertyName='x' PropertyType='String'",
            "DistinguishedPropertySetId='Common' PropertyName='x' PropertyId='1' PropertyType='String'",
            "PropertyType='String'",
        ] {
            assert!(!path(bad).is_valid(), "{bad}");
        }
    }
}
