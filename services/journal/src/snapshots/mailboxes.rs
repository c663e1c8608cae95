//! The snapshot of all mailboxes and profiles: written and read by sync.

use futures::Stream;
use postroad_core::{mailbox, profile};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Error, Journal, Part};

/// Its name.
const NAME: &str = "mailboxes";
/// Rises with every change of what is kept: of the states, of the order of their fields and variants, of the fault codes.
const VERSION: u32 = 4;

/// What the snapshot holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// A profile and the sequence of its last commit.
    Profile(Uuid, u64, profile::State),
    /// A mailbox and the sequence of its last commit.
    Mailbox(Uuid, u64, mailbox::State),
    /// Digests of message ids, and the sequences at which they were decided.
    Decided(Vec<(u64, u64)>),
}

impl Journal {
    /// Keeps all mailboxes and profiles; gives the size in bytes. See [`Journal::keep`].
    ///
    /// # Errors
    /// NATS does not answer.
    pub async fn keep_mailboxes(
        &self,
        sequence: u64,
        batches: impl Stream<Item = Vec<Record>> + Send + Unpin,
    ) -> Result<u64, Error> {
        self.keep(Part::Mailboxes, (NAME, VERSION), sequence, batches).await
    }

    /// Reads what was kept. See [`Journal::kept`].
    pub async fn kept_mailboxes(&self, each: impl FnMut(Vec<Record>)) -> Option<u64> {
        self.kept(Part::Mailboxes, (NAME, VERSION), each).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use postroad_core::{
        EmailAddress,
        fault::{Code, Report},
        mailbox::{
            Approval, Backfill, Deferral, Direction, DirectionState, Disposal, FilteringMethod, From, Health, Item,
            Kind, Mailbox, Mark, Method, PerDirection, Place, Sending, Stage, Status, Sync, TrackedFolder,
        },
        profile::{Profile, Sealed},
    };
    use sha2::{Digest as _, Sha256};

    use super::*;

    fn at(second: i64) -> jiff::Timestamp {
        jiff::Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn address() -> EmailAddress {
        EmailAddress::parse("address", "ada@contoso.example").unwrap()
    }

    fn sealed() -> Option<Sealed> {
        Some(Sealed { key_id: "k".into(), wrapped_key: vec![1], ciphertext: vec![2, 3] })
    }

    /// A mailbox of which nothing is empty.
    fn mailbox() -> Mailbox {
        let id = Uuid::from_u128(1);
        let item = Item { id: "i".into(), message_id: Some("<m@x>".into()), received: Some(at(1)) };
        let report = Report::new(Code::HttpUnavailable, "503");
        let methods = PerDirection { incoming: Method::ServerSideSync, ..PerDirection::default() };
        let deferral = Deferral {
            item: item.clone(),
            attempts: 2,
            report: report.clone(),
            pass: 1,
            place: Place::Folder("f".into()),
            mark: Some(Mark::Folder),
        };
        let backfill = Backfill {
            from: From(Some(at(2))),
            before: at(3),
            total: 4,
            done: 5,
            started_at: at(6),
            advanced_at: at(7),
            is_paused: true,
            pass: 1,
        };
        let sending = Sending {
            attempt: 1,
            message_id: "<s@x>".into(),
            stage: Stage::Ready { draft_id: "d".into() },
            failures: 2,
            next_try: Some(at(8)),
        };
        Mailbox {
            id,
            settings: mailbox::Settings {
                name: "Ada".into(),
                kind: Kind::Queue(id),
                address: address(),
                profile_id: Some(id),
                methods,
                filtering_method: FilteringMethod::FromRecords,
                process_email_from: Some(at(9)),
                delete_after_processing: true,
                allow_own_credentials: true,
                user_name: "u".into(),
            },
            sealed: sealed(),
            approval: Approval::Rejected,
            active: true,
            directions: PerDirection {
                incoming: DirectionState { enabled: true, status: Status::Failure },
                ..PerDirection::default()
            },
            test_completed_on: Some(at(10)),
            folders: [("f".to_owned(), TrackedFolder { name: "n".into(), regarding: id })].into(),
            sync: Sync {
                epoch: 3,
                worker: "w".into(),
                cursor: Some("c".into()),
                folder_cursors: [(Place::SentItems, "s".to_owned())].into(),
                relisted: [Place::Inbox].into(),
                judged_from: Some(From(None)),
                passes: 4,
                backfill: Some(backfill),
                health: Health::Disabled {
                    report,
                    since: at(11),
                    probes: 1,
                    next_probe: Some(at(12)),
                    profile_revision: 5,
                },
                suspended: vec![Direction::Outgoing],
                throttled_until: Some(at(13)),
                deferred: [("i".to_owned(), deferral)].into(),
                to_dispose: [("j".to_owned(), Disposal::DeletedItems)].into(),
                undeliverable: [("k".to_owned(), (item, 6))].into(),
                sending: [(id, sending)].into(),
                last_attempt: Some(at(14)),
                last_success: Some(at(15)),
                processed: 7,
            },
        }
    }

    fn profile() -> Profile {
        use postroad_core::profile::{Owner, ServerType, Settings, Test, TlsLibrary};
        let id = Uuid::from_u128(2);
        Profile {
            id,
            settings: Settings {
                name: "Contoso".into(),
                description: "d".into(),
                owner: Owner { user_id: id, name: "Ada".into(), address: address() },
                server_type: ServerType::ExchangeServer,
                locations: None,
                user_name: "crm@contoso.example".into(),
                process_email_from: Some(at(1)),
                minimum_polling_interval_minutes: 2,
                maximum_concurrent_connections: 3,
                move_failed_emails: true,
                send_alert_email: true,
                connection_timeout_ms: 4,
                trust_anchors: vec!["pem".into()],
                released_hosts: Vec::new(),
                allow_internal_addresses: true,
                tls: TlsLibrary::System,
                client_credentials: None,
            },
            sealed: sealed(),
            active: true,
            revision: 6,
            last_test: Some(Test { at: at(7), fault: None, elapsed_ms: 8 }),
        }
    }

    fn records() -> Vec<Record> {
        vec![
            Record::Profile(Uuid::from_u128(2), 3, profile::State::Live(Arc::new(profile()))),
            Record::Profile(Uuid::from_u128(4), 5, profile::State::Deleted),
            Record::Mailbox(Uuid::from_u128(1), 6, mailbox::State::Live(Arc::new(mailbox()))),
            Record::Mailbox(Uuid::from_u128(7), 8, mailbox::State::Absent),
            Record::Decided(vec![(u64::MAX, 9)]),
        ]
    }

    #[tokio::test]
    async fn all_of_a_mailbox_and_a_profile_is_kept() {
        let journal = Journal::memory();
        journal.keep_mailboxes(0, futures::stream::iter([records()])).await.unwrap();
        let mut read = Vec::new();
        assert_eq!(journal.kept_mailboxes(|batch| read.extend(batch)).await, Some(0));
        assert_eq!(read, records());
    }

    /// Where this fails, what is kept has another shape: raise `VERSION`, then pin the new digest. A snapshot that is read in a wrong
    /// shape would be worse than none.
    #[test]
    fn a_change_of_shape_is_a_new_version() {
        let codes: Vec<_> = Code::ALL.iter().map(|code| (*code, code.name())).collect();
        let bytes = postcard::to_stdvec(&(records(), codes)).unwrap();
        let digest: String = Sha256::digest(&bytes).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        assert_eq!((VERSION, digest.as_str()), (4, "697c1affbbe78e9b"));
    }
}
