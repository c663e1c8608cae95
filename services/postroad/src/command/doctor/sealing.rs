//! The sealing keys: whether they can be read, and whether they open what was sealed.

use std::collections::BTreeMap;

use futures::StreamExt as _;
use postroad_core::{
    fault::Code,
    profile::{Event, Sealed},
};
use postroad_journal::{Followed, Journal, Kind, sealing::Keyring};
use postroad_rig::Config;
use uuid::Uuid;

use super::{Check, patiently};

const KEY: &str = "sealing key";
const PASSWORDS: &str = "sealed passwords";

/// A profile's name and its sealed password.
#[derive(Default)]
struct Held {
    name: String,
    sealed: Option<Sealed>,
}

/// Reads the keys, and tries them on the passwords of all profiles.
pub async fn check(config: &Config, journal: Option<&Journal>) -> Vec<Check> {
    let keyring = match config.sealing.keyring() {
        Ok(keyring) => keyring,
        Err(error) => return vec![Check::problem(KEY, &error.into())],
    };
    let former = config.sealing.former_keys.len();
    let found = format!("the key with the id {} seals; {former} former keys open", keyring.current());
    let passwords = match journal {
        Some(journal) => match patiently(held(journal)).await {
            Some(held) => judge(&keyring, held.values()),
            None => Check::fault(PASSWORDS, Code::JournalUnavailable, "the journal did not answer in time"),
        },
        None => Check::not_checked(PASSWORDS, "there is no journal to read them from"),
    };
    vec![Check::well(KEY, found), passwords]
}

/// What the journal holds of profiles now.
async fn held(journal: &Journal) -> BTreeMap<Uuid, Held> {
    let mut profiles = BTreeMap::<Uuid, Held>::new();
    let mut commits = journal.follow(&[Kind::Profile]);
    while let Some(followed) = commits.next().await {
        let (id, commit) = match followed {
            Followed::Profile(id, commit) => (id, commit),
            Followed::CaughtUp => break,
            _ => continue,
        };
        for event in commit.events {
            match event {
                Event::Created { settings, .. } | Event::Changed { settings } => {
                    profiles.entry(id).or_default().name = settings.name;
                }
                Event::PasswordSet { sealed } => profiles.entry(id).or_default().sealed = Some(sealed),
                Event::Deleted => {
                    profiles.remove(&id);
                }
                Event::Activated | Event::Deactivated | Event::Tested { .. } => {}
            }
        }
    }
    profiles
}

fn judge<'a>(keyring: &Keyring, held: impl Iterator<Item = &'a Held>) -> Check {
    let (mut opened, mut closed) = (0_usize, Vec::new());
    for Held { name, sealed } in held {
        match sealed.as_ref().map(|sealed| keyring.open(sealed)) {
            Some(Ok(_)) => opened += 1,
            Some(Err(error)) => closed.push(format!("{name}: {error}")),
            None => {}
        }
    }
    match closed.as_slice() {
        [] => Check::well(PASSWORDS, format!("the keys open the passwords of {opened} profiles")),
        closed => Check::fault(PASSWORDS, Code::SealingKeyWrong, closed.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use postroad_core::profile::Rules;
    use postroad_journal::{Actor, Snapshot};
    use secrecy::SecretString;

    use super::{super::State, *};

    fn keyring(id: &str) -> Keyring {
        Keyring::load([(id.to_owned(), SecretString::from(Keyring::new_key()))]).unwrap()
    }

    async fn journal(sealed: Sealed) -> Journal {
        let journal = Journal::memory();
        let events = vec![Event::PasswordSet { sealed }];
        let (id, actor) = (Uuid::from_u128(1), Actor::new("test"));
        let mut known = Snapshot::<Rules>::default();
        journal.execute_on(id, &actor, &mut known, |_| Ok(events.clone())).await.unwrap();
        journal
    }

    #[tokio::test]
    async fn the_right_key_opens_and_another_is_a_problem() {
        let (right, wrong) = (keyring("1"), keyring("1"));
        let journal = journal(right.seal(&SecretString::from("s3cret")).unwrap()).await;
        let held = held(&journal).await;
        assert_eq!(judge(&right, held.values()).state, State::Well);
        let check = judge(&wrong, held.values());
        assert_eq!((check.state, check.code.as_deref()), (State::Problem, Some("SEALING_KEY_WRONG")));
        assert!(check.found.contains("id `1`") && check.remedy.is_some(), "{check:?}");
    }

    #[tokio::test]
    async fn a_missing_key_is_a_problem_with_its_remedy() {
        let config = Config::parse("[sealing]\nkey_file = \"no/such.key\"\n").unwrap();
        let checks = check(&config, None).await;
        assert_eq!((checks.len(), checks[0].state), (1, State::Problem));
        assert!(checks[0].found.contains("no/such.key"), "{checks:?}");
    }
}
