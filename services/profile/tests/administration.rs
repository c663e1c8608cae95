//! Profiles and mailboxes over a journal in memory, with people and servers that the test decides.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

mod office {
    //! The services, and what surrounds them.

    use std::sync::{Arc, Mutex};

    use async_trait::async_trait;
    use futures::{StreamExt as _, stream::BoxStream};
    use postroad_core::{
        fault::{Code, Report},
        mailbox::RetryPolicy,
    };
    use postroad_journal::{Actor, Journal, sealing::Keyring};
    use postroad_profile::{
        MailboxAdministration, People, Person, PersonKind, Policy, Probe, Probed, Prober, ProfileAdministration,
        Registry,
    };
    use postroad_proto::{
        locator::v1::{Conclusion, ExplainRequest, ExplainResponse, Outcome, Step, Verdict, explain_response},
        mailbox::v1::{MailboxKind, MailboxSettings, SynchronizationMethod},
        profile::v1::{ProfileSettings, ServerType},
    };
    use postroad_rig::{
        caller::{Caller, Scope},
        config::MailboxDefaults,
        status,
    };
    use tokio_util::sync::CancellationToken;
    use tonic::Request;
    use uuid::Uuid;

    /// Users and queues: `NAME@contoso.example` for each.
    const PEOPLE: [(&str, PersonKind); 4] = [
        ("ada", PersonKind::User),
        ("ben", PersonKind::User),
        ("cleo", PersonKind::User),
        ("support", PersonKind::Queue),
    ];

    pub struct Office {
        pub journal: Journal,
        /// The keys, as the deployment has them: what is put here is read.
        pub keys: Arc<Mutex<Vec<(String, String)>>>,
        pub keyring: Arc<Keyring>,
        pub profiles: ProfileAdministration,
        pub mailboxes: MailboxAdministration,
        /// What each test of a mailbox meets.
        pub outcome: Arc<Mutex<Result<Outcome, Code>>>,
    }

    struct Crm;

    #[async_trait]
    impl People for Crm {
        async fn find(&self, kind: PersonKind, text: &str) -> Result<Option<Person>, Report> {
            let known = PEOPLE.iter().enumerate().find(|(_, (name, is))| *is == kind && text == address(name));
            Ok(known.map(|(number, (name, _))| Person {
                id: Uuid::from_u128(number as u128 + 1),
                name: (*name).to_owned(),
                address: Some(address(name)),
            }))
        }
    }

    struct Server(Arc<Mutex<Result<Outcome, Code>>>);

    #[async_trait]
    impl Prober for Server {
        async fn explain(
            &self,
            request: ExplainRequest,
        ) -> Result<BoxStream<'static, Result<ExplainResponse, tonic::Status>>, tonic::Status> {
            let conclusion = Conclusion { wants_host: request.email_address, ..Conclusion::default() };
            let report = Some(explain_response::Report::Conclusion(conclusion));
            Ok(futures::stream::iter([Ok(ExplainResponse { report })]).boxed())
        }

