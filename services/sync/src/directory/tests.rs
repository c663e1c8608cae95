use std::sync::Arc;

use futures::StreamExt as _;
use postroad_core::{
    fault::{Code, Report},
    mailbox::{
        AdminCommand, AdminFacts, Administration, Approval, CycleCommand, CycleFacts, Cycles, Draft, FilteringMethod,
        From, Item, ItemOutcome, ItemResult, Kind as MailboxKind, Method, Page, PerDirection, ProfileFacts,
        RetryPolicy, Trigger,
    },
};
use postroad_journal::{Actor, Executed};
use proptest::prelude::*;

use super::*;

fn at(second: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(1_800_000_000 + second).unwrap()
}

/// What happens to one of a few mailboxes.
#[derive(Clone, Copy, Debug)]
enum Step {
    Create,
    Rename(u8),
    Cycle(u8),
    Fail,
    Delete,
}

fn steps() -> impl Strategy<Value = Vec<(u8, Step)>> {
    let step = prop_oneof![
        3 => Just(Step::Create),
        1 => (0..2_u8).prop_map(Step::Rename),
        5 => (0..4_u8).prop_map(Step::Cycle),
        1 => Just(Step::Fail),
        1 => Just(Step::Delete),
    ];
    proptest::collection::vec((0..4_u8, step), 1..60)
}

fn draft(number: u8, domain: u8) -> Draft {
    Draft {
        name: String::new(),
        kind: Some(MailboxKind::User(Uuid::from_u128(u128::from(number) + 100))),
        address: format!("user{number}@Contoso{domain}.example"),
        profile_id: Some(Uuid::from_u128(u128::from(domain) + 200)),
        methods: PerDirection { incoming: Method::ServerSideSync, ..PerDirection::default() },
        filtering_method: FilteringMethod::AllMessages,
        process_email_from: None,
        delete_after_processing: false,
        allow_own_credentials: false,
        user_name: String::new(),
    }
}

/// Does what may be done; what is refused is not in the journal.
async fn done(journal: &Journal, number: u8, step: Step) {
    let (id, actor) = (Uuid::from_u128(u128::from(number) + 1), Actor::new("test"));
    let facts = |_: &mailbox::State| AdminFacts {
        now: at(0),
        address_taken: false,
        regarding_taken: false,
        regarding_known: true,
        profile: Some(ProfileFacts { active: true, revision: 1 }),
        retry: RetryPolicy::default(),
    };
    let cycle_facts = |_: &mailbox::State| CycleFacts {
        now: at(1),
        profile: Some(ProfileFacts { active: true, revision: 1 }),
        move_failed_emails: true,
        from: From(None),
        marks_tracked: true,
        retry: RetryPolicy::default(),
    };
    let administer = async |command: AdminCommand| -> Option<Executed<Administration>> {
        journal.execute::<Administration>(id, &actor, &command, facts).await.ok()
    };
    let cycle = async |command: CycleCommand| journal.execute::<Cycles>(id, &actor, &command, cycle_facts).await.ok();
    let start = (at(0), Trigger::Timer);
    match step {
        Step::Create => {
            administer(AdminCommand::Create { id, draft: draft(number, number % 2), sealed: None }).await;
            administer(AdminCommand::SetApproval(Approval::Approved)).await;
            let tested = PerDirection { incoming: Some(Ok(())), ..PerDirection::default() };
            administer(AdminCommand::RecordTest(tested)).await;
            cycle(CycleCommand::Claim { worker: "one".into() }).await;
        }
        Step::Rename(domain) => {
            drop(administer(AdminCommand::Change { draft: draft(number, domain), sealed: None }).await)
        }
        Step::Cycle(message) => {
            // The same messages lie in several mailboxes.
            let item = |at: u8| Item { id: format!("{at}"), message_id: Some(format!("<{at}@x>")), received: None };
            let read = |at: u8| ItemOutcome::new(item(at), ItemResult::Failed(Report::new(Code::ItemUnreadable, "")));
            let outcomes = (0..message).map(read).collect();
            let page = Page { cursor: Some(format!("cursor {message}")), outcomes, ..Page::default() };
            let (started_at, trigger) = start;
            cycle(CycleCommand::Finish { epoch: 1, started_at, trigger, page: Box::new(page) }).await;
        }
        Step::Fail => {
            let (started_at, trigger) = start;
            let report = Report::new(Code::HttpUnavailable, "503");
            cycle(CycleCommand::Fail { epoch: 1, started_at, trigger, report }).await;
        }
        Step::Delete => drop(administer(AdminCommand::Delete).await),
    }
}

