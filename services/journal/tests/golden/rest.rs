//! Records, notifications, names and settings.

use postroad_core::{
    erasure,
    fault::Code,
    name,
    notification::{self, Evidence, Hour},
    organization,
    record::{self, Kind, Record},
};

use crate::sample::{ID, OTHER, Sample, address, at, report, sample};

pub fn samples() -> Vec<Sample> {
    let mut samples: Vec<_> = Kind::ALL.into_iter().map(saved).collect();
    samples.push(sample::<record::Rules>("deleted", record::Event::Deleted));
    samples.extend(notifications());
    samples.push(sample::<name::Rules>("name_claimed", name::Event::Claimed { holder: OTHER }));
    samples.push(sample::<name::Rules>("name_released", name::Event::Released));
    samples.push(sample::<erasure::Rules>("person_erased", erasure::Event::PersonErased { at: at(1) }));
    let entries = [("track-sent-items".to_owned(), "no".to_owned())].into_iter().collect();
    samples.push(sample::<organization::Rules>("organization_changed", organization::Event { entries }));
    samples
}

fn saved(kind: Kind) -> Sample {
    let record = Record {
        id: ID,
        kind,
        name: "Ada King".into(),
        addresses: vec![address()],
        active: true,
        owner_id: Some(OTHER).filter(|_| kind != Kind::User),
    };
    sample::<record::Rules>(&format!("record_saved_{}", kind.label()), record::Event::Saved(record))
}

fn notifications() -> Vec<Sample> {
    let event = sample::<notification::Rules>;
    let (hour, recipient) = (Hour(500_000), "ada@contoso.example".to_owned());
    let evidence = Evidence { processed: 9, failed: 5, faults: vec![(Code::HttpUnavailable, 5)] };
    vec![
        event("notification_intended", notification::Event::Intended { hour, at: at(1), evidence }),
        event("notification_sent", notification::Event::Sent { hour, at: at(2), recipient }),
        event("notification_failed", notification::Event::Failed { hour, at: at(2), report: report() }),
        event("notification_unknown", notification::Event::Unknown { hour, at: at(2) }),
    ]
}
