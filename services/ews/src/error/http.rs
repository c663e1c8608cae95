//! HTTP statuses, by what they mean in front of Exchange (table http-status of the reference pack).

use std::{fmt, time::Duration};

use jiff::fmt::rfc2822;
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, LOCATION, RETRY_AFTER};

use super::{Challenge, Diagnostics, Kind, TokenDefect};
use crate::{Class, Endpoint};

/// What a status says, together with what came with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HttpMeaning {
    /// 400: malformed, or too large a header or body.
    BadRequest,
    /// 403: EWS is switched off for the mailbox, or this client is blocked.
    Forbidden,
    /// 403 that says what a token lacks.
    TokenPermission,
    /// 404, 410: nothing is published there.
    NotFound,
    /// 405: the URL is no EWS endpoint.
    NotAnEndpoint,
    /// 407: an outbound proxy wants to know who calls.
    ProxyAuthentication,
    /// 413: over the server's or a proxy's limit.
    RequestTooLarge,
    /// 411, 417: a proxy refuses a form of request.
    FormRefused,
    /// 440: a page to log on answered.
    LogOnPage,
    /// 449: another application of Exchange answered.
    WrongApplication,
    /// 456: the account is locked.
    AccountLocked,
    /// 500 that refuses `RequestServerVersion`.
    VersionRefused,
    /// 500 without a SOAP fault: the server failed, or the front end could not reach the back end.
    ServerFailed,
    /// 501, 505: a proxy answered.
    ProxyRefused,
    /// 502, 504: a proxy or front end got no answer from the server behind it.
    Gateway,
    /// 503 that names a time to wait.
    Throttled,
    /// 503 with `X-CasErrorCode`: the front end does not find the mailbox's server.
    RoutingFailed,
    /// 503 otherwise.
    Unavailable,
    /// 507: no storage.
    StorageFull,
    /// Any other.
    Other,
}

/// What is behind a redirect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RedirectMeaning {
    /// The server's error page: trouble that passes.
    ErrorPage,
    /// A page to log on: forms-based pre-authentication in front of EWS.
    LogOn,
    /// The same path on another host: the published location changed.
    OtherHost,
    /// Anything else.
    Elsewhere,
}

/// What an answer without a SOAP envelope means.
pub(crate) fn classify(status: u16, headers: &HeaderMap, text: &str, endpoint: &Endpoint) -> Kind {
    match status {
        401 => Kind::Unauthorized(Challenge::read(headers)),
        300..=399 => redirect(status, headers, endpoint),
        200..=299 => page(text),
        _ => {
            let retry_after = retry_after(headers);
            Kind::Http { status, meaning: meaning(status, headers, text, retry_after), retry_after }
        }
    }
}

fn meaning(status: u16, headers: &HeaderMap, text: &str, retry_after: Option<Duration>) -> HttpMeaning {
    match status {
        400 => HttpMeaning::BadRequest,
        403 if Diagnostics::read(headers).is_some_and(|found| found.defect() == TokenDefect::Permission) => {
            HttpMeaning::TokenPermission
        }
        403 => HttpMeaning::Forbidden,
        404 | 410 => HttpMeaning::NotFound,
        405 => HttpMeaning::NotAnEndpoint,
        407 => HttpMeaning::ProxyAuthentication,
        411 | 417 => HttpMeaning::FormRefused,
        413 => HttpMeaning::RequestTooLarge,
        440 => HttpMeaning::LogOnPage,
        449 => HttpMeaning::WrongApplication,
        456 => HttpMeaning::AccountLocked,
        500 if text.contains("The specified server version is invalid") => HttpMeaning::VersionRefused,
        501 | 505 => HttpMeaning::ProxyRefused,
        502 | 504 => HttpMeaning::Gateway,
        503 if headers.contains_key("x-caserrorcode") => HttpMeaning::RoutingFailed,
        503 if retry_after.is_some() => HttpMeaning::Throttled,
        503 => HttpMeaning::Unavailable,
        507 => HttpMeaning::StorageFull,
        500..=599 => HttpMeaning::ServerFailed,
        _ => HttpMeaning::Other,
    }
}

