//! EWS: from the text of a request to the text of its answer.

use std::sync::Arc;

use http::Method;
use http::header::CONTENT_TYPE;
use jiff::Timestamp;

use super::reply::Reply;
use super::{Question, Subject};
use crate::authentication::Caller;
use crate::fault::{BusyForm, FaultKind, Target};
use crate::impersonation;
use crate::operations::{self, Call, Disturbance};
use crate::options::ServerVersion;
use crate::organization::{Region, State};
use crate::schema::{self, Level};
use crate::soap::{Element, Envelope, SoapFault, element, envelope};
use crate::streaming;
use crate::subscription::Routed;

const PATH: &str = "/ews/exchange.asmx";

/// What a request is about, as far as it can be read.
pub fn subject(state: &State, question: &Question) -> Subject {
    let Ok(envelope) = parse(&question.text) else { return Subject::default() };
    let named = impersonation::named(&envelope);
    let account = match (named, &question.caller) {
        (Some(named), _) => impersonation::look_up(state, named).cloned(),
        (None, Some(Caller::Owner(own))) => Some(Arc::clone(own)),
        (None, _) => None,
    };
    let mailbox =
        account.as_ref().map(|account| account.address.clone()).or_else(|| named.map(|named| named.text.clone()));
    Subject { operation: Some(envelope.operation_name().to_owned()), mailbox, account }
}

/// Answers an authenticated request.
pub fn answer(state: &State, region: usize, question: &Question, target: Target<'_>, caller: &Caller) -> Reply {
    if !question.path.eq_ignore_ascii_case(PATH) {
        return Reply::bare(404, None, None);
    }
    if question.method != Method::POST {
        return Reply::page();
    }
    let content_type = question.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !content_type.trim_start().to_ascii_lowercase().starts_with("text/xml") {
        return Reply::bare(415, None, None);
    }
    let Some(region_state) = state.regions.get(region) else { return Reply::bare(404, None, None) };
    let routed = state.subscriptions.route(region, region_state.version, &question.headers, target.mailbox);
    match perform(state, region_state, question, target, caller, &routed) {
        Ok(Performed::Text(body)) => {
            let mut reply = Reply::xml(200, envelope::answer(Some(region_state.version), &body));
            if let Some(cookie) = routed.cookie.as_deref().filter(|_| target.operation == Some("Subscribe")) {
                reply.set_cookie(cookie);
            }
            reply
        }
        Ok(Performed::Stream(body)) => Reply::stream(body),
        Err(fault) => {
            let version = (!fault.in_errors_namespace).then_some(region_state.version);
            Reply::xml(500, envelope::answer(version, &fault.to_xml()))
        }
    }
}

/// What comes of a request.
enum Performed {
    Text(String),
    Stream(streaming::Body),
}

fn perform(
    state: &State,
    region: &Region,
    question: &Question,
    target: Target<'_>,
    caller: &Caller,
    routed: &Routed,
) -> Result<Performed, SoapFault> {
    let text = &question.text;
    let envelope = parse(text)?;
    let level = version(region.version, &envelope)?;
    impersonation::check(&envelope)?;
    if !state.lean {
        schema::check(&envelope, level).map_err(|violation| {
            if schema::check(&envelope, Level::newest_of(region.version)).is_ok() {
                return SoapFault::new("ErrorIncorrectSchemaVersion");
            }
            broken(text, violation.offset, violation.text)
        })?;
    }
    if needs_streaming(&envelope) && !knows_streaming(&envelope) {
        return Err(SoapFault::new("ErrorIncorrectSchemaVersion"));
    }
    let account = impersonation::account(state, caller, &envelope)?;
    if let Some(account) = account.as_ref().filter(|account| account.region() != routed.back_end.region) {
        return Err(SoapFault::new(&account.elsewhere()));
    }
    if state.limit_concurrency && question.concurrent > region.version.maximum_concurrency() {
        return Err(SoapFault::new("ErrorExceededConnectionCount"));
    }
    let disturbance = disturbance(state, target)?;
    let refuse = || state.faults.take(target, |kind| matches!(kind, FaultKind::InvalidSyncState)).is_some();
    let call = Call {
        directory: &state.directory,
        transport: &state.transport,
        account: account.as_ref(),
        level,
        disturbance,
        refuse_sync_state: &refuse,
        now: Timestamp::now(),
        subscriptions: &state.subscriptions,
        back_end: routed.back_end,
        caller,
    };
    if envelope.operation_name() == "GetStreamingEvents" {
        let fault = state.faults.take(target, is_of_a_stream);
        return Ok(Performed::Stream(streaming::begin(&call, &envelope.operation, region.version, fault)));
    }
    operations::perform(&call, &envelope.operation).map(Performed::Text)
}

