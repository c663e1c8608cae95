//! The sealing keys: whether they can be read, and whether they open what was sealed.

use std::collections::BTreeMap;

use futures::StreamExt as _;
use postroad_core::{
    fault::{Code, Report},
    mailbox,
    profile::{self, Sealed},
};
use postroad_journal::{Followed, Journal, Kind, sealing::Keyring};
use postroad_proto::crm::v1::{ResealContentKeysRequest, ResealContentKeysResponse};
use postroad_rig::{Config, Role, status};
use uuid::Uuid;

use super::{Check, patiently};
use crate::{connection::Connection, failure::Failure};

const KEY: &str = "sealing key";
const PASSWORDS: &str = "sealed passwords";
const CONTENTS: &str = "sealed contents";

/// What is to be done about what a former key sealed.
const RESEAL: &str = "seal them anew before the former key is thrown away: postroad key reseal";

/// Whose password it is, and the password as it is sealed.
#[derive(Default)]
struct Held {
    whose: String,
    sealed: Option<Sealed>,
}

/// Reads the keys, and tries them on all passwords.
pub async fn check(config: &Config, journal: Option<&Journal>) -> Vec<Check> {
    let keyring = match config.sealing.keyring() {
        Ok(keyring) => keyring,
        Err(error) => return vec![Check::problem(KEY, &error.into())],
    };
    let others = keyring.ids().len().saturating_sub(1);
    let found = format!("the key with the id {} seals; {others} other keys open", keyring.current());
    let passwords = match journal {
        Some(journal) => match patiently(held(journal)).await {
            Some(held) => judge(&keyring, held.values()),
            None => Check::fault(PASSWORDS, Code::JournalUnavailable, "the journal did not answer in time"),
        },
        None => Check::not_checked(PASSWORDS, "there is no journal to read them from, or this role does not read it"),
    };
    vec![Check::well(KEY, found), passwords]
}

/// Has the CRM look at the keys of email contents: nobody else may read them.
pub async fn contents(connection: &Connection) -> Check {
    let call = async {
        let request = ResealContentKeysRequest { dry_run: true };
        Ok::<_, Failure>(connection.crm()?.reseal_content_keys(request).await)
    };
    let mut told = match patiently(call).await {
        Some(Ok(Ok(answer))) => answer.into_inner(),
        Some(Ok(Err(status))) => return unanswered(connection, &status),
        Some(Err(failure)) => return Check::problem(CONTENTS, &failure),
        None => return Check::fault(CONTENTS, Code::CrmUnavailable, "it did not answer in time"),
    };
    let mut last = ResealContentKeysResponse::default();
    // There may be many: as long as it goes on, it is waited for.
    loop {
        match patiently(told.message()).await {
            Some(Ok(Some(one))) => last = one,
            Some(Ok(None)) => return judge_contents(&last),
            Some(Err(status)) => return unanswered(connection, &status),
            None => return Check::fault(CONTENTS, Code::CrmUnavailable, "it did not answer in time"),
        }
    }
}

fn unanswered(connection: &Connection, status: &tonic::Status) -> Check {
    match status.code() {
        tonic::Code::Unimplemented => Check::not_checked(CONTENTS, "this CRM keeps contents in its own way"),
        tonic::Code::PermissionDenied => Check::not_checked(CONTENTS, "only administrators may ask for it"),
        _ => Check::problem(CONTENTS, &Failure::of_call(Role::Crm, connection.endpoint(Role::Crm), status)),
    }
}

fn judge_contents(told: &ResealContentKeysResponse) -> Check {
    let ResealContentKeysResponse { done, changed, failed, .. } = told;
    if let Some(fault) = told.faults.first() {
        let Report { code, detail } = status::from_wire(fault);
        return Check::fault(CONTENTS, code, format!("{failed} of {done} keys of email contents: {detail}"));
    }
    let found = format!("the keys open {done} keys of email contents");
    match changed {
        0 => Check::well(CONTENTS, format!("{found}, none of them sealed with a former key")),
        _ => Check::warning(CONTENTS, format!("{found}; {changed} of them are sealed with a former key"), RESEAL),
    }
}

/// What the journal holds of profiles and mailboxes now.
async fn held(journal: &Journal) -> BTreeMap<Uuid, Held> {
    let mut held = BTreeMap::<Uuid, Held>::new();
    let mut commits = journal.follow(&[Kind::Profile, Kind::Mailbox]);
    while let Some(followed) = commits.next().await {
        match followed {
            Followed::Profile(id, commit) => commit.events.into_iter().for_each(|event| profile(&mut held, id, event)),
            Followed::Mailbox(id, commit) => commit.events.into_iter().for_each(|event| mailbox(&mut held, id, event)),
            Followed::CaughtUp => break,
            _ => {}
        }
    }
    held
}

