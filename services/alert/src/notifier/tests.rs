use std::sync::Mutex;

use async_trait::async_trait;
use postroad_core::{
    fault::Code,
    mailbox::Cycles,
    notification::{Delivery, Event},
    profile,
};
use postroad_journal::Snapshot;
use postroad_rig::Tasks;

use super::*;
use crate::{
    fixture::{HOUR, Log, at, enabled, failed as attempt_failed, mailbox_id, profile_created, profile_id},
    mailer::Memory,
};

/// The tests say what time it is; only the outcome's time is read here.
fn long_ago() -> Timestamp {
    Timestamp::UNIX_EPOCH
}

/// A board on which all three mailboxes of profile 1 failed.
fn outage() -> Arc<Board> {
    let mut log = Log::with(3);
    log.attempts(3, 3);
    let board = Arc::new(Board::default());
    log.fill(&board);
    board
}

fn notifier(journal: &Journal, board: &Arc<Board>, mailer: &Arc<Memory>) -> Notifier {
    let mailer: Arc<dyn Mailer> = Arc::clone(mailer) as _;
    Notifier::new(journal.clone(), Arc::clone(board), mailer, long_ago)
}

async fn delivery(journal: &Journal) -> Option<Delivery> {
    journal.load::<Rules>(profile_id(1)).await.unwrap().state.hours.get(&HOUR).cloned()
}

async fn history(journal: &Journal) -> Vec<Event> {
    let commits = journal.history::<Rules>(profile_id(1), 0, 100).await.unwrap();
    commits.into_iter().flat_map(|commit| commit.events).collect()
}

/// Brings what the journal holds about notifications onto the board, as its follower does.
async fn catch_up(journal: &Journal, board: &Board) {
    for commit in journal.history::<Rules>(profile_id(1), 0, 100).await.unwrap() {
        board.fold(&postroad_journal::Followed::Notification(profile_id(1), commit), at(0));
    }
}

/// A mailer that looks into the journal when it is handed a mail.
struct Witness {
    journal: Journal,
    seen: Mutex<Vec<Option<Delivery>>>,
}

#[async_trait]
impl Mailer for Witness {
    fn can_send(&self) -> bool {
        true
    }

    fn limit(&self) -> Duration {
        Duration::from_secs(30)
    }

    async fn send(&self, _mail: &mail::Mail) -> Result<(), Undelivered> {
        let seen = delivery(&self.journal).await;
        self.seen.lock().unwrap().push(seen);
        Ok(())
    }
}

#[tokio::test]
async fn the_intention_is_committed_before_the_mail_is_sent() {
    let (journal, board) = (Journal::memory(), outage());
    let witness = Arc::new(Witness { journal: journal.clone(), seen: Mutex::default() });
    let notifier = Notifier::new(journal.clone(), board, Arc::clone(&witness) as _, long_ago);
    notifier.look(at(5)).await;
    assert_eq!(*witness.seen.lock().unwrap(), [Some(Delivery::Intended)]);
    assert_eq!(delivery(&journal).await, Some(Delivery::Sent));
}

#[tokio::test]
async fn looking_again_sends_nothing_even_before_the_board_knows() {
    let (journal, board, mailer) = (Journal::memory(), outage(), Arc::new(Memory::default()));
    let notifier = notifier(&journal, &board, &mailer);
    for second in [5, 6, 7] {
        notifier.look(at(second)).await;
    }
    catch_up(&journal, &board).await;
    for second in [8, 3599, 3700] {
        notifier.look(at(second)).await;
    }
    assert_eq!(mailer.mails().len(), 1);
    assert!(matches!(history(&journal).await.as_slice(), [Event::Intended { .. }, Event::Sent { .. }]));
}

#[tokio::test]
async fn of_many_replicas_one_sends() {
    let (journal, board, mailer) = (Journal::memory(), outage(), Arc::new(Memory::default()));
    let replicas: Vec<_> = (0..8).map(|_| notifier(&journal, &board, &mailer)).collect();
    futures::future::join_all(replicas.iter().map(|replica| replica.look(at(5)))).await;
    assert_eq!(mailer.mails().len(), 1);
    assert_eq!(delivery(&journal).await, Some(Delivery::Sent));
}

#[tokio::test]
async fn an_ambiguous_mail_is_never_repeated() {
    let (journal, board, mailer) = (Journal::memory(), outage(), Arc::new(Memory::default()));
    mailer.fail_next(Undelivered::Unknown("the answer was lost".into()));
    let notifier = notifier(&journal, &board, &mailer);
    for second in [5, 65, 600, 3500, 3700, 7100] {
        notifier.look(at(second)).await;
        catch_up(&journal, &board).await;
    }
    assert_eq!(mailer.mails().len(), 1);
    assert_eq!(delivery(&journal).await, Some(Delivery::Unknown));
}

#[tokio::test]
async fn a_crash_between_intention_and_outcome_never_sends_again() {
    let (journal, board, mailer) = (Journal::memory(), outage(), Arc::new(Memory::default()));
    let evidence = board.read(|view| view.attempts().next().unwrap().2.tally.evidence());
    let command = Command::Notify { hour: HOUR, evidence, mailboxes: 3 };
    let facts = Facts { now: at(5), switched_on: true };
    journal.execute::<Rules>(profile_id(1), &Actor::new("killed"), &command, |_| facts).await.unwrap();
    catch_up(&journal, &board).await;

    let notifier = notifier(&journal, &board, &mailer);
    // Another replica may still be sending it.
    assert_eq!(notifier.look(at(6)).await, at(5) + SignedDuration::from_secs(60));
    assert_eq!(delivery(&journal).await, Some(Delivery::Intended));
    notifier.look(at(65)).await;
    catch_up(&journal, &board).await;
    notifier.look(at(3700)).await;
    assert!(mailer.mails().is_empty());
    assert!(matches!(history(&journal).await.as_slice(), [Event::Intended { .. }, Event::Unknown { .. }]));
}

