//! What a verified token says: pure.

use jiff::Timestamp;
use postroad_core::{
    EmailAddress,
    fault::{Code, Report},
};
use serde_json::Value;

use super::{
    super::decision::{Means, Person},
    LEEWAY,
};
use crate::config::Oidc;

/// Who the claims of a verified token describe.
///
/// # Errors
/// They name nobody.
pub fn person(claims: &Value, settings: &Oidc) -> Result<Person, Report> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str).map(clean).filter(|text| !text.is_empty());
    let subject = text("sub").ok_or_else(|| Report::new(Code::AccessTokenRefused, "it names nobody (sub)"))?;
    // An address that nobody has verified is one that anybody may have entered.
    let is_verified = claims.get("email_verified").is_some_and(|value| *value == Value::Bool(true));
    let address = text("email").filter(|_| is_verified).and_then(|text| EmailAddress::parse("email", &text).ok());
    let granted = match settings.claim.starts_with('/') {
        true => claims.pointer(&settings.claim),
        false => claims.get(&settings.claim),
    };
    let level = settings.level(&granted.map(words).unwrap_or_default());
    let name = address.as_ref().map_or(subject, |address| address.as_str().to_owned());
    let seconds = claims.get("exp").and_then(Value::as_f64).map(|end| (end as i64).saturating_add_unsigned(LEEWAY));
    let ends = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    Ok(Person { name, means: Means::Token, level, addresses: address.into_iter().collect(), ends })
}

fn words(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => text.split_whitespace().collect(),
        Value::Array(values) => values.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(100).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::super::decision::Level, *};

    fn settings(claim: &str) -> Oidc {
        Oidc {
            issuer: "https://login.contoso.example".into(),
            audience: "postroad".into(),
            authority_file: None,
            claim: claim.into(),
            administrators: vec!["postroad-admins".into()],
            operators: vec!["postroad-operators".into()],
            readers: vec!["everybody".into()],
        }
    }

    #[test]
    fn the_claim_grants_in_each_of_its_forms() {
        let level = |claim: &str, claims: Value| person(&claims, &settings(claim)).unwrap().level;
        assert_eq!(
            level("roles", json!({"sub": "1", "roles": ["everybody", "postroad-admins"]})),
            Some(Level::Administrator)
        );
        assert_eq!(level("scope", json!({"sub": "1", "scope": "openid postroad-operators"})), Some(Level::Operator));
        let nested = json!({"sub": "1", "realm_access": {"roles": ["everybody"]}});
        assert_eq!(level("/realm_access/roles", nested), Some(Level::Reader));
        for none in [
            json!({"sub": "1"}),
            json!({"sub": "1", "roles": "postroad-admin"}),
            json!({"sub": "1", "roles": {"postroad-admins": true}}),
            json!({"sub": "1", "roles": [["postroad-admins"], 1]}),
        ] {
            assert_eq!(level("roles", none.clone()), None, "{none}");
        }
    }

    #[test]
    fn only_a_verified_address_counts() {
        let read = |claims: Value| person(&claims, &settings("roles")).unwrap();
        let verified = read(json!({"sub": "1", "email": "Ada@contoso.example", "email_verified": true}));
        assert_eq!((verified.name.as_str(), verified.addresses.len()), ("Ada@contoso.example", 1));
        for claims in [
            json!({"sub": "1", "email": "ada@contoso.example"}),
            json!({"sub": "1", "email": "ada@contoso.example", "email_verified": false}),
            json!({"sub": "1", "email": "ada@contoso.example", "email_verified": "true"}),
            json!({"sub": "1", "email": "ada", "email_verified": true}),
        ] {
            let person = read(claims.clone());
            assert_eq!((person.name.as_str(), person.addresses.len()), ("1", 0), "{claims}");
        }
    }

    #[test]
    fn a_token_ends_when_it_says_and_clocks_may_differ() {
        let ends = |claims: Value| person(&claims, &settings("roles")).unwrap().ends.map(Timestamp::as_second);
        assert_eq!(ends(json!({"sub": "1", "exp": 1_800_000_000})), Some(1_800_000_060));
        assert_eq!(ends(json!({"sub": "1"})), None);
    }

    #[test]
    fn a_token_without_a_subject_names_nobody() {
        for claims in [json!({}), json!({"sub": ""}), json!({"sub": 7}), json!({"sub": "\n"})] {
            assert_eq!(person(&claims, &settings("roles")).unwrap_err().code, Code::AccessTokenRefused, "{claims}");
        }
    }
}
