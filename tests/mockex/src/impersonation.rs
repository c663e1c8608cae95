//! For which mailbox a request is (MS-OXWSCDATA, ExchangeImpersonation).

use std::sync::Arc;

use crate::authentication::Caller;
use crate::directory::Account;
use crate::options::Impersonates;
use crate::organization::State;
use crate::soap::{Element, Envelope, Namespace, SoapFault};

/// The address, name or SID that a request impersonates, as written.
pub fn named(envelope: &Envelope) -> Option<&Element> {
    envelope.header("ExchangeImpersonation")?.child("ConnectingSID")?.children.first()
}

/// Refuses a header that names nobody, or more than one. The server says so before it speaks of the schema.
pub fn check(envelope: &Envelope) -> Result<(), SoapFault> {
    let Some(header) = envelope.header("ExchangeImpersonation") else { return Ok(()) };
    let is_name = |name: &Element| {
        name.namespace == Namespace::Types
            && matches!(name.name.as_str(), "PrincipalName" | "SID" | "PrimarySmtpAddress" | "SmtpAddress")
            && !name.text.is_empty()
    };
    match header.children.as_slice() {
        [sid]
            if sid.is(Namespace::Types, "ConnectingSID")
                && matches!(sid.children.as_slice(), [name] if is_name(name)) =>
        {
            Ok(())
        }
        _ => Err(SoapFault::new("ErrorInvalidExchangeImpersonationHeaderData")),
    }
}

/// The account that a name, address or SID means, whichever of its addresses it is.
///
/// White space around it is not trimmed, as the real server does not.
pub fn look_up<'a>(state: &'a State, named: &Element) -> Option<&'a Arc<Account>> {
    match named.name.as_str() {
        "PrincipalName" => state.directory.by_principal(&named.text),
        "SID" => state.directory.by_sid(&named.text),
        _ => state.directory.by_address(&named.text),
    }
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

fn find(state: &State, named: &Element) -> Result<Arc<Account>, SoapFault> {
    let account = look_up(state, named).ok_or_else(|| SoapFault::new("ErrorNonExistentMailbox"))?;
    if named.name == "PrimarySmtpAddress" && !account.address.eq_ignore_ascii_case(&named.text) {
        return Err(SoapFault::new("ErrorNonPrimarySmtpAddress").with("Primary", account.address.clone()));
    }
    Ok(Arc::clone(account))
}
