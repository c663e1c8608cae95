//! Mailboxes: what administrators and workers did.

use postroad_core::mailbox::{
    Approval, Confirmation, Cycles, Direction, Disposed, Event, FilteringMethod, From, Kind, Method, PerDirection,
    SendEvent, Settings, TrackedFolder, Trigger,
};
use postroad_proto::journal::v1 as stored;

use crate::sample::{ID, OTHER, Sample, address, at, item, legacy, report, sample, sealed};

pub fn samples() -> Vec<Sample> {
    [administration(), work(), sending()].into_iter().flatten().collect()
}

fn administration() -> Vec<Sample> {
    let methods = PerDirection {
        incoming: Method::ServerSideSync,
        outgoing: Method::ServerSideSync,
        appointments_contacts_tasks: Method::ServerSideSync,
    };
    let user = Settings {
        name: "Ada King".into(),
        kind: Kind::User(OTHER),
        address: address(),
        profile_id: Some(OTHER),
        methods,
        filtering_method: FilteringMethod::FromRecords,
        process_email_from: Some(at(1)),
        delete_after_processing: true,
        allow_own_credentials: true,
        user_name: "ada@contoso.example".into(),
    };
    let incoming = PerDirection { incoming: Method::ForwardMailbox, ..PerDirection::default() };
    let queue = Settings { kind: Kind::Queue(OTHER), methods: incoming, ..user.clone() };
    let forward = Settings { kind: Kind::Forward, profile_id: None, process_email_from: None, ..user.clone() };
    let outcomes = PerDirection {
        incoming: Some(Ok(())),
        outgoing: Some(Err(report())),
        appointments_contacts_tasks: Some(Ok(())),
    };
    assert!(Direction::ALL.into_iter().all(|direction| outcomes.get(direction).is_some()));
    let tested = Event::Tested { at: at(2), outcomes, next_probe: Some(at(600)), profile_revision: 7 };
    let folder = TrackedFolder { name: "Inbox/Orders".into(), regarding: OTHER };
    let event = sample::<Cycles>;
    let mut samples = vec![
        event("mailbox_created", Event::Created { id: ID, settings: user }),
        event("mailbox_created_of_queue", Event::Created { id: ID, settings: queue }),
        event("mailbox_changed", Event::Changed { settings: forward }),
        event("password_set", Event::PasswordSet { sealed: sealed() }),
        event("password_resealed", Event::Resealed { sealed: sealed() }),
        event("activated", Event::Activated),
        event("deactivated", Event::Deactivated),
        event("deleted", Event::Deleted),
        event("mailbox_tested", tested),
        event("retry_asked", Event::RetryAsked { at: at(3), items: vec![item("one").id, item("two").id] }),
        event("folder_tracked", Event::FolderTracked { at: at(4), folder_id: "F".into(), folder }),
        event("folder_untracked", Event::FolderUntracked { at: at(5), folder_id: "F".into() }),
    ];
    let approvals =
        [("pending", Approval::Pending), ("approved", Approval::Approved), ("rejected", Approval::Rejected)];
    let approvals = approvals
        .map(|(name, approval)| event(&format!("approval_changed_{name}"), Event::ApprovalChanged { approval }));
    samples.extend(approvals);
    samples
}

fn work() -> Vec<Sample> {
    let event = sample::<Cycles>;
    let failed = Event::AttemptFailed {
        epoch: 3,
        started_at: at(1),
        at: at(2),
        trigger: Trigger::Asked,
        report: report(),
        failures: 10,
        next_attempt: Some(at(600)),
        disables: true,
        profile_revision: 7,
    };
    let planned = Event::BackfillPlanned { epoch: 3, at: at(1), from: From(Some(at(-9))), before: at(0), total: 12 };
    let disposed =
        |new_id: Option<&str>, fault| Disposed { item_id: "A".into(), new_id: new_id.map(Into::into), fault };
    let items = vec![disposed(Some("B"), None), disposed(None, Some(report()))];
    let moved = stored::ItemMoved {
        epoch: 3,
        at: Some(prost_types::Timestamp { seconds: 1_800_000_002, nanos: 123_000_000 }),
        item_id: "A".into(),
        fault: Some(stored::Report { code: "HTTP_UNAVAILABLE".into(), detail: "503 Service Unavailable".into() }),
    };
    let moved_now = Event::Disposed { epoch: 3, at: at(2), items: vec![disposed(None, Some(report()))] };
    let mut samples = vec![
        event("claimed", Event::Claimed { epoch: 3, worker: "sync-1".into(), at: at(1) }),
        event("attempt_failed", failed),
        event("throttled", Event::Throttled { epoch: 3, at: at(1), until: at(61), report: report() }),
        event("recovered", Event::Recovered { at: at(9), report: report(), since: at(1) }),
        event("items_disposed", Event::Disposed { epoch: 3, at: at(2), items }),
        legacy::<Cycles>("item_moved", stored::event::Event::ItemMoved(moved), moved_now),
        event("backfill_planned", planned),
        event("backfill_paused", Event::BackfillPaused { at: at(1) }),
        event("backfill_resumed", Event::BackfillResumed { at: at(2) }),
    ];
    let triggers = [
        ("timer", Trigger::Timer),
        ("asked", Trigger::Asked),
        ("probe", Trigger::Probe),
        ("continuation", Trigger::Continuation),
        ("notified", Trigger::Notified),
    ];
    let started = triggers.map(|(name, trigger)| {
        event(&format!("attempt_started_{name}"), Event::AttemptStarted { epoch: 3, at: at(1), trigger })
    });
    samples.extend(started);
    samples
}

fn sending() -> Vec<Sample> {
    let email_id = OTHER;
    let sent = |confirmation| SendEvent::Sent { email_id, confirmation };
    let intended = SendEvent::Intended { email_id, attempt: 2, message_id: "<s@contoso.example>".into() };
    let failed = SendEvent::Failed { email_id, report: report(), failures: 4, next_try: Some(at(300)) };
    let events = [
        ("intended", intended),
        ("draft_ready", SendEvent::DraftReady { email_id, draft_id: "D".into() }),
        ("sent_answered", sent(Confirmation::Answered)),
        ("sent_copy_found", sent(Confirmation::CopyFound)),
        ("sent_draft_gone", sent(Confirmation::DraftGone)),
        ("failed", failed),
        ("reported", SendEvent::Reported { email_id }),
    ];
    let event = |(name, event): (&str, SendEvent)| {
        sample::<Cycles>(&format!("email_sending_{name}"), Event::Sending { epoch: 3, at: at(1), event })
    };
    events.map(event).into()
}
