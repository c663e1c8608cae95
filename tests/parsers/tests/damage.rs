//! Each parser against texts that were cut, spliced and damaged. More of it: `POSTROAD_CASES=100000 cargo test --release -p parsers`.
#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test, which reads the environment"
)]

use parsers::{TARGETS, Target};
use proptest::{
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

/// What parsers stumble over.
const PIECES: [&[u8]; 14] = [
    b"\0",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"]]>",
    b"<![CDATA[",
    b"<!--",
    b"&#0;",
    b"\"",
    b"'>",
    b"\r\n--x--\r\n",
    b"-1",
    b"99999999999999999999",
    b"=?utf-8?Q?=",
    b"\xf0\x9f\x98\x80",
];

/// One change of a text.
#[derive(Clone, Debug)]
enum Damage {
    Byte(usize, u8),
    Cut(usize, usize),
    Repeat(usize, usize),
    Insert(usize, usize),
    Splice(usize, usize, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = 0_usize..1 << 20;
    prop_oneof![
        (at.clone(), any::<u8>()).prop_map(|(at, byte)| Damage::Byte(at, byte)),
        (at.clone(), 0_usize..400).prop_map(|(at, length)| Damage::Cut(at, length)),
        (at.clone(), 0_usize..400).prop_map(|(at, length)| Damage::Repeat(at, length)),
        (at.clone(), 0..PIECES.len()).prop_map(|(at, which)| Damage::Insert(at, which)),
        (at.clone(), at.clone(), at).prop_map(|(at, other, from)| Damage::Splice(at, other, from)),
    ]
}

fn apply(bytes: &mut Vec<u8>, damage: &Damage, seeds: &[Vec<u8>]) {
    let place = |at: usize, bytes: &[u8]| at % (bytes.len() + 1);
    match *damage {
        Damage::Byte(at, byte) => {
            let at = place(at, bytes);
            bytes.splice(at..(at + 1).min(bytes.len()), [byte]);
        }
        Damage::Cut(at, length) => {
            let at = place(at, bytes);
            bytes.drain(at..(at + length).min(bytes.len()));
        }
        Damage::Repeat(at, length) => {
            let at = place(at, bytes);
            let piece = bytes[at..(at + length).min(bytes.len())].to_vec();
            bytes.splice(at..at, piece);
        }
        Damage::Insert(at, which) => {
            let at = place(at, bytes);
            bytes.splice(at..at, PIECES[which].iter().copied());
        }
        Damage::Splice(at, other, from) => {
            let other = &seeds[other % seeds.len()];
            bytes.truncate(place(at, bytes));
            bytes.extend_from_slice(&other[place(from, other)..]);
        }
    }
}

fn endures(name: &str) {
    let Target { run, seeds, .. } = TARGETS.into_iter().find(|target| target.name == name).unwrap();
    let seeds = seeds();
    seeds.iter().for_each(|seed| run(seed));
    let cases = std::env::var("POSTROAD_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(400);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    // The same cases each time; with more cases come other ones.
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let cases = (0..seeds.len(), proptest::collection::vec(damage(), 1..6));
    let endured = runner.run(&cases, |(which, damages)| {
        let mut bytes = seeds[which].clone();
        damages.iter().for_each(|damage| apply(&mut bytes, damage, &seeds));
        run(&bytes);
        Ok(())
    });
    endured.unwrap_or_else(|failure| panic!("{name}: {failure}"));
}

#[test]
fn soap_answers() {
    endures("answers");
}

#[test]
fn autodiscover_answers() {
    endures("discovery");
}

#[test]
fn refusals_and_token_answers() {
    endures("refusals");
}

#[test]
fn streams() {
    endures("stream");
}

#[test]
fn mime() {
    endures("message");
}

#[test]
fn stored_commits() {
    endures("commit");
}

/// What is damaged is something: commits of every kind of a mailbox that receives and sends, and texts that are read.
#[test]
fn seeds_hold_what_they_should() {
    use postroad_core::mailbox::{Cycles, Event};
    use postroad_journal::Recorded as _;
    use prost::Message as _;
    let target = TARGETS.into_iter().find(|target| target.name == "commit").unwrap();
    let whole = (target.seeds)().pop().unwrap();
    let commit = postroad_proto::journal::v1::Commit::decode(whole.as_slice()).unwrap();
    let id = "00000000-0000-0000-0000-000000000001".parse().unwrap();
    let events = commit.events.into_iter().filter_map(|event| Cycles::decode(id, event.event?));
    let events: Vec<Event> = events.collect();
    let has = |is_it: fn(&Event) -> bool| events.iter().any(is_it);
    assert!(has(|event| matches!(event, Event::AttemptFinished { verdicts, .. } if !verdicts.is_empty())));
    assert!(has(|event| matches!(event, Event::Sending { .. })));
    assert!(has(|event| matches!(event, Event::Created { .. })));
    TARGETS.iter().for_each(|target| assert!((target.seeds)().len() >= 3, "{}", target.name));
}
