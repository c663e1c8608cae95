//! The common part of every answer: one response message for each thing asked, in the order asked (MS-OXWSCDATA).

use std::time::Duration;

use crate::{
    Class, Known, ResponseCode,
    xml::{Element, Namespace, Reader, XmlError},
};

/// An error of one response message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ResponseError {
    /// What happened.
    pub code: ResponseCode,
    /// The server's words, localised; never to be branched on.
    pub message: String,
    /// What else the server told.
    pub details: Box<Details>,
}

/// What `MessageXml` tells besides the code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// `BackOffMilliseconds`.
    pub back_off: Option<Duration>,
    /// `InnerErrorResponseCode`.
    pub inner: Option<ResponseCode>,
    /// The properties at fault, such as `item:Subject`.
    pub properties: Vec<String>,
    /// All named values.
    pub values: Vec<(String, String)>,
}

/// Why one item of a batch has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ItemError {
    /// The server refused or failed it.
    #[error(transparent)]
    Response(#[from] ResponseError),
    /// The server stopped the batch before it (`ErrorBatchProcessingStopped`): nothing is known of it; ask for it again.
    #[error("not attempted: the server stopped the batch before it")]
    NotAttempted,
    /// The answer has fewer messages than things were asked for, and this one is not among them: ask for it again.
    #[error("not processed: the answer ends before it")]
    NotProcessed,
    /// A value of it cannot be read.
    #[error("the value of {element} cannot be read")]
    Unreadable {
        /// The value's element.
        element: String,
    },
    /// The server reports success, but sends nothing.
    #[error("reported as done, but not sent")]
    Missing,
}

/// Why an answer that is an envelope is none to the operation.
#[derive(Debug)]
pub enum ReadError {
    /// It cannot be read.
    Xml(XmlError),
    /// It is an error, of an operation that has one response message.
    Response(ResponseError),
}

/// The result of one response message.
pub(crate) type Message<T> = Result<T, ItemError>;

/// The first error of a batch that concerns more than its item, such as throttling: the items after it are to be asked for
/// again, when the error's class allows.
pub fn stopper<T>(batch: &[Result<T, ItemError>]) -> Option<&ResponseError> {
    batch.iter().find_map(|item| match item {
        Err(ItemError::Response(error)) if error.class().stops_batch() => Some(error),
        _ => None,
    })
}

/// Reads `m:…Response` of the operation with this name into one result for each response message.
pub(crate) fn messages<P: Default>(
    reader: &mut Reader<'_>,
    response: &Element<'_>,
    operation: &str,
    mut read: impl FnMut(&mut P, &mut Reader<'_>, &Element<'_>) -> Result<(), XmlError>,
) -> Result<Vec<Message<P>>, XmlError> {
    let is_expected = response.namespace() == Namespace::Messages
        && response.name().strip_suffix("Response").is_some_and(|name| name == operation);
    if !is_expected {
        return Err(XmlError::Unexpected(format!("{} in place of {operation}Response", response.name())));
    }
    let mut messages = Vec::new();
    reader.children(|reader, list| {
        if list.key() != (Namespace::Messages, "ResponseMessages") {
            return Ok(());
        }
        reader.children(|reader, element| {
            messages.push(message(reader, element, &mut read)?);
            Ok(())
        })
    })?;
    Ok(messages)
}

fn message<P: Default>(
    reader: &mut Reader<'_>,
    element: &Element<'_>,
    read: &mut impl FnMut(&mut P, &mut Reader<'_>, &Element<'_>) -> Result<(), XmlError>,
) -> Result<Message<P>, XmlError> {
    let class = element.attribute("ResponseClass")?;
    let mut code = ResponseCode::Known(Known::NoError);
    let mut text = String::new();
    let mut details = Details::default();
    let mut payload = P::default();
    reader.children(|reader, part| match part.key() {
        (Namespace::Messages, "ResponseCode") => {
            code = ResponseCode::read(&reader.text()?);
            Ok(())
        }
        (Namespace::Messages, "MessageText") => {
            reader.text()?.trim().clone_into(&mut text);
            Ok(())
        }
        (Namespace::Messages, "MessageXml") => details.read(reader),
        _ => read(&mut payload, reader, part),
    })?;
    let defect = reader.take_defect();
    if code == Known::ErrorBatchProcessingStopped {
        return Ok(Err(ItemError::NotAttempted));
    }
    let failed = class.map_or(code != Known::NoError, |class| class == "Error");
    if failed {
        return Ok(Err(ResponseError { code, message: text, details: Box::new(details) }.into()));
    }
    Ok(defect.map_or(Ok(payload), |defect| Err(ItemError::Unreadable { element: defect.element })))
}