fn redirect(status: u16, headers: &HeaderMap, endpoint: &Endpoint) -> Kind {
    let location =
        headers.get(LOCATION).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).unwrap_or_default();
    let lower = location.to_ascii_lowercase();
    let target = endpoint.url().join(&location).ok();
    let same_path = target.as_ref().is_some_and(|target| target.path().eq_ignore_ascii_case(endpoint.url().path()));
    let meaning = if lower.contains("genericerrorpage.htm") {
        RedirectMeaning::ErrorPage
    } else if ["/owa/auth", "/cookieauth", "logon", "adfs"].iter().any(|mark| lower.contains(mark)) {
        RedirectMeaning::LogOn
    } else if same_path && target.is_some_and(|target| target.host_str() != Some(endpoint.host())) {
        RedirectMeaning::OtherHost
    } else {
        RedirectMeaning::Elsewhere
    };
    Kind::Redirect { status, location, meaning }
}

fn page(text: &str) -> Kind {
    let lower = text.get(..text.floor_char_boundary(4096)).unwrap_or_default().to_ascii_lowercase();
    let title = lower.find("<title>").and_then(|start| {
        let start = start + "<title>".len();
        let end = start + lower.get(start..)?.find("</title>")?;
        Some(text.get(start..end)?.trim().chars().take(120).collect())
    });
    Kind::Page { title }
}

/// Whether a document is a web page or text rather than a message that was damaged.
pub(crate) fn is_page(headers: &HeaderMap, text: &str) -> bool {
    let content_type =
        headers.get(CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase());
    let start = text.trim_start_matches('\u{FEFF}').trim_start();
    let begins = |tag: &str| start.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag));
    content_type.is_some_and(|kind| !kind.contains("xml")) && !start.starts_with("<?xml") && !start.contains("Envelope")
        || begins("<!doctype html")
        || begins("<html")
}

/// `Retry-After` in seconds, or as a date, which is measured by the server's own clock.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = |text: &str| rfc2822::DateTimeParser::new().relaxed_weekday(true).parse_timestamp(text).ok();
    let until = date(text)?;
    let now = headers.get(DATE).and_then(|value| date(value.to_str().ok()?))?;
    Some(Duration::try_from(until.duration_since(now)).unwrap_or_default())
}

// === impl HttpMeaning ===

impl HttpMeaning {
    pub(super) const fn class(self) -> Class {
        match self {
            Self::Forbidden
            | Self::NotAnEndpoint
            | Self::ProxyAuthentication
            | Self::LogOnPage
            | Self::WrongApplication
            | Self::ProxyRefused
            | Self::Other => Class::Config,
            Self::BadRequest | Self::FormRefused => Class::RequestBug,
            Self::NotFound | Self::RoutingFailed => Class::Rediscover,
            Self::RequestTooLarge | Self::StorageFull => Class::Quota,
            Self::AccountLocked | Self::TokenPermission => Class::Auth,
            Self::VersionRefused => Class::Version,
            Self::Throttled => Class::Throttled,
            Self::ServerFailed | Self::Gateway | Self::Unavailable => Class::Transient,
        }
    }
}

impl fmt::Display for HttpMeaning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::BadRequest => "the request is refused as malformed",
            Self::Forbidden => "access is forbidden",
            Self::TokenPermission => "the token lacks the permission",
            Self::NotFound => "nothing is published there",
            Self::NotAnEndpoint => "the URL is no EWS endpoint",
            Self::ProxyAuthentication => "a proxy wants authentication",
            Self::RequestTooLarge => "the request is too large",
            Self::FormRefused => "a proxy refuses the form of the request",
            Self::LogOnPage => "a page to log on answered",
            Self::WrongApplication => "another application of Exchange answered",
            Self::AccountLocked => "the account is locked",
            Self::VersionRefused => "the server refuses the version of the request",
            Self::ServerFailed => "the server failed",
            Self::ProxyRefused => "a proxy refuses the request",
            Self::Gateway => "a proxy got no answer from the server",
            Self::Throttled => "the server asks to wait",
            Self::RoutingFailed => "the front end does not find the mailbox's server",
            Self::Unavailable => "the server is not available",
            Self::StorageFull => "the server has no storage left",
            Self::Other => "unexpected status",
        })
    }
}

// === impl RedirectMeaning ===

impl RedirectMeaning {
    pub(super) const fn class(self) -> Class {
        match self {
            Self::ErrorPage => Class::Transient,
            Self::OtherHost => Class::Rediscover,
            Self::LogOn | Self::Elsewhere => Class::Config,
        }
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};
    use rstest::rstest;

    use super::*;
    use crate::{Refusal, reference};