fn profile(held: &mut BTreeMap<Uuid, Held>, id: Uuid, event: profile::Event) {
    use profile::Event;
    match event {
        Event::Created { settings, .. } | Event::Changed { settings } => {
            held.entry(id).or_default().whose = format!("profile {}", settings.name);
        }
        Event::PasswordSet { sealed } | Event::Resealed { sealed } => held.entry(id).or_default().sealed = Some(sealed),
        Event::Deleted => drop(held.remove(&id)),
        Event::Activated | Event::Deactivated | Event::Tested { .. } => {}
    }
}

fn mailbox(held: &mut BTreeMap<Uuid, Held>, id: Uuid, event: mailbox::Event) {
    use mailbox::Event;
    match event {
        Event::Created { settings, .. } | Event::Changed { settings } => {
            held.entry(id).or_default().whose = format!("mailbox {}", settings.address);
        }
        Event::PasswordSet { sealed } | Event::Resealed { sealed } => held.entry(id).or_default().sealed = Some(sealed),
        Event::Deleted => drop(held.remove(&id)),
        _ => {}
    }
}

/// A key that is lost is named once, with all that needs it.
fn judge<'a>(keyring: &Keyring, held: impl Iterator<Item = &'a Held>) -> Check {
    let (mut opened, mut former) = (0_usize, 0_usize);
    let mut closed = BTreeMap::<String, (Code, Vec<&str>)>::new();
    for Held { whose, sealed } in held {
        let Some(sealed) = sealed else { continue };
        match keyring.open(sealed) {
            Ok(_) => {
                opened += 1;
                former += usize::from(sealed.key_id != keyring.current());
            }
            Err(error) => {
                let entry = closed.entry(error.to_string());
                entry.or_insert_with(|| (error.report().code, Vec::new())).1.push(whose);
            }
        }
    }
    let Some((code, _)) = closed.values().next() else {
        let found = format!("the keys open {opened} passwords");
        return match former {
            0 => Check::well(PASSWORDS, format!("{found}, none of them sealed with a former key")),
            _ => Check::warning(PASSWORDS, format!("{found}; {former} of them are sealed with a former key"), RESEAL),
        };
    };
    let lines = closed.iter().map(|(error, (_, whose))| format!("{}: {error}", whose.join(", ")));
    Check::fault(PASSWORDS, *code, lines.collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests {
    use postroad_core::profile::{Event, Rules};
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

    #[test]
    fn a_lost_key_is_named_once_with_all_that_needs_it() {
        let (old, new) = (keyring("2024"), keyring("2026"));
        let held = ["profile Contoso", "mailbox ada@contoso.example"].map(|whose| Held {
            whose: whose.to_owned(),
            sealed: Some(old.seal(&SecretString::from("s3cret")).unwrap()),
        });
        let check = judge(&new, held.iter());
        assert_eq!(check.code.as_deref(), Some("SEALING_KEY_LOST"));
        assert!(check.found.contains("profile Contoso, mailbox ada@contoso.example: "), "{check:?}");
        assert_eq!(check.found.matches("`2024`").count(), 1, "{check:?}");
    }

    #[test]
    fn keys_of_contents_under_a_former_key_are_minded_and_lost_ones_a_problem() {
        let told = ResealContentKeysResponse { done: 9, ..ResealContentKeysResponse::default() };
        assert_eq!(judge_contents(&told).state, State::Well);
        let former = judge_contents(&ResealContentKeysResponse { changed: 2, ..told.clone() });
        assert_eq!((former.state, former.remedy.as_deref()), (State::Warning, Some(RESEAL)));
        let fault = status::to_wire(&Report::new(Code::SealingKeyLost, "the key with the id `2024`"));
        let lost = judge_contents(&ResealContentKeysResponse { failed: 3, faults: vec![fault], ..told });
        assert_eq!((lost.state, lost.code.as_deref()), (State::Problem, Some("SEALING_KEY_LOST")));
        assert!(lost.found.contains("3 of 9") && lost.found.contains("`2024`"), "{lost:?}");
    }

    #[tokio::test]
    async fn a_missing_key_is_a_problem_with_its_remedy() {
        let config = Config::parse("[sealing]\nkey_file = \"no/such.key\"\n").unwrap();
        let checks = check(&config, None).await;
        assert_eq!((checks.len(), checks[0].state), (1, State::Problem));
        assert!(checks[0].found.contains("no/such.key"), "{checks:?}");
    }
}
