use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;
use crate::{Aggregate, fault::Code};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn draft() -> Draft {
    Draft {
        name: String::new(),
        kind: Some(Kind::User(Uuid::from_u128(5))),
        address: "ada@contoso.example".into(),
        profile_id: Some(Uuid::from_u128(1)),
        methods: PerDirection { incoming: Method::ServerSideSync, ..PerDirection::default() },
        filtering_method: FilteringMethod::AllMessages,
        process_email_from: None,
        delete_after_processing: false,
        allow_own_credentials: false,
        user_name: String::new(),
    }
}

fn admin_facts() -> AdminFacts {
    AdminFacts {
        now: at(0),
        address_taken: false,
        regarding_taken: false,
        regarding_known: true,
        profile: Some(ProfileFacts { active: true, revision: 1 }),
        retry: RetryPolicy::default(),
    }
}

fn cycle_facts(now: Timestamp) -> CycleFacts {
    CycleFacts {
        now,
        profile: Some(ProfileFacts { active: true, revision: 1 }),
        move_failed_emails: true,
        from: From(None),
        marks_tracked: true,
        retry: RetryPolicy::default(),
    }
}

fn admin(state: State, command: AdminCommand) -> State {
    let events = Administration::decide(&state, &command, &admin_facts()).unwrap();
    Administration::fold(state, &events)
}

fn cycle(state: State, command: CycleCommand, now: Timestamp) -> State {
    let events = Cycles::decide(&state, &command, &cycle_facts(now)).unwrap();
    Cycles::fold(state, &events)
}

pub fn enabled() -> State {
    let state = admin(State::Absent, AdminCommand::Create { id: Uuid::from_u128(9), draft: draft(), sealed: None });
    let state = admin(state, AdminCommand::SetApproval(Approval::Approved));
    let state =
        admin(state, AdminCommand::RecordTest(PerDirection { incoming: Some(Ok(())), ..PerDirection::default() }));
    cycle(state, CycleCommand::Claim { worker: "one".into() }, at(0))
}

fn fail(code: Code) -> CycleCommand {
    CycleCommand::Fail { epoch: 1, started_at: at(0), trigger: Trigger::Timer, report: Report::new(code, "") }
}

fn finish(outcomes: Vec<ItemOutcome>) -> CycleCommand {
    let page = Page { cursor: Some("c1".into()), outcomes, ..Page::default() };
    CycleCommand::Finish { epoch: 1, started_at: at(0), trigger: Trigger::Timer, page: Box::new(page) }
}

fn item(id: &str) -> Item {
    Item { id: id.into(), message_id: Some(format!("<{id}@x>")), received: None }
}

fn poison(id: &str) -> ItemOutcome {
    ItemOutcome::new(item(id), ItemResult::Failed(Report::new(Code::ItemUnreadable, "")))
}

fn dispose(id: &str, new_id: Option<&str>) -> CycleCommand {
    let done = Disposed { item_id: id.into(), new_id: new_id.map(str::to_owned), fault: None };
    CycleCommand::Dispose { epoch: 1, items: vec![done] }
}

fn incoming(state: &State) -> DirectionState {
    state.live().unwrap().directions.incoming
}

#[test]
fn a_passed_test_enables() {
    assert_eq!(incoming(&enabled()), DirectionState { enabled: true, status: Status::Success });
}

#[test]
fn nine_failures_and_a_success_leave_it_enabled() {
    let mut state = enabled();
    for attempt in 1..=9 {
        state = cycle(state, fail(Code::HttpUnavailable), at(attempt));
    }
    assert!(incoming(&state).enabled);
    let state = cycle(state, finish(Vec::new()), at(10));
    assert_eq!(state.live().unwrap().sync.health, Health::Healthy);
    assert_eq!(incoming(&state), DirectionState { enabled: true, status: Status::Success });
}

