//! Restrictions, order and paging of FindItem and FindFolder (MS-OXWSSRCH).

mod page;
mod restriction;

pub use page::Page;
pub use restriction::Restriction;

use std::cmp::Ordering;

use crate::shape::{Kind, Path, Value};
use crate::soap::Element;

/// Why a search is refused, whatever the folder holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// The property is computed: `ErrorUnsupportedPathForQuery`.
    Search(Path),
    /// The same for sorting: `ErrorUnsupportedPathForSortGroup`.
    Sort(Path),
    /// `Contains` on what is no text: `ErrorContainsFilterWrongType`.
    Contains(Path),
    /// The path names no property: `ErrorInvalidExtendedProperty`.
    Extended(Path),
    /// The constant is no value of the property: `ErrorInvalidValueForProperty`.
    Constant(Path),
    /// Not a form that can be evaluated: `ErrorInvalidRestriction`.
    Form,
}

/// A `SortOrder`.
#[derive(Clone, Debug, Default)]
pub struct Sorting(Vec<(Path, bool)>);

// === impl Sorting ===

impl Sorting {
    /// Reads the order of a request; `kind` tells the types of properties that can be sorted by.
    pub fn read(element: Option<&Element>, kind: impl Fn(&Path) -> Option<Kind>) -> Result<Self, Refusal> {
        let fields = element.into_iter().flat_map(|element| &element.children);
        let read = |field: &Element| {
            let path = Path::within(field).ok_or(Refusal::Form)?;
            if !path.is_valid() {
                return Err(Refusal::Extended(path));
            }
            match kind(&path) {
                Some(_) => Ok((path, field.attribute("Order") == Some("Descending"))),
                None => Err(Refusal::Sort(path)),
            }
        };
        fields.map(read).collect::<Result<_, _>>().map(Self)
    }

    /// How two things are ordered. What lacks the property comes first.
    pub fn compare<T>(&self, one: &T, two: &T, value: impl Fn(&T, &Path) -> Option<Value>) -> Ordering {
        for (path, descending) in &self.0 {
            let order = match (value(one, path), value(two, path)) {
                (Some(one), Some(two)) => one.compare(&two).unwrap_or(Ordering::Equal),
                (one, two) => one.is_some().cmp(&two.is_some()),
            };
            if order != Ordering::Equal {
                return if *descending { order.reverse() } else { order };
            }
        }
        Ordering::Equal
    }
}

#[cfg(test)]
mod tests;
