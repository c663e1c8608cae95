//! Access tokens of a real issuer, over real TLS: which count, and what happens when it changes its keys, goes away, or lies.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use postroad_core::fault::Code;
use postroad_rig::{
    caller::{Level, Oidc, Patience, Person},
    config,
};
use serde_json::{Value, json};
use stage::{Authority, Issuer, eventually, issuer::Conduct};
use tempfile::TempDir;

const AUDIENCE: &str = "postroad";

struct Site {
    issuer: Issuer,
    settings: config::Oidc,
    _folder: TempDir,
}

async fn site() -> Site {
    let authority = Authority::new("the issuer's").unwrap();
    let issuer = Issuer::start(&authority).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("authority.pem");
    std::fs::write(&file, authority.pem()).unwrap();
    let settings = config::Oidc {
        issuer: issuer.url().to_owned(),
        audience: AUDIENCE.to_owned(),
        authority_file: Some(file),
        claim: "roles".to_owned(),
        administrators: vec!["admins".to_owned()],
        operators: vec!["operators".to_owned()],
        readers: vec!["readers".to_owned()],
    };
    Site { issuer, settings, _folder: folder }
}

impl Site {
    /// Asks the issuer as often as it likes.
    fn eager(&self) -> Oidc {
        self.with(Patience { pause: Duration::ZERO, ..Patience::default() })
    }

    fn with(&self, patience: Patience) -> Oidc {
        Oidc::with_patience(&self.settings, patience).unwrap()
    }

    fn token(&self, more: Value) -> String {
        self.issuer.token(AUDIENCE, more).unwrap()
    }
}

async fn refused(oidc: &Oidc, token: &str) -> (Code, String) {
    let report = oidc.identify(token).await.map(|person: Person| person.name).unwrap_err();
    // Whatever is wrong with it, it may be a secret.
    assert!(token.is_empty() || !report.sentence().contains(token));
    (report.code, report.detail)
}

#[tokio::test]
async fn tokens_of_each_algorithm_say_who_calls_and_what_he_is_granted() {
    let site = site().await;
    let oidc = site.eager();
    for algorithm in [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::EdDSA] {
        site.issuer.rotate(algorithm).unwrap();
        let claims = json!({"email": "ada@contoso.example", "email_verified": true, "roles": ["readers", "operators"]});
        let ada = oidc.identify(&site.token(claims)).await.unwrap();
        assert_eq!(
            (ada.name.as_str(), ada.level, ada.addresses.len()),
            ("ada@contoso.example", Some(Level::Operator), 1)
        );
        let nobody = oidc.identify(&site.token(json!({"aud": ["other", AUDIENCE]}))).await.unwrap();
        assert_eq!((nobody.name.as_str(), nobody.level, nobody.addresses.len()), ("8f14e45f", None, 0));
    }
}

#[tokio::test]
async fn what_is_no_token_of_the_issuer_for_us_is_refused() {
    let site = site().await;
    let oidc = site.eager();
    let now = i64::try_from(jsonwebtoken::get_current_timestamp()).unwrap();
    for (claims, why) in [
        (json!({"exp": now - 3600}), "expired"),
        (json!({"exp": null}), "exp"),
        (json!({"exp": "tomorrow"}), "exp"),
        (json!({"nbf": now + 3600}), "not valid yet"),
        (json!({"aud": "another"}), "somebody else"),
        (json!({"aud": null}), "aud"),
        (json!({"iss": "https://login.other.example"}), "another issuer"),
        (json!({"iss": null}), "iss"),
        (json!({"sub": null}), "sub"),
    ] {
        let (code, detail) = refused(&oidc, &site.token(claims.clone())).await;
        assert_eq!(code, Code::AccessTokenRefused, "{claims}");
        assert!(detail.contains(why), "{claims}: {detail}");
    }
    // Clocks differ a little.
    assert!(oidc.identify(&site.token(json!({"exp": now - 20, "nbf": now + 20}))).await.is_ok());
}