#[test]
fn the_tenth_failure_disables_and_plans_a_probe() {
    let mut state = enabled();
    for attempt in 1..=10 {
        state = cycle(state, fail(Code::HttpUnavailable), at(attempt));
    }
    assert!(!incoming(&state).enabled);
    let Health::Disabled { next_probe: Some(_), .. } = state.live().unwrap().sync.health else {
        panic!("no probe is planned");
    };
}

#[test]
fn a_probe_that_succeeds_enables_again_and_says_so() {
    let state = cycle(enabled(), fail(Code::ImpersonationDenied), at(1));
    assert!(!incoming(&state).enabled);
    let events = Cycles::decide(&state, &finish(Vec::new()), &cycle_facts(at(700))).unwrap();
    assert!(events.iter().any(|event| matches!(event, Event::Recovered { .. })));
    assert!(incoming(&Cycles::fold(state, &events)).enabled);
}

#[test]
fn failing_probes_grow_apart() {
    let mut state = cycle(enabled(), fail(Code::ImpersonationDenied), at(0));
    let mut distances = Vec::new();
    for _ in 0..3 {
        let Health::Disabled { next_probe: Some(next), .. } = state.live().unwrap().sync.health else { panic!() };
        state = cycle(state, fail(Code::ImpersonationDenied), next);
        let Health::Disabled { next_probe: Some(after), .. } = state.live().unwrap().sync.health else { panic!() };
        distances.push(after.duration_since(next).as_mins());
    }
    assert_eq!(distances, [20, 40, 80]);
}

/// Clocks are set: what one that was two hours ahead reckoned holds nobody up for two hours.
#[test]
fn nothing_waits_for_a_clock_that_was_ahead() {
    const HOURS: i64 = 2 * 3600;
    let due_at = |state: &State, last_cycle: Option<Timestamp>, now: Timestamp| {
        let profile = Some(ProfileFacts { active: true, revision: 1 });
        due(state.live().unwrap(), profile, last_cycle, SignedDuration::from_secs(15), None, now)
    };
    let healthy = cycle(enabled(), finish(Vec::new()), at(HOURS));
    assert_eq!(due_at(&healthy, Some(at(HOURS)), at(10)), Due::Now(Trigger::Timer));
    assert_eq!(due_at(&healthy, Some(at(9)), at(10)), Due::At(at(24)), "an ordinary poll");
    let failing = cycle(enabled(), fail(Code::HttpUnavailable), at(HOURS));
    assert_eq!(due_at(&failing, None, at(10)), Due::Now(Trigger::Timer));
    assert_eq!(due_at(&failing, None, at(HOURS + 10)), Due::At(at(HOURS + 300)));
    let disabled = cycle(enabled(), fail(Code::ImpersonationDenied), at(HOURS));
    assert_eq!(due_at(&disabled, None, at(10)), Due::Now(Trigger::Probe));
    let throttle = |until| CycleCommand::Throttle { epoch: 1, until, report: Report::new(Code::ServerBusy, "") };
    let throttled = cycle(enabled(), throttle(at(HOURS + 5)), at(HOURS));
    assert_eq!(due_at(&throttled, None, at(10)), Due::Now(Trigger::Timer));
    assert_eq!(due_at(&throttled, None, at(HOURS + 1)), Due::At(at(HOURS + 5)), "INV-4");
}

