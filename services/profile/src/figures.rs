//! What Prometheus is told of profiles and mailboxes.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use postroad_core::mailbox::{Direction, Health, Mailbox, PerDirection, TestOutcome};
use postroad_metric::profile::PROFILE;

use crate::registry::Registry;

const STATES: [&str; 6] = ["inactive", "not_enabled", "new", "healthy", "failing", "disabled"];

/// Has the gauges set whenever they are read.
pub fn tell(registry: &Arc<Registry>) {
    let registry = Arc::downgrade(registry);
    postroad_metric::before_scrape(move || {
        let Some(registry) = Weak::upgrade(&registry) else { return };
        let mut states: HashMap<&str, i64> = STATES.map(|state| (state, 0)).into();
        registry
            .directory
            .with_mailboxes(|all| all.for_each(|mailbox| *states.entry(state(mailbox)).or_default() += 1));
        for (state, count) in states {
            PROFILE.mailboxes.with_label_values(&[state]).set(count);
        }
        PROFILE.profiles.set(i64::try_from(registry.directory.profile_count()).unwrap_or(i64::MAX));
    });
}

/// How a mailbox stands.
fn state(mailbox: &Mailbox) -> &'static str {
    let is_on = Direction::ALL.iter().any(|way| mailbox.directions.get(*way).enabled);
    match &mailbox.sync.health {
        _ if !mailbox.active => "inactive",
        Health::Disabled { .. } => "disabled",
        _ if !is_on => "not_enabled",
        Health::Failing { .. } => "failing",
        Health::Healthy => "healthy",
        Health::Unknown => "new",
    }
}

/// Notes how a mailbox that was tested did.
pub fn tested(outcomes: &PerDirection<TestOutcome>) {
    let failed = Direction::ALL.iter().find_map(|way| outcomes.get(*way).as_ref()?.as_ref().err());
    PROFILE.tests.with_label_values(&[failed.map_or("OK", |report| report.code.name())]).inc();
}