#[tokio::test]
async fn signatures_that_do_not_hold_are_refused() {
    let site = site().await;
    let oidc = site.eager();
    let good = site.token(json!({}));
    assert!(oidc.identify(&good).await.is_ok());
    let claims = site.issuer.claims(AUDIENCE, json!({"roles": ["admins"]}));
    let part = |value: &Value| base64_url(value.to_string().as_bytes());
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let kid = site.issuer.header().kid;
    let mut wrong = vec![
        String::new(),
        "..".to_owned(),
        "a.b.c".to_owned(),
        good.replace('.', ""),
        format!("{good}."),
        "x".repeat(10_000),
        // Other claims under the same signature, half a signature, and none.
        format!("{header}.{}.{signature}", part(&claims)),
        format!("{header}.{payload}.{}", &signature[..signature.len() / 2]),
        format!("{header}.{payload}."),
    ];
    // Neither without a signature, nor by a secret: what is public would be taken for it.
    for algorithm in ["none", "None", "NONE", "HS256"] {
        wrong.push(format!("{}.{}.", part(&json!({"alg": algorithm, "kid": kid})), part(&claims)));
    }
    let published = site.issuer.published();
    for secret in [published["n"].as_str().unwrap().to_owned(), published.to_string()] {
        let mut header = Header::new(Algorithm::HS256);
        header.kid.clone_from(&kid);
        let key = EncodingKey::from_secret(format!("{secret:0>64}").as_bytes()).unwrap();
        wrong.push(jsonwebtoken::encode(&header, &claims, &key).unwrap());
    }
    // An algorithm that the key is not for, and an extension that nobody knows.
    let mut header = site.issuer.header();
    header.alg = Algorithm::PS256;
    wrong.push(site.issuer.sign(&header, &claims).unwrap());
    let mut header = site.issuer.header();
    header.crit = Some(vec!["b64".to_owned()]);
    wrong.push(site.issuer.sign(&header, &claims).unwrap());
    // Somebody else's key under this one's name; the token brings its own key along.
    let other = Issuer::start(&Authority::new("other").unwrap()).await.unwrap();
    let mut header = other.header();
    header.kid.clone_from(&kid);
    header.jwk = serde_json::from_value(other.published()).ok();
    header.jku = Some(format!("{}/keys", other.url()));
    wrong.push(other.sign(&header, &claims).unwrap());
    for token in wrong {
        let (code, detail) = refused(&oidc, &token).await;
        assert_eq!(code, Code::AccessTokenRefused, "{token}: {detail}");
    }
    assert_eq!(other.asked(), 0, "a token must not say where its keys are");
}

fn base64_url(bytes: &[u8]) -> String {
    base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, bytes)
}

#[tokio::test]
async fn new_keys_are_found_and_made_up_ones_do_not_make_us_ask() {
    let site = site().await;
    let oidc = site.eager();
    let old = site.token(json!({}));
    assert!(oidc.identify(&old).await.is_ok());
    let asked = site.issuer.asked();
    for _ in 0..20 {
        assert!(oidc.identify(&old).await.is_ok());
    }
    assert_eq!(site.issuer.asked(), asked, "keys that are known are not asked for");
    site.issuer.rotate(Algorithm::RS256).unwrap();
    assert!(oidc.identify(&site.token(json!({}))).await.is_ok());
    // What the issuer does not publish any more does not count any more.
    assert_eq!(refused(&oidc, &old).await.0, Code::AccessTokenRefused);

    let patient = Oidc::open(&site.settings).unwrap();
    assert!(patient.identify(&site.token(json!({}))).await.is_ok());
    let asked = site.issuer.asked();
    let mut header = site.issuer.header();
    for number in 0..50 {
        header.kid = Some(format!("made-up-{number}"));
        let token = site.issuer.sign(&header, &site.issuer.claims(AUDIENCE, json!({}))).unwrap();
        assert_eq!(refused(&patient, &token).await.0, Code::AccessTokenRefused);
    }
    assert_eq!(site.issuer.asked(), asked, "it was asked just before");
}

#[tokio::test]
async fn what_is_known_counts_while_the_issuer_is_away() {
    let site = site().await;
    let oidc = site.eager();
    let token = site.token(json!({}));
    site.issuer.conduct(Conduct::Away);
    assert_eq!(refused(&oidc, &token).await.0, Code::IssuerUnavailable);
    site.issuer.conduct(Conduct::Honest);
    assert!(oidc.identify(&token).await.is_ok());
    site.issuer.conduct(Conduct::Away);
    assert!(oidc.identify(&token).await.is_ok());
    // A key that is not known may be a new one of the issuer's: nothing can be said.
    site.issuer.rotate(Algorithm::RS256).unwrap();
    assert_eq!(refused(&oidc, &site.token(json!({}))).await.0, Code::IssuerUnavailable);
    assert!(oidc.identify(&token).await.is_ok());
}

