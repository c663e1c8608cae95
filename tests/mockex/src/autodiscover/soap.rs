//! The SOAP service: GetUserSettings.

use super::{Found, Redirect, find, url};
use crate::directory::Account;
use crate::exchange::Answer;
use crate::organization::State;
use crate::soap::{Element, Envelope, Namespace, Xml};

const NAMESPACE: &str = "http://schemas.microsoft.com/exchange/2010/Autodiscover";
const ADDRESSING: &str = "http://www.w3.org/2005/08/addressing";
const ENVELOPE: &str = "http://schemas.xmlsoap.org/soap/envelope/";
const INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";
const VERSIONS: [&str; 6] =
    ["Exchange2010", "Exchange2010_SP1", "Exchange2010_SP2", "Exchange2013", "Exchange2013_SP1", "Exchange2016"];

/// The addresses that a request asks about.
pub fn addresses(text: &str) -> Vec<String> {
    let Ok(envelope) = parse(text) else { return Vec::new() };
    let users = envelope.operation.path(&["Request", "Users"]);
    let users = users.map(|users| users.children.as_slice()).unwrap_or_default();
    users.iter().filter_map(|user| user.child_text("Mailbox")).map(str::to_owned).collect()
}

/// Answers a request; with a redirect, each of its users is sent there.
pub fn answer(state: &State, text: &str, redirect: Option<&Redirect>) -> Answer {
    let envelope = match parse(text) {
        Ok(envelope) => envelope,
        Err(reason) => return Answer::xml(500, fault(&reason)),
    };
    let version = envelope.headers.iter().find(|header| header.is(Namespace::Autodiscover, "RequestedServerVersion"));
    let is_version = version.is_some_and(|version| VERSIONS.contains(&version.text.trim()));
    let action = envelope.headers.iter().any(|header| {
        header.name == "Action" && header.text.trim() == format!("{NAMESPACE}/Autodiscover/GetUserSettings")
    });
    let request = envelope.operation.child("Request");
    let is_operation = envelope.operation.is(Namespace::Autodiscover, "GetUserSettingsRequestMessage");
    let settings = request.and_then(|request| request.child("RequestedSettings"));
    let users = addresses(text);
    let settings: Vec<&str> =
        settings.map(|list| list.children.iter().map(|name| name.text.trim()).collect()).unwrap_or_default();
    if !action || !is_operation {
        return Answer::xml(500, fault("The message with Action cannot be processed at the receiver."));
    }
    if !is_version || users.is_empty() || settings.is_empty() {
        return Answer::xml(200, refused("InvalidRequest"));
    }
    let write = |xml: &mut Xml, address: &String| match redirect {
        Some(redirect) => redirected(xml, redirect),
        None => user(xml, state, address, &settings),
    };
    Answer::xml(200, response("NoError", |xml| users.iter().for_each(|address| write(xml, address))))
}

/// An answer that refuses the whole call.
pub fn refused(code: &str) -> String {
    response(code, |_| {})
}

fn redirected(xml: &mut Xml, redirect: &Redirect) {
    let (code, message, target) = match redirect {
        Redirect::Address(address) => ("RedirectAddress", "Redirection address.", address),
        Redirect::Url(url) => ("RedirectUrl", "Redirection URL.", url),
    };
    xml.open("UserResponse");
    xml.text("ErrorCode", code);
    xml.text("ErrorMessage", message);
    xml.text("RedirectTarget", target);
    xml.empty("UserSettingErrors", &[]);
    xml.empty("UserSettings", &[]);
    xml.close("UserResponse");
}

