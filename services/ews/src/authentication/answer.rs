//! What a token service answers (RFC 6749 §5).

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use crate::{
    Endpoint,
    error::{TokenError, TokenFailure, classify},
};

/// What is assumed of a service that does not tell how long its tokens live.
const UNTOLD: Duration = Duration::from_secs(300);
/// The longest description that is kept.
const LONGEST: usize = 512;

/// A token as it was issued.
#[derive(Debug)]
pub(super) struct Issued {
    pub header: HeaderValue,
    pub life: Duration,
}

#[derive(Deserialize)]
struct Granted {
    access_token: SecretString,
    token_type: String,
    #[serde(default)]
    expires_in: Option<Seconds>,
}

/// The first version of Microsoft's endpoint writes it as text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds {
    Number(u64),
    Text(String),
}

#[derive(Deserialize)]
struct Refused {
    error: String,
    #[serde(default)]
    error_description: String,
    #[serde(default)]
    error_codes: Vec<u32>,
}

pub(super) fn read(status: u16, headers: &HeaderMap, text: &str, endpoint: &Endpoint) -> Result<Issued, TokenFailure> {
    if (200..300).contains(&status) { granted(text) } else { Err(refused(status, headers, text, endpoint)) }
}

/// Reads an answer and forgets it, for [`crate::fuzz`].
pub fn read_answer(status: u16, headers: &HeaderMap, text: &str, endpoint: &Endpoint) {
    drop(std::hint::black_box(read(status, headers, text, endpoint)));
}

fn granted(text: &str) -> Result<Issued, TokenFailure> {
    // The place of the error is told, never what stands there.
    let place = |error: serde_json::Error| {
        TokenFailure::Unreadable(format!("line {}, column {}", error.line(), error.column()))
    };
    let unreadable = |reason: &str| TokenFailure::Unreadable(reason.to_owned());
    let granted: Granted = serde_json::from_str(text).map_err(place)?;
    if !granted.token_type.eq_ignore_ascii_case("bearer") {
        return Err(unreadable("its type is not Bearer"));
    }
    let token = granted.access_token.expose_secret();
    let is_text = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    let header = SecretString::from(format!("Bearer {token}"));
    let mut header = HeaderValue::from_str(header.expose_secret())
        .ok()
        .filter(|_| is_text)
        .ok_or_else(|| unreadable("it has characters that a header cannot carry"))?;
    header.set_sensitive(true);
    let seconds = match granted.expires_in {
        Some(Seconds::Number(seconds)) => Some(seconds),
        Some(Seconds::Text(text)) => text.trim().parse().ok(),
        None => None,
    };
    Ok(Issued { header, life: seconds.map_or(UNTOLD, Duration::from_secs) })
}

fn refused(status: u16, headers: &HeaderMap, text: &str, endpoint: &Endpoint) -> TokenFailure {
    let unavailable = || TokenFailure::Unavailable(Box::new(classify(status, headers, text, endpoint)));
    if status >= 500 || status == 429 || status == 408 {
        return unavailable();
    }
    let Ok(Refused { error, error_description, error_codes }) = serde_json::from_str(text) else {
        return unavailable();
    };
    // Trace and correlation ids follow, different each time; the evidence keeps them.
    let end = ["Trace ID:", "\r", "\n"].iter().filter_map(|mark| error_description.find(mark)).min();
    let description = error_description.get(..end.unwrap_or(error_description.len())).unwrap_or_default();
    let description = description.trim().chars().take(LONGEST).collect();
    let told = TokenError { error, description, codes: error_codes };
    match told.error.as_str() {
        "temporarily_unavailable" | "server_error" => unavailable(),
        "invalid_client" => TokenFailure::Rejected(told),
        _ => TokenFailure::Refused(told),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn answer(status: u16, text: &str) -> Result<Issued, TokenFailure> {
        let endpoint = Endpoint::parse("https://login/tenant/oauth2/v2.0/token").unwrap();
        read(status, &HeaderMap::new(), text, &endpoint)
    }

    #[rstest]
    #[case(r#"{"token_type":"Bearer","expires_in":3599,"ext_expires_in":3599,"access_token":"abc"}"#, 3599)]
    #[case(r#"{"token_type":"bearer","expires_in":"60","access_token":"abc","resource":"https://mail"}"#, 60)]
    #[case(r#"{"token_type":"Bearer","access_token":"abc"}"#, 300)]
    fn reads_tokens(#[case] text: &str, #[case] seconds: u64) {
        let issued = answer(200, text).unwrap();
        assert_eq!((issued.header.to_str().unwrap(), issued.life.as_secs()), ("Bearer abc", seconds));
        assert!(!format!("{issued:?}").contains("abc"));
    }

    #[rstest]
    #[case(r#"{"token_type":"Bearer","access_token":"sec ret"}"#)]
    #[case(r#"{"token_type":"Bearer","access_token":""}"#)]
    #[case(r#"{"token_type":"mac","access_token":"secret"}"#)]
    #[case(r#"{"token_type":"Bearer","access_token":{"secret":1}}"#)]
    #[case("<html>secret</html>")]
    fn what_is_no_token_is_refused_and_never_quoted(#[case] text: &str) {
        let failure = answer(200, text).unwrap_err();
        assert!(matches!(failure, TokenFailure::Unreadable(_)));
        assert!(!failure.to_string().contains("sec"), "{failure}");
    }

    #[test]
    fn refusals_are_told_apart() {
        let wrong = r#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided. Trace ID: 1 Correlation ID: 2","error_codes":[7000215],"trace_id":"1"}"#;
        let told = TokenError {
            error: "invalid_client".to_owned(),
            description: "AADSTS7000215: Invalid client secret provided.".to_owned(),
            codes: vec![7_000_215],
        };
        assert_eq!(answer(401, wrong).unwrap_err(), TokenFailure::Rejected(told));
        let unknown = r#"{"error":"unauthorized_client","error_description":"AADSTS700016: Application not found\r\nTrace ID: 1"}"#;
        let failure = answer(400, unknown).unwrap_err();
        assert!(matches!(&failure, TokenFailure::Refused(_)));
        assert_eq!(failure.to_string(), "unauthorized_client: AADSTS700016: Application not found");
        for (status, text) in
            [(503, ""), (429, wrong), (404, "<html/>"), (400, r#"{"error":"temporarily_unavailable"}"#)]
        {
            assert!(matches!(answer(status, text), Err(TokenFailure::Unavailable(_))), "{status}");
        }
    }
}
