//! What an identity may: pure rules.

use std::sync::Arc;

use jiff::Timestamp;
use postroad_core::{EmailAddress, fault::Code};
use postroad_journal::Actor;

use super::table::Rule;
use crate::Role;

/// What people are granted. The later ones include the earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Sees everything but the contents of emails.
    Reader,
    /// Runs it: tests, switches on and off, synchronizes, tries again, drains.
    Operator,
    /// Sets it up: profiles, mailboxes, people, settings, what credentials may be sent to.
    Administrator,
}

impl Level {
    /// The name in configuration and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Operator => "operator",
            Self::Administrator => "administrator",
        }
    }
}

/// How a person proved who he is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// An access token of the issuer.
    Token,
    /// A client certificate.
    Certificate,
}

/// A person who is known by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// A verified address, or what the issuer or the certificate calls him.
    pub name: String,
    /// How that was proven.
    pub means: Means,
    /// What he is granted for everything.
    pub level: Option<Level>,
    /// Verified addresses: what belongs to them is his.
    pub addresses: Vec<EmailAddress>,
    /// When what he showed ends, where it does.
    pub ends: Option<Timestamp>,
}

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// Nobody that is known.
    Nobody,
    /// Whoever can read the file of the local token: the user that Postroad runs as, and its roles. He says himself who he is.
    Local(Option<String>),
    /// Roles, by their certificate; for whom they act, they say.
    Roles(Vec<Role>, Option<String>),
    /// A person.
    Person(Person),
}

impl Identity {
    /// When what was shown ends, where it does, and the fault that it is from then on.
    pub fn ends(&self) -> Option<(Timestamp, Code)> {
        match self {
            Self::Person(person) => {
                let code = match person.means {
                    Means::Token => Code::AccessTokenRefused,
                    Means::Certificate => Code::CertificateExpires,
                };
                person.ends.map(|ends| (ends, code))
            }
            // The connection of roles ends with their certificate, and the next one is made with the new one.
            Self::Nobody | Self::Local(_) | Self::Roles(..) => None,
        }
    }

    /// Who is written into the journal.
    pub fn actor(&self) -> Actor {
        Actor::new(match self {
            Self::Nobody => "unknown".to_owned(),
            Self::Local(said) => said.clone().unwrap_or_else(|| "local token".to_owned()),
            Self::Roles(roles, said) => said.clone().unwrap_or_else(|| {
                let names: Vec<_> = roles.iter().map(|role| role.name()).collect();
                format!("role {}", names.join(", "))
            }),
            Self::Person(person) => {
                let means = match person.means {
                    Means::Token => "OIDC",
                    Means::Certificate => "certificate",
                };
                format!("{} ({means})", person.name)
            }
        })
    }
}

/// What a call may be about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everything.
    Everything,
    /// What belongs to these addresses.
    Own(Arc<Vec<EmailAddress>>),
}

/// Why a call is denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denial {
    /// It has to be known who calls.
    Unknown,
    /// It is known, and is not enough: what the caller is, and what would be.
    Lacks(String),
}

