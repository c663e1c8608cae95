use jiff::Timestamp;
use postroad_core::fault::{Code, Report};
use postroad_proto::{
    alert::v1::{Alert, Level, alert::Regarding},
    fault::v1::Fault,
    mailbox::v1::{
        Condition, ConditionCount, FaultCount, Mailbox, MailboxSettings, SummarizeMailboxesResponse, TimelineEntry,
    },
    sync::v1::{AccountStatus, Budget, LatencyCount, ListWorkersResponse, Outage, ServerStatus, Traffic, WorkerStatus},
};
use postroad_rig::{Role, status::to_wire, wire::timestamp};

use super::{
    key::Key,
    model::{Input, Model, Tab},
    question::{Answer, Question, Reply, Wanted},
    still,
};
use crate::failure::Failure;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn ago(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(timestamp(at(-seconds)))
}

fn refused() -> Fault {
    to_wire(&Report::new(Code::ConnectRefused, "connection refused by 203.0.113.9:443"))
}

fn summary() -> SummarizeMailboxesResponse {
    let count = |condition: Condition, mailboxes| ConditionCount { condition: condition.into(), mailboxes };
    SummarizeMailboxesResponse {
        total: 12_480,
        conditions: vec![
            count(Condition::Well, 12_206),
            count(Condition::Retrying, 240),
            count(Condition::Disabled, 31),
            count(Condition::Inactive, 3),
        ],
        faults: vec![FaultCount { fault: Some(refused()), mailboxes: 271 }],
        processed: 1_204_112,
        deferred: 4,
        undeliverable: 0,
    }
}

fn worker(name: &str, running: u32) -> WorkerStatus {
    let bucket = |most_ms, count| LatencyCount { most_ms, count };
    WorkerStatus {
        worker: name.into(),
        answers: true,
        started_at: ago(7260),
        partitions: 128,
        mailboxes: 6240,
        running,
        concurrency: 64,
        waiting: 2,
        lag_ms: 41,
        notified: 6000,
        streams: 31,
        traffic: Some(Traffic {
            decided: 52_340,
            tracked: 48_012,
            sent: 912,
            decided_rate: 6.2,
            sent_rate: 0.4,
            arrivals: vec![bucket(320, 300), bucket(900, 60), bucket(2048, 4)],
        }),
        ..WorkerStatus::default()
    }
}

fn fleet() -> ListWorkersResponse {
    let drains = WorkerStatus { is_draining: true, ..worker("sync-0198c1aa77e04f2b9d21b7f3a9c4d001", 3) };
    let silent = WorkerStatus { worker: "sync-0198c1aa77e04f2b9d21b7f3a9c4d003".into(), ..WorkerStatus::default() };
    let works = worker("sync-0198c1aa77e04f2b9d21b7f3a9c4d002", 17);
    ListWorkersResponse { workers: vec![drains, works, silent], free_partitions: 0 }
}

fn server(name: &str, worker: &str, outage: Option<Outage>) -> ServerStatus {
    let budget = Budget { used: 9, allowed: 27, ceiling: 27, requests: 812_345, throttled: 3, ..Budget::default() };
    let own = Budget { allowed: 20, rate_limit: 48.5, back_off_ms: 29_001, ..budget };
    let accounts = vec![AccountStatus { name: "Contoso Exchange".into(), budget: Some(own) }];
    ServerStatus { server: name.into(), worker: worker.into(), budget: Some(budget), outage, accounts, rate: 61.7 }
}

fn servers() -> Vec<ServerStatus> {
    let outage = || Some(Outage { lasts_ms: 61_000, probes: 7, fault: Some(refused()) });
    let (one, other) = ("sync-0198c1aa77e04f2b9d21b7f3a9c4d001", "sync-0198c1aa77e04f2b9d21b7f3a9c4d002");
    let down = |worker| ServerStatus { rate: 0.2, ..server("mail.asia.contoso.example:443", worker, outage()) };
    let up = |worker| server("mail.europe.contoso.example:443", worker, None);
    vec![down(one), up(one), down(other), up(other)]
}

