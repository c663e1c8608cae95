//! Every reachable state of the protocol keeps the invariants, and what is left out of it is noticed.

use model::{CHANGED_HANDS, DONE, Flaw, Protocol};
use stateright::{Checker as _, HasDiscoveries, Model as _};

const NOTHING: Protocol =
    Protocol { messages: 0, sends: false, cycles: 0, crashes: 0, losses: 0, changes: 0, resyncs: 0, flaw: None };

fn holds(protocol: Protocol) {
    let checker = protocol.checker().threads(2).spawn_bfs().join();
    println!("{protocol:?}: {} states, up to {} steps", checker.unique_state_count(), checker.max_depth());
    for (name, path) in checker.discoveries() {
        if ![DONE, CHANGED_HANDS].contains(&name) {
            println!("{:#?}", path.last_state());
            println!("{name}: {:?}", path.into_actions());
        }
    }
    checker.assert_properties();
}

/// The shortest way to break something with a part left out.
fn breaks(flaw: Flaw, protocol: Protocol, invariant: &'static str) {
    let protocol = Protocol { flaw: Some(flaw), ..protocol };
    let found = HasDiscoveries::AnyOf([invariant].into());
    let checker = protocol.checker().threads(2).finish_when(found).spawn_bfs().join();
    let path = checker.discovery(invariant);
    println!(
        "{flaw:?}, {} states: {:?}",
        checker.unique_state_count(),
        path.clone().map(stateright::Path::into_actions)
    );
    assert!(path.is_some(), "{flaw:?} does not break {invariant}");
}

const VERDICT: &str = "INV-1 one verdict per item";
const CURSOR: &str = "INV-3 the cursor never passes an item without a verdict";
const OWNER: &str = "INV-6 a stale owner cannot append";
const ONCE: &str = "INV-10 a queued email is sent at most once";
const SENT: &str = "INV-10 what counts as sent was sent";

#[test]
fn an_email_is_sent_exactly_once_whatever_crashes() {
    holds(Protocol { sends: true, cycles: 3, crashes: 1, ..NOTHING });
}

#[test]
fn an_email_is_sent_exactly_once_whatever_is_lost() {
    holds(Protocol { sends: true, cycles: 2, losses: 2, ..NOTHING });
}

#[test]
fn an_email_is_sent_exactly_once_whatever_an_administrator_does() {
    holds(Protocol { sends: true, cycles: 2, crashes: 1, changes: 2, ..NOTHING });
}

#[test]
fn the_cursor_passes_nothing_whatever_crashes() {
    holds(Protocol { messages: 2, cycles: 3, crashes: 1, ..NOTHING });
}

#[test]
fn the_cursor_passes_nothing_whatever_is_lost_and_listed_anew() {
    holds(Protocol { messages: 1, cycles: 3, losses: 1, resyncs: 1, ..NOTHING });
}

#[test]
fn the_cursor_passes_nothing_whatever_an_administrator_does() {
    holds(Protocol { messages: 1, cycles: 2, losses: 2, changes: 1, ..NOTHING });
}

#[test]
#[ignore = "some minutes"]
fn an_email_is_sent_exactly_once_whatever_crashes_and_is_lost() {
    holds(Protocol { sends: true, cycles: 3, crashes: 1, losses: 1, ..NOTHING });
    holds(Protocol { sends: true, cycles: 2, losses: 1, changes: 2, ..NOTHING });
}

#[test]
#[ignore = "some minutes"]
fn the_cursor_passes_nothing_whatever_crashes_and_is_lost() {
    holds(Protocol { messages: 1, cycles: 3, crashes: 1, losses: 1, resyncs: 1, ..NOTHING });
    holds(Protocol { messages: 1, cycles: 3, losses: 1, changes: 1, ..NOTHING });
    holds(Protocol { messages: 1, sends: true, cycles: 2, crashes: 1, losses: 1, ..NOTHING });
}

#[test]
fn without_fencing_a_stale_owner_appends_and_an_email_is_sent_twice() {
    let sends = Protocol { sends: true, cycles: 2, ..NOTHING };
    breaks(Flaw::Unfenced, sends, OWNER);
    breaks(Flaw::Unfenced, Protocol { cycles: 3, ..sends }, ONCE);
}

#[test]
fn a_cursor_that_is_committed_first_passes_a_message() {
    breaks(Flaw::CursorFirst, Protocol { messages: 1, cycles: 2, crashes: 1, ..NOTHING }, CURSOR);
}

#[test]
fn a_draft_that_the_journal_does_not_know_is_sent_twice() {
    breaks(Flaw::DraftNotNoted, Protocol { sends: true, cycles: 2, crashes: 1, ..NOTHING }, ONCE);
}

#[test]
fn a_commit_that_is_taken_for_not_made_is_made_twice_or_loses_an_email() {
    let loses = Protocol { cycles: 2, losses: 1, changes: 1, ..NOTHING };
    breaks(Flaw::ForgetsOwnCommit, Protocol { messages: 1, ..loses }, VERDICT);
    breaks(Flaw::ForgetsOwnCommit, Protocol { sends: true, ..loses }, SENT);
}

#[test]
fn a_page_that_another_worker_has_decided_is_decided_twice() {
    breaks(Flaw::StalePage, Protocol { messages: 1, cycles: 2, ..NOTHING }, VERDICT);
}

#[test]
fn a_draft_that_is_removed_unfenced_counts_as_sent() {
    breaks(Flaw::DiscardNotFenced, Protocol { sends: true, cycles: 3, losses: 1, ..NOTHING }, SENT);
}

#[test]
fn a_refused_draft_that_is_removed_first_counts_as_sent() {
    breaks(Flaw::DiscardedFirst, Protocol { sends: true, cycles: 2, crashes: 1, losses: 1, ..NOTHING }, SENT);
}
