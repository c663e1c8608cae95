//! Response messages: one for each thing that was asked for, each a success or an error of its own.

use super::{Call, Disturbance};
use crate::fault::PartialForm;
use crate::query::Refusal;
use crate::shape::{Path, Shape};
use crate::soap::Xml;
use crate::soap::fault::message_text;

const MESSAGES: &str = "http://schemas.microsoft.com/exchange/services/2006/messages";
const TYPES: &str = "http://schemas.microsoft.com/exchange/services/2006/types";

/// Why one thing failed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure {
    pub code: String,
    class: &'static str,
    /// The property at fault.
    path: Option<Box<Path>>,
    details: Vec<(&'static str, String)>,
    /// What a warning gives all the same.
    content: Option<String>,
}

/// After these the real server leaves the rest of a batch (EWS best practices, "batching"; throttling likewise).
const STOPPING: &[&str] = &[
    "ErrorADOperation",
    "ErrorADUnavailable",
    "ErrorAccessDenied",
    "ErrorAccountDisabled",
    "ErrorConnectionFailed",
    "ErrorInsufficientResources",
    "ErrorMailboxMoveInProgress",
    "ErrorMailboxStoreUnavailable",
    "ErrorPasswordChangeRequired",
    "ErrorPasswordExpired",
    "ErrorQuotaExceeded",
    "ErrorServerBusy",
];

// === impl Failure ===

impl Failure {
    pub fn new(code: &str) -> Self {
        Self { code: code.to_owned(), class: "Error", path: None, details: Vec::new(), content: None }
    }

    /// Names the property at fault.
    pub fn at(code: &str, path: &Path) -> Self {
        Self { path: Some(Box::new(path.clone())), ..Self::new(code) }
    }

    /// An answer with a reservation.
    pub fn warning(code: &str, content: String) -> Self {
        Self { class: "Warning", content: Some(content), ..Self::new(code) }
    }

    fn stopped() -> Self {
        Self { class: "Warning", ..Self::new("ErrorBatchProcessingStopped") }
    }

    fn stops_the_batch(&self) -> bool {
        STOPPING.contains(&self.code.as_str())
    }

    fn disturbed(code: &str, back_off: Option<u64>, inner: bool) -> Self {
        let mut failure = Self::new(if inner { "ErrorInternalServerError" } else { code });
        if inner {
            failure.details.push(("InnerErrorMessageText", message_text(code).to_owned()));
            failure.details.push(("InnerErrorResponseCode", code.to_owned()));
        }
        failure.details.extend(back_off.map(|time| ("BackOffMilliseconds", time.to_string())));
        failure
    }

    fn write_cause(&self, xml: &mut Xml) {
        if self.path.is_none() && self.details.is_empty() {
            return;
        }
        xml.open("m:MessageXml");
        if let Some(path) = &self.path {
            path.write(xml);
        }
        for (name, value) in &self.details {
            xml.text_with("t:Value", &[("Name", name)], value);
        }
        xml.close("m:MessageXml");
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Search(path) => Self::at("ErrorUnsupportedPathForQuery", &path),
            Refusal::Sort(path) => Self::at("ErrorUnsupportedPathForSortGroup", &path),
            Refusal::Contains(path) => Self::at("ErrorContainsFilterWrongType", &path),
            Refusal::Extended(path) => Self::at("ErrorInvalidExtendedProperty", &path),
            Refusal::Constant(path) => Self::at("ErrorInvalidValueForProperty", &path),
            Refusal::Form => Self::new("ErrorInvalidRestriction"),
        }
    }
}

/// Refuses a shape that asks for what cannot be named.
pub fn check_paths(shape: &Shape) -> Result<(), Failure> {
    match shape.invalid_path() {
        Some(path) => Err(Failure::at("ErrorInvalidExtendedProperty", path)),
        None => Ok(()),
    }
}

/// The answer of a batch: `perform` is done for each input that a disturbance or a hard error leaves. `empty` stands where
/// a failed message has no content.
pub fn batch<T>(
    call: &Call<'_>,
    name: &str,
    empty: &str,
    inputs: &[T],
    mut perform: impl FnMut(&T) -> Result<String, Failure>,
) -> String {
    let mut xml = Xml::new();
    let element = format!("m:{name}Response");
    let message = format!("m:{name}ResponseMessage");
    xml.open_with(&element, &[("xmlns:m", MESSAGES), ("xmlns:t", TYPES)]);
    xml.open("m:ResponseMessages");
    let mut is_stopped = false;
    for (index, input) in inputs.iter().enumerate() {
        let outcome = match &call.disturbance {
            _ if is_stopped => Err(Failure::stopped()),
            Some(Disturbance::FirstError { code, back_off, inner }) if index == 0 => {
                Err(Failure::disturbed(code, *back_off, *inner))
            }
            Some(Disturbance::FirstError { .. }) => Err(Failure::stopped()),
            Some(Disturbance::Partial { keep, form }) if index >= *keep => match form {
                PartialForm::Missing => break,
                PartialForm::Stopped => Err(Failure::stopped()),
            },
            _ => perform(input),
        };
        is_stopped |= outcome.as_ref().is_err_and(Failure::stops_the_batch);
        write(&mut xml, &message, empty, outcome);
    }
    xml.close("m:ResponseMessages");
    xml.close(&element);
    xml.into_string()
}

/// The answer of an operation with one result.
pub fn single(call: &Call<'_>, name: &str, empty: &str, perform: impl FnOnce() -> Result<String, Failure>) -> String {
    let mut perform = Some(perform);
    batch(call, name, empty, &[()], |()| perform.take().map_or_else(|| Err(Failure::stopped()), |perform| perform()))
}

fn write(xml: &mut Xml, message: &str, empty: &str, outcome: Result<String, Failure>) {
    match outcome {
        Ok(content) => {
            xml.open_with(message, &[("ResponseClass", "Success")]);
            xml.text("m:ResponseCode", "NoError");
            xml.raw(&content);
        }
        Err(failure) => {
            xml.open_with(message, &[("ResponseClass", failure.class)]);
            xml.text("m:MessageText", message_text(&failure.code));
            xml.text("m:ResponseCode", &failure.code);
            xml.text("m:DescriptiveLinkKey", "0");
            failure.write_cause(xml);
            xml.raw(failure.content.as_deref().unwrap_or(empty));
        }
    }
    xml.close(message);
}