fn alerts() -> Vec<Alert> {
    let alert = |id: &str, level: Level, about: &str, regarding| Alert {
        id: id.into(),
        level: level.into(),
        regarding_name: about.into(),
        regarding: Some(regarding),
        text: "The server refused the connection".into(),
        fault: Some(refused()),
        first_at: ago(600),
        last_at: ago(42),
        count: 3,
        ..Alert::default()
    };
    let profile = || Regarding::ProfileId("p".into());
    let server = Alert { mailboxes: 271, ..alert("a", Level::Error, "Contoso Exchange", profile()) };
    let own = alert("b", Level::Warning, "ada@contoso.example", Regarding::MailboxId("ada".into()));
    let past = Alert { resolved_at: ago(500), ..alert("c", Level::Error, "Fabrikam", profile()) };
    vec![server, own, past]
}

fn mailbox(name: &str, condition: Condition) -> Mailbox {
    let settings = MailboxSettings { email_address: format!("{name}@contoso.example"), ..Default::default() };
    let fault = matches!(condition, Condition::Retrying | Condition::Disabled).then(refused);
    Mailbox {
        id: name.into(),
        settings: Some(settings),
        profile_name: "Contoso Exchange".into(),
        active: true,
        failures: if fault.is_some() { 3 } else { 0 },
        next_attempt_at: fault.as_ref().and_then(|_| ago(-240)),
        last_success_at: ago(75),
        processed: 1412,
        condition: condition.into(),
        fault,
        ..Mailbox::default()
    }
}

fn timeline() -> Vec<TimelineEntry> {
    let entry = |sequence, seconds, sentence: &str, fault| TimelineEntry {
        at: ago(seconds),
        actor: "role sync".into(),
        sentences: vec![sentence.into()],
        sequence,
        fault,
    };
    let failed = "Synchronization failed, its time had come: the server refused the connection. It is tried again in five minutes.";
    vec![
        entry(7, 7200, "Created for ada@contoso.example.", None),
        entry(
            9,
            700,
            "Synchronization succeeded in 212 ms, because Exchange told: 1 message decided, 0 to be tried again.",
            None,
        ),
        entry(12, 342, failed, Some(refused())),
        entry(15, 42, failed, Some(refused())),
    ]
}

fn answered(model: Model, question: Question, reply: Reply) -> Model {
    model.step(Input::Answer(Box::new(Answer { question, at: at(0), reply: Ok(reply) })))
}

fn known() -> Model {
    let mut model = Model::new(at(0));
    for _ in 0..3 {
        model = answered(model, Question::Workers, Reply::Workers(fleet()));
    }
    model = answered(model, Question::Summary, Reply::Summary(summary()));
    model = answered(model, Question::Servers, Reply::Servers(servers()));
    answered(model, Question::Alerts, Reply::Alerts(alerts()))
}

fn press(model: Model, keys: &[Key]) -> Model {
    keys.iter().fold(model, |model, key| model.step(Input::Key(*key)))
}

fn typed(model: Model, text: &str) -> Model {
    text.chars().fold(model, |model, character| model.step(Input::Key(Key::Char(character))))
}

fn listed(model: Model) -> Model {
    let wanted = model.wanted.clone();
    let all = vec![
        mailbox("ada", Condition::Retrying),
        mailbox("ben", Condition::Well),
        mailbox("cleo", Condition::Disabled),
    ];
    answered(model, Question::Mailboxes(wanted), Reply::Mailboxes(all, false))
}

fn opened() -> Model {
    let model = press(listed(press(known(), &[Key::Char('4')])), &[Key::Enter]);
    let ada = Reply::Mailbox(Box::new(mailbox("ada", Condition::Retrying)));
    let model = answered(model, Question::Mailbox("ada".into()), ada);
    answered(model, Question::Timeline("ada".into(), 0), Reply::Timeline(timeline()))
}

