//! What Autodiscover services answer, in the true namespaces (samples 300 to 316 of the reference pack).

const SOAP: &str = "http://schemas.microsoft.com/exchange/2010/Autodiscover";
const OUTER: &str = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006";
const INNER: &str = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a";

/// SOAP: the settings; a location that is left out is not available.
#[must_use]
pub fn soap_settings(external: Option<&str>, internal: Option<&str>) -> String {
    let setting = |name: &str, value: Option<&str>| {
        value.map_or_else(String::new, |value| {
            format!("<UserSetting i:type=\"StringSetting\"><Name>{name}</Name><Value>{value}</Value></UserSetting>")
        })
    };
    let settings = setting("ExternalEwsUrl", external) + &setting("InternalEwsUrl", internal);
    soap_user("NoError", "<RedirectTarget i:nil=\"true\"/>", &settings)
}

/// SOAP: ask another URL.
#[must_use]
pub fn soap_redirect_url(url: &str) -> String {
    soap_user("RedirectUrl", &format!("<RedirectTarget>{url}</RedirectTarget>"), "")
}

/// SOAP: ask about another address.
#[must_use]
pub fn soap_redirect_address(address: &str) -> String {
    soap_user("RedirectAddress", &format!("<RedirectTarget>{address}</RedirectTarget>"), "")
}

/// SOAP: an error about the user.
#[must_use]
pub fn soap_user_error(code: &str) -> String {
    soap_user(code, "<RedirectTarget i:nil=\"true\"/>", "")
}

/// SOAP: an error of the whole call.
#[must_use]
pub fn soap_error(code: &str) -> String {
    soap(code, "")
}

/// SOAP: a throttled server leaves users out.
#[must_use]
pub fn soap_no_user() -> String {
    soap("NoError", "<UserResponses/>")
}

fn soap_user(code: &str, target: &str, settings: &str) -> String {
    let user = format!(
        "<UserResponses><UserResponse><ErrorCode>{code}</ErrorCode><ErrorMessage/>{target}<UserSettingErrors/>\
         <UserSettings>{settings}</UserSettings></UserResponse></UserResponses>"
    );
    soap("NoError", &user)
}

fn soap(code: &str, users: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body>\
         <GetUserSettingsResponseMessage xmlns=\"{SOAP}\"><Response xmlns:i=\"http://www.w3.org/2001/XMLSchema-instance\">\
         <ErrorCode>{code}</ErrorCode><ErrorMessage/>{users}</Response></GetUserSettingsResponseMessage></s:Body></s:Envelope>"
    )
}

/// POX: the settings; old servers have the availability URL only.
#[must_use]
pub fn pox_settings(external: Option<&str>, availability: Option<&str>) -> String {
    let element =
        |name: &str, value: Option<&str>| value.map_or_else(String::new, |value| format!("<{name}>{value}</{name}>"));
    let urls = element("ASUrl", availability) + &element("EwsUrl", external);
    pox(&format!("<Action>settings</Action><Protocol><Type>EXPR</Type>{urls}</Protocol>"))
}

/// POX: ask another URL.
#[must_use]
pub fn pox_redirect_url(url: &str) -> String {
    pox(&format!("<Action>redirectUrl</Action><RedirectUrl>{url}</RedirectUrl>"))
}

/// POX: ask about another address.
#[must_use]
pub fn pox_redirect_address(address: &str) -> String {
    pox(&format!("<Action>redirectAddr</Action><RedirectAddr>{address}</RedirectAddr>"))
}

/// POX: an error.
#[must_use]
pub fn pox_error(code: u16) -> String {
    format!("<Autodiscover xmlns=\"{OUTER}\"><Response xmlns=\"{INNER}\">{}</Response></Autodiscover>", error(code))
}

/// POX: an error in the namespace of the wrapper, as for a request that is wrong.
#[must_use]
pub fn pox_outer_error(code: u16) -> String {
    format!("<Autodiscover xmlns=\"{OUTER}\"><Response>{}</Response></Autodiscover>", error(code))
}

fn error(code: u16) -> String {
    format!("<Error Time=\"1\" Id=\"2\"><ErrorCode>{code}</ErrorCode><Message>told</Message><DebugData/></Error>")
}

fn pox(account: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><Autodiscover xmlns=\"{OUTER}\"><Response xmlns=\"{INNER}\"><User/>\
         <Account><AccountType>email</AccountType>{account}</Account></Response></Autodiscover>"
    )
}

/// A document type whose entities multiply a thousand million times.
#[must_use]
pub fn doctype_bomb() -> String {
    let mut text = String::from("<?xml version=\"1.0\"?><!DOCTYPE Autodiscover [<!ENTITY a0 \"lol\">");
    for level in 1..10 {
        let inside = format!("&a{};", level - 1).repeat(10);
        text.push_str(&format!("<!ENTITY a{level} \"{inside}\">"));
    }
    text.push_str(&format!("]><Autodiscover xmlns=\"{OUTER}\"><Response>&a9;</Response></Autodiscover>"));
    text
}
