//! For which mailbox a request is (MS-OXWSCDATA, ExchangeImpersonation).

use std::sync::Arc;

use crate::authentication::Caller;
use crate::directory::Account;
use crate::options::Impersonates;
use crate::organization::State;
use crate::soap::{Element, Envelope, SoapFault};

/// The address, name or SID that a request impersonates, as written.
pub fn named(envelope: &Envelope) -> Option<&Element> {
    envelope.header("ExchangeImpersonation")?.child("ConnectingSID")?.children.first()
}

/// The account whose mailbox is acted upon; none for the service account itself.
pub fn account(state: &State, caller: &Caller, envelope: &Envelope) -> Result<Option<Arc<Account>>, SoapFault> {
    let Some(named) = named(envelope) else {
        return Ok(match caller {
            Caller::Service => None,
            Caller::Owner(account) => Some(Arc::clone(account)),
        });
    };
    let account = find(state, named)?;
    if account.disabled {
        return Err(SoapFault::new("ErrorAccountDisabled"));
    }
    let allowed = match caller {
        Caller::Service => match &state.service_account().impersonates {
            Impersonates::All => true,
            Impersonates::None => false,
            Impersonates::Only(addresses) => addresses.iter().any(|address| account.has_address(address)),
        },
        Caller::Owner(own) => Arc::ptr_eq(own, &account),
    };
    if allowed { Ok(Some(account)) } else { Err(SoapFault::new("ErrorImpersonateUserDenied")) }
}

/// White space around a name is not trimmed, as the real server does not.
fn find(state: &State, named: &Element) -> Result<Arc<Account>, SoapFault> {
    let text = named.text.as_str();
    if text.is_empty() {
        return Err(SoapFault::new("ErrorInvalidExchangeImpersonationHeaderData"));
    }
    let directory = &state.directory;
    let found = match named.name.as_str() {
        "PrincipalName" => directory.by_principal(text),
        "SID" => directory.by_sid(text),
        _ => directory.by_address(text),
    };
    let account = found.ok_or_else(|| SoapFault::new("ErrorNonExistentMailbox"))?;
    if named.name == "PrimarySmtpAddress" && !account.address.eq_ignore_ascii_case(text) {
        return Err(SoapFault::new("ErrorNonPrimarySmtpAddress").with("SmtpAddress", account.address.clone()));
    }
    Ok(Arc::clone(account))
}
