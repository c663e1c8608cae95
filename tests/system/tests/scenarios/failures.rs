//! Servers that fail, and mailboxes that heal.

use mockex::{BusyForm, Fault, FaultKind, Impersonates, Move, Region, ServerVersion};
use postroad_core::mailbox::Event;
use postroad_proto::{
    mailbox::v1::Mailbox,
    profile::v1::{ProfileSettings, UpdateProfileRequest},
    sync::v1::{ListServersRequest, ServerStatus},
};
use prost_types::FieldMask;
use system::{
    Options, Role,
    histories::Histories,
    scene::{DEADLINE, PROFILE, Scene, fault, is_enabled},
};

const ADA: &str = "ada@contoso.example";
const BEN: &str = "ben@contoso.example";

fn disabled(mailbox: &Mailbox) -> bool {
    mailbox.disabled_by_fault
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_down_long_enough_to_disable_is_found_again_by_itself() {
    let region = Region::new("europe", ServerVersion::Exchange2016, [ADA]);
    let options = Options { retry: std::time::Duration::from_millis(100), retry_attempts: 3, ..Options::default() };
    let scene = Scene::open(mockex::Options::contoso(vec![region]), options).await.unwrap();
    scene.enable(&[ADA]).await.unwrap();
    let down = scene.deployment.exchange.set_fault(Fault::new(FaultKind::Down).region("europe"));
    scene.deliver("down", 1, ADA).unwrap();
    let mailbox = scene.until(ADA, "disabled", disabled).await.unwrap();
    assert_eq!(fault(&mailbox), "CONNECT_REFUSED");
    assert!(mailbox.next_attempt_at.is_some(), "a probe is planned");
    scene.deployment.exchange.clear_fault(down);
    scene.wait_for("down", [1]).await.unwrap();
    scene.until(ADA, "well again", is_enabled).await.unwrap();
    let timeline = scene.timeline(ADA).await.unwrap().join("\n");
    assert!(timeline.contains("enabled"), "{timeline}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moved_mailbox_is_found_where_it_is_now() {
    let regions = vec![
        Region::new("europe", ServerVersion::Exchange2010Sp3, [ADA]),
        Region::new("america", ServerVersion::Exchange2016, [BEN]),
    ];
    let scene = Scene::open(mockex::Options::contoso(regions), Options::default()).await.unwrap();
    scene.enable(&[ADA, BEN]).await.unwrap();
    scene.deliver("moved", 1, ADA).unwrap();
    scene.wait_for("moved", [1]).await.unwrap();
    let movement = Move {
        mailbox: ADA.to_owned(),
        region: "america".to_owned(),
        elsewhere: Some("ErrorMailboxMoveInProgress".to_owned()),
    };
    scene.deployment.exchange.move_mailbox(&movement).unwrap();
    scene.deliver("moved", 2, ADA).unwrap();
    scene.wait_for("moved", [1, 2]).await.unwrap();
    Histories::read(&scene.deployment).await.unwrap().check().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn back_off_is_obeyed_and_is_no_failure() {
    let scene = Scene::of(&[ADA]).await.unwrap();
    for form in [BusyForm::FaultTypes, BusyForm::Response] {
        let busy = FaultKind::Busy { back_off_milliseconds: 1000, form };
        scene.deployment.exchange.set_fault(Fault::new(busy).operation("SyncFolderItems").times(1));
    }
    scene.deliver("busy", 1, ADA).unwrap();
    scene.wait_for("busy", [1]).await.unwrap();
    let histories = Histories::read(&scene.deployment).await.unwrap();
    histories.check().unwrap();
    let events = &histories.0[ADA];
    assert!(events.iter().any(|event| matches!(event, Event::Throttled { .. })));
    assert!(!events.iter().any(|event| matches!(event, Event::AttemptFailed { .. })));
}

/// What the worker knows of the only server, once it is so.
async fn server(scene: &Scene, what: &str, is_so: impl Fn(&ServerStatus) -> bool) -> ServerStatus {
    let known = || async {
        let answer = scene.deployment.sync().list_servers(ListServersRequest::default()).await.ok()?;
        answer.into_inner().servers.into_iter().next()
    };
    match stage::eventually(DEADLINE, || async { known().await.filter(|server| is_so(server)) }).await {
        Some(server) => server,
        None => panic!("the server never was {what}: {:?}", known().await),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_down_is_probed_for_all_its_mailboxes_and_they_are_taken_up_when_it_is_back() {
    let addresses: Vec<String> = (0..12).map(|number| format!("user{number}@contoso.example")).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let scene = Scene::of(&addresses).await.unwrap();
    let well = server(&scene, "asked for an account", |server| !server.accounts.is_empty()).await;
    assert!(well.outage.is_none() && well.budget.is_some_and(|budget| budget.requests > 0), "{well:?}");
    let down = scene.deployment.exchange.set_fault(Fault::new(FaultKind::Down).region("europe"));
    for (number, address) in addresses.iter().enumerate() {
        scene.deliver("outage", number, address).unwrap();
    }
    let outage = server(&scene, "down", |server| server.outage.as_ref().is_some_and(|outage| outage.probes >= 2)).await;
    let fault = outage.outage.and_then(|outage| outage.fault).unwrap();
    assert_eq!(fault.code, "CONNECT_REFUSED");
    scene.deployment.exchange.clear_fault(down);
    scene.wait_for("outage", 0..12).await.unwrap();
    server(&scene, "back", |server| server.outage.is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_tried_once_for_the_whole_profile_and_a_new_one_heals() {
    let scene = Scene::of(&[ADA, BEN]).await.unwrap();
    scene.deployment.exchange.set_service_password("another");
    for address in [ADA, BEN] {
        let mailbox = scene.until(address, "disabled", disabled).await.unwrap();
        assert_eq!(fault(&mailbox), "CREDENTIALS_REJECTED");
        assert!(mailbox.next_attempt_at.is_none(), "nothing is tried before somebody changes something");
    }
    let refused = scene.deployment.exchange.counters().refused_credentials;
    assert!(refused <= 4, "the account is not driven into its lockout: {refused} attempts");
    scene.deliver("password", 1, ADA).unwrap();
    let settings = ProfileSettings { password: "another".to_owned(), ..ProfileSettings::default() };
    let request = UpdateProfileRequest {
        profile: PROFILE.to_owned(),
        settings: Some(settings),
        update_mask: Some(FieldMask { paths: vec!["password".to_owned()] }),
        etag: String::new(),
    };
    scene.deployment.profiles().update_profile(request).await.unwrap();
    scene.wait_for("password", [1]).await.unwrap();
    for address in [ADA, BEN] {
        scene.until(address, "well again", is_enabled).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_test_finds_wrong_is_told_for_each_mailbox() {
    let region = Region::new("europe", ServerVersion::Exchange2016, [ADA, BEN]);
    let scene = Scene::open(mockex::Options::contoso(vec![region]), Options::default()).await.unwrap();
    scene.deployment.exchange.set_impersonates(Impersonates::Only(vec![BEN.to_owned()]));
    for address in [ADA, BEN, "nobody@contoso.example"] {
        scene.set_up().mailbox(address).await.unwrap();
    }
    let tested = scene.set_up().test_and_enable().await.unwrap();
    let found: std::collections::BTreeMap<String, (bool, String)> = tested
        .into_iter()
        .map(|mailbox| {
            let told = (is_enabled(&mailbox), fault(&mailbox).to_owned());
            (mailbox.settings.unwrap_or_default().email_address, told)
        })
        .collect();
    assert_eq!(found[ADA], (false, "IMPERSONATION_DENIED".to_owned()));
    assert_eq!(found[BEN], (true, String::new()));
    assert_eq!(found["nobody@contoso.example"], (false, "AUTODISCOVER_USER_UNKNOWN".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_absent_crm_or_locator_disables_nobody() {
    let mut scene = Scene::of(&[ADA]).await.unwrap();
    for role in [Role::Crm, Role::Locator] {
        scene.deployment.kill(role).await.unwrap();
    }
    scene.deliver("absent", 1, ADA).unwrap();
    let mailbox = scene.until(ADA, "waiting", |mailbox| mailbox.fault.is_some()).await.unwrap();
    let incoming = mailbox.incoming.unwrap();
    assert!(incoming.enabled && !mailbox.disabled_by_fault, "{mailbox:?}");
    for role in [Role::Crm, Role::Locator] {
        scene.deployment.restart(role).await.unwrap();
    }
    scene.wait_for("absent", [1]).await.unwrap();
    scene.until(ADA, "well", |mailbox| mailbox.fault.is_none()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_killed_and_started_again_loses_nothing() {
    let mut scene = Scene::of(&[ADA]).await.unwrap();
    scene.deliver("nats", 1, ADA).unwrap();
    scene.deployment.nats.kill().await.unwrap();
    scene.deliver("nats", 2, ADA).unwrap();
    scene.deployment.nats.restart().await.unwrap();
    scene.deliver("nats", 3, ADA).unwrap();
    scene.wait_for("nats", 1..4).await.unwrap();
    Histories::read(&scene.deployment).await.unwrap().check().unwrap();
}
