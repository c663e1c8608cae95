//! Creating, reading, changing and deleting profiles.

use std::sync::atomic::Ordering;

use postroad_core::fault::Code;
use postroad_proto::{
    mailbox::v1::MailboxKind,
    profile::v1::{
        ActivateProfileRequest, AssignProfileRequest, DeactivateProfileRequest, ListProfilesRequest, Profile,
        ProfileSettings, profile_service_server::ProfileService as _,
    },
};
use rstest::rstest;
use tonic::Status;

use crate::{
    office::{Desk, Office, invalid, reason},
    requests::{PASSWORD, by_grace, mailbox, profile},
};

async fn page(desk: &Desk, size: u32, token: &str) -> Result<(Vec<String>, String), Status> {
    let request = by_grace(ListProfilesRequest { page_size: size, page_token: token.to_owned() });
    let page = desk.profiles.list_profiles(request).await?.into_inner();
    Ok((page.profiles.into_iter().map(|one| one.settings.unwrap().name).collect(), page.next_page_token))
}

async fn assign(desk: &Desk, owner: &str, etag: &str) -> Result<Profile, Status> {
    let (owner, etag) = (owner.to_owned(), etag.to_owned());
    let request = by_grace(AssignProfileRequest { profile: "Contoso".to_owned(), owner, etag });
    Ok(desk.profiles.assign_profile(request).await?.into_inner().profile.unwrap())
}

#[tokio::test]
async fn a_new_profile_has_the_defaults_of_the_form_and_keeps_its_password_to_itself() {
    let office = Office::open().await;
    let created = office.desk.create(profile(" Contoso ")).await.unwrap();
    let settings = created.settings.clone().unwrap();
    assert_eq!((settings.name.as_str(), settings.password.as_str()), ("Contoso", ""));
    assert_eq!((settings.autodiscover, settings.incoming_port, settings.outgoing_port), (Some(true), None, None));
    assert_eq!((settings.maximum_concurrent_connections, settings.connection_timeout_ms), (Some(27), Some(100_000)));
    assert_eq!(settings.minimum_polling_interval_minutes, 0);
    assert_eq!((created.owner_name.as_str(), created.owner_address.as_str()), ("ada", "ada@contoso.example"));
    assert_eq!((created.active, created.password_set, created.mailboxes, created.last_test.is_none()), (true, true, 0, true));
    assert!(created.notes.is_empty(), "{:?}", created.notes);
    assert_eq!(office.password_of(&created.id).await, PASSWORD);
    assert!(!office.dump().await.contains(PASSWORD));
    for name in [created.id.as_str(), "contoso", " CONTOSO "] {
        assert_eq!(office.desk.profile(name).await.unwrap(), created);
    }
    let missing = office.desk.profile("Fabrikam").await.unwrap_err();
    assert_eq!(reason(&missing), (tonic::Code::NotFound, Code::NotFound, "profile".to_owned()));
}

#[tokio::test]
async fn a_profile_without_a_password_says_so() {
    let office = Office::open().await;
    let created = office.desk.create(ProfileSettings { password: String::new(), ..profile("Contoso") }).await.unwrap();
    assert!(!created.password_set && created.notes[0].contains("password"), "{:?}", created.notes);
    let wanted = ProfileSettings { password: PASSWORD.to_owned(), ..ProfileSettings::default() };
    let changed = office.desk.update("Contoso", &["password"], wanted, "").await.unwrap();
    assert!(changed.password_set && changed.notes.is_empty() && changed.etag != created.etag);
    assert_eq!(office.password_of(&created.id).await, PASSWORD);
}