fn is_of_a_stream(kind: &FaultKind) -> bool {
    matches!(
        kind,
        FaultKind::CutStream { .. }
            | FaultKind::BufferedStream
            | FaultKind::SlowStream { .. }
            | FaultKind::GarbageStream
            | FaultKind::SingleBytes
    )
}

fn needs_streaming(envelope: &Envelope) -> bool {
    let is_streaming = || envelope.operation.child("StreamingSubscriptionRequest").is_some();
    envelope.operation_name() == "GetStreamingEvents" || (envelope.operation_name() == "Subscribe" && is_streaming())
}

/// Streaming came with the schema Exchange2010_SP1.
fn knows_streaming(envelope: &Envelope) -> bool {
    let asked = envelope.header("RequestServerVersion").and_then(|header| header.attribute("Version"));
    !matches!(asked, None | Some("Exchange2007" | "Exchange2007_SP1" | "Exchange2010"))
}

/// Takes the faults inside SOAP; those that are SOAP faults themselves end the request.
fn disturbance(state: &State, target: Target<'_>) -> Result<Option<Disturbance>, SoapFault> {
    let inside_soap = |kind: &FaultKind| {
        matches!(
            kind,
            FaultKind::Busy { .. }
                | FaultKind::SoapFault { .. }
                | FaultKind::ResponseError { .. }
                | FaultKind::InnerError { .. }
                | FaultKind::PartialBatch { .. }
        )
    };
    let first = |code: String, back_off, inner| Some(Disturbance::FirstError { code, back_off, inner });
    Ok(match state.faults.take(target, inside_soap) {
        Some(FaultKind::Busy { back_off_milliseconds: time, form }) => match form {
            BusyForm::Response => first("ErrorServerBusy".to_owned(), Some(time), false),
            BusyForm::Inner => first("ErrorServerBusy".to_owned(), Some(time), true),
            BusyForm::FaultTypes | BusyForm::FaultErrors => return Err(SoapFault::busy(time, form)),
        },
        Some(FaultKind::SoapFault { code }) => return Err(SoapFault::new(&code)),
        Some(FaultKind::ResponseError { code }) => first(code, None, false),
        Some(FaultKind::InnerError { code }) => first(code, None, true),
        Some(FaultKind::PartialBatch { keep, form }) => Some(Disturbance::Partial { keep, form }),
        _ => None,
    })
}

fn parse(text: &str) -> Result<Envelope, SoapFault> {
    let text = text.trim_start_matches('\u{feff}');
    let root = Element::parse(text).map_err(|malformed| broken(text, malformed.offset, malformed.reason))?;
    Envelope::new(root).map_err(|(offset, reason)| broken(text, offset, reason))
}

fn broken(text: &str, offset: usize, reason: String) -> SoapFault {
    let (line, column) = element::position(text, offset);
    SoapFault::schema_validation(line, column, reason)
}

/// The level of the request's version, which the server has to know.
fn version(server: ServerVersion, envelope: &Envelope) -> Result<Level, SoapFault> {
    let Some(header) = envelope.header("RequestServerVersion") else { return Ok(Level::Exchange2010) };
    let asked = header.attribute("Version").unwrap_or_default();
    if !server.request_versions().contains(&asked) {
        return Err(SoapFault::new("ErrorInvalidServerVersion"));
    }
    Ok(Level::of_request(asked).min(Level::newest_of(server)))
}
