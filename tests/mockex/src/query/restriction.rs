//! Restrictions: read once and refused as a whole, then evaluated for each thing.

use std::cmp::Ordering;

use super::Refusal;
use crate::shape::{Kind, Path, Value};
use crate::soap::Element;

/// An expression that something satisfies or not.
#[derive(Clone, Debug)]
pub enum Restriction {
    And(Vec<Restriction>),
    Or(Vec<Restriction>),
    Not(Box<Restriction>),
    Exists(Path),
    /// None of the bits is set.
    Excludes(Path, i64),
    Contains(Path, Containment),
    Compare(Path, Comparison, Operand),
}

/// `Contains`.
#[derive(Clone, Debug)]
pub struct Containment {
    mode: Mode,
    is_exact: bool,
    text: String,
}

#[derive(Clone, Copy, Debug)]
enum Mode {
    FullString,
    Prefixed,
    Substring,
    PrefixOnWords,
    ExactPhrase,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Comparison {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

/// What a property is compared with.
#[derive(Clone, Debug)]
pub enum Operand {
    Constant(Value),
    Property(Path),
}

type Kinds<'a> = &'a dyn Fn(&Path) -> Option<Kind>;
type Values<'a> = &'a dyn Fn(&Path) -> Option<Value>;

// === impl Restriction ===

impl Restriction {
    /// Reads a `Restriction`; `kind` tells the types of properties that can be searched. None is satisfied by everything.
    pub fn read(element: Option<&Element>, kind: Kinds<'_>) -> Result<Self, Refusal> {
        match element {
            None => Ok(Self::And(Vec::new())),
            Some(element) => Self::expression(element.children.first().ok_or(Refusal::Form)?, kind),
        }
    }

    fn expression(element: &Element, kind: Kinds<'_>) -> Result<Self, Refusal> {
        let inner = || element.children.iter().map(|part| Self::expression(part, kind)).collect::<Result<Vec<_>, _>>();
        match element.name.as_str() {
            "And" => return inner().map(Self::And),
            "Or" => return inner().map(Self::Or),
            "Not" => return inner()?.pop().map(|part| Self::Not(Box::new(part))).ok_or(Refusal::Form),
            _ => {}
        }
        let path = Path::within(element).ok_or(Refusal::Form)?;
        let kind_here = searchable(&path, kind)?;
        match element.name.as_str() {
            "Exists" => Ok(Self::Exists(path)),
            "Excludes" => {
                let mask = element.child("Bitmask").and_then(|mask| mask.attribute("Value")).and_then(bits);
                Ok(Self::Excludes(path, mask.ok_or(Refusal::Form)?))
            }
            "Contains" if matches!(kind_here, Kind::Text | Kind::Texts) => {
                Ok(Self::Contains(path, Containment::read(element)?))
            }
            "Contains" => Err(Refusal::Contains(path)),
            name => {
                let comparison = Comparison::of(name).ok_or(Refusal::Form)?;
                let operand = Operand::read(element, &path, kind_here, kind)?;
                Ok(Self::Compare(path, comparison, operand))
            }
        }
    }

    /// Whether something satisfies it; `value` gives its properties.
    pub fn holds(&self, value: Values<'_>) -> bool {
        match self {
            Self::And(parts) => parts.iter().all(|part| part.holds(value)),
            Self::Or(parts) => parts.iter().any(|part| part.holds(value)),
            Self::Not(part) => !part.holds(value),
            Self::Exists(path) => value(path).is_some(),
            Self::Excludes(path, mask) => match value(path) {
                Some(Value::Number(number)) => number & mask == 0,
                _ => false,
            },
            Self::Contains(path, containment) => {
                value(path).is_some_and(|found| found.texts().iter().any(|text| containment.holds(text)))
            }
            Self::Compare(path, comparison, operand) => {
                let other = match operand {
                    Operand::Constant(constant) => Some(constant.clone()),
                    Operand::Property(path) => value(path),
                };
                comparison.holds(value(path), other)
            }
        }
    }
}

fn searchable(path: &Path, kind: Kinds<'_>) -> Result<Kind, Refusal> {
    if !path.is_valid() {
        return Err(Refusal::Extended(path.clone()));
    }
    kind(path).ok_or_else(|| Refusal::Search(path.clone()))
}

fn bits(text: &str) -> Option<i64> {
    let text = text.trim();
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => i64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

// === impl Operand ===

impl Operand {
    fn read(element: &Element, path: &Path, kind_here: Kind, kind: Kinds<'_>) -> Result<Self, Refusal> {
        let operand = element.child("FieldURIOrConstant").ok_or(Refusal::Form)?;
        if let Some(constant) = operand.child("Constant") {
            let text = constant.attribute("Value").unwrap_or_default();
            let value = Value::read(kind_here, text);
            return value.map(Self::Constant).ok_or_else(|| Refusal::Constant(path.clone()));
        }
        let other = Path::within(operand).ok_or(Refusal::Form)?;
        searchable(&other, kind)?;
        Ok(Self::Property(other))
    }
}

// === impl Comparison ===

impl Comparison {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "IsEqualTo" => Self::Equal,
            "IsNotEqualTo" => Self::NotEqual,
            "IsGreaterThan" => Self::Greater,
            "IsGreaterThanOrEqualTo" => Self::GreaterOrEqual,
            "IsLessThan" => Self::Less,
            "IsLessThanOrEqualTo" => Self::LessOrEqual,
            _ => return None,
        })
    }

