//! The audit history of profiles and the timeline of mailboxes.

use postroad_core::fault::Code;
use postroad_proto::{
    mailbox::v1::{
        Approval, DeactivateMailboxesRequest, ListTimelineRequest, ListTimelineResponse,
        mailbox_service_server::MailboxService as _,
    },
    profile::v1::{
        DeactivateProfileRequest, ListProfileChangesRequest, ListProfileChangesResponse, ProfileSettings,
        profile_service_server::ProfileService as _,
    },
};
use tonic::Status;

use crate::{
    office::{Desk, Office, invalid, reason},
    requests::{PASSWORD, by_grace, profile, those},
};

async fn changes(desk: &Desk, size: u32, token: &str) -> Result<ListProfileChangesResponse, Status> {
    let request =
        ListProfileChangesRequest { profile: "Contoso".to_owned(), page_size: size, page_token: token.to_owned() };
    Ok(desk.profiles.list_profile_changes(by_grace(request)).await?.into_inner())
}

async fn timeline(desk: &Desk, size: u32, token: &str) -> Result<ListTimelineResponse, Status> {
    let mailbox = "ada@contoso.example".to_owned();
    let request = ListTimelineRequest { mailbox, page_size: size, page_token: token.to_owned() };
    Ok(desk.mailboxes.list_timeline(by_grace(request)).await?.into_inner())
}

#[tokio::test]
async fn says_who_changed_which_field_from_what_to_what() {
    let office = Office::open().await;
    let desk = &office.desk;
    desk.create(profile("Contoso")).await.unwrap();
    let wanted = ProfileSettings {
        description: "Main".to_owned(),
        minimum_polling_interval_minutes: 10,
        password: "a newer secret".to_owned(),
        owner: "bob@contoso.example".to_owned(),
        ..ProfileSettings::default()
    };
    let fields = ["description", "minimum_polling_interval_minutes", "password", "owner"];
    desk.update("Contoso", &fields, wanted, "").await.unwrap();
    // Whoever does not say who he is is unknown.
    let unsigned = tonic::Request::new(DeactivateProfileRequest { profile: "Contoso".to_owned() });
    desk.profiles.deactivate_profile(unsigned).await.unwrap();

    let history = changes(desk, 0, "").await.unwrap();
    assert!(history.next_page_token.is_empty());
    let told: Vec<_> = history.changes.iter().map(|c| [&*c.actor, &*c.field, &*c.from, &*c.to]).collect();
    let newest = [
        ["unknown", "active", "Yes", "No"],
        ["grace", "password", "", "(changed)"],
        ["grace", "minimum_polling_interval_minutes", "0", "10"],
        ["grace", "owner", "ada <ada@contoso.example>", "bob <bob@contoso.example>"],
        ["grace", "description", "", "Main"],
        ["grace", "password", "", "(changed)"],
    ];
    assert_eq!(told[..newest.len()], newest);
    assert!(told.contains(&["grace", "name", "", "Contoso"]) && told.contains(&["grace", "autodiscover", "", "Yes"]));
    assert!(history.changes.iter().all(|change| change.at.is_some()));
    let text = format!("{history:?}");
    assert!(!text.contains(PASSWORD) && !text.contains("a newer secret"));
    assert!(!office.dump().await.contains("a newer secret"));
}

#[tokio::test]
async fn the_history_comes_in_pages_the_newest_first() {
    let office = Office::open().await;
    let desk = &office.desk;
    desk.create(profile("Contoso")).await.unwrap();
    let all = changes(desk, 0, "").await.unwrap().changes;
    let (mut found, mut token) = (Vec::new(), String::new());
    loop {
        let page = changes(desk, 4, &token).await.unwrap();
        assert!(page.changes.len() == 4 || page.next_page_token.is_empty());
        found.extend(page.changes);
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(found, all);
    let not_a_number = changes(desk, 4, "6162").await.unwrap_err();
    assert_eq!(reason(&not_a_number), invalid(Code::PageTokenInvalid, "page_token"));
}

#[tokio::test]
async fn the_timeline_tells_a_mailbox_in_sentences_the_oldest_first() {
    let office = Office::open().await;
    let desk = &office.desk;
    desk.move_in().await;
    desk.test(those(&["ada"])).await.unwrap();
    desk.approve("ada", Approval::Rejected).await;
    let request = by_grace(DeactivateMailboxesRequest { selection: those(&["ada"]) });
    desk.mailboxes.deactivate_mailboxes(request).await.unwrap();

    let all = timeline(desk, 0, "").await.unwrap();
    let sentences: Vec<_> = all.entries.iter().flat_map(|entry| entry.sentences.iter().map(String::as_str)).collect();
    let expected = [
        "Created for ada@contoso.example.",
        "The address was approved.",
        "Test passed; Incoming Email enabled.",
        "The address was rejected.",
        "Deactivated.",
    ];
    assert_eq!(sentences, expected);
    assert!(all.entries.iter().all(|entry| entry.actor == "grace" && entry.at.is_some()));
    assert!(all.entries.is_sorted_by(|one, next| one.sequence < next.sequence));

    let first = timeline(desk, 3, "").await.unwrap();
    let second = timeline(desk, 3, &first.next_page_token).await.unwrap();
    assert_eq!((first.entries.len(), second.next_page_token.as_str()), (3, ""));
    assert_eq!([first.entries, second.entries].concat(), all.entries);
    assert_eq!(timeline(desk, 5, "").await.unwrap().next_page_token, "", "a full last page has no successor");
    let foreign = timeline(desk, 3, "zz").await.unwrap_err();
    assert_eq!(reason(&foreign), invalid(Code::PageTokenInvalid, "page_token"));
}