/// Roles have clocks of their own: a test by one that was two hours ahead says nothing about waits that a worker reckoned.
#[test]
fn a_test_by_a_clock_that_was_ahead_cuts_no_wait_of_a_worker_short() {
    const HOURS: i64 = 2 * 3600;
    let tested = |state: State, result: Result<(), Report>| {
        let outcomes = PerDirection { incoming: Some(result), ..PerDirection::default() };
        let facts = AdminFacts { now: at(HOURS), ..admin_facts() };
        let events = Administration::decide(&state, &AdminCommand::RecordTest(outcomes), &facts).unwrap();
        Administration::fold(state, &events)
    };
    let due_at = |state: &State, now: i64| {
        let profile = Some(ProfileFacts { active: true, revision: 1 });
        due(state.live().unwrap(), profile, None, SignedDuration::from_secs(15), None, at(now))
    };
    let mut state = tested(enabled(), Ok(()));
    for attempt in 1..=9 {
        state = cycle(state, fail(Code::HttpUnavailable), at(attempt));
        assert_eq!(due_at(&state, attempt), Due::At(at(attempt + 300)), "failure {attempt}");
    }
    state = cycle(state, fail(Code::HttpUnavailable), at(10));
    assert_eq!(due_at(&state, 10), Due::At(at(10 + 600)), "disabled");
    state = cycle(state, fail(Code::HttpUnavailable), at(20));
    assert_eq!(due_at(&state, 20), Due::At(at(20 + 1200)), "a probe failed");
    // The wait that the test itself reckoned is not waited for, the next one is.
    let state = tested(enabled(), Err(Report::new(Code::ImpersonationDenied, "")));
    assert_eq!(due_at(&state, 30), Due::Now(Trigger::Probe));
    let state = cycle(state, fail(Code::ImpersonationDenied), at(30));
    assert_eq!(due_at(&state, 30), Due::At(at(30 + 1200)));
}

#[test]
fn a_changed_profile_is_a_reason_to_probe_what_it_disabled() {
    let state = cycle(enabled(), fail(Code::CredentialsRejected), at(0));
    let mailbox = state.live().unwrap();
    let due_with = |revision| {
        let profile = Some(ProfileFacts { active: true, revision });
        due(mailbox, profile, Some(at(0)), SignedDuration::from_secs(1), None, at(9_999_999))
    };
    assert_eq!(due_with(1), Due::Never);
    assert_eq!(due_with(2), Due::Now(Trigger::Probe));
}

#[test]
fn an_idle_mailbox_is_recorded_once_an_hour() {
    let state = cycle(enabled(), finish(Vec::new()), at(0));
    let recorded = |now| !Cycles::decide(&state, &finish(Vec::new()), &cycle_facts(now)).unwrap().is_empty();
    assert!(!recorded(at(60)));
    assert!(recorded(at(3600)));
}

#[test]
fn a_stale_owner_is_refused() {
    let state = cycle(enabled(), CycleCommand::Claim { worker: "two".into() }, at(1));
    let refusal = Cycles::decide(&state, &finish(vec![poison("a")]), &cycle_facts(at(2))).unwrap_err();
    assert_eq!(refusal.code, Code::NotOwner);
}

#[test]
fn nothing_is_sent_within_a_back_off() {
    let report = Report::new(Code::ServerBusy, "");
    let state = cycle(enabled(), CycleCommand::Throttle { epoch: 1, until: at(100), report }, at(0));
    let start = CycleCommand::Start { epoch: 1, trigger: Trigger::Asked };
    assert_eq!(Cycles::decide(&state, &start, &cycle_facts(at(99))).unwrap_err().code, Code::ServerBusy);
    assert!(Cycles::decide(&state, &start, &cycle_facts(at(100))).is_ok());
    assert!(incoming(&state).enabled);
}

#[test]
fn a_poison_item_is_tried_five_times_then_moved() {
    let mut state = enabled();
    for attempt in 1..=4 {
        state = cycle(state, finish(vec![poison("p")]), at(attempt));
        assert_eq!(state.live().unwrap().sync.deferred["p"].attempts, u32::try_from(attempt).unwrap());
    }
    let state = cycle(state, finish(vec![poison("p")]), at(5));
    let sync = &state.live().unwrap().sync;
    assert!(sync.deferred.is_empty());
    assert_eq!(sync.to_dispose.get("p"), Some(&Disposal::UndeliverableFolder));
    let moved = cycle(state, dispose("p", Some("q")), at(6));
    let sync = &moved.live().unwrap().sync;
    assert!(sync.to_dispose.is_empty() && sync.undeliverable.contains_key("q"));
}

