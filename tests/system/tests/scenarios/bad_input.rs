//! Bad input: each refusal names the field, the rule and the fix, has the right status, and changes nothing.

use postroad_proto::{
    mailbox::v1::{CreateMailboxRequest, MailboxKind, MailboxSettings, UpdateMailboxRequest},
    profile::v1::{
        CreateProfileRequest, DeleteProfileRequest, ListProfileChangesRequest, ProfileSettings, ServerType,
        UpdateProfileRequest,
    },
};
use postroad_rig::status::{fault_of, field_of};
use prost_types::FieldMask;
use system::{
    Options,
    scene::{OWNER, PROFILE, Scene},
};
use tonic::{Code, Status};

const ADA: &str = "ada@contoso.example";

fn profile() -> ProfileSettings {
    ProfileSettings {
        name: "Other".to_owned(),
        owner: OWNER.to_owned(),
        server_type: ServerType::ExchangeServer.into(),
        autodiscover: Some(false),
        incoming_location: "https://mail.contoso.example".to_owned(),
        user_name: "crm@contoso.example".to_owned(),
        password: "secret".to_owned(),
        ..ProfileSettings::default()
    }
}

fn told(status: &Status) -> (Code, String, String) {
    let fault = fault_of(status).unwrap_or_else(|| panic!("no fault in {status:?}"));
    assert!(!fault.remedy.is_empty() && !fault.what.is_empty());
    let field = field_of(status).map(|(field, rule)| {
        assert!(!rule.is_empty(), "{status:?}");
        field
    });
    (status.code(), fault.code, field.unwrap_or_default())
}