/// Whether an identity may make the calls of a row, and about what.
///
/// # Errors
/// It may not.
pub fn decide(identity: &Identity, rule: &Rule) -> Result<Scope, Denial> {
    if rule.anyone {
        return Ok(Scope::Everything);
    }
    let is = match identity {
        Identity::Nobody => return Err(Denial::Unknown),
        Identity::Local(_) => return Ok(Scope::Everything),
        Identity::Roles(roles, said) => {
            if rule.known || roles.iter().any(|role| rule.roles.contains(role)) {
                return Ok(Scope::Everything);
            }
            // Not the person that it acts for: it is the role that lacks something.
            let names: Vec<_> = roles.iter().map(|role| role.name()).collect();
            let of = format!("the certificate of role {}", names.join(", "));
            match said {
                Some(said) => format!("{of}, for {said}"),
                None => of,
            }
        }
        Identity::Person(person) => {
            if rule.people.is_some_and(|needed| person.level.is_some_and(|level| level >= needed)) {
                return Ok(Scope::Everything);
            }
            let is_known = person.level.is_some() || !person.addresses.is_empty();
            if rule.known && is_known {
                return Ok(Scope::Everything);
            }
            if rule.owner && !person.addresses.is_empty() {
                return Ok(Scope::Own(Arc::new(person.addresses.clone())));
            }
            let level = person.level.map_or("neither administrator, operator nor reader", Level::name);
            format!("{} is {level}", identity.actor())
        }
    };
    Err(Denial::Lacks(format!("{is}; {}", rule.needs())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPERATE_OWN: Rule = Rule::people(Level::Operator).or_owner();

    fn person(level: Option<Level>, addresses: &[&str]) -> Identity {
        let addresses = addresses.iter().map(|address| EmailAddress::trusted(*address)).collect();
        Identity::Person(Person {
            name: "ada@contoso.example".into(),
            means: Means::Token,
            level,
            addresses,
            ends: None,
        })
    }

    #[test]
    fn levels_include_the_lower_ones() {
        for (level, reads, operates, administers) in [
            (Level::Reader, true, false, false),
            (Level::Operator, true, true, false),
            (Level::Administrator, true, true, true),
        ] {
            let may = |needed| decide(&person(Some(level), &[]), &Rule::people(needed)).is_ok();
            assert_eq!(
                (may(Level::Reader), may(Level::Operator), may(Level::Administrator)),
                (reads, operates, administers)
            );
        }
    }

    #[test]
    fn owners_reach_their_own_where_the_row_says_so() {
        let ada = person(None, &["ada@contoso.example"]);
        assert!(matches!(decide(&ada, &OPERATE_OWN), Ok(Scope::Own(own)) if own.len() == 1));
        assert!(decide(&ada, &Rule::people(Level::Reader)).is_err());
        // A reader who owns something operates that, and nothing else.
        assert!(matches!(decide(&person(Some(Level::Reader), &["ada@x.example"]), &OPERATE_OWN), Ok(Scope::Own(_))));
        assert_eq!(decide(&person(Some(Level::Operator), &["ada@x.example"]), &OPERATE_OWN), Ok(Scope::Everything));
        // Somebody without any address owns nothing, and is not let in to own nothing.
        assert!(matches!(decide(&person(None, &[]), &OPERATE_OWN), Err(Denial::Lacks(_))));
    }

    #[test]
    fn roles_make_the_calls_of_their_row_only() {
        let row = Rule::roles(&[Role::Sync]);
        let role = |role| Identity::Roles(vec![role], None);
        assert_eq!(decide(&role(Role::Sync), &row), Ok(Scope::Everything));
        assert!(decide(&role(Role::Alert), &row).is_err());
        assert!(decide(&role(Role::Sync), &OPERATE_OWN).is_err());
        assert!(decide(&person(Some(Level::Administrator), &[]), &row).is_err());
        assert_eq!(decide(&Identity::Local(None), &row), Ok(Scope::Everything));
    }

    #[test]
    fn nobody_gets_in_where_anyone_may_only() {
        assert_eq!(decide(&Identity::Nobody, &OPERATE_OWN), Err(Denial::Unknown));
        assert_eq!(decide(&Identity::Nobody, &Rule::known()), Err(Denial::Unknown));
        assert_eq!(decide(&Identity::Nobody, &Rule::anyone()), Ok(Scope::Everything));
        assert!(decide(&person(None, &[]), &Rule::known()).is_err());
    }

    #[test]
    fn a_denial_says_what_is_there_and_what_is_needed() {
        let denied = decide(&person(Some(Level::Reader), &[]), &OPERATE_OWN).unwrap_err();
        let Denial::Lacks(why) = denied else { panic!("{denied:?}") };
        assert_eq!(why, "ada@contoso.example (OIDC) is reader; it needs operator, or to be the owner");
        for (said, who) in
            [(None, "the certificate of role sync"), (Some("admin"), "the certificate of role sync, for admin")]
        {
            let role = Identity::Roles(vec![Role::Sync], said.map(str::to_owned));
            let Err(Denial::Lacks(why)) = decide(&role, &Rule::people(Level::Administrator)) else {
                panic!("{role:?}")
            };
            assert_eq!(why, format!("{who}; it needs administrator"));
        }
    }
}