#[test]
fn without_the_folder_a_poison_item_gets_the_category_and_can_be_tried_again() {
    let facts = |now| CycleFacts { move_failed_emails: false, ..cycle_facts(now) };
    let mut state = enabled();
    for attempt in 1..=5 {
        let events = Cycles::decide(&state, &finish(vec![poison("p")]), &facts(at(attempt))).unwrap();
        state = Cycles::fold(state, &events);
    }
    let sync = &state.live().unwrap().sync;
    assert_eq!(sync.to_dispose.get("p"), Some(&Disposal::UndeliverableCategory));
    assert!(sync.undeliverable.contains_key("p") && sync.deferred.is_empty());
    let state = admin(state, AdminCommand::Retry { message: Some("p@x".into()) });
    let deferral = &state.live().unwrap().sync.deferred["p"];
    assert_eq!((deferral.attempts, deferral.pass), (0, 1));
    let unknown = AdminCommand::Retry { message: Some("q@x".into()) };
    assert_eq!(Administration::decide(&state, &unknown, &admin_facts()).unwrap_err().code, Code::NotFound);
}

fn tracked(id: &str) -> ItemOutcome {
    let acceptance = Acceptance {
        address: "ada@contoso.example".into(),
        method: FilteringMethod::AllMessages,
        correlation: None,
        mark: None,
    };
    let result = ItemResult::Promoted { email_id: Uuid::from_u128(7), created: true, acceptance };
    ItemOutcome::new(item(id), result)
}

#[test]
fn tracked_messages_are_marked_or_deleted_as_set() {
    let disposal = |state: &State| state.live().unwrap().sync.to_dispose.get("a").copied();
    let state = cycle(enabled(), finish(vec![tracked("a")]), at(1));
    assert_eq!(disposal(&state), Some(Disposal::TrackedCategory));
    let unmarked = CycleFacts { marks_tracked: false, ..cycle_facts(at(1)) };
    let events = Cycles::decide(&enabled(), &finish(vec![tracked("a")]), &unmarked).unwrap();
    assert_eq!(disposal(&Cycles::fold(enabled(), &events)), None);
    let queue = Draft { kind: Some(Kind::Queue(Uuid::from_u128(5))), delete_after_processing: true, ..draft() };
    let state = admin(State::Absent, AdminCommand::Create { id: Uuid::from_u128(9), draft: queue, sealed: None });
    let state = cycle(state, CycleCommand::Claim { worker: "one".into() }, at(0));
    assert_eq!(disposal(&cycle(state, finish(vec![tracked("a")]), at(1))), Some(Disposal::DeletedItems));
}

/// Spec §12, check 15: the effective date is the later one; lowering it plans a backfill up to where mail was judged.
#[test]
fn check_15_a_lowered_date_plans_a_backfill() {
    let from = |second| CycleFacts { from: From(Some(at(second))), ..cycle_facts(at(500)) };
    let state = Cycles::fold(enabled(), &Cycles::decide(&enabled(), &finish(vec![poison("p")]), &from(100)).unwrap());
    assert_eq!(state.live().unwrap().sync.judged_from, Some(From(Some(at(100)))));
    let plan = |second| CycleCommand::PlanBackfill { epoch: 1, from: From(Some(at(second))), total: 40 };
    assert!(Cycles::decide(&state, &plan(200), &from(200)).unwrap().is_empty(), "a later date reads nothing");
    let state = Cycles::fold(state.clone(), &Cycles::decide(&state, &plan(10), &from(10)).unwrap());
    let backfill = state.live().unwrap().sync.backfill.clone().unwrap();
    assert_eq!((backfill.from, backfill.before, backfill.total, backfill.pass), (From(Some(at(10))), at(100), 40, 1));
    let step = |is_last| {
        let step = BackfillStep { before: at(50), read: 25, is_last };
        let page = Page { backfill: Some(step), outcomes: vec![tracked("old")], ..Page::default() };
        CycleCommand::Finish { epoch: 1, started_at: at(0), trigger: Trigger::Timer, page: Box::new(page) }
    };
    let state = cycle(state, step(false), at(501));
    let backfill = state.live().unwrap().sync.backfill.clone().unwrap();
    assert_eq!((backfill.before, backfill.done), (at(50), 25));
    assert!(
        admin(state.clone(), AdminCommand::PauseBackfill(true))
            .live()
            .unwrap()
            .sync
            .backfill
            .clone()
            .unwrap()
            .is_paused
    );
    assert!(cycle(state, step(true), at(502)).live().unwrap().sync.backfill.is_none());
}