#[tokio::test]
async fn lists_by_name_in_pages() {
    let office = Office::open().await;
    for name in ["delta", "Alpha", "charlie", "Bravo", "Echo"] {
        office.desk.create(profile(name)).await.unwrap();
    }
    let (mut names, mut token, mut sizes) = (Vec::new(), String::new(), Vec::new());
    loop {
        let (found, next) = page(&office.desk, 2, &token).await.unwrap();
        sizes.push(found.len());
        names.extend(found);
        token = next;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(names, ["Alpha", "Bravo", "charlie", "delta", "Echo"]);
    assert_eq!(sizes, [2, 2, 1]);
    assert_eq!(page(&office.desk, 5, "").await.unwrap().1, "", "a full last page has no successor");
    assert_eq!(page(&office.desk, 0, "").await.unwrap().0.len(), 5);
    let foreign = page(&office.desk, 2, "page 2").await.unwrap_err();
    assert_eq!(reason(&foreign), invalid(Code::PageTokenInvalid, "page_token"));
}

#[tokio::test]
async fn an_update_changes_what_its_mask_names_and_nothing_else() {
    let office = Office::open().await;
    let before = office.desk.create(ProfileSettings { move_failed_emails: true, ..profile("Contoso") }).await.unwrap();
    let wanted = ProfileSettings {
        description: "The main office".to_owned(),
        minimum_polling_interval_minutes: 5,
        name: "not named by the mask".to_owned(),
        ..ProfileSettings::default()
    };
    let fields = ["description", "minimum_polling_interval_minutes"];
    let after = office.desk.update("Contoso", &fields, wanted.clone(), &before.etag).await.unwrap();
    let expected = ProfileSettings {
        description: "The main office".to_owned(),
        minimum_polling_interval_minutes: 5,
        ..before.settings.unwrap()
    };
    assert_eq!(after.settings, Some(expected));
    assert_ne!(after.etag, before.etag);
    let stored = office.stored().await;
    let again = office.desk.update("Contoso", &fields, wanted, "").await.unwrap();
    assert_eq!((again, office.stored().await), (after, stored), "what holds already is not stored");
}

#[rstest]
#[case::no_field(&[], Code::FieldRequired, "update_mask")]
#[case::unknown(&["description", "colour"], Code::FieldUnknown, "colour")]
#[case::of_the_answer(&["password_set"], Code::FieldUnknown, "password_set")]
#[case::password_without_a_value(&["password"], Code::FieldRequired, "password")]
#[case::name_without_a_value(&["name"], Code::FieldRequired, "name")]
#[case::owner_without_a_value(&["owner"], Code::FieldRequired, "owner")]
#[case::server_type_without_a_value(&["server_type"], Code::FieldRequired, "server_type")]
#[tokio::test]
async fn refuses_masks(#[case] fields: &[&str], #[case] code: Code, #[case] field: &str) {
    let office = Office::open().await;
    office.desk.create(profile("Contoso")).await.unwrap();
    let stored = office.stored().await;
    let refused = office.desk.update("Contoso", fields, ProfileSettings::default(), "").await.unwrap_err();
    assert_eq!(reason(&refused), invalid(code, field));
    assert_eq!(office.stored().await, stored);
}

#[rstest]
#[case(ProfileSettings { name: "  ".into(), ..profile("") }, Code::FieldRequired, "name")]
#[case(profile(&"x".repeat(101)), Code::FieldTooLong, "name")]
#[case(ProfileSettings { description: "x".repeat(2001), ..profile("P") }, Code::FieldTooLong, "description")]
#[case(ProfileSettings { owner: String::new(), ..profile("P") }, Code::FieldRequired, "owner")]
#[case(ProfileSettings { owner: "dan@contoso.example".into(), ..profile("P") }, Code::OwnerUnknown, "owner")]
#[case::no_address(ProfileSettings { owner: "cyd@contoso.example".into(), ..profile("P") }, Code::OwnerUnknown, "owner")]
#[case::a_queue(ProfileSettings { owner: "sales@contoso.example".into(), ..profile("P") }, Code::OwnerUnknown, "owner")]
#[case(ProfileSettings { server_type: 0, ..profile("P") }, Code::FieldRequired, "server_type")]
#[case::unknown(ProfileSettings { server_type: 9, ..profile("P") }, Code::FieldRequired, "server_type")]
#[case(ProfileSettings { user_name: String::new(), ..profile("P") }, Code::FieldRequired, "user_name")]
#[case(ProfileSettings { user_name: r"CONTOSO\crm".into(), ..profile("P") }, Code::UserNameNotUpn, "user_name")]
#[case(
    ProfileSettings { minimum_polling_interval_minutes: 1441, ..profile("P") },
    Code::ValueOutOfRange,
    "minimum_polling_interval_minutes"
)]
#[case(
    ProfileSettings { maximum_concurrent_connections: Some(0), ..profile("P") },
    Code::ValueOutOfRange,
    "maximum_concurrent_connections"
)]
#[case(
    ProfileSettings { maximum_concurrent_connections: Some(65_563), ..profile("P") },
    Code::ValueOutOfRange,
    "maximum_concurrent_connections"
)]
#[case(
    ProfileSettings { connection_timeout_ms: Some(100_001), ..profile("P") },
    Code::ValueOutOfRange,
    "connection_timeout_ms"
)]
#[case(
    ProfileSettings {
        process_email_from: Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 }),
        ..profile("P")
    },
    Code::TimeInvalid,
    "process_email_from"
)]
#[tokio::test]
async fn refuses_bad_input_and_stores_nothing(
    #[case] settings: ProfileSettings,
    #[case] code: Code,
    #[case] field: &str,
) {
    let office = Office::open().await;
    let refused = office.desk.create(settings).await.unwrap_err();
    assert_eq!(reason(&refused), invalid(code, field));
    assert!(!refused.message().contains(PASSWORD));
    assert_eq!(office.stored().await, 0);
}

