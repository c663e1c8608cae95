//! The POX service.

use super::{Found, Redirect, find, url};
use crate::organization::State;
use crate::soap::{Element, Namespace, Xml};

const OUTER: &str = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006";
const INNER: &str = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a";

/// The address that a request asks about.
pub fn address(text: &str) -> Option<String> {
    let root = Element::parse(text.trim_start_matches('\u{feff}')).ok()?;
    root.path(&["Request", "EMailAddress"]).map(|address| address.text.trim().to_owned())
}

/// Answers a request; one that is wrong gets error 600 or 601.
pub fn answer(state: &State, text: &str) -> String {
    let Ok(root) = Element::parse(text.trim_start_matches('\u{feff}')) else { return error(600, "Invalid Request") };
    let request = root.child("Request").filter(|_| root.is(Namespace::PoxRequest, "Autodiscover"));
    let Some(request) = request else { return error(600, "Invalid Request") };
    if request.child_text("AcceptableResponseSchema") != Some(INNER) {
        return error(601, "Provider is not available");
    }
    let Some(address) = request.child_text("EMailAddress").filter(|address| !address.is_empty()) else {
        return error(600, "Invalid Request");
    };
    match find(state, address) {
        Found::Unknown => inner(|xml| write_error(xml, 500, "The e-mail address cannot be found.")),
        Found::Mailbox(account) => {
            let url = url(state, account);
            inner(|xml| {
                xml.open("User");
                xml.text("DisplayName", &account.display_name);
                xml.text("AutoDiscoverSMTPAddress", &account.address);
                xml.close("User");
                xml.open("Account");
                xml.text("AccountType", "email");
                xml.text("Action", "settings");
                xml.text("MicrosoftOnline", "False");
                for kind in ["EXCH", "EXPR"] {
                    xml.open("Protocol");
                    xml.text("Type", kind);
                    xml.text("SSL", "On");
                    for name in ["ASUrl", "EwsUrl", "OOFUrl"] {
                        xml.text(name, &url);
                    }
                    if kind == "EXPR" {
                        xml.text("EwsPartnerUrl", &url);
                    }
                    xml.close("Protocol");
                }
                xml.close("Account");
            })
        }
    }
}

/// Sends the client elsewhere.
pub fn redirect(to: &Redirect) -> String {
    let (action, name, target) = match to {
        Redirect::Address(address) => ("redirectAddr", "RedirectAddr", address),
        Redirect::Url(url) => ("redirectUrl", "RedirectUrl", url),
    };
    inner(|xml| {
        xml.open("Account");
        xml.text("Action", action);
        xml.text(name, target);
        xml.close("Account");
    })
}

/// An error about the request itself: in the outer namespace.
pub fn error(code: u16, message: &str) -> String {
    outer(|xml| {
        xml.open("Response");
        write_error(xml, code, message);
        xml.close("Response");
    })
}

fn inner(content: impl FnOnce(&mut Xml)) -> String {
    outer(|xml| {
        xml.open_with("Response", &[("xmlns", INNER)]);
        content(xml);
        xml.close("Response");
    })
}

fn outer(content: impl FnOnce(&mut Xml)) -> String {
    let mut xml = Xml::new();
    xml.raw("<?xml version=\"1.0\" encoding=\"utf-8\"?>");
    xml.open_with("Autodiscover", &[("xmlns", OUTER)]);
    content(&mut xml);
    xml.close("Autodiscover");
    xml.into_string()
}

fn write_error(xml: &mut Xml, code: u16, message: &str) {
    xml.open_with("Error", &[("Time", "09:10:11.1234567"), ("Id", "1054084152")]);
    xml.number("ErrorCode", code);
    xml.text("Message", message);
    xml.empty("DebugData", &[]);
    xml.close("Error");
}