/// Spec §12, check 14: the 26th folder is refused, and queues have none.
#[test]
fn check_14_folders_are_limited_and_for_users_only() {
    let settings = crate::organization::Settings::default();
    let track = |number: u32| AdminCommand::TrackFolder {
        folder_id: format!("F{number}"),
        folder: TrackedFolder { name: format!("{number}"), regarding: Uuid::from_u128(1) },
        settings: Box::new(settings.clone()),
    };
    let mut state = enabled();
    for number in 0..25 {
        state = admin(state, track(number));
    }
    let refusal = Administration::decide(&state, &track(25), &admin_facts()).unwrap_err();
    assert_eq!((refusal.code, refusal.field.as_str()), (Code::ValueOutOfRange, "folder"));
    assert!(Administration::decide(&state, &track(3), &admin_facts()).unwrap().is_empty(), "tracked already");
    let queue = Draft { kind: Some(Kind::Queue(Uuid::from_u128(5))), ..draft() };
    let queue = admin(State::Absent, AdminCommand::Create { id: Uuid::from_u128(9), draft: queue, sealed: None });
    let refusal = Administration::decide(&queue, &track(0), &admin_facts()).unwrap_err();
    assert_eq!(refusal.code, Code::FieldNotApplicable);
}

#[test]
fn another_address_is_another_mailbox() {
    let state = cycle(enabled(), finish(vec![poison("p")]), at(1));
    let draft = Draft { address: "ada.king@contoso.example".into(), ..draft() };
    let state = admin(state, AdminCommand::Change { draft, sealed: None });
    let mailbox = state.live().unwrap();
    assert_eq!((mailbox.approval, mailbox.sync.cursor.clone()), (Approval::Pending, None));
    assert_eq!(mailbox.sync.epoch, 1, "the fence stays");
    assert!(!mailbox.directions.incoming.enabled);
}

#[test]
fn bad_input_names_the_field() {
    let refuse = |draft: Draft, facts: AdminFacts| {
        let command = AdminCommand::Create { id: Uuid::from_u128(2), draft, sealed: None };
        let refusal = Administration::decide(&State::Absent, &command, &facts).unwrap_err();
        (refusal.code, refusal.field)
    };
    let draft_facts = [
        (Draft { address: "ada".into(), ..draft() }, admin_facts(), Code::AddressInvalid, "email_address"),
        (Draft { kind: None, ..draft() }, admin_facts(), Code::FieldRequired, "kind"),
        (
            Draft { delete_after_processing: true, ..draft() },
            admin_facts(),
            Code::FieldNotApplicable,
            "delete_after_processing",
        ),
        (Draft { user_name: "a@b.c".into(), ..draft() }, admin_facts(), Code::FieldNotApplicable, "user_name"),
        (
            Draft { allow_own_credentials: true, user_name: "D\\a".into(), ..draft() },
            admin_facts(),
            Code::UserNameNotUpn,
            "user_name",
        ),
        (draft(), AdminFacts { address_taken: true, ..admin_facts() }, Code::AddressTaken, "email_address"),
        (draft(), AdminFacts { regarding_taken: true, ..admin_facts() }, Code::RegardingTaken, "regarding"),
        (draft(), AdminFacts { regarding_known: false, ..admin_facts() }, Code::RegardingUnknown, "regarding"),
        (draft(), AdminFacts { profile: None, ..admin_facts() }, Code::NotFound, "profile"),
    ];
    for (draft, facts, code, field) in draft_facts {
        assert_eq!(refuse(draft, facts), (code, field.to_owned()));
    }
}

