//! Events as releases wrote them. A file is never changed: what was written must be read for ever, as the same events.
//!
//! `POSTROAD_GOLDEN=write cargo test -p postroad-journal --test golden` writes the files that are missing: the commit, and beside it the same as
//! JSON for people. An event that changes its shape gets another sample and so another file; the samples of the old ones stay.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod email;
mod mailbox;
mod message;
mod profile;
mod rest;
mod sample;

use std::{collections::BTreeSet, fs, path::PathBuf};

use postroad_proto::{DESCRIPTORS, journal::v1 as stored};
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, Kind, MessageDescriptor, Value};

use sample::Sample;

fn samples() -> Vec<Sample> {
    [profile::samples(), mailbox::samples(), message::samples(), email::samples(), rest::samples()]
        .into_iter()
        .flatten()
        .collect()
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/events")
}

fn commit_descriptor() -> MessageDescriptor {
    let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
    pool.get_message_by_name("postroad.journal.v1.Commit").unwrap()
}

fn read(name: &str) -> Vec<u8> {
    let path = folder().join(format!("{name}.bin"));
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; see the head of main.rs", path.display()))
}

fn events(bytes: &[u8]) -> Vec<stored::event::Event> {
    let commit = stored::Commit::decode(bytes).unwrap();
    commit.events.into_iter().map(|event| event.event.unwrap()).collect()
}

/// A field of a number that no version knows: 30 000, a string.
fn unknown_field() -> Vec<u8> {
    let mut bytes = Vec::new();
    prost::encoding::string::encode(30_000, &"from a newer version".to_owned(), &mut bytes);
    bytes
}

#[test]
fn what_a_release_wrote_is_read_as_the_same_events() {
    for sample in samples() {
        if std::env::var_os("POSTROAD_GOLDEN").is_some_and(|wish| wish == "write") {
            write(&sample);
        }
        let found = events(&read(&sample.name));
        assert_eq!(found.len(), 1, "{}", sample.name);
        (sample.check)(found.into_iter().next().unwrap());
    }
}

#[test]
fn every_file_has_its_sample() {
    let names: BTreeSet<_> = samples().into_iter().map(|sample| sample.name).collect();
    assert_eq!(names.len(), samples().len(), "a name is used twice");
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        assert!(names.contains(&name), "{} belongs to no sample: what was written once has to be read", path.display());
    }
}

#[test]
fn the_text_beside_each_file_says_what_is_in_it() {
    for sample in samples() {
        let text = fs::read_to_string(folder().join(format!("{}.json", sample.name))).unwrap();
        let told: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(told, json(&read(&sample.name)), "{}", sample.name);
    }
}

/// Every event type, and every field of every message that the journal stores, stands in a file with a value that is not its default.
#[test]
fn nothing_that_the_contract_names_is_without_a_file() {
    let mut seen = BTreeSet::new();
    for sample in samples() {
        let message = DynamicMessage::decode(commit_descriptor(), read(&sample.name).as_slice()).unwrap();
        note(&message, &mut seen);
    }
    let (mut wanted, mut met) = (BTreeSet::new(), BTreeSet::new());
    collect(&commit_descriptor(), &mut wanted, &mut met);
    let missing: Vec<_> = wanted.difference(&seen).collect();
    assert!(missing.is_empty(), "add samples for these, then write their files: {missing:#?}");
}

/// Fields are added for what an older version may do without: it reads such events as it always did.
#[test]
fn a_field_of_a_newer_version_does_no_harm() {
    for sample in samples() {
        let known = stored::Commit::decode(read(&sample.name).as_slice()).unwrap();
        let mut event = known.events[0].encode_to_vec();
        event.extend(unknown_field());
        let mut bytes = Vec::new();
        prost::encoding::bytes::encode(2, &event, &mut bytes);
        bytes.extend(unknown_field());
        (sample.check)(events(&bytes).into_iter().next().unwrap());
    }
}

fn write(sample: &Sample) {
    let path = folder().join(format!("{}.bin", sample.name));
    if path.exists() {
        return;
    }
    fs::create_dir_all(folder()).unwrap();
    let at = Some(prost_types::Timestamp { seconds: 1_800_000_000, nanos: 123_000_000 });
    let events = vec![stored::Event { event: Some(sample.stored.clone()) }];
    let bytes = stored::Commit { at, events }.encode_to_vec();
    let text = serde_json::to_string_pretty(&json(&bytes)).unwrap();
    fs::write(path.with_extension("json"), text + "\n").unwrap();
    fs::write(path, bytes).unwrap();
}

fn json(bytes: &[u8]) -> serde_json::Value {
    let message = DynamicMessage::decode(commit_descriptor(), bytes).unwrap();
    serde_json::to_value(message).unwrap()
}

fn note(message: &DynamicMessage, seen: &mut BTreeSet<String>) {
    for (field, value) in message.fields() {
        seen.insert(field.full_name().to_owned());
        note_value(value, seen);
    }
}

fn note_value(value: &Value, seen: &mut BTreeSet<String>) {
    match value {
        Value::Message(message) => note(message, seen),
        Value::List(values) => values.iter().for_each(|value| note_value(value, seen)),
        _ => {}
    }
}

/// The fields of a message and of what it holds; what is Google's own is theirs.
fn collect(message: &MessageDescriptor, wanted: &mut BTreeSet<String>, met: &mut BTreeSet<String>) {
    if message.package_name() != "postroad.journal.v1" || message.is_map_entry() {
        return;
    }
    if !met.insert(message.full_name().to_owned()) {
        return;
    }
    for field in message.fields() {
        wanted.insert(field.full_name().to_owned());
        if let Kind::Message(inner) = field.kind() {
            collect(&inner, wanted, met);
        }
    }
}