async fn changes(scene: &Scene) -> usize {
    let request = ListProfileChangesRequest { profile: PROFILE.to_owned(), page_size: 1000, ..Default::default() };
    scene.deployment.profiles().list_profile_changes(request).await.unwrap().into_inner().changes.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_refused_by_name_and_changes_nothing() {
    let region = mockex::Region::new("europe", mockex::ServerVersion::Exchange2016, [ADA]);
    let scene = Scene::open(mockex::Options::contoso(vec![region]), Options::default()).await.unwrap();
    scene.set_up().mailbox(ADA).await.unwrap();
    let before = changes(&scene).await;
    let invalid = Code::InvalidArgument;
    let bad: [(ProfileSettings, (Code, &str, &str)); 11] = [
        (
            ProfileSettings { incoming_location: "http://mail.contoso.example".into(), ..profile() },
            (invalid, "LOCATION_NOT_HTTPS", "incoming_location"),
        ),
        (
            ProfileSettings { incoming_port: Some(70_000), ..profile() },
            (invalid, "VALUE_OUT_OF_RANGE", "incoming_port"),
        ),
        (
            ProfileSettings { minimum_polling_interval_minutes: 1441, ..profile() },
            (invalid, "VALUE_OUT_OF_RANGE", "minimum_polling_interval_minutes"),
        ),
        (
            ProfileSettings { maximum_concurrent_connections: Some(0), ..profile() },
            (invalid, "VALUE_OUT_OF_RANGE", "maximum_concurrent_connections"),
        ),
        (
            ProfileSettings { maximum_concurrent_connections: Some(301), ..profile() },
            (invalid, "VALUE_OUT_OF_RANGE", "maximum_concurrent_connections"),
        ),
        (
            ProfileSettings { connection_timeout_ms: Some(0), ..profile() },
            (invalid, "VALUE_OUT_OF_RANGE", "connection_timeout_ms"),
        ),
        (
            ProfileSettings { user_name: "CONTOSO\\crm".into(), ..profile() },
            (invalid, "USER_NAME_NOT_UPN", "user_name"),
        ),
        (ProfileSettings { owner: "ghost@contoso.example".into(), ..profile() }, (invalid, "OWNER_UNKNOWN", "owner")),
        (
            ProfileSettings { trust_anchors: vec!["no PEM".into()], ..profile() },
            (invalid, "TRUST_ANCHOR_INVALID", "trust_anchors"),
        ),
        (ProfileSettings { name: PROFILE.to_uppercase(), ..profile() }, (Code::AlreadyExists, "NAME_TAKEN", "name")),
        (ProfileSettings { server_type: 0, ..profile() }, (invalid, "FIELD_REQUIRED", "server_type")),
    ];
    let mut profiles = scene.deployment.profiles();
    for (settings, (code, fault, field)) in bad {
        let status = profiles.create_profile(CreateProfileRequest { settings: Some(settings) }).await.unwrap_err();
        assert_eq!(told(&status), (code, fault.to_owned(), field.to_owned()));
    }
    // Nothing was left behind: the name is free.
    profiles.create_profile(CreateProfileRequest { settings: Some(profile()) }).await.unwrap();

    let request = DeleteProfileRequest { profile: PROFILE.to_owned(), etag: String::new() };
    let status = profiles.delete_profile(request).await.unwrap_err();
    assert_eq!((status.code(), told(&status).1.as_str()), (Code::FailedPrecondition, "PROFILE_IN_USE"));
    let update = |field: &str, etag: &str| UpdateProfileRequest {
        profile: PROFILE.to_owned(),
        settings: Some(ProfileSettings { description: "new".to_owned(), ..ProfileSettings::default() }),
        update_mask: Some(FieldMask { paths: vec![field.to_owned()] }),
        etag: etag.to_owned(),
    };
    let status = profiles.update_profile(update("description", "stale")).await.unwrap_err();
    assert_eq!((status.code(), told(&status).1.as_str()), (Code::Aborted, "ETAG_STALE"));
    let status = profiles.update_profile(update("descripton", "")).await.unwrap_err();
    assert_eq!(told(&status), (invalid, "FIELD_UNKNOWN".to_owned(), "descripton".to_owned()));
    assert_eq!(changes(&scene).await, before, "nothing was changed");
    mailboxes(&scene).await;
}

async fn mailboxes(scene: &Scene) {
    scene.set_up().user("ben@contoso.example").await.unwrap();
    let settings = |regarding: &str, address: &str| MailboxSettings {
        kind: MailboxKind::User.into(),
        regarding: regarding.to_owned(),
        email_address: address.to_owned(),
        profile: PROFILE.to_owned(),
        ..MailboxSettings::default()
    };
    let ben = "ben@contoso.example";
    let bad = [
        (settings(ADA, ben), (Code::AlreadyExists, "REGARDING_TAKEN", "regarding")),
        (settings(ben, "ADA@contoso.example"), (Code::AlreadyExists, "ADDRESS_TAKEN", "email_address")),
        (settings(ben, "no address"), (Code::InvalidArgument, "ADDRESS_INVALID", "email_address")),
        (settings("ghost@contoso.example", ben), (Code::InvalidArgument, "REGARDING_UNKNOWN", "regarding")),
        (
            MailboxSettings { profile: "None".to_owned(), ..settings(ben, ben) },
            (Code::NotFound, "NOT_FOUND", "profile"),
        ),
        (
            MailboxSettings { delete_after_processing: true, ..settings(ben, ben) },
            (Code::InvalidArgument, "FIELD_NOT_APPLICABLE", "delete_after_processing"),
        ),
    ];
    let mut mailboxes = scene.deployment.mailboxes();
    for (settings, (code, fault, field)) in bad {
        let status = mailboxes.create_mailbox(CreateMailboxRequest { settings: Some(settings) }).await.unwrap_err();
        assert_eq!(told(&status), (code, fault.to_owned(), field.to_owned()));
    }
    mailboxes.create_mailbox(CreateMailboxRequest { settings: Some(settings(ben, ben)) }).await.unwrap();
    let request = UpdateMailboxRequest {
        mailbox: ben.to_owned(),
        settings: Some(MailboxSettings { name: "Ben".to_owned(), ..MailboxSettings::default() }),
        update_mask: Some(FieldMask { paths: vec!["name".to_owned()] }),
        etag: "stale".to_owned(),
    };
    let status = mailboxes.update_mailbox(request).await.unwrap_err();
    assert_eq!((status.code(), told(&status).1.as_str()), (Code::Aborted, "ETAG_STALE"));
}