fn page(state: &State, page: Page, now: Timestamp) -> Vec<Event> {
    let command = CycleCommand::Finish { epoch: 1, started_at: now, trigger: Trigger::Timer, page: Box::new(page) };
    Cycles::decide(state, &command, &cycle_facts(now)).unwrap()
}

/// Given pages of deletions only; when one is read; then where it ended is recorded as long as more follow, or it is read for ever.
#[test]
fn a_page_that_brought_nothing_is_recorded_while_more_follow() {
    let state = cycle(enabled(), finish(Vec::new()), at(1));
    let read = |cursor: &str, has_more| Page { cursor: Some(cursor.into()), has_more, ..Page::default() };
    let events = page(&state, read("c2", true), at(2));
    let state = Cycles::fold(state, &events);
    assert_eq!(state.live().unwrap().sync.cursor.as_deref(), Some("c2"));
    assert_eq!(page(&state, read("c3", false), at(3)), []);
}

/// Given a lost state; when the folder is listed anew page by page; then it is known to be so until its end, whatever else is recorded.
#[test]
fn a_listing_anew_is_known_until_its_end() {
    let relisted = |state: &State| state.live().unwrap().sync.relisted.iter().cloned().collect::<Vec<_>>();
    let read = |cursor: &str, places: &[Place]| Page {
        cursor: Some(cursor.into()),
        relisted: Some(places.iter().cloned().collect()),
        ..Page::default()
    };
    let mut state = cycle(enabled(), finish(Vec::new()), at(1));
    let mut record = |done: Page, second: i64| {
        let events = page(&state, done, at(second));
        state = Cycles::fold(state.clone(), &events);
        relisted(&state)
    };
    assert_eq!(record(read("c2", &[Place::Inbox]), 2), [Place::Inbox]);
    let elsewhere = Page { outcomes: vec![poison("x")], ..Page::default() };
    assert_eq!(record(elsewhere, 3), [Place::Inbox], "a backfill looked at no folder");
    assert_eq!(record(read("c3", &[]), 4), []);
}

fn any_command() -> impl Strategy<Value = CycleCommand> {
    let id = prop::sample::select(vec!["a", "b", "c"]);
    let code = prop::sample::select(Code::ALL);
    prop_oneof![
        (0..3u64, id.clone()).prop_map(|(epoch, id)| CycleCommand::Finish {
            epoch,
            started_at: at(0),
            trigger: Trigger::Timer,
            page: Box::new(Page {
                cursor: Some(format!("{epoch}{id}")),
                outcomes: vec![poison(id)],
                ..Page::default()
            }),
        }),
        (0..3u64, code).prop_map(|(epoch, code)| CycleCommand::Fail {
            epoch,
            started_at: at(0),
            trigger: Trigger::Timer,
            report: Report::new(code, ""),
        }),
        Just(CycleCommand::Claim { worker: "w".into() }),
        (0..3u64, id).prop_map(|(epoch, id)| CycleCommand::Dispose {
            epoch,
            items: vec![Disposed { item_id: id.to_owned(), new_id: None, fault: None }],
        }),
    ]
}

proptest! {
    /// INV-6 and INV-7 over random histories.
    #[test]
    fn histories_keep_the_invariants(commands in prop::collection::vec(any_command(), 0..60)) {
        let mut state = enabled();
        for (second, command) in (0_i64..).zip(&commands) {
            let before = state.live().unwrap().sync.epoch;
            match Cycles::decide(&state, command, &cycle_facts(at(second))) {
                Ok(events) => state = Cycles::fold(state, &events),
                Err(refusal) => {
                    prop_assert_eq!(refusal.code, Code::NotOwner);
                    continue;
                }
            }
            let mailbox = state.live().unwrap();
            prop_assert!(mailbox.sync.epoch >= before);
            prop_assert!(crate::invariant::disabled_has_a_way_back(mailbox).is_ok());
            prop_assert!(mailbox.sync.deferred.values().all(|d| d.attempts < RetryPolicy::default().item_attempts));
        }
    }
}
