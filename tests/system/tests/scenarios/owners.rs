//! The owner's mail, and the wall of alerts.

use mockex::{Fault, FaultKind, Region, ServerVersion};
use postroad_proto::{
    alert::v1::{AlertFilter, ListAlertsRequest},
    profile::v1::{ProfileSettings, UpdateProfileRequest},
};
use prost_types::FieldMask;
use system::{
    Options,
    scene::{DEADLINE, OWNER, PROFILE, Scene},
};

const ADDRESSES: [&str; 3] = ["ada@contoso.example", "ben@contoso.example", "cleo@contoso.example"];

async fn scene() -> Scene {
    let regions = vec![
        Region::new("europe", ServerVersion::Exchange2016, [ADDRESSES[0], ADDRESSES[1]]),
        Region::new("asia", ServerVersion::Exchange2010Sp3, [ADDRESSES[2]]),
    ];
    let scene = Scene::open(mockex::Options::contoso(regions), Options::default()).await.unwrap();
    scene.enable(&ADDRESSES).await.unwrap();
    // Who was not processed in this hour is not counted.
    for address in ADDRESSES {
        scene.until(address, "synchronized", |mailbox| mailbox.last_success_at.is_some()).await.unwrap();
    }
    scene
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_half_failing_is_one_mail_to_the_owner_and_one_alert_for_all() {
    let scene = scene().await;
    scene.deployment.exchange.set_fault(Fault::new(FaultKind::Down).region("europe"));
    let mails = scene.deployment.relay.wait_for(1, DEADLINE).await.expect("no mail");
    assert_eq!(mails[0].to, [OWNER]);
    assert!(mails[0].over_tls);
    let text = mails[0].readable();
    for told in ["2 of 3 mailboxes", "Remedy", PROFILE] {
        assert!(text.contains(told), "{told} is not told by:\n{text}");
    }
    // A request that is under way at that moment breaks off.
    assert!(text.contains("CONNECT_REFUSED") || text.contains("RESPONSE_TRUNCATED"), "{text}");
    // A server's fault is one alert, whatever the number of its mailboxes and of its repeats.
    let alerts = stage::eventually(DEADLINE, || async {
        let filter = Some(AlertFilter { profile: PROFILE.to_owned(), ..AlertFilter::default() });
        let request = ListAlertsRequest { filter, ..ListAlertsRequest::default() };
        let alerts = scene.deployment.alerts().list_alerts(request).await.ok()?.into_inner().alerts;
        alerts.into_iter().find(|alert| alert.mailboxes == 2 && alert.count > 2)
    });
    let alert = alerts.await.expect("no alert that collates");
    assert_eq!(alert.fault.unwrap().code, "CONNECT_REFUSED");
    assert_eq!(scene.deployment.relay.mails().len(), 1, "one mail, however often it fails");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_mailed_who_does_not_want_it() {
    let scene = scene().await;
    let request = UpdateProfileRequest {
        profile: PROFILE.to_owned(),
        settings: Some(ProfileSettings { send_alert_email: false, ..ProfileSettings::default() }),
        update_mask: Some(FieldMask { paths: vec!["send_alert_email".to_owned()] }),
        etag: String::new(),
    };
    scene.deployment.profiles().update_profile(request).await.unwrap();
    scene.deployment.exchange.set_fault(Fault::new(FaultKind::Down).region("europe"));
    for address in &ADDRESSES[..2] {
        scene.until(address, "failing for some time", |mailbox| mailbox.failures >= 3).await.unwrap();
    }
    assert!(scene.deployment.relay.mails().is_empty());
}
