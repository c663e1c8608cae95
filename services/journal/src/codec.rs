//! Events as they are stored, and back. Conversions are exhaustive; what this version does not know is never guessed.

use jiff::Timestamp;
use postroad_core::{
    Aggregate, email as core_email, erasure as core_erasure,
    fault::{Code, Report},
    mailbox as core_mailbox, name as core_name, notification as core_notification, organization as core_organization,
    profile as core_profile, record as core_record,
};
use postroad_proto::journal::v1::{self as stored, event::Event as Stored};
use uuid::Uuid;

use crate::Kind;

mod email;
mod erasure;
mod look;
mod mailbox;
mod name;
mod notification;
mod organization;
mod profile;
mod record;
mod sending;
mod settings;
mod verdict;

/// An aggregate whose events the journal can store.
pub trait Recorded: Aggregate {
    /// Its kind.
    const KIND: Kind;
    /// An event as it is stored.
    fn encode(event: &Self::Event) -> Stored;
    /// An event as it was stored; `None` if this version does not know it.
    fn decode(id: Uuid, event: Stored) -> Option<Self::Event>;
}

macro_rules! recorded {
    ($aggregate:ty, $kind:ident, $codec:ident) => {
        impl Recorded for $aggregate {
            const KIND: Kind = Kind::$kind;

            fn encode(event: &Self::Event) -> Stored {
                $codec::encode(event)
            }

            fn decode(id: Uuid, event: Stored) -> Option<Self::Event> {
                $codec::decode(id, event)
            }
        }
    };
}

recorded!(core_profile::Rules, Profile, profile);
recorded!(core_mailbox::Administration, Mailbox, mailbox);
recorded!(core_mailbox::Cycles, Mailbox, mailbox);
recorded!(core_record::Rules, Record, record);
recorded!(core_email::Rules, Email, email);
recorded!(core_notification::Rules, Notification, notification);
recorded!(core_name::Rules, Name, name);
recorded!(core_organization::Rules, Organization, organization);
recorded!(core_erasure::Rules, Erasure, erasure);

pub(crate) fn time(at: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: at.as_second(), nanos: at.subsec_nanosecond() }
}

pub(crate) fn at(time: Option<prost_types::Timestamp>) -> Option<Timestamp> {
    let time = time?;
    Timestamp::new(time.seconds, time.nanos).ok()
}

/// A time that may be unset; the outer `None` is one that cannot be read.
fn maybe_at(time: Option<prost_types::Timestamp>) -> Option<Option<Timestamp>> {
    match time {
        None => Some(None),
        Some(time) => at(Some(time)).map(Some),
    }
}

fn report(report: &Report) -> stored::Report {
    stored::Report { code: report.code.name().to_owned(), detail: report.detail.clone() }
}

/// A fault whose row was dropped since stays a fault: its name goes into the detail.
fn read_report(report: stored::Report) -> Report {
    match Code::by_name(&report.code) {
        Some(code) => Report::new(code, report.detail),
        None => Report::new(Code::Internal, format!("{}: {}", report.code, report.detail)),
    }
}

fn some(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

/// A version that does not know of resealing takes it for a password that was set: it goes on with the right one.
fn sealed(sealed: &core_profile::Sealed, is_resealed: bool) -> stored::PasswordSet {
    let core_profile::Sealed { key_id, wrapped_key, ciphertext } = sealed.clone();
    stored::PasswordSet { key_id, wrapped_key, ciphertext, is_resealed }
}

fn read_sealed(set: stored::PasswordSet) -> core_profile::Sealed {
    let stored::PasswordSet { key_id, wrapped_key, ciphertext, is_resealed: _ } = set;
    core_profile::Sealed { key_id, wrapped_key, ciphertext }
}