fn user(xml: &mut Xml, state: &State, address: &str, settings: &[&str]) {
    xml.open("UserResponse");
    match find(state, address) {
        Found::Unknown => {
            xml.text("ErrorCode", "InvalidUser");
            xml.text("ErrorMessage", &format!("Invalid user: '{address}'"));
            xml.empty("RedirectTarget", &[("i:nil", "true")]);
            xml.empty("UserSettingErrors", &[]);
            xml.empty("UserSettings", &[]);
        }
        Found::Mailbox(account) => {
            xml.text("ErrorCode", "NoError");
            xml.text("ErrorMessage", "No error.");
            xml.empty("RedirectTarget", &[("i:nil", "true")]);
            let values: Vec<_> = settings.iter().map(|name| (*name, setting(state, account, name))).collect();
            xml.open("UserSettingErrors");
            for (name, _) in values.iter().filter(|(_, value)| value.is_none()) {
                xml.open("UserSettingError");
                xml.text("ErrorCode", "SettingIsNotAvailable");
                xml.text("ErrorMessage", "The setting is not available.");
                xml.text("SettingName", name);
                xml.close("UserSettingError");
            }
            xml.close("UserSettingErrors");
            xml.open("UserSettings");
            for (name, value) in values {
                if let Some(value) = value {
                    xml.open_with("UserSetting", &[("i:type", "StringSetting")]);
                    xml.text("Name", name);
                    xml.text("Value", &value);
                    xml.close("UserSetting");
                }
            }
            xml.close("UserSettings");
        }
    }
    xml.close("UserResponse");
}

fn setting(state: &State, account: &Account, name: &str) -> Option<String> {
    match name {
        "ExternalEwsUrl" | "InternalEwsUrl" | "EwsPartnerUrl" => Some(url(state, account)),
        "GroupingInformation" => state.regions.get(account.region()).map(|region| region.name.clone()),
        "AutoDiscoverSMTPAddress" => Some(account.address.clone()),
        "UserDisplayName" => Some(account.display_name.clone()),
        "EwsSupportedSchemas" => {
            state.regions.get(account.region()).map(|region| region.version.request_versions().join(", "))
        }
        _ => None,
    }
}

fn parse(text: &str) -> Result<Envelope, String> {
    let root = Element::parse(text.trim_start_matches('\u{feff}')).map_err(|malformed| malformed.reason)?;
    Envelope::new(root).map_err(|(_, reason)| reason)
}

fn response(code: &str, users: impl FnOnce(&mut Xml)) -> String {
    let mut xml = Xml::new();
    xml.raw("<?xml version=\"1.0\" encoding=\"utf-8\"?>");
    xml.open_with("s:Envelope", &[("xmlns:s", ENVELOPE), ("xmlns:a", ADDRESSING)]);
    xml.open("s:Header");
    let action = format!("{NAMESPACE}/Autodiscover/GetUserSettingsResponse");
    xml.text_with("a:Action", &[("s:mustUnderstand", "1")], &action);
    xml.open_with("h:ServerVersionInfo", &[("xmlns:h", NAMESPACE), ("xmlns:i", INSTANCE)]);
    for (name, value) in
        [("MajorVersion", "15"), ("MinorVersion", "1"), ("MajorBuildNumber", "2507"), ("MinorBuildNumber", "39")]
    {
        xml.text(&format!("h:{name}"), value);
    }
    xml.text("h:Version", "Exchange2016");
    xml.close("h:ServerVersionInfo");
    xml.close("s:Header");
    xml.open("s:Body");
    xml.open_with("GetUserSettingsResponseMessage", &[("xmlns", NAMESPACE)]);
    xml.open_with("Response", &[("xmlns:i", INSTANCE)]);
    xml.text("ErrorCode", code);
    xml.empty("ErrorMessage", &[]);
    xml.open("UserResponses");
    users(&mut xml);
    xml.close("UserResponses");
    xml.close("Response");
    xml.close("GetUserSettingsResponseMessage");
    xml.close("s:Body");
    xml.close("s:Envelope");
    xml.into_string()
}

fn fault(reason: &str) -> String {
    let mut xml = Xml::new();
    xml.open_with("s:Envelope", &[("xmlns:s", ENVELOPE)]);
    xml.open("s:Body");
    xml.open("s:Fault");
    xml.text("faultcode", "s:Client");
    xml.text_with("faultstring", &[("xml:lang", "en-US")], reason);
    xml.close("s:Fault");
    xml.close("s:Body");
    xml.close("s:Envelope");
    xml.into_string()
}
