//! Who may ask.

use mockex::{Application, Challenge, Options, Service};

use crate::client::{ANA, Answer, Ask, FIND_ITEMS, GET_INBOX, SERVICE, Stand, has_credentials, options};

const BEARER: &str = "Bearer client_id=\"00000002-0000-0ff1-ce00-000000000000\", \
    trusted_issuers=\"00000001-0000-0000-c000-000000000000@*\", \
    token_types=\"app_asserted_user_v1 service_asserted_app_v1\", \
    authorization_uri=\"https://login.windows.net/common/oauth2/authorize\"";

fn challenges(answer: &Answer) -> Vec<&str> {
    answer.headers.get_all("www-authenticate").iter().map(|value| value.to_str().unwrap()).collect()
}

#[tokio::test]
async fn a_401_offers_what_the_organisation_is_set_to() {
    for (challenge, offered) in [
        (Challenge::Basic, &["Negotiate", "NTLM", "Basic realm=\"localhost\""][..]),
        (Challenge::WithoutBasic, &["Negotiate", "NTLM"]),
        (Challenge::Bearer, &[BEARER, "Basic Realm=\"\""]),
        (Challenge::Both, &["Negotiate", "NTLM", BEARER, "Basic realm=\"localhost\""]),
        (Challenge::Silent, &[]),
    ] {
        let stand = Stand::challenging(challenge).await;
        let ask = Ask::new(GET_INBOX).without_logon();
        assert!(!has_credentials(&stand.post(&ask).build().unwrap()));
        let answer = stand.ask(&ask).await;
        assert_eq!((answer.status, answer.text.as_str(), answer.header("content-length")), (401, "", Some("0")));
        assert_eq!(challenges(&answer), offered, "{challenge:?}");

        let right = stand.ana(GET_INBOX).await;
        let is_enabled = matches!(challenge, Challenge::Basic | Challenge::Both);
        assert_eq!(right.status == 200, is_enabled, "Basic counts only where it is enabled");
    }
}

#[tokio::test]
async fn the_service_password_can_be_changed_and_refusals_are_counted() {
    let stand = Stand::start().await;
    stand.ana(GET_INBOX).await.succeeded();
    stand.exchange.set_service_password("Next-word2");
    assert_eq!(stand.ana(GET_INBOX).await.status, 401);
    stand.ask(&Ask::new(GET_INBOX).logon(SERVICE.0, "Next-word2")).await.succeeded();
    stand.ask(&Ask::new(GET_INBOX).without_logon()).await;

    let counters = stand.exchange.counters();
    assert_eq!((counters.requests, counters.without_credentials, counters.refused_credentials), (4, 1, 1));
    assert_eq!(counters.by_operation["GetFolder"], 4);
    assert_eq!(counters.by_region["europe"], 4);
    let statuses: Vec<_> = stand.exchange.requests().iter().map(|request| request.status).collect();
    assert_eq!(statuses, [200, 401, 200, 401]);
    assert!(stand.exchange.requests().iter().all(|request| request.mailbox.as_deref() == Some(ANA)));
}

#[tokio::test]
async fn an_owner_reads_the_own_mailbox_and_no_other() {
    let stand = Stand::start().await;
    stand.deliver(ANA, "first");
    for name in [ANA, "ana.upn@contoso.example"] {
        let own = Ask::new(FIND_ITEMS).logon(name, "Own-word1").without_impersonation();
        assert_eq!(stand.ask(&own).await.succeeded().first("Subject"), "first");
    }
    let other = Ask::new(FIND_ITEMS).logon(ANA, "Own-word1").mailbox("ben@contoso.example");
    assert_eq!(stand.ask(&other).await.fault(), (500, "ErrorImpersonateUserDenied"));
    let disabled = Ask::new(FIND_ITEMS).logon("cleo@contoso.example", "Own-word1").without_impersonation();
    assert_eq!(stand.ask(&disabled).await.status, 401);
    let without_password = Ask::new(FIND_ITEMS).logon("ben@contoso.example", "").without_impersonation();
    assert_eq!(stand.ask(&without_password).await.status, 401);
}

#[tokio::test]
async fn tokens_count_as_the_service_account_until_they_are_revoked() {
    let application = Application { secret: Some("s&cret".to_owned()), ..Application::new("app") };
    let stand = Stand::of(Options { challenge: Challenge::Both, application: Some(application), ..options() }).await;
    let url = stand.exchange.token_url().unwrap();
    let form = |secret: &str| {
        format!(
            "grant_type=client_credentials&client_id=app&scope=https%3A%2F%2Fmail%2F.default&client_secret={secret}"
        )
    };
    let fetch = async |secret: &str| {
        let answer = Answer::read(stand.http.post(&url).body(form(secret)).send().await.unwrap()).await;
        (answer.status, serde_json::from_str::<serde_json::Value>(&answer.text).unwrap())
    };
    let (status, wrong) = fetch("s").await;
    assert_eq!(
        (status, wrong["error"].as_str(), wrong["error_codes"][0].as_u64()),
        (401, Some("invalid_client"), Some(7_000_215))
    );
    let (status, right) = fetch("s%26cret").await;
    assert_eq!((status, right["token_type"].as_str(), right["expires_in"].as_u64()), (200, Some("Bearer"), Some(3600)));

    let ask = Ask::new(GET_INBOX).without_logon();
    let send = async |token: &str| Answer::read(stand.post(&ask).bearer_auth(token).send().await.unwrap()).await;
    let token = right["access_token"].as_str().unwrap();
    send(token).await.succeeded();
    stand.exchange.expire_tokens();
    assert!(send(token).await.header("x-ms-diagnostics").unwrap().contains("error_category=\"token_expired\""));
    stand.exchange.revoke_tokens();
    let refused = send(token).await;
    assert_eq!(refused.status, 401);
    assert!(refused.header("x-ms-diagnostics").unwrap().contains("error_category=\"invalid_token\""));
    assert_eq!(stand.exchange.token_requests(), 2);
    assert_eq!(stand.exchange.requests()[0].service, Service::Token);
    stand.ana(GET_INBOX).await.succeeded();
}
