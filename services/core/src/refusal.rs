//! Why a command was refused: the field, the rule and the fix. A refusal changed nothing.

use crate::fault::Code;

/// A refused command. Its [`Code`] is a row of the fault table and decides the status that an API answers with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {rule}")]
pub struct Refusal {
    /// The row of the fault table.
    pub code: Code,
    /// The field or setting at fault, as the API names it; empty where no field is.
    pub field: String,
    /// What is wrong this time, for example `70000 is not between 1 and 65535`.
    pub rule: String,
}

impl Refusal {
    /// A refusal of `field` because of `rule`.
    pub fn new(code: Code, field: impl Into<String>, rule: impl Into<String>) -> Self {
        Self { code, field: field.into(), rule: rule.into() }
    }

    /// What to do about it, from the fault table.
    pub fn fix(&self) -> &'static str {
        self.code.row().remedy
    }

    /// The same refusal for a field inside another, for example `settings.name`.
    #[must_use]
    pub fn within(mut self, parent: &str) -> Self {
        self.field = format!("{parent}.{}", self.field);
        self
    }
}

/// Checks that a text is within its length, in characters.
pub fn length(field: &str, text: &str, most: usize) -> Result<(), Refusal> {
    let found = text.chars().count();
    if found > most {
        return Err(Refusal::new(
            Code::FieldTooLong,
            field,
            format!("has {found} characters; at most {most} are allowed"),
        ));
    }
    Ok(())
}

/// Checks that a required text is there and within its length.
pub fn required(field: &str, text: &str, most: usize) -> Result<(), Refusal> {
    if text.trim().is_empty() {
        return Err(Refusal::new(Code::FieldRequired, field, "is required"));
    }
    length(field, text, most)
}

/// Checks that a number is within its range.
pub fn within(field: &str, value: u64, least: u64, most: u64) -> Result<(), Refusal> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(Refusal::new(Code::ValueOutOfRange, field, format!("{value} is not between {least} and {most}")))
}
