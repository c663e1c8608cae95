//! The parts of the journal: one stream for each circle of readers, since a stream is what NATS can forbid to read.

use crate::Kind;

/// Kinds of aggregates that the same roles read: one stream. Commits are ordered within a part, and sequences count there; between parts
/// there is no order, and sequences of two parts are never compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// Mailboxes and their profiles.
    Mailboxes,
    /// What the CRM holds.
    Crm,
    /// Claims on unique names. Nobody follows them.
    Names,
    /// Notifications of profile owners.
    Notifications,
}

impl Kind {
    /// Where its commits are.
    pub const fn part(self) -> Part {
        match self {
            Self::Profile | Self::Mailbox => Part::Mailboxes,
            Self::Record | Self::Email | Self::Organization | Self::Erasure => Part::Crm,
            Self::Name => Part::Names,
            Self::Notification => Part::Notifications,
        }
    }
}

impl Part {
    /// All parts.
    pub const ALL: [Self; 4] = [Self::Mailboxes, Self::Crm, Self::Names, Self::Notifications];

    /// Its stream, where the journal's is called `base`.
    pub fn stream(self, base: &str) -> String {
        match self {
            Self::Mailboxes => base.to_owned(),
            Self::Crm => format!("{base}_CRM"),
            Self::Names => format!("{base}_NAMES"),
            Self::Notifications => format!("{base}_NOTIFICATIONS"),
        }
    }

    /// The kinds in it.
    pub fn kinds(self) -> impl Iterator<Item = Kind> {
        Kind::ALL.into_iter().filter(move |kind| kind.part() == self)
    }

    /// The subjects in it.
    pub fn subjects(self) -> Vec<String> {
        self.kinds().map(Kind::subjects).collect()
    }

    /// Whether several roles commit to it or read it. Where roles have NATS accounts of their own, it is in one that they share.
    pub const fn is_shared(self) -> bool {
        matches!(self, Self::Mailboxes | Self::Names)
    }

    /// Whether commits can be erased: only where persons are.
    pub const fn is_erasable(self) -> bool {
        matches!(self, Self::Crm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_has_a_stream_of_its_own_and_each_kind_a_part() {
        let streams = Part::ALL.map(|part| part.stream("JOURNAL"));
        assert_eq!(streams, ["JOURNAL", "JOURNAL_CRM", "JOURNAL_NAMES", "JOURNAL_NOTIFICATIONS"]);
        let mut kinds: Vec<_> = Part::ALL.into_iter().flat_map(Part::kinds).map(Kind::token).collect();
        let mut all = Kind::ALL.map(Kind::token);
        kinds.sort();
        all.sort();
        assert_eq!(kinds, all);
        assert_eq!(Part::Mailboxes.subjects(), ["journal.profile.*", "journal.mailbox.*"]);
    }
}
