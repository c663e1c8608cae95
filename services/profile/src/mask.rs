//! Field masks: which fields an update names.

use std::collections::BTreeSet;

use postroad_core::{Refusal, fault::Code};

/// The fields that an update names.
#[derive(Clone, Debug)]
pub struct Mask(BTreeSet<String>);

impl Mask {
    /// Reads a mask; each field has to be one of `known`.
    pub fn read(mask: Option<&prost_types::FieldMask>, known: &[&[&str]]) -> Result<Self, Refusal> {
        let paths: BTreeSet<String> = mask.map(|mask| mask.paths.iter().cloned().collect()).unwrap_or_default();
        if paths.is_empty() {
            return Err(Refusal::new(
                Code::FieldRequired,
                "update_mask",
                "names no field; name those that are to change",
            ));
        }
        for path in &paths {
            if !known.iter().any(|fields| fields.contains(&path.as_str())) {
                return Err(Refusal::new(Code::FieldUnknown, path.clone(), "is no field that can be changed"));
            }
        }
        Ok(Self(paths))
    }

    /// Every field of a list.
    pub fn all(fields: &[&str]) -> Self {
        Self(fields.iter().map(|field| (*field).to_owned()).collect())
    }

    /// Whether a field is named.
    pub fn has(&self, field: &str) -> bool {
        self.0.contains(field)
    }

    /// The first of these fields that is named.
    pub fn first_of<'a>(&self, fields: &[&'a str]) -> Option<&'a str> {
        fields.iter().find(|field| self.has(field)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(paths: &[&str]) -> Result<Mask, Refusal> {
        let mask = prost_types::FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() };
        Mask::read(Some(&mask), &[&["name", "owner"], &["password"]])
    }

    #[test]
    fn unknown_and_missing_fields_are_refused_by_name() {
        let refusal = read(&["name", "nmae"]).unwrap_err();
        assert_eq!((refusal.code, refusal.field.as_str()), (Code::FieldUnknown, "nmae"));
        assert_eq!(read(&[]).unwrap_err().field, "update_mask");
        assert_eq!(Mask::read(None, &[]).unwrap_err().field, "update_mask");
        let mask = read(&["password"]).unwrap();
        assert!(mask.has("password") && !mask.has("name"));
        assert_eq!(mask.first_of(&["name", "password"]), Some("password"));
    }
}