async fn followed(journal: &Journal, directory: &Directory, after: u64) {
    let mut commits = journal.follow_after(&[Kind::Mailbox, Kind::Profile], Part::Mailboxes, after);
    loop {
        match commits.next().await.unwrap() {
            Followed::CaughtUp => return,
            followed => drop(directory.apply(&followed)),
        }
    }
}

fn names(view: &View) -> Vec<Option<Uuid>> {
    let addresses = (0..4).flat_map(|number| (0..2).map(move |domain| format!("USER{number}@contoso{domain}.example")));
    addresses.map(|address| view.by_address(&address).map(|mailbox| mailbox.id)).collect()
}

fn attached(view: &View) -> Vec<(Vec<Uuid>, Vec<String>)> {
    let of = |profile: Uuid| {
        let mut mailboxes = view.mailboxes_of(profile);
        mailboxes.sort();
        (mailboxes, view.domains_of(profile))
    };
    (0..2).map(|domain| of(Uuid::from_u128(200 + domain))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// INV-9: wherever the snapshot is taken, also while commits arrive, what follows leads to the same view as a replay.
    #[test]
    fn a_view_from_a_snapshot_is_that_of_a_replay(steps in steps(), cut in 0..60_usize, during in 0..10_usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let journal = Journal::memory();
            let directory = Arc::new(Directory::new().0);
            let cut = cut.min(steps.len());
            for (number, step) in &steps[..cut] {
                done(&journal, *number, *step).await;
            }
            followed(&journal, &directory, 0).await;
            let sequence = directory.reached();
            let mut batches = Box::pin(snapshot::batches(Arc::clone(&directory)));
            let mut records = vec![batches.next().await.unwrap()];
            let until = (cut + during).min(steps.len());
            for (number, step) in &steps[cut..until] {
                done(&journal, *number, *step).await;
            }
            followed(&journal, &directory, sequence).await;
            while let Some(batch) = batches.next().await {
                records.push(batch);
            }
            journal.keep_mailboxes(sequence, futures::stream::iter(records)).await.unwrap();
            for (number, step) in &steps[until..] {
                done(&journal, *number, *step).await;
            }
            let (replayed, restored) = (Directory::new().0, Directory::new().0);
            followed(&journal, &replayed, 0).await;
            let after = restored.restore(&journal).await;
            assert_eq!(after, sequence);
            followed(&journal, &restored, after).await;
            let (replayed, restored) = (replayed.read(), restored.read());
            assert_eq!(restored.mailboxes, replayed.mailboxes);
            assert_eq!(restored.index, replayed.index);
            assert_eq!(restored.reached, replayed.reached);
            assert_eq!(attached(&restored), attached(&replayed));
            assert_eq!(names(&restored), names(&replayed));
        });
    }
}

#[tokio::test]
async fn what_a_newer_version_wrote_is_let_alone_and_such_a_view_is_never_kept() {
    let journal = Journal::memory();
    let directory = Directory::new().0;
    for number in 0..2 {
        done(&journal, number, Step::Create).await;
    }
    followed(&journal, &directory, 0).await;
    let (newer, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let before = directory.mailbox(newer).unwrap();
    assert!(directory.unkept().0 > 0);
    let unreadable = Followed::Unreadable { of: Some((Kind::Mailbox, newer)), sequence: 9 };
    assert_eq!(directory.apply(&unreadable), Some(Change::Mailbox(newer)));
    // What this worker committed just before does not bring it back.
    directory.commit(newer, &before);
    assert!(directory.mailbox(newer).is_none() && directory.mailboxes() == [other]);
    assert!(directory.find("user0@contoso0.example").is_none());
    assert_eq!(directory.unkept().0, 0);
}
