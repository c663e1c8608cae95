//! MAPI properties in answers (MS-OXWSXPROP).

use crate::xml::{Reader, XmlError};

/// A MAPI property with its values as texts. The server normalises names: tags compare as numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExtendedProperty {
    /// The tag, if it is named by one.
    pub tag: Option<u16>,
    /// The name, if it is named by one.
    pub name: Option<String>,
    /// The type's name.
    pub kind: String,
    /// One value, or all of an array.
    pub values: Vec<String>,
}

impl ExtendedProperty {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, XmlError> {
        let mut property = Self::default();
        reader.children(|reader, child| {
            match child.name() {
                "ExtendedFieldURI" => {
                    property.tag = child.attribute("PropertyTag")?.as_deref().and_then(tag);
                    property.name = child.attribute("PropertyName")?;
                    property.kind = child.attribute("PropertyType")?.unwrap_or_default();
                }
                "Value" => property.values.push(reader.text()?.into_owned()),
                "Values" => super::strings(reader, &mut property.values)?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(property)
    }
}

fn tag(text: &str) -> Option<u16> {
    let hexadecimal = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    hexadecimal.map_or_else(|| text.parse().ok(), |digits| u16::from_str_radix(digits, 16).ok())
}