        async fn probe(&self, probe: Probe) -> BoxStream<'static, Probed> {
            assert!(probe.access.password.is_some() && !probe.access.user_name.is_empty());
            let step = Step { name: "inbox".to_owned(), verdict: Verdict::Passed.into(), ..Step::default() };
            let last = match self.0.lock().unwrap().clone() {
                Ok(outcome) => Probed::Outcome(Box::new(outcome)),
                Err(code) => Probed::Unavailable(Report::new(code, "")),
            };
            futures::stream::iter([Probed::Step(Box::new(step)), last]).boxed()
        }
    }

    pub async fn open() -> Office {
        let journal = Journal::memory();
        let keys = Arc::new(Mutex::new(vec![("1".to_owned(), Keyring::new_key())]));
        let source = Arc::clone(&keys);
        let read = move || {
            let keys = source.lock().unwrap();
            Ok(keys.iter().map(|(id, key)| (id.clone(), key.clone().into())).collect())
        };
        let keyring = Arc::new(Keyring::reading(read).unwrap());
        let outcome = Arc::new(Mutex::new(Ok(Outcome::default())));
        let policy = Policy {
            require_approval: true,
            parallel_tests: 4,
            defaults: MailboxDefaults { profile: "Contoso".to_owned(), ..MailboxDefaults::default() },
            retry: RetryPolicy::default(),
        };
        let prober = Arc::new(Server(Arc::clone(&outcome)));
        let registry = Arc::new(Registry::new(journal.clone(), Arc::clone(&keyring), Arc::new(Crm), prober, policy));
        tokio::spawn(Arc::clone(&registry).follow(CancellationToken::new()));
        registry.caught_up().await;
        let profiles = ProfileAdministration::new(Arc::clone(&registry));
        Office { journal, keys, keyring, profiles, mailboxes: MailboxAdministration::new(registry), outcome }
    }

    pub fn address(name: &str) -> String {
        format!("{name}@contoso.example")
    }

    pub fn profile(name: &str) -> ProfileSettings {
        ProfileSettings {
            name: name.to_owned(),
            owner: address("ada"),
            server_type: ServerType::ExchangeServerHybrid.into(),
            user_name: address("crm"),
            password: "Pass-word1".to_owned(),
            ..ProfileSettings::default()
        }
    }

    pub fn mailbox(name: &str) -> MailboxSettings {
        MailboxSettings {
            kind: MailboxKind::User.into(),
            regarding: address(name),
            email_address: address(name),
            profile: "Contoso".to_owned(),
            incoming_method: SynchronizationMethod::ServerSideSync.into(),
            ..MailboxSettings::default()
        }
    }

    pub fn by<T>(actor: &'static str, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.extensions_mut().insert(Caller::new(Actor::new(actor), Scope::Everything));
        request
    }

    /// The code of the fault and the field at fault.
    pub fn told(status: &tonic::Status) -> (String, String) {
        let field = status::field_of(status).map(|(field, _)| field).unwrap_or_default();
        (status::fault_of(status).unwrap().code, field)
    }
}

use std::collections::BTreeMap;

use futures::StreamExt as _;
use office::{Office, address, by, mailbox, open, profile, told};
use postroad_core::fault::{Code, Report};
use postroad_proto::{
    locator::v1::{Outcome, Verdict},
    mailbox::v1::{
        ActivateMailboxesRequest, ApplyDefaultSettingsRequest, Approval, ApproveMailboxesRequest, Condition,
        CreateMailboxRequest, DeactivateMailboxesRequest, DeleteMailboxRequest, ListMailboxesRequest,
        ListTimelineRequest, Mailbox, MailboxKind, MailboxSelection, MailboxSettings, Status,
        SummarizeMailboxesRequest, SynchronizationMethod, TestAndEnableMailboxesRequest, UpdateMailboxesRequest,
        mailbox_service_server::MailboxService as _, test_and_enable_mailboxes_response::Report as Told,
    },
    profile::v1::{
        AssignProfileRequest, CreateProfileRequest, DeactivateProfileRequest, DeleteProfileRequest,
        ListProfileChangesRequest, ListProfilesRequest, Profile, ProfileSettings, ResealPasswordsRequest,
        ResealPasswordsResponse, UpdateProfileRequest, profile_service_server::ProfileService as _,
    },
};
use postroad_rig::status;
use prost_types::FieldMask;

async fn create(office: &Office, name: &str) -> Result<Profile, tonic::Status> {
    let request = by("admin ada", CreateProfileRequest { settings: Some(profile(name)) });
    Ok(office.profiles.create_profile(request).await?.into_inner().profile.unwrap())
}

async fn attach(office: &Office, settings: MailboxSettings) -> Result<Mailbox, tonic::Status> {
    let request = by("admin ada", CreateMailboxRequest { settings: Some(settings) });
    Ok(office.mailboxes.create_mailbox(request).await?.into_inner().mailbox.unwrap())
}

fn mask(fields: &[&str]) -> Option<FieldMask> {
    Some(FieldMask { paths: fields.iter().map(|field| (*field).to_owned()).collect() })
}

fn these(names: &[&str]) -> Option<MailboxSelection> {
    let mailboxes = names.iter().map(|name| address(name)).collect();
    Some(MailboxSelection { mailboxes, ..MailboxSelection::default() })
}

