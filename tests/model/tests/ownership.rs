//! At most one worker holds a partition, whatever is lost or late, and what is left out of the protocol is noticed.

use model::ownership::{Flaw, ONE_HOLDER, Ownership};
use stateright::{Checker as _, HasDiscoveries, Model as _};

fn holds(rounds: u8, losses: u8) {
    let protocol = Ownership { rounds, losses, leaves: true, flaw: None };
    let checker = protocol.checker().threads(2).spawn_bfs().join();
    println!("{protocol:?}: {} states, up to {} steps", checker.unique_state_count(), checker.max_depth());
    checker.assert_properties();
}

#[test]
fn one_worker_at_most_holds_a_partition_whatever_is_lost_or_late() {
    holds(3, 0);
    holds(3, 1);
}

#[test]
#[ignore = "some minutes"]
fn one_worker_at_most_holds_a_partition_whatever_is_lost_and_late_more_often() {
    holds(4, 0);
    holds(3, 2);
    holds(4, 1);
}

#[test]
fn what_is_left_out_is_noticed() {
    let flaws = [
        (Flaw::LifeFirst, 3, 0, false),
        (Flaw::HoldsOn, 3, 0, false),
        (Flaw::TakesBlindly, 3, 0, false),
        (Flaw::CountsFromAnswer, 3, 0, false),
        (Flaw::HoldsUntilAnswered, 3, 1, true),
        (Flaw::AnyTerm, 4, 1, false),
    ];
    for (flaw, rounds, losses, leaves) in flaws {
        let protocol = Ownership { rounds, losses, leaves, flaw: Some(flaw) };
        let found = HasDiscoveries::AnyOf([ONE_HOLDER].into());
        let checker = protocol.checker().threads(2).finish_when(found).spawn_bfs().join();
        let path = checker.discovery(ONE_HOLDER);
        println!(
            "{flaw:?}, {} states: {:?}",
            checker.unique_state_count(),
            path.clone().map(stateright::Path::into_actions)
        );
        assert!(path.is_some(), "{flaw:?} is not noticed");
    }
}