    fn holds(self, one: Option<Value>, two: Option<Value>) -> bool {
        let (Some(one), Some(two)) = (one, two) else { return self == Self::NotEqual };
        if let (Value::Texts(texts), Value::Text(_)) = (&one, &two) {
            let equal = texts.iter().any(|text| Value::Text(text.clone()).compare(&two) == Some(Ordering::Equal));
            return equal == (self != Self::NotEqual);
        }
        let Some(order) = one.compare(&two) else { return self == Self::NotEqual };
        match self {
            Self::Equal => order == Ordering::Equal,
            Self::NotEqual => order != Ordering::Equal,
            Self::Greater => order == Ordering::Greater,
            Self::GreaterOrEqual => order != Ordering::Less,
            Self::Less => order == Ordering::Less,
            Self::LessOrEqual => order != Ordering::Greater,
        }
    }
}

// === impl Containment ===

impl Containment {
    /// Every comparison but `Exact` takes no notice of case; marks above letters always count.
    fn read(element: &Element) -> Result<Self, Refusal> {
        let text = element.child("Constant").and_then(|constant| constant.attribute("Value")).ok_or(Refusal::Form)?;
        let mode = match element.attribute("ContainmentMode") {
            Some("FullString") | None => Mode::FullString,
            Some("Prefixed") => Mode::Prefixed,
            Some("Substring") => Mode::Substring,
            Some("PrefixOnWords") => Mode::PrefixOnWords,
            Some("ExactPhrase") => Mode::ExactPhrase,
            Some(_) => return Err(Refusal::Form),
        };
        let is_exact = element.attribute("ContainmentComparison").is_none_or(|comparison| comparison == "Exact");
        let text = if is_exact { text.to_owned() } else { text.to_lowercase() };
        Ok(Self { mode, is_exact, text })
    }

    fn holds(&self, found: &str) -> bool {
        let found = if self.is_exact { found.to_owned() } else { found.to_lowercase() };
        let is_start = |at: usize| !found.get(..at).is_some_and(|before| before.ends_with(char::is_alphanumeric));
        let is_end = |at: usize| !found.get(at..).is_some_and(|after| after.starts_with(char::is_alphanumeric));
        let mut places = found.match_indices(&self.text).map(|(at, _)| at);
        match self.mode {
            Mode::FullString => found == self.text,
            Mode::Prefixed => found.starts_with(&self.text),
            Mode::Substring => places.next().is_some(),
            Mode::PrefixOnWords => places.any(is_start),
            Mode::ExactPhrase => places.any(|at| is_start(at) && is_end(at + self.text.len())),
        }
    }
}
