//! What was decided: explained, tried with other settings, and compared with the folders.

use std::collections::HashMap;

use futures::TryStreamExt as _;
use postroad_proto::{
    mailbox::v1::{FilteringMethod, MailboxSettings},
    sync::v1::{
        AuditMailboxRequest, AuditTotals, ListVerdictsRequest, RuleChange, RuleTotals, TryRulesRequest,
        audit_mailbox_response, try_rules_response,
    },
};
use system::scene::{DEADLINE, Scene};

const ADA: &str = "ada@contoso.example";

async fn try_rules(scene: &Scene, request: TryRulesRequest) -> (Vec<RuleChange>, RuleTotals) {
    let answers = scene.deployment.sync().try_rules(request).await.unwrap().into_inner();
    let mut changes = Vec::new();
    let mut totals = RuleTotals::default();
    for answer in answers.try_collect::<Vec<_>>().await.unwrap() {
        match answer.result.unwrap() {
            try_rules_response::Result::Change(change) => changes.push(change),
            try_rules_response::Result::Totals(last) => totals = last,
        }
    }
    (changes, totals)
}

async fn audit(scene: &Scene) -> (Vec<String>, AuditTotals) {
    let request = AuditMailboxRequest { mailbox: ADA.to_owned() };
    let answers = scene.deployment.sync().audit_mailbox(request).await.unwrap().into_inner();
    let mut gaps = Vec::new();
    let mut totals = AuditTotals::default();
    for answer in answers.try_collect::<Vec<_>>().await.unwrap() {
        match answer.result.unwrap() {
            audit_mailbox_response::Result::Gap(gap) => gaps.push(gap.what),
            audit_mailbox_response::Result::Progress(_) => {}
            audit_mailbox_response::Result::Totals(last) => totals = last,
        }
    }
    (gaps, totals)
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_settings_are_tried_on_past_messages_and_give_what_they_said() {
    let scene = Scene::of(&[ADA]).await.unwrap();
    let responses =
        MailboxSettings { filtering_method: FilteringMethod::Responses.into(), ..MailboxSettings::default() };
    scene.change(ADA, responses, &["filtering_method"]).await.unwrap();
    for number in 0..6 {
        scene.deliver("past", number, ADA).unwrap();
    }
    for number in 0..6 {
        let verdict = scene.verdict(ADA, &system::message_id("past", number)).await.unwrap();
        assert!(!verdict.tracked);
        assert!(verdict.facts.iter().any(|fact| fact.contains("no record of the CRM")), "{:?}", verdict.facts);
    }
    let all = TryRulesRequest { mailbox: ADA.to_owned(), filtering_method: Some(0), ..TryRulesRequest::default() };
    let (changes, totals) = try_rules(&scene, all).await;
    assert_eq!((changes.len(), totals.examined, totals.added, totals.removed), (6, 6, 6, 0));
    assert!(changes.iter().all(|change| change.tracked && change.after.contains("All email messages")));
    // It wrote nothing.
    assert!(system::activities::emails(&scene.deployment).await.unwrap().is_empty());
    let same = TryRulesRequest { mailbox: ADA.to_owned(), ..TryRulesRequest::default() };
    assert_eq!(try_rules(&scene, same).await.1.added, 0);
    let wrong = TryRulesRequest {
        settings: HashMap::from([("no-such-setting".to_owned(), "1".to_owned())]),
        ..TryRulesRequest::default()
    };
    assert!(scene.deployment.sync().try_rules(wrong).await.unwrap_err().message().contains("is no setting"));
    // A message that was passed over unread is read for the trial.
    let none = MailboxSettings { filtering_method: FilteringMethod::NoMessages.into(), ..MailboxSettings::default() };
    scene.change(ADA, none, &["filtering_method"]).await.unwrap();
    scene.deliver("unread", 0, ADA).unwrap();
    assert!(scene.verdict(ADA, &system::message_id("unread", 0)).await.unwrap().facts.is_empty());
    let all = TryRulesRequest { mailbox: ADA.to_owned(), filtering_method: Some(0), ..TryRulesRequest::default() };
    assert_eq!(try_rules(&scene, all).await.1.added, 7);
    let request = ListVerdictsRequest { mailbox: ADA.to_owned(), only_not_tracked: true, since: None };
    let listed = scene.deployment.sync().list_verdicts(request).await.unwrap().into_inner();
    assert_eq!(listed.try_collect::<Vec<_>>().await.unwrap().len(), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_proves_that_nothing_was_passed_over() {
    let scene = Scene::of(&[ADA]).await.unwrap();
    for number in 0..20 {
        scene.deliver("audit", number, ADA).unwrap();
    }
    scene.wait_for("audit", 0..20).await.unwrap();
    // The last verdicts may still be on their way into the journal.
    let audited = stage::eventually(DEADLINE, || async {
        let (gaps, totals) = audit(&scene).await;
        (totals.decided == 20).then_some((gaps, totals))
    });
    let (gaps, totals) = audited.await.expect("not all are decided");
    assert_eq!((gaps, totals.examined, totals.in_crm), (Vec::new(), 20, 20));
}