fn unreachable(question: Question, seconds: i64) -> Answer {
    let endpoint = "http://sync:7403".to_owned();
    let reply = Err(Failure::Unreachable { role: question.role(), endpoint, reason: "connection refused".into() });
    Answer { question, at: at(seconds), reply }
}

macro_rules! frame {
    ($name:literal, $model:expr, $width:expr, $height:expr) => {
        insta::with_settings!({ omit_expression => true }, {
            insta::assert_snapshot!($name, still(&$model, $width, $height).unwrap());
        });
    };
}

#[test]
fn frames_of_each_view() {
    for (name, key) in [("overview", '1'), ("servers", '2'), ("workers", '3'), ("faults", '5')] {
        let model = press(known(), &[Key::Char(key)]);
        insta::with_settings!({ omit_expression => true }, {
            insta::assert_snapshot!(name, still(&model, 80, 24).unwrap());
            insta::assert_snapshot!(format!("{name}_wide"), still(&model, 132, 40).unwrap());
        });
    }
}

#[test]
fn frames_of_mailboxes() {
    let model = listed(press(known(), &[Key::Char('4'), Key::Down]));
    frame!("mailboxes", model, 80, 24);
    frame!("mailboxes_wide", model, 132, 20);
    frame!("search", listed(typed(press(model, &[Key::Char('f'), Key::Char('/')]), "contoso")), 80, 16);
}

#[test]
fn frames_of_a_mailbox() {
    frame!("mailbox", opened(), 80, 24);
    frame!("mailbox_wide", opened(), 132, 30);
}

#[test]
fn frames_of_little() {
    frame!("nothing_known", Model::new(at(0)), 80, 24);
    frame!("too_small", known(), 40, 10);
    frame!("help", press(known(), &[Key::Char('?')]), 80, 24);
    let model = known().step(Input::Answer(Box::new(unreachable(Question::Workers, 0))));
    frame!("unreachable", model.step(Input::Clock(at(12))), 80, 24);
}

#[test]
fn no_size_is_too_odd() {
    for model in [Model::new(at(0)), known(), listed(press(known(), &[Key::Char('4')])), opened()] {
        for (width, height) in [(1, 1), (50, 16), (51, 17), (79, 23), (300, 100)] {
            still(&model, width, height).unwrap();
        }
    }
}

#[test]
fn a_role_that_does_not_answer_is_told_until_it_does() {
    let fail = |model: Model, seconds| model.step(Input::Answer(Box::new(unreachable(Question::Workers, seconds))));
    let model = fail(fail(known(), 1), 5);
    let trouble = model.troubles.get(Role::Sync.name()).unwrap();
    assert_eq!((trouble.since, model.workers.is_some()), (at(1), true), "what is known stays");
    assert!(model.questions().contains(&Question::Workers), "it is asked on");
    let model = answered(model, Question::Servers, Reply::Servers(servers()));
    assert!(model.troubles.is_empty());
}

#[test]
fn only_what_is_shown_is_asked() {
    assert_eq!(known().questions(), Question::ALWAYS);
    let list = press(known(), &[Key::Char('4')]);
    assert_eq!(list.questions().last(), Some(&Question::Mailboxes(Wanted::default())));
    // What is new is asked for, not the whole again.
    assert_eq!(opened().questions().last(), Some(&Question::Timeline("ada".into(), 15)));
    assert_eq!(press(opened(), &[Key::Char('1')]).questions(), Question::ALWAYS);
}

#[test]
fn answers_to_what_was_looked_for_before_are_dropped() {
    let model = typed(press(known(), &[Key::Char('/')]), "a");
    let late = Reply::Mailboxes(vec![mailbox("zoe", Condition::Well)], false);
    let model = answered(model, Question::Mailboxes(Wanted::default()), late);
    assert!(model.mailboxes.is_none());
}

