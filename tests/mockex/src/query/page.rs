//! The part of a list that is answered with.

use crate::soap::{Element, Xml};

/// What the policy EWSFindCountLimit allows in one answer.
const MOST: usize = 1000;

/// A page of a list.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Page {
    pub start: usize,
    pub end: usize,
    total: usize,
    form: Form,
}

/// How the answer tells where the next page begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Form {
    Indexed,
    Fractional,
    /// A `CalendarView` has no pages.
    Unpaged,
}

// === impl Page ===

impl Page {
    /// Reads the view of a request; without one the page is everything that the policy allows. None where the view is
    /// impossible: `ErrorInvalidFractionalPagingParameters`.
    pub fn read(operation: &Element, total: usize) -> Option<Self> {
        let Some(view) = operation.children.iter().find(|child| child.name.ends_with("View")) else {
            return Some(Self::new(0, MOST, total, Form::Indexed));
        };
        let number = |name| view.attribute(name).and_then(|text| text.trim().parse::<usize>().ok());
        let most = number("MaxEntriesReturned").unwrap_or(MOST).clamp(1, MOST);
        if view.name.starts_with("Fractional") {
            let (numerator, denominator) = (number("Numerator")?, number("Denominator")?);
            let start = total.checked_mul(numerator)?.checked_div(denominator)?;
            return (numerator <= denominator).then(|| Self::new(start, most, total, Form::Fractional));
        }
        let form = if view.name == "CalendarView" { Form::Unpaged } else { Form::Indexed };
        let offset = number("Offset").unwrap_or(0);
        let start = if view.attribute("BasePoint") == Some("End") { total.saturating_sub(offset) } else { offset };
        Some(Self::new(start, most, total, form))
    }

    fn new(start: usize, most: usize, total: usize, form: Form) -> Self {
        let start = start.min(total);
        Self { start, end: (start + most).min(total), total, form }
    }

    /// Writes the start of `m:RootFolder`.
    pub fn open(self, xml: &mut Xml) {
        let (end, total) = (self.end.to_string(), self.total.to_string());
        let mut attributes: Vec<(&str, &str)> = match self.form {
            Form::Indexed => vec![("IndexedPagingOffset", &end)],
            Form::Fractional => vec![("NumeratorOffset", &end), ("AbsoluteDenominator", &total)],
            Form::Unpaged => Vec::new(),
        };
        let last = if self.end >= self.total { "true" } else { "false" };
        attributes.extend([("TotalItemsInView", total.as_str()), ("IncludesLastItemInRange", last)]);
        xml.open_with("m:RootFolder", &attributes);
    }

    /// The things on the page.
    pub fn of<T>(self, list: &[T]) -> &[T] {
        list.get(self.start..self.end).unwrap_or_default()
    }
}
