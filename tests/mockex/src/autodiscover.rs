//! Autodiscover: SOAP and POX, for any mailbox of the organisation.

mod pox;
mod soap;

use std::sync::Arc;

use http::Method;

use crate::directory::Account;
use crate::exchange::{Answer, Question, Subject};
use crate::fault::{FaultKind, Target};
use crate::organization::State;

const SOAP: &str = "/autodiscover/autodiscover.svc";
const POX: &str = "/autodiscover/autodiscover.xml";

/// Where a mailbox is, or why it is not known.
pub(crate) enum Found<'a> {
    /// Here.
    Mailbox(&'a Arc<Account>),
    /// The organisation does not answer for the domain, or has no such mailbox.
    Unknown,
}

/// Where to ask instead.
pub(crate) enum Redirect {
    /// With another address: the mailbox lives in another organisation.
    Address(String),
    /// At another Autodiscover.
    Url(String),
}

/// What a request is about.
pub(crate) fn subject(state: &State, question: &Question) -> Subject {
    if question.method != Method::POST {
        return Subject::default();
    }
    let (operation, asked) = if is(question, SOAP) {
        ("GetUserSettings", soap::addresses(&question.text).into_iter().next())
    } else {
        ("pox", pox::address(&question.text))
    };
    let primary = asked.as_ref().and_then(|asked| state.directory.by_address(asked));
    let mailbox = primary.map(|account| account.address.clone()).or(asked);
    // Autodiscover has a budget of its own, which nothing here fills: no account to count for.
    Subject { operation: Some(operation.to_owned()), mailbox, account: None }
}

/// Answers an authenticated request.
pub(crate) fn answer(state: &State, question: &Question, target: Target<'_>) -> Answer {
    let inside = |kind: &FaultKind| {
        matches!(
            kind,
            FaultKind::Busy { .. }
                | FaultKind::SoapFault { .. }
                | FaultKind::ResponseError { .. }
                | FaultKind::InnerError { .. }
                | FaultKind::RedirectAddress { .. }
                | FaultKind::RedirectUrl { .. }
        )
    };
    if is(question, SOAP) && state.autodiscover_soap {
        if question.method != Method::POST {
            return Answer::bare(405, None, None);
        }
        return match state.faults.take(target, inside) {
            Some(FaultKind::Busy { .. }) => Answer::xml(200, soap::refused("ServerBusy")),
            Some(FaultKind::RedirectAddress { address }) => {
                soap::answer(state, &question.text, Some(&Redirect::Address(address)))
            }
            Some(FaultKind::RedirectUrl { url }) => soap::answer(state, &question.text, Some(&Redirect::Url(url))),
            Some(_) => Answer::xml(200, soap::refused("InternalServerError")),
            None => soap::answer(state, &question.text, None),
        };
    }
    if is(question, POX) && state.autodiscover_pox {
        return match state.faults.take(target, inside) {
            Some(FaultKind::RedirectAddress { address }) => {
                Answer::xml(200, pox::redirect(&Redirect::Address(address)))
            }
            Some(FaultKind::RedirectUrl { url }) => Answer::xml(200, pox::redirect(&Redirect::Url(url))),
            Some(_) => Answer::xml(200, pox::error(603, "The Autodiscover service had an internal error.")),
            None => Answer::xml(200, pox::answer(state, &question.text)),
        };
    }
    Answer::bare(404, None, None)
}

fn is(question: &Question, path: &str) -> bool {
    question.path.eq_ignore_ascii_case(path)
}

pub(crate) fn find<'a>(state: &'a State, address: &str) -> Found<'a> {
    let domain = address.rsplit('@').next().unwrap_or_default().to_lowercase();
    match state.directory.by_address(address) {
        Some(account) if state.domains.contains(&domain) => Found::Mailbox(account),
        _ => Found::Unknown,
    }
}

/// The EWS URL of the region that serves an account.
pub(crate) fn url(state: &State, account: &Account) -> String {
    state.regions.get(account.region()).map(crate::organization::Region::url).unwrap_or_default()
}
