//! Who may ask.

use mockex::Challenge;

use crate::client::{ANA, Answer, Ask, FIND_ITEMS, GET_INBOX, SERVICE, Stand, has_credentials};

fn challenges(answer: &Answer) -> Vec<&str> {
    answer.headers.get_all("www-authenticate").iter().map(|value| value.to_str().unwrap()).collect()
}

#[tokio::test]
async fn a_401_offers_what_the_organisation_is_set_to() {
    for (challenge, offered) in [
        (Challenge::Basic, &["Negotiate", "NTLM", "Basic realm=\"localhost\""][..]),
        (Challenge::WithoutBasic, &["Negotiate", "NTLM"]),
        (Challenge::Silent, &[]),
    ] {
        let stand = Stand::challenging(challenge).await;
        let ask = Ask::new(GET_INBOX).without_logon();
        assert!(!has_credentials(&stand.post(&ask).build().unwrap()));
        let answer = stand.ask(&ask).await;
        assert_eq!((answer.status, answer.text.as_str(), answer.header("content-length")), (401, "", Some("0")));
        assert_eq!(challenges(&answer), offered, "{challenge:?}");

        let right = stand.ana(GET_INBOX).await;
        assert_eq!(right.status == 200, challenge == Challenge::Basic, "Basic counts only where it is enabled");
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
