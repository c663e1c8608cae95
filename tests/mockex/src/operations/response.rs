//! Response messages: one for each thing that was asked for, each a success or an error of its own.

use super::{Call, Disturbance};
use crate::fault::PartialForm;
use crate::soap::Xml;
use crate::soap::fault::message_text;

const MESSAGES: &str = "http://schemas.microsoft.com/exchange/services/2006/messages";
const TYPES: &str = "http://schemas.microsoft.com/exchange/services/2006/types";

/// Why one thing failed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure {
    pub code: String,
    class: &'static str,
    details: Vec<(&'static str, String)>,
}

impl Failure {
    pub fn new(code: &str) -> Self {
        Self { code: code.to_owned(), class: "Error", details: Vec::new() }
    }

    /// What did not succeed without being an error.
    pub fn warning(code: &str) -> Self {
        Self { class: "Warning", ..Self::new(code) }
    }

    fn stopped() -> Self {
        Self::warning("ErrorBatchProcessingStopped")
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
}

/// The answer of a batch: `perform` is done for each input that a disturbance leaves. `empty` stands where a failed
/// message has no content.
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
    for (index, input) in inputs.iter().enumerate() {
        let outcome = match &call.disturbance {
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
            if !failure.details.is_empty() {
                xml.open("m:MessageXml");
                for (name, value) in &failure.details {
                    xml.text_with("t:Value", &[("Name", name)], value);
                }
                xml.close("m:MessageXml");
            }
            xml.raw(empty);
        }
    }
    xml.close(message);
}
