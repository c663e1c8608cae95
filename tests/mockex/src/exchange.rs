//! One HTTP exchange: what is common to EWS and Autodiscover, and the faults below SOAP.

mod ews;
mod reply;

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method};
use http_body_util::{BodyExt as _, Limited};
use hyper::Request as HttpRequest;
use hyper::body::Incoming;

use crate::authentication::{self, Caller};
use crate::autodiscover;
use crate::directory::Account;
use crate::fault::{FaultKind, Service, Target};
use crate::ledger::Request;
use crate::organization::State;
use crate::token;
use reply::Reply;

/// The largest body of a request that is not for EWS.
const LIMIT: usize = 64 << 20;
/// What is read of a body that is too large, so that its sender gets the answer and not a broken connection.
const DISCARDED: usize = 512 << 20;

/// The connection is closed without an answer.
#[derive(Debug)]
pub struct Closed;

/// Why a request could not be read.
enum Unread {
    TooLarge { with_credentials: bool },
    Broken,
}

impl std::fmt::Display for Closed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("closed by a fault")
    }
}

impl std::error::Error for Closed {}

/// A request, read whole.
pub(crate) struct Question {
    pub method: Method,
    pub path: String,
    pub host: String,
    pub headers: HeaderMap,
    pub text: String,
    /// Who asks; none if the credentials are missing or wrong.
    pub caller: Option<Caller>,
    /// How many requests are being served for the mailbox, this one included.
    pub concurrent: usize,
}

/// What a request is about, found out before anything is decided.
#[derive(Clone, Debug, Default)]
pub(crate) struct Subject {
    pub operation: Option<String>,
    /// The primary address if there is such a mailbox, or what was asked for instead.
    pub mailbox: Option<String>,
    pub account: Option<Arc<Account>>,
}

/// Answers a request.
pub(crate) async fn handle(
    state: Arc<State>,
    service: Service,
    region: Option<usize>,
    request: HttpRequest<Incoming>,
) -> Result<reply::HttpResponse, Closed> {
    let mut question = match read(&state, region, request).await {
        Ok(question) => question,
        Err(Unread::TooLarge { with_credentials }) => {
            let region = region.and_then(|index| state.regions.get(index)).map(|region| region.name.clone());
            let (operation, mailbox) = (None, None);
            state
                .ledger
                .note(Request { service, region, operation, mailbox, with_credentials, status: 413 }, !state.lean);
            return Ok(Reply::bare(413, None, None).into_response(&HeaderMap::new(), None));
        }
        Err(Unread::Broken) => return Err(Closed),
    };
    let is_token = service == Service::Autodiscover && token::is_endpoint(&state, &question.path);
    let service = if is_token { Service::Token } else { service };
    let subject = match service {
        Service::Ews => ews::subject(&state, &question),
        Service::Autodiscover => autodiscover::subject(&state, &question),
        Service::Token => Subject { operation: Some("token".to_owned()), ..Subject::default() },
    };
    // Counted until the answer is made: slow requests are what fills the budget.
    let connection = subject.account.as_ref().filter(|_| question.caller.is_some()).map(Account::connect);
    question.concurrent = connection.as_ref().map_or(0, |(_, now)| *now);
    let region_name = region.and_then(|index| state.regions.get(index)).map(|region| region.name.clone());
    let target = Target {
        service,
        region: region_name.as_deref(),
        mailbox: subject.mailbox.as_deref(),
        operation: subject.operation.as_deref(),
    };
    let answered = answer(&state, service, region, &question, target).await;
    let request = Request {
        service,
        region: region_name.clone(),
        operation: subject.operation.clone(),
        mailbox: subject.mailbox.clone(),
        with_credentials: is_token || question.headers.contains_key(http::header::AUTHORIZATION),
        status: answered.as_ref().map_or(0, Reply::status),
    };
    state.ledger.note(request, !state.lean);
    let is_performed = answered.as_ref().is_ok_and(|reply| reply.status() == 200);
    if is_performed && state.faults.take(target, |kind| matches!(kind, FaultKind::LostAnswer)).is_some() {
        return Err(Closed);
    }
    let cut = match state.faults.take(target, |kind| matches!(kind, FaultKind::CutAnswer { .. })) {
        Some(FaultKind::CutAnswer { percent }) => Some(percent),
        _ => None,
    };
    Ok(answered?.into_response(&question.headers, cut))
}

async fn answer(
    state: &State,
    service: Service,
    region: Option<usize>,
    question: &Question,
    target: Target<'_>,
) -> Result<Reply, Closed> {
    if let Some(FaultKind::Slow { milliseconds }) =
        state.faults.take(target, |kind| matches!(kind, FaultKind::Slow { .. }))
    {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    }
    let below_soap =
        |kind: &FaultKind| matches!(kind, FaultKind::Down | FaultKind::HttpStatus { .. } | FaultKind::HtmlPage);
    match state.faults.take(target, below_soap) {
        Some(FaultKind::Down) => return Err(Closed),
        Some(FaultKind::HttpStatus { status: 401, .. }) => return Ok(unauthorized(state, service, question)),
        Some(FaultKind::HttpStatus { status, retry_after, location }) => {
            return Ok(Reply::bare(status, retry_after, location.as_deref()));
        }
        Some(FaultKind::HtmlPage) => return Ok(Reply::page()),
        _ => {}
    }
    if service == Service::Token {
        return Ok(token::answer(state, question));
    }
    let Some(caller) = &question.caller else {
        return Ok(unauthorized(state, service, question));
    };
    Ok(respond(state, service, region, question, target, caller))
}

fn respond(
    state: &State,
    service: Service,
    region: Option<usize>,
    question: &Question,
    target: Target<'_>,
    caller: &Caller,
) -> Reply {
    match (service, region) {
        (Service::Ews, Some(region)) => ews::answer(state, region, question, target, caller),
        _ => autodiscover::answer(state, question, target),
    }
}

fn unauthorized(state: &State, service: Service, question: &Question) -> Reply {
    Reply::unauthorized(authentication::challenge(state, service, &question.host, &question.headers))
}

async fn read(state: &State, region: Option<usize>, request: HttpRequest<Incoming>) -> Result<Question, Unread> {
    let (parts, body) = request.into_parts();
    let host = parts.headers.get(http::header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let host = host.split(':').next().unwrap_or_default().to_owned();
    let version = region.and_then(|index| state.regions.get(index)).map(|region| region.version);
    let limit = version.map_or(LIMIT, |version| state.request_limit.unwrap_or_else(|| version.request_limit()));
    let Some(body) = read_body(body, limit).await? else {
        return Err(Unread::TooLarge { with_credentials: parts.headers.contains_key(http::header::AUTHORIZATION) });
    };
    let text = String::from_utf8_lossy(&body).into_owned();
    let caller = authentication::caller(state, &parts.headers);
    let path = parts.uri.path().to_owned();
    Ok(Question { method: parts.method, path, host, headers: parts.headers, text, caller, concurrent: 0 })
}

/// The body; none if it is larger than the limit, after it was read to its end.
async fn read_body(body: Incoming, limit: usize) -> Result<Option<Vec<u8>>, Unread> {
    let mut body = Limited::new(body, DISCARDED);
    let (mut bytes, mut is_too_large) = (Vec::new(), false);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Unread::Broken)?;
        let Some(data) = frame.data_ref() else { continue };
        is_too_large |= bytes.len() + data.len() > limit;
        if is_too_large {
            bytes = Vec::new();
        } else {
            bytes.extend_from_slice(data);
        }
    }
    Ok((!is_too_large).then_some(bytes))
}

pub(crate) use reply::Reply as Answer;
