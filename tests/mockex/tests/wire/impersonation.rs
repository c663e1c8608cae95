//! For which mailbox a request is, and whether it may be.

use mockex::Impersonates;

use crate::client::{ANA, Ask, BEN, FIND_ITEMS, GET_INBOX, Stand};

#[tokio::test]
async fn a_mailbox_is_named_by_address_alias_or_principal_name() {
    let stand = Stand::start().await;
    stand.deliver(ANA, "first");
    for name in [
        "<t:PrimarySmtpAddress>ANA@contoso.example</t:PrimarySmtpAddress>",
        "<t:SmtpAddress>ana.alias@contoso.example</t:SmtpAddress>",
        "<t:PrincipalName>ana.upn@contoso.example</t:PrincipalName>",
    ] {
        let answer = stand.ask(&Ask::new(FIND_ITEMS).sid(name.to_owned())).await;
        assert_eq!(answer.succeeded().first("Subject"), "first", "{name}");
    }
    let asked = stand.exchange.requests();
    assert!(asked.iter().all(|request| request.mailbox.as_deref() == Some(ANA)), "the primary address is noted");
}

#[tokio::test]
async fn what_names_nobody_or_the_wrong_one_is_refused() {
    let stand = Stand::start().await;
    for (name, code) in [
        ("<t:PrimarySmtpAddress>ghost@contoso.example</t:PrimarySmtpAddress>", "ErrorNonExistentMailbox"),
        ("<t:PrimarySmtpAddress> ana@contoso.example</t:PrimarySmtpAddress>", "ErrorNonExistentMailbox"),
        ("<t:SID>S-1-5-21-1-2-3-4</t:SID>", "ErrorNonExistentMailbox"),
        ("<t:PrimarySmtpAddress>ana.alias@contoso.example</t:PrimarySmtpAddress>", "ErrorNonPrimarySmtpAddress"),
        ("<t:PrimarySmtpAddress>cleo@contoso.example</t:PrimarySmtpAddress>", "ErrorAccountDisabled"),
        ("<t:PrimarySmtpAddress/>", "ErrorInvalidExchangeImpersonationHeaderData"),
        ("", "ErrorInvalidExchangeImpersonationHeaderData"),
        ("<t:Surname>x</t:Surname>", "ErrorInvalidExchangeImpersonationHeaderData"),
        ("<t:SID>a</t:SID><t:SID>b</t:SID>", "ErrorInvalidExchangeImpersonationHeaderData"),
    ] {
        let answer = stand.ask(&Ask::new(GET_INBOX).sid(name.to_owned())).await;
        assert_eq!(answer.fault(), (500, code), "{name}");
    }
}

#[tokio::test]
async fn the_scope_of_the_role_counts_at_once() {
    let stand = Stand::start().await;
    let ben = Ask::new(GET_INBOX).mailbox(BEN);
    stand.exchange.set_impersonates(Impersonates::Only(vec![BEN.to_owned()]));
    assert_eq!(stand.ana(GET_INBOX).await.fault(), (500, "ErrorImpersonateUserDenied"));
    stand.ask(&ben).await.succeeded();
    stand.exchange.set_impersonates(Impersonates::None);
    assert_eq!(stand.ask(&ben).await.fault(), (500, "ErrorImpersonateUserDenied"));
    stand.exchange.set_impersonates(Impersonates::All);
    stand.ana(GET_INBOX).await.succeeded();
}

#[tokio::test]
async fn the_service_account_itself_has_no_mailbox() {
    let stand = Stand::start().await;
    let answer = stand.ask(&Ask::new(GET_INBOX).without_impersonation()).await;
    assert!(answer.codes().contains(&"ErrorMissingEmailAddress"), "{}", answer.text);
}