#[tokio::test]
async fn a_refused_mail_is_tried_again_until_it_is_accepted() {
    let (journal, board, mailer) = (Journal::memory(), outage(), Arc::new(Memory::default()));
    mailer.fail_next(Undelivered::not_accepted("451 later"));
    let notifier = notifier(&journal, &board, &mailer);
    let look_again = notifier.look(at(5)).await;
    assert!(matches!(delivery(&journal).await, Some(Delivery::Failed(report)) if report.detail == "451 later"));
    catch_up(&journal, &board).await;
    assert!(look_again <= at(3610));
    notifier.look(at(40)).await;
    assert_eq!((mailer.mails().len(), delivery(&journal).await), (2, Some(Delivery::Sent)));
}

#[tokio::test]
async fn without_a_relay_it_is_recorded_once_what_is_missing() {
    let (journal, board) = (Journal::memory(), outage());
    let notifier = Notifier::new(journal.clone(), Arc::clone(&board), Arc::new(crate::mailer::Unconfigured), long_ago);
    for second in [5, 60, 600] {
        notifier.look(at(second)).await;
        catch_up(&journal, &board).await;
    }
    let events = history(&journal).await;
    let [Event::Intended { .. }, Event::Failed { report, .. }] = events.as_slice() else { panic!("{events:?}") };
    assert!(report.code == Code::NotificationFailed && report.detail.contains("alert.smtp"), "{report:?}");
}

/// From the journal to the relay: an outage is recorded by workers, and the running notifier mails the owner.
#[tokio::test]
async fn a_running_notifier_mails_the_owner_when_more_than_half_fail() {
    let (journal, actor) = (Journal::memory(), Actor::new("test"));
    let (shutdown, board, mailer) = (CancellationToken::new(), Arc::new(Board::default()), Arc::new(Memory::default()));
    let tasks = Tasks::new(shutdown.clone());
    tasks.spawn("view", Arc::clone(&board).follow(journal.clone(), shutdown.clone()));
    board.caught_up().await;
    let notifier = Notifier::new(journal.clone(), board, Arc::clone(&mailer) as _, postroad_rig::clock::now);
    tasks.spawn("notifier", notifier.run(shutdown.clone()));

    let id = profile_id(1);
    let mut known = Snapshot::<profile::Rules>::default();
    journal.execute_on(id, &actor, &mut known, |_| Ok(vec![profile_created(id, true)])).await.unwrap();
    let now = postroad_rig::clock::now();
    let mut mailboxes = Vec::new();
    for number in 0..3 {
        let mut known = Snapshot::<Cycles>::default();
        let events = enabled(mailbox_id(number), id);
        journal.execute_on(mailbox_id(number), &actor, &mut known, |_| Ok(events.clone())).await.unwrap();
        mailboxes.push(known);
    }
    for (number, known) in (0..2).zip(&mut mailboxes) {
        let fault = vec![attempt_failed(Code::ConnectRefused, now)];
        journal.execute_on(mailbox_id(number), &actor, known, |_| Ok(fault.clone())).await.unwrap();
    }
    let mailed = stage::eventually(Duration::from_secs(20), || async { mailer.mails().into_iter().next() }).await;
    assert_eq!(mailed.unwrap().recipient, "ada@contoso.example");
    shutdown.cancel();
    tasks.finish().await.unwrap();
}

/// Over a real relay with STARTTLS: accepted mail is confirmed, and one whose answer was lost is never repeated.
#[tokio::test]
async fn what_a_real_relay_answers_is_what_the_journal_says() {
    for (silent_after_data, expected) in [(false, Delivery::Sent), (true, Delivery::Unknown)] {
        let relay = stage::smtp::Relay::start(stage::smtp::Security::Starttls).await.unwrap();
        relay.behave(stage::smtp::Behaviour { silent_after_data, ..Default::default() });
        let anchors = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(anchors.path(), relay.certificate()).unwrap();
        let smtp = postroad_rig::config::Smtp {
            host: "localhost".into(),
            port: relay.port(),
            tls: postroad_rig::config::SmtpTls::Starttls,
            from: "postroad@contoso.example".into(),
            user_name: None,
            password_file: None,
            trust_anchors_file: Some(anchors.path().to_owned()),
            timeout_ms: 20_000,
        };
        let (journal, board) = (Journal::memory(), outage());
        let mailer: Arc<dyn Mailer> = Arc::new(crate::mailer::Relay::open(&smtp).unwrap());
        let notifier = Notifier::new(journal.clone(), Arc::clone(&board), mailer, long_ago);
        for second in [5, 65, 3700] {
            notifier.look(at(second)).await;
            catch_up(&journal, &board).await;
        }
        assert_eq!(delivery(&journal).await, Some(expected));
        let mails = relay.mails();
        assert!(mails.len() == 1 && mails[0].over_tls && mails[0].to == ["ada@contoso.example"], "{mails:?}");
        assert!(mails[0].data.contains("CONNECT_REFUSED"), "{}", mails[0].data);
    }
}