/// Pairs results with what was asked for, by position.
pub(crate) fn pair<T>(mut answers: Vec<Message<T>>, asked: usize) -> Vec<Message<T>> {
    answers.truncate(asked);
    answers.resize_with(asked, || Err(ItemError::NotProcessed));
    answers
}

/// The result of an operation that has one response message.
pub(crate) fn single<T>(answers: Vec<Message<T>>) -> Result<T, ReadError> {
    match answers.into_iter().next() {
        Some(Ok(answer)) => Ok(answer),
        Some(Err(ItemError::Response(error))) => Err(ReadError::Response(error)),
        Some(Err(error)) => Err(XmlError::Unexpected(error.to_string()).into()),
        None => Err(XmlError::Unexpected("it has no response message".to_owned()).into()),
    }
}

// === impl ResponseError ===

impl ResponseError {
    /// The code that tells what happened: the inner one where the outer one says nothing.
    #[must_use]
    pub fn effective_code(&self) -> &ResponseCode {
        self.details.effective(&self.code)
    }

    /// What to do about it.
    #[must_use]
    pub fn class(&self) -> Class {
        self.effective_code().class()
    }

    /// How long the server wants to be left alone.
    #[must_use]
    pub fn back_off(&self) -> Option<Duration> {
        self.details.back_off
    }
}

// === impl ItemError ===

impl ItemError {
    /// What to do about it.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Response(error) => error.class(),
            Self::NotAttempted | Self::NotProcessed => Class::Transient,
            Self::Unreadable { .. } | Self::Missing => Class::ItemPermanent,
        }
    }

    /// How long the server wants to be left alone.
    #[must_use]
    pub fn back_off(&self) -> Option<Duration> {
        match self {
            Self::Response(error) => error.back_off(),
            _ => None,
        }
    }

    /// Whether the item is simply to be asked for again, because the server never looked at it.
    #[must_use]
    pub const fn is_unattempted(&self) -> bool {
        matches!(self, Self::NotAttempted | Self::NotProcessed)
    }
}

// === impl ReadError ===

impl From<XmlError> for ReadError {
    fn from(error: XmlError) -> Self {
        Self::Xml(error)
    }
}

// === impl Details ===

impl Details {
    pub(crate) fn effective<'a>(&'a self, outer: &'a ResponseCode) -> &'a ResponseCode {
        match &self.inner {
            Some(inner) if *outer == Known::ErrorInternalServerError => inner,
            _ => outer,
        }
    }

    /// Reads the content of `MessageXml`, which holds whatever it likes.
    pub(crate) fn read(&mut self, reader: &mut Reader<'_>) -> Result<(), XmlError> {
        reader.children(|reader, part| {
            match part.name() {
                "Value" => {
                    let name = part.attribute("Name")?.unwrap_or_default();
                    self.value(name, reader.text()?.trim());
                }
                "FieldURI" | "IndexedFieldURI" | "ExceptionFieldURI" => {
                    let field = part.attribute("FieldURI")?.unwrap_or_default();
                    let index = part.attribute("FieldIndex")?.map(|index| format!(":{index}")).unwrap_or_default();
                    self.properties.push(format!("{field}{index}"));
                }
                "ExtendedFieldURI" => {
                    let name = part.attribute("PropertyName")?.or(part.attribute("PropertyTag")?);
                    self.properties.extend(name.or(part.attribute("PropertyId")?));
                }
                _ => {}
            }
            Ok(())
        })
    }

    fn value(&mut self, name: String, value: &str) {
        match name.as_str() {
            "BackOffMilliseconds" => self.back_off = value.parse().ok().map(Duration::from_millis),
            "InnerErrorResponseCode" => self.inner = Some(ResponseCode::read(value)),
            _ => {}
        }
        self.values.push((name, value.to_owned()));
    }
}