#[tokio::test]
async fn the_audit_history_says_who_changed_which_field_from_what_to_what() {
    let office = open().await;
    create(&office, "Contoso").await.unwrap();
    let settings = ProfileSettings {
        autodiscover: Some(false),
        incoming_location: "https://mail.contoso.example:8443".to_owned(),
        password: "Other-word2".to_owned(),
        ..ProfileSettings::default()
    };
    let update_mask = mask(&["autodiscover", "incoming_location", "password"]);
    let update = UpdateProfileRequest {
        profile: "contoso".to_owned(),
        settings: Some(settings),
        update_mask,
        etag: String::new(),
    };
    let updated = office.profiles.update_profile(by("admin ben", update)).await.unwrap().into_inner().profile.unwrap();
    let shown = updated.settings.unwrap();
    assert_eq!((shown.incoming_port, shown.outgoing_port), (Some(8443), Some(8443)));
    assert_eq!((shown.password.as_str(), updated.password_set), ("", true));
    let assign = AssignProfileRequest { profile: updated.id, owner: address("cleo"), etag: updated.etag };
    office.profiles.assign_profile(by("admin cleo", assign)).await.unwrap();
    let request = ListProfileChangesRequest { profile: "Contoso".to_owned(), ..ListProfileChangesRequest::default() };
    let changes = office.profiles.list_profile_changes(by("x", request)).await.unwrap().into_inner().changes;
    let told: Vec<_> = changes
        .iter()
        .take(4)
        .map(|change| (change.actor.as_str(), change.field.as_str(), change.from.as_str(), change.to.as_str()))
        .collect();
    assert_eq!(told[0], ("admin cleo", "owner", "ada <ada@contoso.example>", "cleo <cleo@contoso.example>"));
    assert!(told.contains(&("admin ben", "password", "", "(changed)")));
    let all = format!("{changes:?}");
    assert!(!all.contains("Pass-word1") && !all.contains("Other-word2"));
}

#[tokio::test]
async fn of_two_changes_with_one_etag_one_wins() {
    let office = open().await;
    let created = create(&office, "Contoso").await.unwrap();
    let update = |description: &str| {
        let settings = ProfileSettings { description: description.to_owned(), ..ProfileSettings::default() };
        let update = UpdateProfileRequest {
            profile: created.id.clone(),
            settings: Some(settings),
            update_mask: mask(&["description"]),
            etag: created.etag.clone(),
        };
        office.profiles.update_profile(by("admin ada", update))
    };
    let (one, other) = tokio::join!(update("one"), update("other"));
    let refused: Vec<_> = [one, other].into_iter().filter_map(Result::err).collect();
    assert_eq!(refused.len(), 1);
    assert_eq!((refused[0].code(), told(&refused[0]).0.as_str()), (tonic::Code::Aborted, "ETAG_STALE"));
}

#[tokio::test]
async fn a_name_is_borne_by_one_and_free_again_after_deletion() {
    let office = open().await;
    let (one, other) = tokio::join!(create(&office, "Contoso"), create(&office, "CONTOSO"));
    let refused: Vec<_> = [one, other].into_iter().filter_map(Result::err).collect();
    assert_eq!(refused.len(), 1);
    assert_eq!(
        (refused[0].code(), told(&refused[0])),
        (tonic::Code::AlreadyExists, ("NAME_TAKEN".into(), "name".into()))
    );
    let delete = DeleteProfileRequest { profile: "Contoso".to_owned(), etag: String::new() };
    office.profiles.delete_profile(by("admin ada", delete)).await.unwrap();
    create(&office, "contoso").await.unwrap();
    let listed = office.profiles.list_profiles(by("x", ListProfilesRequest::default())).await.unwrap().into_inner();
    assert_eq!(listed.profiles.len(), 1);
}

