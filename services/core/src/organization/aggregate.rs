//! The settings as an aggregate: there is one organization.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::Settings;
use crate::{Aggregate, Refusal};

/// The one organization.
pub const ID: Uuid = Uuid::nil();

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// All entries that differ from the defaults now.
    pub entries: BTreeMap<String, String>,
}

/// Change these; an empty value brings the default back.
#[derive(Clone, Debug)]
pub struct Command(pub Vec<(String, String)>);

/// The aggregate; its state is the entries that differ from the defaults.
pub struct Rules;

impl Aggregate for Rules {
    type State = BTreeMap<String, String>;
    type Command = Command;
    type Event = Event;
    type Facts = ();
    type Refusal = Refusal;

    fn decide(state: &Self::State, command: &Command, _facts: &()) -> Result<Vec<Event>, Refusal> {
        let known = state.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let (mut settings, _) = Settings::read(known);
        for (name, value) in &command.0 {
            settings.set(name, value)?;
        }
        let entries = settings.entries();
        Ok(if entries == *state { Vec::new() } else { vec![Event { entries }] })
    }

    fn evolve(_state: Self::State, event: &Event) -> Self::State {
        event.entries.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(state: &BTreeMap<String, String>, name: &str, value: &str) -> Result<Vec<Event>, Refusal> {
        Rules::decide(state, &Command(vec![(name.to_owned(), value.to_owned())]), &())
    }

    #[test]
    fn a_setting_is_changed_kept_and_brought_back() {
        let state = Rules::fold(BTreeMap::new(), &set(&BTreeMap::new(), "smart-matching", "yes").unwrap());
        assert!(set(&state, "smart-matching", "on").unwrap().is_empty());
        assert!(Rules::fold(state.clone(), &set(&state, "smart-matching", "").unwrap()).is_empty());
        assert!(set(&state, "smart-matching", "perhaps").is_err());
    }
}
