//! What a sample is, and what many of them hold.

use std::fmt::Debug;

use jiff::Timestamp;
use postroad_core::{
    EmailAddress,
    fault::{Code, Report},
    mailbox::Item,
    profile::Sealed,
};
use postroad_journal::Recorded;
use postroad_proto::journal::v1::event::Event as Stored;
use uuid::Uuid;

/// The aggregate that all samples are of.
pub const ID: Uuid = Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001);
/// Another one.
pub const OTHER: Uuid = Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0002);

/// An event, and the file that holds it as it was written first.
pub struct Sample {
    /// The name of its files.
    pub name: String,
    /// As it is written where the file is missing.
    pub stored: Stored,
    /// Fails unless what is read is the event.
    pub check: Box<dyn Fn(Stored)>,
}

/// An event that is written as it is read.
pub fn sample<A: Recorded>(name: &str, event: A::Event) -> Sample
where
    A::Event: PartialEq + Debug + 'static,
{
    let stored = A::encode(&event);
    let written = stored.clone();
    let sample = legacy::<A>(name, stored, event);
    let read = sample.check;
    let name = sample.name.clone();
    let check = Box::new(move |found: Stored| {
        assert_eq!(
            found, written,
            "{name}: the event is not written any more as the file has it: keep its sample with legacy()"
        );
        read(found);
    });
    Sample { check, ..sample }
}

/// An event that only older versions wrote like this.
pub fn legacy<A: Recorded>(name: &str, stored: Stored, event: A::Event) -> Sample
where
    A::Event: PartialEq + Debug + 'static,
{
    let name = format!("{}.{name}", A::KIND.token());
    let told = name.clone();
    let check = Box::new(move |found| {
        assert_eq!(A::decode(ID, found).as_ref(), Some(&event), "{told}");
    });
    Sample { name, stored, check }
}

/// A time with milliseconds.
pub fn at(second: i64) -> Timestamp {
    Timestamp::from_millisecond(1_800_000_000_123 + second * 1000).unwrap()
}

/// A fault.
pub fn report() -> Report {
    Report::new(Code::HttpUnavailable, "503 Service Unavailable")
}

/// An address.
pub fn address() -> EmailAddress {
    EmailAddress::parse("address", "ada@contoso.example").unwrap()
}

/// A sealed password.
pub fn sealed() -> Sealed {
    Sealed { key_id: "2026-01".into(), wrapped_key: vec![1, 2, 3], ciphertext: vec![0xfe, 0xff] }
}

/// A message in a mailbox.
pub fn item(id: &str) -> Item {
    Item { id: id.into(), message_id: Some(format!("<{id}@fabrikam.example>")), received: Some(at(1)) }
}