#[test]
fn keys_go_into_the_search_until_it_is_done() {
    let model = typed(press(known(), &[Key::Char('/')]), "q1");
    assert_eq!((model.tab, model.wanted.search.as_str(), model.is_over), (Tab::Mailboxes, "q1", false));
    let model = press(model, &[Key::Backspace, Key::Enter]);
    assert_eq!((model.wanted.search.as_str(), model.is_searching), ("q", false));
    let model = press(model, &[Key::Escape]);
    assert_eq!(model.wanted, Wanted::default());
    assert!(press(model, &[Key::Char('q')]).is_over);
}

#[test]
fn control_c_ends_everything() {
    for keys in [&[Key::Char('/')][..], &[Key::Char('?')], &[]] {
        assert!(press(press(known(), keys), &[Key::Interrupt]).is_over);
    }
}

#[test]
fn a_fault_leads_to_its_mailboxes_and_a_mailbox_to_its_timeline() {
    let of_profile = press(known(), &[Key::Char('5'), Key::Enter]);
    assert_eq!((of_profile.tab, of_profile.wanted.fault.as_str()), (Tab::Mailboxes, "CONNECT_REFUSED"));
    let of_mailbox = press(known(), &[Key::Char('5'), Key::Down, Key::Enter]);
    assert_eq!(of_mailbox.opened.as_ref().unwrap().id, "ada");
    let back = press(of_mailbox, &[Key::Escape]);
    assert!(back.opened.is_none() && back.tab == Tab::Faults);
}

#[test]
fn who_has_scrolled_goes_on_reading_where_he_was() {
    let model = press(opened(), &[Key::Down]);
    let seen = |model: &Model| {
        let opened = model.opened.as_ref().unwrap();
        opened.entries[opened.scroll].sequence
    };
    let before = seen(&model);
    let news = TimelineEntry { sequence: 20, at: ago(0), ..TimelineEntry::default() };
    let model = answered(model, Question::Timeline("ada".into(), 15), Reply::Timeline(vec![news.clone()]));
    assert_eq!(seen(&model), before);
    let model = answered(model, Question::Timeline("ada".into(), 15), Reply::Timeline(vec![news]));
    assert_eq!(model.opened.unwrap().entries.len(), 5, "what comes twice is there once");
}

#[test]
fn a_mailbox_that_is_gone_says_so() {
    let refused = postroad_core::Refusal::new(Code::NotFound, "mailbox", "there is no mailbox `ada`");
    let answer = Answer { question: Question::Mailbox("ada".into()), at: at(1), reply: Err(refused.into()) };
    let model = opened().step(Input::Answer(Box::new(answer)));
    assert!(model.troubles.is_empty() && still(&model, 80, 24).unwrap().contains("there is no mailbox `ada`"));
}

#[test]
fn what_is_said_late_of_one_mailbox_does_not_stand_on_another() {
    let ben = press(opened(), &[Key::Escape, Key::Down, Key::Enter]);
    assert_eq!(ben.opened.as_ref().unwrap().id, "ben");
    let gone = |question| {
        let refused = postroad_core::Refusal::new(Code::NotFound, "mailbox", "there is no mailbox `ada`");
        Input::Answer(Box::new(Answer { question, at: at(1), reply: Err(refused.into()) }))
    };
    let of_ada = [Question::Mailbox("ada".into()), Question::Timeline("ada".into(), 0)];
    let model = of_ada.clone().into_iter().fold(ben, |model, question| model.step(gone(question)));
    assert_eq!((&model.opened.as_ref().unwrap().trouble, model.troubles.len()), (&None, 0));
    // Nor, where none is open any more, on the role.
    let model = of_ada.into_iter().fold(press(model, &[Key::Escape]), |model, question| model.step(gone(question)));
    assert!(model.troubles.is_empty());
}

#[test]
fn rates_of_some_minutes_are_kept() {
    let model = (0..1000).fold(known(), |model, _| answered(model, Question::Workers, Reply::Workers(fleet())));
    assert_eq!(model.rates.len(), 300);
}
