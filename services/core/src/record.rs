//! The CRM's people: users, queues, contacts, accounts and leads, with their addresses.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Aggregate, EmailAddress, Refusal, fault::Code, refusal::required};

/// The namespace of ids that are derived from a kind and a primary address; pinned.
const NAMESPACE: Uuid = Uuid::from_u128(0x2d0a_9a2e_53a5_4c9d_b2d1_6f0e_77a9_4c55);

/// The kind of record, in the order in which senders resolve (spec §3.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    /// A user of the CRM.
    User,
    /// A queue.
    Queue,
    /// A contact.
    Contact,
    /// An account.
    Account,
    /// A lead.
    Lead,
}

impl Kind {
    /// All kinds, in order.
    pub const ALL: [Self; 5] = [Self::User, Self::Queue, Self::Contact, Self::Account, Self::Lead];

    /// The name in files and on the command line.
    pub const fn label(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Queue => "queue",
            Self::Contact => "contact",
            Self::Account => "account",
            Self::Lead => "lead",
        }
    }

    /// The kind with this label.
    pub fn by_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.label().eq_ignore_ascii_case(label.trim()))
    }
}

/// A record as somebody wants it.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Its id; `None` derives one from kind and first address, so that loading twice makes one record.
    pub id: Option<Uuid>,
    /// Its kind.
    pub kind: Option<Kind>,
    /// Its name, 1-200 characters.
    pub name: String,
    /// Its addresses, the primary one first.
    pub addresses: Vec<String>,
    /// Whether it is in use.
    pub active: bool,
    /// Who owns it.
    pub owner_id: Option<Uuid>,
}

/// A record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its id.
    pub id: Uuid,
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// Its addresses, the primary one first.
    pub addresses: Vec<EmailAddress>,
    /// Whether it is in use.
    pub active: bool,
    /// The user who owns it; of a queue, who may own its emails.
    pub owner_id: Option<Uuid>,
}

impl Draft {
    /// Checks the draft.
    pub fn record(&self) -> Result<Record, Refusal> {
        required("name", &self.name, 200)?;
        let kind = self.kind.ok_or_else(|| Refusal::new(Code::FieldRequired, "kind", "is required"))?;
        let addresses: Vec<_> =
            self.addresses.iter().map(|text| EmailAddress::parse("addresses", text)).collect::<Result<_, _>>()?;
        let Some(id) = self.id.or_else(|| addresses.first().map(|address| derived_id(kind, address))) else {
            return Err(Refusal::new(Code::FieldRequired, "addresses", "is required where no id is given"));
        };
        let owner_id = self.owner_id.filter(|_| kind != Kind::User);
        Ok(Record { id, kind, name: self.name.trim().to_owned(), addresses, active: self.active, owner_id })
    }
}

/// The id of a record that was given none.
pub fn derived_id(kind: Kind, primary: &EmailAddress) -> Uuid {
    Uuid::new_v5(&NAMESPACE, format!("{}:{}", kind.label(), primary.key()).as_bytes())
}

/// What happened to a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It is this now: created or changed.
    Saved(Record),
    /// It was deleted.
    Deleted,
}

/// What is asked of a record.
#[derive(Clone, Debug)]
pub enum Command {
    /// Create it, or make it this.
    Save(Record),
    /// Delete it.
    Delete,
}

/// The aggregate.
pub struct Rules;

impl Aggregate for Rules {
    type State = Option<Record>;
    type Command = Command;
    type Event = Event;
    type Facts = ();
    type Refusal = Refusal;

    fn decide(state: &Option<Record>, command: &Command, _facts: &()) -> Result<Vec<Event>, Refusal> {
        match (state, command) {
            (Some(known), Command::Save(wanted)) if known == wanted => Ok(Vec::new()),
            (Some(known), Command::Save(wanted)) if known.kind != wanted.kind => {
                let rule = format!("is {} and cannot become {}", known.kind.label(), wanted.kind.label());
                Err(Refusal::new(Code::FieldNotApplicable, "kind", rule))
            }
            (_, Command::Save(wanted)) => Ok(vec![Event::Saved(wanted.clone())]),
            (Some(_), Command::Delete) => Ok(vec![Event::Deleted]),
            (None, Command::Delete) => Err(Refusal::new(Code::NotFound, "id", "does not exist")),
        }
    }

    fn evolve(_state: Option<Record>, event: &Event) -> Option<Record> {
        match event {
            Event::Saved(record) => Some(record.clone()),
            Event::Deleted => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft() -> Draft {
        Draft {
            id: None,
            kind: Some(Kind::User),
            name: "Ada".into(),
            addresses: vec!["Ada@contoso.example".into()],
            active: true,
            owner_id: None,
        }
    }

    #[test]
    fn loading_twice_makes_one_record() {
        let record = draft().record().unwrap();
        let state = Rules::fold(None, &Rules::decide(&None, &Command::Save(record.clone()), &()).unwrap());
        assert!(Rules::decide(&state, &Command::Save(record), &()).unwrap().is_empty());
    }

    #[test]
    fn bad_input_names_the_field() {
        let field = |draft: Draft| draft.record().unwrap_err().field;
        assert_eq!(field(Draft { name: String::new(), ..draft() }), "name");
        assert_eq!(field(Draft { kind: None, ..draft() }), "kind");
        assert_eq!(field(Draft { addresses: vec!["x".into()], ..draft() }), "addresses");
        assert_eq!(field(Draft { addresses: Vec::new(), ..draft() }), "addresses");
    }
}
