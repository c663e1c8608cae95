//! Finding the server, and giving credentials to nobody else.

use mockex::{Challenge, Fault, FaultKind, Region, ServerVersion, Service};
use postroad_proto::{
    locator::v1::{Conclusion, Outcome, Verdict},
    mailbox::v1::UpdateMailboxRequest,
    profile::v1::{
        GetProfileRequest, ListProfileChangesRequest, LocateMailboxRequest, ProfileSettings, ReleaseHostRequest,
        TestProfileRequest, TestSettingsRequest, UpdateProfileRequest, locate_mailbox_response, test_profile_response,
        test_settings_response,
    },
};
use prost_types::FieldMask;
use system::{
    Options,
    scene::{PROFILE, Scene, fault, is_enabled},
};

const ADA: &str = "ada@contoso.example";

fn organization() -> mockex::Options {
    mockex::Options::contoso(vec![Region::new("europe", ServerVersion::Exchange2016, [ADA])])
}

async fn scene(organization: mockex::Options) -> Scene {
    Scene::open(organization, Options::default()).await.unwrap()
}

/// Tests the profile with the mailbox; gives the outcome and the name of the step that failed.
async fn tested(scene: &Scene) -> (Outcome, String, String) {
    let request = TestProfileRequest { profile: PROFILE.to_owned(), email_address: ADA.to_owned() };
    let mut steps = scene.deployment.profiles().test_profile(request).await.unwrap().into_inner();
    let (mut failed, mut location) = (String::new(), String::new());
    while let Some(message) = steps.message().await.unwrap() {
        match message.report.unwrap() {
            test_profile_response::Report::Outcome(outcome) => return (outcome, failed, location),
            test_profile_response::Report::Step(step) => match step.verdict() {
                Verdict::Failed => failed = step.name,
                Verdict::Passed if step.name == "location" => location = step.detail,
                _ => {}
            },
        }
    }
    panic!("the test ended without an outcome");
}