#[tokio::test]
async fn a_crm_that_does_not_answer_is_said_to_be_unavailable() {
    let office = Office::open().await;
    office.people.is_down.store(true, Ordering::Relaxed);
    let failed = office.desk.create(profile("Contoso")).await.unwrap_err();
    assert_eq!(reason(&failed), (tonic::Code::Unavailable, Code::CrmUnavailable, String::new()));
    assert_eq!(office.stored().await, 0);
}

#[tokio::test]
async fn a_profile_is_assigned_to_another_user() {
    let office = Office::open().await;
    let before = office.desk.create(profile("Contoso")).await.unwrap();
    let after = assign(&office.desk, "bob@contoso.example", &before.etag).await.unwrap();
    assert_eq!((after.owner_name.as_str(), after.owner_address.as_str()), ("bob", "bob@contoso.example"));
    let stored = office.stored().await;
    let refused = |owner: &'static str| {
        let desk = &office.desk;
        async move { reason(&assign(desk, owner, "").await.unwrap_err()) }
    };
    assert_eq!(refused(" ").await, invalid(Code::FieldRequired, "owner"));
    assert_eq!(refused("dan@contoso.example").await, invalid(Code::OwnerUnknown, "owner"));
    assert_eq!(refused("cyd@contoso.example").await, invalid(Code::OwnerUnknown, "owner"));
    let stale = assign(&office.desk, "ada@contoso.example", &before.etag).await.unwrap_err();
    assert_eq!(reason(&stale), (tonic::Code::Aborted, Code::EtagStale, "etag".to_owned()));
    assert_eq!(office.stored().await, stored);
}

#[tokio::test]
async fn a_profile_is_deactivated_and_activated_once() {
    let office = Office::open().await;
    office.desk.create(profile("Contoso")).await.unwrap();
    let name = || "Contoso".to_owned();
    for wanted in [false, true] {
        let mut seen = Vec::new();
        for _ in 0..2 {
            let services = &office.desk.profiles;
            let after = if wanted {
                let request = by_grace(ActivateProfileRequest { profile: name() });
                services.activate_profile(request).await.unwrap().into_inner().profile.unwrap()
            } else {
                let request = by_grace(DeactivateProfileRequest { profile: name() });
                services.deactivate_profile(request).await.unwrap().into_inner().profile.unwrap()
            };
            assert_eq!((after.active, after.notes.is_empty()), (wanted, wanted));
            seen.push((office.stored().await, after.etag));
        }
        assert_eq!(seen[0], seen[1], "the second time stores nothing");
    }
}

#[tokio::test]
async fn a_profile_in_use_is_not_deleted() {
    let office = Office::open().await;
    let desk = &office.desk;
    desk.create(profile("Contoso")).await.unwrap();
    desk.add(mailbox(MailboxKind::User, "ada")).await.unwrap();
    let current = desk.profile("Contoso").await.unwrap();
    assert_eq!(current.mailboxes, 1);
    let stored = office.stored().await;
    let refused = desk.delete("Contoso", &current.etag).await.unwrap_err();
    assert_eq!(reason(&refused), (tonic::Code::FailedPrecondition, Code::ProfileInUse, "profile".to_owned()));
    assert!(refused.message().contains("ada@contoso.example"));
    assert_eq!(office.stored().await, stored);
    desk.remove("ada", "").await.unwrap();
    desk.delete("Contoso", &current.etag).await.unwrap();
    assert_eq!(desk.profile("Contoso").await.unwrap_err().code(), tonic::Code::NotFound);
    assert_eq!(desk.delete("Contoso", "").await.unwrap_err().code(), tonic::Code::NotFound);
    assert_eq!(page(desk, 0, "").await.unwrap().0.len(), 0);
    let fresh = desk.create(profile("contoso")).await.unwrap();
    assert_ne!(fresh.id, current.id, "the name is free at once");
}