    /// The answer in a raw sample.
    fn sample(name: &str) -> Option<(u16, HeaderMap, String)> {
        let raw = reference::text(&format!("samples/{name}"))?.replace("\r\n", "\n");
        let (head, body) = raw.split_once("\n\n").unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(": ").unwrap();
            headers.append(name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap());
        }
        Some((status, headers, body.to_owned()))
    }

    fn kind(name: &str) -> Option<Kind> {
        let endpoint = Endpoint::parse("https://mail.contoso.example/EWS/Exchange.asmx").unwrap();
        sample(name).map(|(status, headers, body)| classify(status, &headers, &body, &endpoint))
    }

    #[rstest]
    #[case("200-401-all-three.http", Refusal::Rejected)]
    #[case("201-401-no-basic.http", Refusal::BasicNotOffered)]
    #[case("203-401-none.http", Refusal::NotExchange)]
    #[case("204-401-bearer-online.http", Refusal::TokenRequired)]
    #[case("205-401-ntlm-type2.http", Refusal::BasicNotOffered)]
    fn tells_refusals_apart(#[case] name: &str, #[case] refusal: Refusal) {
        let Some(kind) = kind(name) else { return };
        assert!(matches!(kind, Kind::Unauthorized(challenge) if challenge.refusal() == refusal));
    }

    #[rstest]
    #[case("206-302-genericerrorpage.http", RedirectMeaning::ErrorPage, Class::Transient)]
    #[case("207-302-owa-logon.http", RedirectMeaning::LogOn, Class::Config)]
    #[case("208-302-other-host.http", RedirectMeaning::OtherHost, Class::Rediscover)]
    fn tells_redirects_apart(#[case] name: &str, #[case] expected: RedirectMeaning, #[case] class: Class) {
        let Some(kind) = kind(name) else { return };
        assert!(matches!(kind, Kind::Redirect { meaning, .. } if meaning == expected && meaning.class() == class));
    }

    #[rstest]
    #[case("209-403-ssl-required.http", HttpMeaning::Forbidden, Class::Config)]
    #[case("210-404.http", HttpMeaning::NotFound, Class::Rediscover)]
    #[case("211-413.http", HttpMeaning::RequestTooLarge, Class::Quota)]
    #[case("212-440-login-timeout.http", HttpMeaning::LogOnPage, Class::Config)]
    #[case("213-449.http", HttpMeaning::WrongApplication, Class::Config)]
    #[case("216-503-retry-after.http", HttpMeaning::Throttled, Class::Throttled)]
    #[case("217-503-no-hint.http", HttpMeaning::Unavailable, Class::Transient)]
    fn tells_statuses_apart(#[case] name: &str, #[case] expected: HttpMeaning, #[case] class: Class) {
        let Some(kind) = kind(name) else { return };
        let Kind::Http { meaning, retry_after, .. } = kind else { panic!("{kind:?}") };
        assert_eq!((meaning, meaning.class()), (expected, class));
        assert_eq!(retry_after.is_some(), expected == HttpMeaning::Throttled);
    }

    #[test]
    fn a_page_with_status_200_is_a_page() {
        let Some((_, headers, body)) = sample("218-200-html.http") else { return };
        assert!(is_page(&headers, &body));
        assert_eq!(kind("218-200-html.http"), Some(Kind::Page { title: Some("Outlook Web App".to_owned()) }));
    }

    #[test]
    fn a_message_is_no_page_whatever_its_content_type() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
        assert!(!is_page(&headers, "<s:Envelope xmlns:s='x'>"));
        assert!(is_page(&HeaderMap::new(), "<!DOCTYPE HTML>"));
    }

    #[rstest]
    #[case("30", Some(30))]
    #[case("Sun, 06 Nov 1994 08:50:37 GMT", Some(60))]
    #[case("Sun, 06 Nov 1994 08:40:37 GMT", Some(0))]
    #[case("soon", None)]
    fn reads_retry_after(#[case] text: &str, #[case] seconds: Option<u64>) {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, text.parse().unwrap());
        headers.insert(DATE, HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT"));
        assert_eq!(retry_after(&headers), seconds.map(Duration::from_secs));
    }

    #[test]
    fn a_forbidden_token_is_told_from_a_forbidden_client() {
        let endpoint = Endpoint::parse("https://mail.contoso.example/EWS/Exchange.asmx").unwrap();
        let mut headers = HeaderMap::new();
        let value = "2000008;reason=\"The token contains not enough scope to make this call.\";error_category=\"invalid_grant\"";
        headers.insert("x-ms-diagnostics", HeaderValue::from_static(value));
        let kind = classify(403, &headers, "", &endpoint);
        assert!(matches!(kind, Kind::Http { meaning: HttpMeaning::TokenPermission, .. }));
    }
}
