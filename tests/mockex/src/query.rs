//! Restrictions, order and paging of FindItem and FindFolder (MS-OXWSSRCH).

use std::cmp::Ordering;

use crate::shape::Path;
use crate::soap::Element;

/// What the policy of 2010 and later allows in one answer.
const MOST: usize = 1000;

/// A restriction that cannot be evaluated: `ErrorUnsupportedPathForQuery`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Unsupported;

/// The part of a list that is answered with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Page {
    pub offset: usize,
    pub limit: usize,
}

/// Whether something satisfies a `Restriction`; `value` gives its properties.
pub fn satisfies(restriction: Option<&Element>, value: &dyn Fn(&Path) -> Option<String>) -> Result<bool, Unsupported> {
    match restriction.and_then(|restriction| restriction.children.first()) {
        Some(expression) => evaluate(expression, value),
        None => Ok(true),
    }
}

fn evaluate(expression: &Element, value: &dyn Fn(&Path) -> Option<String>) -> Result<bool, Unsupported> {
    let inner = || expression.children.iter();
    match expression.name.as_str() {
        "And" => inner().try_fold(true, |all, part| Ok(all && evaluate(part, value)?)),
        "Or" => inner().try_fold(false, |any, part| Ok(any || evaluate(part, value)?)),
        "Not" => inner().next().map_or(Err(Unsupported), |part| Ok(!evaluate(part, value)?)),
        "Exists" => Ok(value(&Path::within(expression).ok_or(Unsupported)?).is_some()),
        "Contains" => contains(expression, value),
        comparison => {
            let found = value(&Path::within(expression).ok_or(Unsupported)?);
            let constant =
                expression.path(&["FieldURIOrConstant", "Constant"]).and_then(|constant| constant.attribute("Value"));
            let wanted = constant.ok_or(Unsupported)?;
            let Some(found) = found else { return Ok(comparison == "IsNotEqualTo") };
            let order = compare(&found, wanted);
            match comparison {
                "IsEqualTo" => Ok(order == Ordering::Equal),
                "IsNotEqualTo" => Ok(order != Ordering::Equal),
                "IsGreaterThan" => Ok(order == Ordering::Greater),
                "IsGreaterThanOrEqualTo" => Ok(order != Ordering::Less),
                "IsLessThan" => Ok(order == Ordering::Less),
                "IsLessThanOrEqualTo" => Ok(order != Ordering::Greater),
                _ => Err(Unsupported),
            }
        }
    }
}

fn contains(expression: &Element, value: &dyn Fn(&Path) -> Option<String>) -> Result<bool, Unsupported> {
    let Some(found) = value(&Path::within(expression).ok_or(Unsupported)?) else { return Ok(false) };
    let wanted = expression.child("Constant").and_then(|constant| constant.attribute("Value")).ok_or(Unsupported)?;
    let exact = expression.attribute("ContainmentComparison").is_none_or(|comparison| comparison == "Exact");
    let fold = |text: &str| if exact { text.to_owned() } else { text.to_lowercase() };
    let (found, wanted) = (fold(&found), fold(wanted));
    Ok(match expression.attribute("ContainmentMode") {
        Some("FullString") | None => found == wanted,
        Some("Prefixed") => found.starts_with(&wanted),
        Some(_) => found.contains(&wanted),
    })
}

/// Numbers as numbers, times as times, all else as text without regard to case.
pub fn compare(one: &str, other: &str) -> Ordering {
    if let (Ok(one), Ok(other)) = (one.parse::<i64>(), other.parse::<i64>()) {
        return one.cmp(&other);
    }
    if let (Ok(one), Ok(other)) = (one.parse::<jiff::Timestamp>(), other.parse::<jiff::Timestamp>()) {
        return one.cmp(&other);
    }
    one.to_lowercase().cmp(&other.to_lowercase())
}

/// Reads an indexed view; without one everything that the policy allows.
pub fn page(view: Option<&Element>, total: usize) -> Page {
    let Some(view) = view else { return Page { offset: 0, limit: MOST } };
    let number = |name| view.attribute(name).and_then(|text| text.parse::<usize>().ok());
    let offset = number("Offset").unwrap_or(0);
    let offset = match view.attribute("BasePoint") {
        Some("End") => total.saturating_sub(offset),
        _ => offset,
    };
    Page { offset, limit: number("MaxEntriesReturned").unwrap_or(MOST).clamp(1, MOST) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(restriction: &str, subject: Option<&str>) -> Result<bool, Unsupported> {
        let text = format!(
            "<Restriction xmlns='http://schemas.microsoft.com/exchange/services/2006/types'>{restriction}</Restriction>"
        );
        let element = Element::parse(&text).unwrap();
        satisfies(Some(&element), &|path| match path {
            Path::Field(field) if field == "item:Subject" => subject.map(str::to_owned),
            Path::Field(field) if field == "item:Size" => Some("900".to_owned()),
            _ => None,
        })
    }

    #[test]
    fn expressions_are_evaluated() {
        let equal = "<IsEqualTo><FieldURI FieldURI='item:Subject'/><FieldURIOrConstant><Constant Value='Hello'/></FieldURIOrConstant></IsEqualTo>";
        let larger = "<IsGreaterThan><FieldURI FieldURI='item:Size'/><FieldURIOrConstant><Constant Value='1000'/></FieldURIOrConstant></IsGreaterThan>";
        assert_eq!(holds(equal, Some("hello")), Ok(true));
        assert_eq!(holds(equal, None), Ok(false));
        assert_eq!(holds(larger, None), Ok(false), "numbers are compared as numbers");
        assert_eq!(holds(&format!("<And>{equal}<Not>{larger}</Not></And>"), Some("HELLO")), Ok(true));
        let contains = "<Contains ContainmentMode='Substring' ContainmentComparison='IgnoreCase'><FieldURI FieldURI='item:Subject'/><Constant Value='ELL'/></Contains>";
        assert_eq!(holds(contains, Some("hello")), Ok(true));
        assert_eq!(
            holds("<Excludes><FieldURI FieldURI='item:Size'/><Bitmask Value='1'/></Excludes>", None),
            Err(Unsupported)
        );
    }

    #[test]
    fn pages_count_from_either_end_and_are_limited() {
        let view = |text: &str| Element::parse(text).unwrap();
        assert_eq!(
            page(Some(&view("<V Offset='10' BasePoint='Beginning' MaxEntriesReturned='5000'/>")), 100),
            Page { offset: 10, limit: MOST }
        );
        assert_eq!(page(Some(&view("<V Offset='10' BasePoint='End'/>")), 100).offset, 90);
    }
}