#[tokio::test]
async fn nobody_waits_for_an_issuer_that_hangs_where_a_known_key_will_do() {
    let site = site().await;
    let oidc = site.with(Patience { stale: Duration::ZERO, overdue: Duration::from_secs(3600), pause: Duration::ZERO });
    let old = site.token(json!({}));
    assert!(oidc.identify(&old).await.is_ok());
    site.issuer.conduct(Conduct::Hanging);
    let asked = site.issuer.asked();
    for _ in 0..10 {
        assert!(oidc.identify(&old).await.is_ok());
    }
    // Each one that had waited would have asked by itself.
    let once = eventually(Duration::from_secs(20), || std::future::ready((site.issuer.asked() > asked).then_some(())));
    once.await.unwrap();
    assert_eq!(site.issuer.asked(), asked + 1);
    // It is asked in the background: what it withdraws ends.
    site.issuer.rotate(Algorithm::RS256).unwrap();
    site.issuer.conduct(Conduct::Honest);
    let ended = eventually(Duration::from_secs(20), async || oidc.identify(&old).await.is_err().then_some(()));
    ended.await.unwrap();
    assert!(oidc.identify(&site.token(json!({}))).await.is_ok());
}

#[tokio::test]
async fn keys_that_are_overdue_count_once_the_issuer_was_asked() {
    let site = site().await;
    let oidc = site.with(Patience { stale: Duration::ZERO, overdue: Duration::ZERO, pause: Duration::ZERO });
    let old = site.token(json!({}));
    assert!(oidc.identify(&old).await.is_ok());
    site.issuer.conduct(Conduct::Away);
    assert!(oidc.identify(&old).await.is_ok(), "it does not answer");
    let oidc = site.with(Patience { stale: Duration::ZERO, overdue: Duration::ZERO, pause: Duration::ZERO });
    site.issuer.conduct(Conduct::Honest);
    assert!(oidc.identify(&old).await.is_ok());
    site.issuer.rotate(Algorithm::RS256).unwrap();
    assert_eq!(refused(&oidc, &old).await.0, Code::AccessTokenRefused, "withdrawn");
}

#[tokio::test]
async fn an_issuer_that_hangs_is_not_asked_again_at_once() {
    let site = site().await;
    // Shorter than the question takes.
    let oidc = site.with(Patience { pause: Duration::from_secs(3), ..Patience::default() });
    site.issuer.conduct(Conduct::Hanging);
    let token = site.token(json!({}));
    let both = tokio::join!(refused(&oidc, &token), refused(&oidc, &token));
    assert_eq!((both.0.0, both.1.0), (Code::IssuerUnavailable, Code::IssuerUnavailable));
    assert_eq!(site.issuer.asked(), 1, "who waited for the answer to one question asks no other");
}

#[tokio::test]
async fn an_issuer_that_lies_is_not_believed() {
    let site = site().await;
    let token = site.token(json!({"roles": ["admins"]}));
    for (conduct, why) in [
        (Conduct::Impostor, "another issuer"),
        (Conduct::Redirecting, "302"),
        (Conduct::Endless, "more than"),
        (Conduct::Plain, "not https"),
        (Conduct::Secret, "no key that signs"),
    ] {
        site.issuer.conduct(conduct);
        let (code, detail) = refused(&site.eager(), &token).await;
        assert_eq!(code, Code::IssuerUnavailable, "{conduct:?}");
        assert!(detail.contains(why), "{conduct:?}: {detail}");
    }
    // One whose certificate comes from elsewhere.
    site.issuer.conduct(Conduct::Honest);
    let stranger = config::Oidc { authority_file: None, ..site.settings.clone() };
    let oidc = Oidc::with_patience(&stranger, Patience { pause: Duration::ZERO, ..Patience::default() }).unwrap();
    assert_eq!(refused(&oidc, &token).await.0, Code::IssuerUnavailable);
    assert_eq!(site.eager().identify(&token).await.unwrap().level, Some(Level::Administrator));
}