async fn set(scene: &Scene, settings: ProfileSettings, fields: &[&str]) {
    let update_mask = Some(FieldMask { paths: fields.iter().map(|field| (*field).to_owned()).collect() });
    let request = UpdateProfileRequest {
        profile: PROFILE.to_owned(),
        settings: Some(settings),
        update_mask,
        etag: String::new(),
    };
    scene.deployment.profiles().update_profile(request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn pox_is_asked_where_there_is_no_soap() {
    let scene = scene(mockex::Options { autodiscover_soap: false, ..organization() }).await;
    let (outcome, _, location) = tested(&scene).await;
    assert!(outcome.incoming.is_none() && location.contains("POX"), "{outcome:?} {location}");
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_go_to_no_host_that_is_not_released() {
    let scene = scene(organization()).await;
    let evil =
        FaultKind::RedirectUrl { url: "https://autodiscover.evil.example/autodiscover/autodiscover.svc".to_owned() };
    scene.deployment.exchange.set_fault(Fault::new(evil).service(Service::Autodiscover));
    let (outcome, step, _) = tested(&scene).await;
    let fault = outcome.incoming.unwrap();
    assert_eq!((fault.code.as_str(), step.as_str()), ("AUTODISCOVER_HOST_REFUSED", "location"));
    assert!(fault.detail.contains("evil.example"), "{}", fault.detail);
    let asked = scene.deployment.exchange.requests();
    assert!(asked.iter().any(|request| !request.with_credentials), "hosts are asked without credentials first");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_is_not_trusted_is_never_worked_around() {
    let scene = scene(organization()).await;
    let url = scene.deployment.exchange.region_url("europe").unwrap();
    let settings = ProfileSettings {
        autodiscover: Some(false),
        incoming_location: url,
        trust_anchors: Vec::new(),
        ..ProfileSettings::default()
    };
    set(&scene, settings, &["autodiscover", "incoming_location", "trust_anchors"]).await;
    let (outcome, step, _) = tested(&scene).await;
    let fault = outcome.incoming.unwrap();
    assert_eq!((fault.code.as_str(), step.as_str()), ("TLS_UNTRUSTED", "tls"), "{fault:?}");
    assert_eq!(scene.deployment.exchange.counters().requests, 0, "nothing was said to the stranger");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_basic_authentication_is_told_from_a_wrong_password() {
    let scene = scene(mockex::Options { challenge: Challenge::WithoutBasic, ..organization() }).await;
    let url = scene.deployment.exchange.region_url("europe").unwrap();
    let settings = ProfileSettings { autodiscover: Some(false), incoming_location: url, ..ProfileSettings::default() };
    set(&scene, settings, &["autodiscover", "incoming_location"]).await;
    let (outcome, step, _) = tested(&scene).await;
    assert_eq!((outcome.incoming.unwrap().code.as_str(), step.as_str()), ("BASIC_NOT_OFFERED", "authentication"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_of_exchange_online_is_told_and_not_followed() {
    let scene = scene(organization()).await;
    scene.enable(&[ADA]).await.unwrap();
    let online = FaultKind::RedirectAddress { address: "ada@contoso.mail.onmicrosoft.com".to_owned() };
    scene.deployment.exchange.set_fault(Fault::new(online).service(Service::Autodiscover));
    let tested = scene.set_up().test_and_enable().await.unwrap();
    assert_eq!(fault(&tested[0]), "MAILBOX_IN_EXCHANGE_ONLINE");
    assert!(!is_enabled(&tested[0]));
    // Another address is another mailbox of Exchange: it is to be approved again.
    let settings = postroad_proto::mailbox::v1::MailboxSettings {
        email_address: "ada.king@contoso.example".to_owned(),
        ..Default::default()
    };
    let update_mask = Some(FieldMask { paths: vec!["email_address".to_owned()] });
    let request =
        UpdateMailboxRequest { mailbox: ADA.to_owned(), settings: Some(settings), update_mask, etag: String::new() };
    let changed = scene.deployment.mailboxes().update_mailbox(request).await.unwrap().into_inner().mailbox.unwrap();
    assert_eq!(changed.approval(), postroad_proto::mailbox::v1::Approval::Pending);
}

/// The transcript's questions, and the conclusion.
async fn located(scene: &Scene, anew: bool) -> (Vec<String>, Conclusion) {
    let request = LocateMailboxRequest { email_address: ADA.to_owned(), profile: PROFILE.to_owned(), anew };
    let mut told = scene.deployment.profiles().locate_mailbox(request).await.unwrap().into_inner();
    let mut questions = Vec::new();
    while let Some(message) = told.message().await.unwrap() {
        match message.report.unwrap() {
            locate_mailbox_response::Report::Entry(entry) => questions.push(entry.question),
            locate_mailbox_response::Report::Conclusion(conclusion) => return (questions, conclusion),
        }
    }
    panic!("the explanation ended without a conclusion");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_autodiscover_wants_is_used_as_soon_as_an_administrator_releases_it() {
    let mut organization = organization();
    organization.regions[0].public_host = Some("hub.hoster.example".to_owned());
    let scene = scene(organization).await;
    scene.set_up().mailbox(ADA).await.unwrap();
    let tested = scene.set_up().test_and_enable().await.unwrap();
    assert_eq!(fault(&tested[0]), "AUTODISCOVER_HOST_REFUSED");
    assert!(scene.deployment.exchange.requests().iter().all(|request| request.service == Service::Autodiscover));

    // The transcript of the last discovery is kept.
    let asked = scene.deployment.exchange.counters().requests;
    let (questions, conclusion) = located(&scene, false).await;
    assert!(questions.iter().any(|question| question.contains("(SOAP) for ada@")), "{questions:?}");
    assert_eq!(scene.deployment.exchange.counters().requests, asked, "nothing was asked");
    assert!(conclusion.wants_host.starts_with("hub.hoster.example:"), "{conclusion:?}");
    assert_eq!(conclusion.fault.unwrap().code, "AUTODISCOVER_HOST_REFUSED");

    let request = ReleaseHostRequest { profile: PROFILE.to_owned(), host: conclusion.wants_host.clone() };
    let profile = scene.deployment.profiles().release_host(request).await.unwrap().into_inner().profile.unwrap();
    assert_eq!(profile.settings.unwrap().released_hosts, std::slice::from_ref(&conclusion.wants_host));
    let request = ListProfileChangesRequest { profile: PROFILE.to_owned(), ..Default::default() };
    let changes = scene.deployment.profiles().list_profile_changes(request).await.unwrap().into_inner().changes;
    assert_eq!((changes[0].field.as_str(), changes[0].to.as_str()), ("released_hosts", conclusion.wants_host.as_str()));

    let tested = scene.set_up().test_and_enable().await.unwrap();
    assert!(is_enabled(&tested[0]), "{:?}", tested[0].fault);
    let (_, conclusion) = located(&scene, false).await;
    assert!(conclusion.fault.is_none() && conclusion.location.unwrap().url.contains("hub.hoster.example"));
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_tested_before_they_are_saved_and_leave_no_trace() {
    let scene = scene(organization()).await;
    let test = async |location: &str| {
        let settings = ProfileSettings {
            server_type: postroad_proto::profile::v1::ServerType::ExchangeServer.into(),
            autodiscover: Some(false),
            incoming_location: location.to_owned(),
            user_name: scene.account.user_name.clone(),
            trust_anchors: vec![scene.deployment.exchange.ca_pem().to_owned()],
            ..ProfileSettings::default()
        };
        let request = TestSettingsRequest {
            settings: Some(settings),
            email_address: ADA.to_owned(),
            profile: PROFILE.to_owned(),
        };
        let mut told = scene.deployment.profiles().test_settings(request).await?.into_inner();
        while let Some(message) = told.message().await? {
            if let Some(test_settings_response::Report::Outcome(outcome)) = message.report {
                return Ok(outcome);
            }
        }
        panic!("the test ended without an outcome");
    };
    let refused: tonic::Status = test("http://mail.contoso.example/").await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);
    let failed = test("https://127.0.0.1:1/").await.unwrap();
    assert_eq!(failed.incoming.unwrap().code, "CONNECT_REFUSED");
    let passed = test(&scene.deployment.exchange.region_url("europe").unwrap()).await.unwrap();
    assert!(passed.incoming.is_none(), "{passed:?}");
    let request = GetProfileRequest { profile: PROFILE.to_owned() };
    let profile = scene.deployment.profiles().get_profile(request).await.unwrap().into_inner().profile.unwrap();
    assert!(profile.last_test.is_none() && profile.settings.unwrap().incoming_location.is_empty());
}
