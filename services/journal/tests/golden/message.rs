//! Mailboxes: what was decided about messages.

use postroad_core::{
    email::{Correlation, CorrelationMethod},
    mailbox::{
        Acceptance, Amendment, BackfillStep, Cycles, Decision, Deferral, Disposal, Event, Facts, FilteringMethod,
        FolderCursor, From, Kind, Mark, Place, Reason, Recipient, Trigger, Verdict,
    },
    record,
};
use postroad_proto::journal::v1 as stored;

use crate::sample::{OTHER, Sample, at, item, legacy, report, sample};

pub fn samples() -> Vec<Sample> {
    let looked = Looked {
        cursor: Some("cursor".into()),
        deferrals: vec![
            Deferral {
                item: item("d"),
                attempts: 2,
                report: report(),
                pass: 1,
                place: folder(),
                mark: Some(Mark::Folder),
            },
            Deferral { item: item("e"), attempts: 1, report: report(), pass: 0, place: Place::Inbox, mark: None },
        ],
        folders: vec![
            FolderCursor { place: Place::SentItems, cursor: "sent".into() },
            FolderCursor { place: folder(), cursor: String::new() },
        ],
        judged_from: Some(From(Some(at(-5)))),
        backfill: Some(BackfillStep { before: at(-7), read: 25, is_last: true }),
        amendments: vec![
            Amendment::Tracked { item: item("t"), email_id: OTHER, mark: Mark::Category },
            Amendment::Untracked { item: item("u"), email_id: OTHER },
        ],
        ..Looked::default()
    };
    vec![
        finished("attempt_finished", looked),
        finished("attempt_finished_empty", Looked::default()),
        finished("attempt_finished_relisted", Looked { relisted: vec![Place::Inbox, folder()], ..Looked::default() }),
        finished("verdicts_tracked", Looked { verdicts: tracked(), ..Looked::default() }),
        finished("verdicts_not_tracked", Looked { verdicts: not_tracked(), ..Looked::default() }),
        finished("verdicts_undeliverable", Looked { verdicts: undeliverable(), ..Looked::default() }),
        of_the_first_rules(),
    ]
}

#[derive(Default)]
struct Looked {
    cursor: Option<String>,
    verdicts: Vec<Verdict>,
    deferrals: Vec<Deferral>,
    folders: Vec<FolderCursor>,
    judged_from: Option<From>,
    backfill: Option<BackfillStep>,
    amendments: Vec<Amendment>,
    relisted: Vec<Place>,
}

fn finished_event(looked: Looked) -> Event {
    let Looked { cursor, verdicts, deferrals, folders, judged_from, backfill, amendments, relisted } = looked;
    Event::AttemptFinished {
        epoch: 3,
        started_at: at(1),
        at: at(2),
        trigger: Trigger::Timer,
        cursor,
        verdicts,
        deferrals,
        folders,
        judged_from,
        backfill,
        amendments,
        relisted,
    }
}

fn finished(name: &str, looked: Looked) -> Sample {
    sample::<Cycles>(name, finished_event(looked))
}

fn folder() -> Place {
    Place::Folder("F".into())
}

fn verdict(id: &str, decision: Decision, disposal: Option<Disposal>) -> Verdict {
    Verdict { item: item(id), decision, rule_version: 3, pass: 1, facts: None, disposal }
}

fn recipients() -> Vec<Recipient> {
    let kinds = [None, Some(Kind::User(OTHER)), Some(Kind::Queue(OTHER)), Some(Kind::Forward)];
    let recipient = |kind| Recipient {
        address: "ada@contoso.example".into(),
        method: FilteringMethod::Responses,
        is_named: true,
        kind,
        is_forwarding: true,
    };
    kinds.map(recipient).into()
}

fn tracked() -> Vec<Verdict> {
    let methods = [
        CorrelationMethod::InReplyTo,
        CorrelationMethod::References,
        CorrelationMethod::ConversationIndex,
        CorrelationMethod::TrackingToken,
        CorrelationMethod::SmartMatching,
    ];
    let filters = [
        FilteringMethod::AllMessages,
        FilteringMethod::Responses,
        FilteringMethod::FromPeople,
        FilteringMethod::FromRecords,
        FilteringMethod::NoMessages,
    ];
    let each = methods.into_iter().zip(filters).zip(record::Kind::ALL);
    each.map(|((method, filter), sender)| {
        let correlation = Correlation { method, email_id: OTHER };
        let acceptance = Acceptance {
            address: "ada@contoso.example".into(),
            method: filter,
            correlation: Some(correlation),
            mark: Some(Mark::Category),
        };
        let facts = Facts {
            place: folder(),
            mark: Some(Mark::Folder),
            correlations: vec![correlation],
            sender: Some(sender),
            is_sender_ambiguous: true,
            recipients: recipients(),
            sent_copy: Some(OTHER),
            is_forward: true,
            is_protected: true,
            is_unwrapped: true,
        };
        let decision = Decision::Tracked { email_id: OTHER, created: true, acceptance: Some(acceptance) };
        let disposal = Some(Disposal::TrackedCategory);
        Verdict { facts: Some(Box::new(facts)), ..verdict("t", decision, disposal) }
    })
    .collect()
}

fn not_tracked() -> Vec<Verdict> {
    let reasons = [
        Reason::FilteringMethod,
        Reason::NotAccepted(recipients()),
        Reason::NotNamed(recipients()),
        Reason::Internal(Some(OTHER)),
        Reason::Internal(None),
        Reason::Protected,
        Reason::InvalidForward,
        Reason::NotForwarded,
        Reason::BeforeProcessEmailFrom(at(-3)),
        Reason::NotEmail("IPM.Post".into()),
        Reason::Gone,
        Reason::Erased,
    ];
    reasons.map(|reason| verdict("n", Decision::NotTracked(reason), None)).into()
}

fn undeliverable() -> Vec<Verdict> {
    let disposals = [
        None,
        Some(Disposal::UndeliverableFolder),
        Some(Disposal::UndeliverableCategory),
        Some(Disposal::DeletedItems),
    ];
    let decision = || Decision::Undeliverable { report: report(), attempts: 5 };
    disposals.map(|disposal| verdict("p", decision(), disposal)).into()
}

/// The first versions kept neither facts nor disposals, and moved messages to the folder or did nothing.
fn of_the_first_rules() -> Sample {
    let decision = Decision::Undeliverable { report: report(), attempts: 5 };
    let now = Verdict { rule_version: 1, pass: 0, ..verdict("p", decision, Some(Disposal::UndeliverableFolder)) };
    let event = finished_event(Looked { verdicts: vec![now], ..Looked::default() });
    let mut written = <Cycles as postroad_journal::Recorded>::encode(&event);
    if let stored::event::Event::AttemptFinished(finished) = &mut written {
        finished.verdicts[0].disposal = 0;
    }
    legacy::<Cycles>("verdict_of_the_first_rules", written, event)
}
