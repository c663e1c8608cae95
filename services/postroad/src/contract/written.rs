//! How messages of the contracts are written as JSON and TOML.
//!
//! Fields keep their names and order. Values of an enumeration are words (`SERVER_TYPE_EXCHANGE_SERVER` is
//! `exchange_server`), times are RFC 3339, durations as in protobuf's own JSON (`0.214s`).

use base64::Engine as _;
use jiff::{SignedDuration, Timestamp};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, ReflectMessage as _, Value};
use serde::{Serialize, Serializer, ser::SerializeMap as _};

use super::{Described, dynamic, word};
use crate::failure::Failure;

/// What is written of a message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Every field, `null` where it is unset: the shape never changes.
    All,
    /// Only what is set, for files that people edit.
    Set,
}

/// A message that serializes by its descriptor.
pub struct Written {
    message: DynamicMessage,
    extent: Extent,
}

impl Written {
    /// A message as it will be written.
    pub fn new<M: Described>(message: &M, extent: Extent) -> Result<Self, Failure> {
        Ok(Self { message: dynamic(message)?, extent })
    }
}

impl Serialize for Written {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Fields(&self.message, self.extent).serialize(serializer)
    }
}

struct Fields<'a>(&'a DynamicMessage, Extent);

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(message, extent) = *self;
        let mut fields: Vec<FieldDescriptor> = message.descriptor().fields().collect();
        fields.sort_by_key(FieldDescriptor::number);
        let mut map = serializer.serialize_map(None)?;
        for field in fields {
            // Written only: it is always empty in an answer, and must not look as if it could be read.
            if field.name() == "password" {
                continue;
            }
            let unset = !message.has_field(&field);
            match extent {
                Extent::Set if unset => {}
                Extent::All if unset && field.supports_presence() => map.serialize_entry(field.name(), &())?,
                Extent::All | Extent::Set => {
                    map.serialize_entry(field.name(), &Item(&message.get_field(&field), &field.kind(), extent))?;
                }
            }
        }
        map.end()
    }
}

struct Item<'a>(&'a Value, &'a Kind, Extent);

impl Serialize for Item<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(value, kind, extent) = *self;
        match value {
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::I32(value) => serializer.serialize_i32(*value),
            Value::I64(value) => serializer.serialize_i64(*value),
            Value::U32(value) => serializer.serialize_u32(*value),
            Value::U64(value) => serializer.serialize_u64(*value),
            Value::F32(value) => serializer.serialize_f32(*value),
            Value::F64(value) => serializer.serialize_f64(*value),
            Value::String(value) => serializer.serialize_str(value),
            Value::Bytes(value) => serializer.serialize_str(&base64::engine::general_purpose::STANDARD.encode(value)),
            Value::EnumNumber(number) => match kind.as_enum().and_then(|kind| word(kind, *number)) {
                Some(word) => serializer.serialize_str(&word),
                None => serializer.serialize_i32(*number),
            },
            Value::List(values) => serializer.collect_seq(values.iter().map(|value| Item(value, kind, extent))),
            Value::Map(values) => {
                serializer.collect_map(values.iter().map(|(key, value)| (key_text(key), Item(value, kind, extent))))
            }
            Value::Message(message) => match well_known(message) {
                Some(text) => serializer.serialize_str(&text),
                None => Fields(message, extent).serialize(serializer),
            },
        }
    }
}

fn key_text(key: &MapKey) -> String {
    match key {
        MapKey::Bool(key) => key.to_string(),
        MapKey::I32(key) => key.to_string(),
        MapKey::I64(key) => key.to_string(),
        MapKey::U32(key) => key.to_string(),
        MapKey::U64(key) => key.to_string(),
        MapKey::String(key) => key.clone(),
    }
}

fn well_known(message: &DynamicMessage) -> Option<String> {
    let descriptor = message.descriptor();
    let seconds = || message.get_field_by_name("seconds").and_then(|value| value.as_i64());
    let nanos = || message.get_field_by_name("nanos").and_then(|value| value.as_i32());
    match descriptor.full_name() {
        "google.protobuf.Timestamp" => Timestamp::new(seconds()?, nanos()?).ok().map(|at| at.to_string()),
        "google.protobuf.Duration" => Some(format!("{}s", SignedDuration::new(seconds()?, nanos()?).as_secs_f64())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use postroad_proto::{
        alert::v1::Alert,
        mailbox::v1::{DirectionState, Mailbox, Status},
        profile::v1::{Profile, ProfileSettings, ProfileTest},
    };

    use super::*;

    fn json<M: Described>(message: &M) -> serde_json::Value {
        serde_json::to_value(Written::new(message, Extent::All).unwrap()).unwrap()
    }

    #[test]
    fn the_shape_is_stable_and_the_password_is_not_in_it() {
        let empty = json(&Profile::default());
        let settings = ProfileSettings { password: "x".into(), ..Default::default() };
        let full = json(&Profile { settings: Some(settings), ..Default::default() });
        assert!(empty["settings"].is_null() && empty["mailboxes"] == 0 && empty["notes"] == serde_json::json!([]));
        assert!(full["settings"].get("password").is_none());
        assert!(full["settings"]["autodiscover"].is_null());
        assert_eq!(full["settings"]["server_type"], "unspecified");
    }

    #[test]
    fn enumerations_times_and_durations_are_words() {
        let mailbox = json(&Mailbox {
            incoming: Some(DirectionState { enabled: true, status: Status::NotRun.into() }),
            test_completed_on: Some(prost_types::Timestamp { seconds: 1_800_000_000, nanos: 0 }),
            ..Default::default()
        });
        assert_eq!(mailbox["incoming"]["status"], "not_run");
        assert_eq!(mailbox["test_completed_on"], "2027-01-15T08:00:00Z");
        let test = ProfileTest {
            elapsed: Some(prost_types::Duration { seconds: 0, nanos: 214_000_000 }),
            ..Default::default()
        };
        assert_eq!(json(&Profile { last_test: Some(test), ..Default::default() })["last_test"]["elapsed"], "0.214s");
        assert!(json(&Alert::default())["profile_id"].is_null());
    }

    #[test]
    fn files_hold_only_what_is_set() {
        let settings = ProfileSettings { name: "Contoso".into(), incoming_port: Some(443), ..Default::default() };
        let text = toml::to_string(&Written::new(&settings, Extent::Set).unwrap()).unwrap();
        assert_eq!(text, "name = \"Contoso\"\nincoming_port = 443\n");
    }
}