#[tokio::test]
async fn lists_come_in_pages_that_fit_together() {
    let office = open().await;
    for name in ["b", "A", "c", "D", "e"] {
        create(&office, name).await.unwrap();
    }
    let mut names = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListProfilesRequest { page_size: 2, page_token };
        let page = office.profiles.list_profiles(by("x", request)).await.unwrap().into_inner();
        names.extend(page.profiles.into_iter().map(|profile| profile.settings.unwrap().name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(names, ["A", "b", "c", "D", "e"]);
    let wrong = ListProfilesRequest { page_size: 2, page_token: "zz".to_owned() };
    assert_eq!(told(&office.profiles.list_profiles(by("x", wrong)).await.unwrap_err()).0, "PAGE_TOKEN_INVALID");
}

#[tokio::test]
async fn many_are_changed_each_for_itself() {
    let office = open().await;
    create(&office, "Contoso").await.unwrap();
    for name in ["ada", "ben"] {
        attach(&office, mailbox(name)).await.unwrap();
    }
    let queue = MailboxSettings { kind: MailboxKind::Queue.into(), ..mailbox("support") };
    attach(&office, queue).await.unwrap();
    let server_side = SynchronizationMethod::ServerSideSync.into();
    let request = UpdateMailboxesRequest {
        selection: these(&["ada", "support", "ghost"]),
        settings: Some(MailboxSettings {
            appointments_contacts_tasks_method: server_side,
            ..MailboxSettings::default()
        }),
        update_mask: mask(&["appointments_contacts_tasks_method"]),
    };
    let results = office.mailboxes.update_mailboxes(by("admin ada", request)).await.unwrap().into_inner().results;
    let faults: Vec<_> = results.iter().map(|result| result.fault.as_ref().map(|fault| fault.code.as_str())).collect();
    assert_eq!(faults, [None, Some("FIELD_NOT_APPLICABLE"), Some("NOT_FOUND")]);
    let own = UpdateMailboxesRequest {
        selection: these(&["ada"]),
        settings: Some(MailboxSettings::default()),
        update_mask: mask(&["email_address"]),
    };
    let refused = office.mailboxes.update_mailboxes(by("admin ada", own)).await.unwrap_err();
    assert_eq!(told(&refused), ("FIELD_NOT_APPLICABLE".into(), "email_address".into()));

    let all = Some(MailboxSelection { all: true, ..MailboxSelection::default() });
    let request = ApplyDefaultSettingsRequest { selection: all };
    let results = office.mailboxes.apply_default_settings(by("admin ada", request)).await.unwrap().into_inner().results;
    let applied = results.iter().filter_map(|result| result.after.as_ref()?.settings.as_ref());
    assert!(
        applied.clone().count() == 3
            && applied.into_iter().all(|settings| {
                settings.incoming_method() == SynchronizationMethod::ServerSideSync
                    && settings.appointments_contacts_tasks_method() == SynchronizationMethod::None
            })
    );
}

#[tokio::test]
async fn a_person_has_one_mailbox_until_it_is_deleted() {
    let office = open().await;
    create(&office, "Contoso").await.unwrap();
    attach(&office, mailbox("ada")).await.unwrap();
    let second = MailboxSettings { email_address: "ada.second@contoso.example".to_owned(), ..mailbox("ada") };
    assert_eq!(
        told(&attach(&office, second.clone()).await.unwrap_err()),
        ("REGARDING_TAKEN".into(), "regarding".into())
    );
    let same = MailboxSettings { email_address: "ADA@contoso.example".to_owned(), ..mailbox("ben") };
    assert_eq!(told(&attach(&office, same).await.unwrap_err()), ("ADDRESS_TAKEN".into(), "email_address".into()));
    let delete = DeleteProfileRequest { profile: "Contoso".to_owned(), etag: String::new() };
    let refused = office.profiles.delete_profile(by("admin ada", delete)).await.unwrap_err();
    assert_eq!((refused.code(), told(&refused).0.as_str()), (tonic::Code::FailedPrecondition, "PROFILE_IN_USE"));
    let delete = DeleteMailboxRequest { mailbox: address("ada"), etag: String::new() };
    office.mailboxes.delete_mailbox(by("admin ada", delete)).await.unwrap();
    attach(&office, second).await.unwrap();
    let listed = office.mailboxes.list_mailboxes(by("x", ListMailboxesRequest::default())).await.unwrap().into_inner();
    assert_eq!(listed.mailboxes.len(), 1);
}

#[tokio::test]
async fn mailboxes_are_counted_and_found_by_how_they_do() {
    let office = open().await;
    create(&office, "Contoso").await.unwrap();
    for name in ["ada", "ben", "cleo"] {
        attach(&office, mailbox(name)).await.unwrap();
    }
    approve(&office, &["ada", "ben", "cleo"]).await;
    *office.outcome.lock().unwrap() = Ok(Outcome::default());
    test(&office, &["ada"]).await;
    let deactivate = DeactivateMailboxesRequest { selection: these(&["cleo"]) };
    office.mailboxes.deactivate_mailboxes(by("x", deactivate)).await.unwrap();
    let request = SummarizeMailboxesRequest { profile: "contoso".to_owned() };
    let summary = office.mailboxes.summarize_mailboxes(by("x", request)).await.unwrap().into_inner();
    let counts: Vec<_> = summary.conditions.iter().map(|count| (count.condition(), count.mailboxes)).collect();
    assert_eq!(counts, [(Condition::Well, 1), (Condition::NotEnabled, 1), (Condition::Inactive, 1)]);
    assert_eq!((summary.total, summary.faults.len()), (3, 0));

    let list = async |request: ListMailboxesRequest| {
        let listed = office.mailboxes.list_mailboxes(by("x", request)).await?.into_inner().mailboxes;
        let address = |mailbox: Mailbox| mailbox.settings.unwrap().email_address;
        Ok::<_, tonic::Status>(listed.into_iter().map(address).collect::<Vec<_>>())
    };
    let stopped = ListMailboxesRequest { conditions: vec![Condition::Inactive.into()], ..Default::default() };
    assert_eq!(list(stopped).await.unwrap(), [address("cleo")]);
    let named = ListMailboxesRequest { search: " BE".to_owned(), ..Default::default() };
    assert_eq!(list(named).await.unwrap(), [address("ben")]);
    let failing = ListMailboxesRequest { fault: "connect_refused".to_owned(), ..Default::default() };
    assert_eq!(list(failing).await.unwrap(), [] as [String; 0]);
    let unknown = ListMailboxesRequest { fault: "BAD_MOOD".to_owned(), ..Default::default() };
    assert_eq!(told(&list(unknown).await.unwrap_err()), ("NOT_FOUND".into(), "fault".into()));
    let unspecified = ListMailboxesRequest { conditions: vec![0], ..Default::default() };
    assert_eq!(told(&list(unspecified).await.unwrap_err()), ("VALUE_OUT_OF_RANGE".into(), "conditions".into()));
}

/// Tests mailboxes; gives each one afterwards with the step that failed and the last count.
#[tokio::test]
async fn the_newest_events_are_told_without_the_others() {
    let office = open().await;
    create(&office, "Contoso").await.unwrap();
    let id = attach(&office, mailbox("ada")).await.unwrap().id;
    for number in 0..100 {
        let selection = these(&["ada"]);
        if number % 2 == 0 {
            let request = DeactivateMailboxesRequest { selection };
            office.mailboxes.deactivate_mailboxes(by("root", request)).await.unwrap();
        } else {
            office.mailboxes.activate_mailboxes(by("root", ActivateMailboxesRequest { selection })).await.unwrap();
        }
    }
    let list = async |newest, after, page_size| {
        let request = ListTimelineRequest { mailbox: id.clone(), newest, after, page_size, ..Default::default() };
        office.mailboxes.list_timeline(by("root", request)).await.unwrap().into_inner()
    };
    let all = list(0, 0, 1000).await.entries;
    assert_eq!(all.len(), 101);
    let newest = list(20, 0, 1000).await;
    assert!((20..36).contains(&newest.entries.len()) && newest.next_page_token.is_empty());
    assert_eq!(newest.entries, all[all.len() - newest.entries.len()..]);
    assert_eq!(list(1000, 0, 1000).await.entries, all);
    // Only what is new is new.
    let last = all.last().unwrap().sequence;
    assert!(list(20, last, 1000).await.entries.is_empty());
    assert_eq!(list(20, last - 1, 1000).await.entries.len(), 1);
    // Pages go on from where they are.
    let first = list(20, 0, 10).await;
    let request = ListTimelineRequest {
        mailbox: id.clone(),
        page_token: first.next_page_token,
        newest: 20,
        page_size: 1000,
        ..Default::default()
    };
    let rest = office.mailboxes.list_timeline(by("root", request)).await.unwrap().into_inner().entries;
    assert_eq!([first.entries, rest].concat(), newest.entries);
}

async fn test(office: &Office, names: &[&str]) -> (BTreeMap<String, (Mailbox, String)>, (u32, u32)) {
    let request = by("admin ada", TestAndEnableMailboxesRequest { selection: these(names) });
    let mut progress = office.mailboxes.test_and_enable_mailboxes(request).await.unwrap().into_inner();
    let (mut failed, mut after, mut last) = (BTreeMap::new(), BTreeMap::new(), (0, 0));
    while let Some(message) = progress.next().await {
        let message = message.unwrap();
        last = (message.done.max(last.0), message.total);
        match message.report.unwrap() {
            Told::Step(step) if step.verdict() == Verdict::Failed => {
                failed.entry(message.email_address).or_insert(step.name);
            }
            Told::Step(_) => {}
            Told::Mailbox(mailbox) => drop(after.insert(message.email_address, mailbox)),
        }
    }
    let found = after.into_iter().map(|(address, mailbox)| {
        let step = failed.remove(&address).unwrap_or_default();
        (address, (mailbox, step))
    });
    (found.collect(), last)
}

async fn approve(office: &Office, names: &[&str]) {
    let request = ApproveMailboxesRequest { selection: these(names), approval: Approval::Approved.into() };
    office.mailboxes.approve_mailboxes(by("admin ada", request)).await.unwrap();
}

#[tokio::test]
async fn what_is_missing_is_told_by_step_and_nothing_is_asked_of_the_server() {
    let office = open().await;
    create(&office, "Contoso").await.unwrap();
    attach(&office, mailbox("ada")).await.unwrap();
    attach(&office, MailboxSettings { profile: String::new(), ..mailbox("ben") }).await.unwrap();
    attach(&office, mailbox("cleo")).await.unwrap();
    approve(&office, &["ben", "cleo"]).await;
    let request = DeactivateMailboxesRequest { selection: these(&["cleo"]) };
    office.mailboxes.deactivate_mailboxes(by("admin ada", request)).await.unwrap();
    let (found, count) = test(&office, &["ada", "ben", "cleo"]).await;
    assert_eq!(count, (3, 3));
    for (name, step, fault) in [
        ("ada", "approval", "MAILBOX_NOT_APPROVED"),
        ("ben", "profile", "PROFILE_MISSING"),
        ("cleo", "address", "MAILBOX_INACTIVE"),
    ] {
        let (mailbox, failed) = &found[&address(name)];
        assert_eq!((failed.as_str(), mailbox.fault.as_ref().unwrap().code.as_str()), (step, fault));
        assert_eq!(mailbox.incoming.unwrap().status(), Status::Failure);
    }
    approve(&office, &["ada"]).await;
    let request = DeactivateProfileRequest { profile: "Contoso".to_owned() };
    office.profiles.deactivate_profile(by("admin ada", request)).await.unwrap();
    let (found, _) = test(&office, &["ada"]).await;
    assert_eq!(found[&address("ada")].0.fault.as_ref().unwrap().code, "PROFILE_INACTIVE");
}

#[tokio::test]
async fn directions_that_passed_are_enabled_and_the_others_are_not() {
    let office = open().await;
    create(&office, "Contoso").await.unwrap();
    let both = MailboxSettings { outgoing_method: SynchronizationMethod::ServerSideSync.into(), ..mailbox("ada") };
    attach(&office, both).await.unwrap();
    approve(&office, &["ada"]).await;
    let denied = status::to_wire(&Report::new(Code::MailboxAccessDenied, "drafts"));
    *office.outcome.lock().unwrap() = Ok(Outcome { outgoing: Some(denied), ..Outcome::default() });
    let (found, _) = test(&office, &["ada"]).await;
    let mailbox = &found[&address("ada")].0;
    let (incoming, outgoing) = (mailbox.incoming.unwrap(), mailbox.outgoing.unwrap());
    assert_eq!((incoming.enabled, incoming.status()), (true, Status::Success));
    assert_eq!((outgoing.enabled, outgoing.status()), (false, Status::Failure));
    assert!(mailbox.test_completed_on.is_some());
}

#[tokio::test]
async fn a_locator_that_does_not_answer_says_nothing_about_the_mailbox() {
    let office = open().await;
    create(&office, "Contoso").await.unwrap();
    attach(&office, mailbox("ada")).await.unwrap();
    approve(&office, &["ada"]).await;
    let (found, _) = test(&office, &["ada"]).await;
    assert!(found[&address("ada")].0.incoming.unwrap().enabled);
    *office.outcome.lock().unwrap() = Err(Code::LocatorUnavailable);
    let before = histories(&office, &found[&address("ada")].0.id).await;
    let (found, _) = test(&office, &["ada"]).await;
    let (mailbox, step) = &found[&address("ada")];
    assert_eq!((mailbox.incoming.unwrap().enabled, step.as_str()), (true, "location"));
    assert_eq!(histories(&office, &mailbox.id).await, before, "nothing was recorded");
}

async fn histories(office: &Office, id: &str) -> usize {
    let id = id.parse().unwrap();
    office.journal.history::<postroad_core::mailbox::Administration>(id, 0, 100).await.unwrap().len()
}

async fn reseal(office: &Office) -> Vec<ResealPasswordsResponse> {
    office.keyring.renew().unwrap();
    let told = office.profiles.reseal_passwords(by("admin ada", ResealPasswordsRequest {})).await.unwrap();
    told.into_inner().map(|one| one.unwrap()).collect().await
}

/// Whose, under which key, whether anew, and why not.
fn whose(told: &[ResealPasswordsResponse]) -> Vec<(&str, &str, bool, &str)> {
    told.iter()
        .map(|one| {
            let name = if one.profile.is_empty() { &one.email_address } else { &one.profile };
            (
                name.as_str(),
                one.key_id.as_str(),
                one.changed,
                one.fault.as_ref().map_or("", |fault| fault.code.as_str()),
            )
        })
        .collect()
}

#[tokio::test]
async fn sealing_keys_rotate_while_everything_runs_and_a_lost_one_is_named() {
    let office = open().await;
    let before = create(&office, "Contoso").await.unwrap();
    let own = MailboxSettings {
        allow_own_credentials: true,
        user_name: address("ada"),
        password: "Own-word3".to_owned(),
        ..mailbox("ada")
    };
    attach(&office, own).await.unwrap();
    let add = |id: &str| {
        office.keys.lock().unwrap().insert(0, (id.to_owned(), postroad_journal::sealing::Keyring::new_key()))
    };
    add("2");
    assert_eq!(whose(&reseal(&office).await), [("Contoso", "2", true, ""), ("ada@contoso.example", "2", true, "")]);
    assert_eq!(whose(&reseal(&office).await), [("Contoso", "2", false, ""), ("ada@contoso.example", "2", false, "")]);
    // The old key is not needed any more, and nothing that could cure a failing mailbox happened: no account is tried again.
    office.keys.lock().unwrap().truncate(1);
    assert_eq!(whose(&reseal(&office).await), [("Contoso", "2", false, ""), ("ada@contoso.example", "2", false, "")]);
    let listed = office.profiles.list_profiles(by("admin ada", ListProfilesRequest::default())).await.unwrap();
    assert_eq!(listed.into_inner().profiles[0].etag, before.etag);
    // A key that is lost is named, with what needs it.
    office.keys.lock().unwrap().clear();
    add("3");
    let lost = reseal(&office).await;
    let code = "SEALING_KEY_LOST";
    assert_eq!(whose(&lost), [("Contoso", "2", false, code), ("ada@contoso.example", "2", false, code)]);
    assert!(lost[0].fault.as_ref().unwrap().detail.contains("`2`"));
}
