//! Which worker owns which mailboxes: partitions by a pinned hash, owners by rendezvous hashing over the live members.

use uuid::Uuid;

/// How many partitions there are; pinned, because what is held is named by it.
pub const PARTITIONS: u16 = 256;

/// The partition of a mailbox.
pub fn partition(mailbox: Uuid) -> u16 {
    let folded = fnv(&[mailbox.as_bytes()]);
    u16::try_from(folded % u64::from(PARTITIONS)).unwrap_or_default()
}

/// The member that a partition belongs to: the one with the highest hash of both. Adding a member moves only its share.
pub fn owner(partition: u16, members: &[String]) -> Option<&String> {
    members.iter().max_by_key(|member| (fnv(&[&partition.to_be_bytes(), member.as_bytes()]), (*member).clone()))
}

/// What a worker does about its partitions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Held here and placed elsewhere: nothing new is begun there, and they are given back when what runs has ended.
    pub leave: Vec<u16>,
    /// Placed here and not held: to be claimed as soon as they are free.
    pub want: Vec<u16>,
}

/// Decides about all partitions: `members` are the workers that take mailboxes, `held` are the partitions of `worker`. A worker that
/// is no member gives everything back, and wants nothing.
pub fn plan(worker: &str, members: &[String], held: impl Fn(u16) -> bool) -> Plan {
    let mut plan = Plan::default();
    let is_member = members.iter().any(|member| member == worker);
    for partition in 0..PARTITIONS {
        let is_placed_here = is_member && owner(partition, members).is_some_and(|owner| owner == worker);
        match (held(partition), is_placed_here) {
            (true, false) => plan.leave.push(partition),
            (false, true) => plan.want.push(partition),
            (true, true) | (false, false) => {}
        }
    }
    plan
}

/// FNV-1a with a final mix; written out because it must never change.
fn fnv(parts: &[&[u8]]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in parts.iter().flat_map(|part| part.iter()) {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(count: usize) -> Vec<String> {
        (0..count).map(|index| format!("worker-{index}")).collect()
    }

    #[test]
    fn the_hash_is_pinned() {
        assert_eq!(partition(Uuid::from_u128(1)), partition(Uuid::from_u128(1)));
        assert_eq!(fnv(&[b"postroad"]), fnv(&[b"post", b"road"]));
    }

    #[test]
    fn a_new_member_takes_only_its_share() {
        let (three, four) = (members(3), members(4));
        for partition in 0..PARTITIONS {
            let (before, after) = (owner(partition, &three).unwrap(), owner(partition, &four).unwrap());
            assert!(before == after || after == "worker-3");
        }
        let moved = (0..PARTITIONS).filter(|p| owner(*p, &four).unwrap() == "worker-3").count();
        assert!((40..90).contains(&moved), "{moved} of 256 moved");
    }

    #[test]
    fn adding_a_worker_moves_its_share_and_nothing_else() {
        let (three, four) = (members(3), members(4));
        let held_by = |worker: &str, partition: u16| owner(partition, &three).unwrap() == worker;
        let mut left = Vec::new();
        for worker in &three {
            let plan = plan(worker, &four, |partition| held_by(worker, partition));
            assert!(plan.want.is_empty());
            left.extend(plan.leave);
        }
        let wanted = plan("worker-3", &four, |_| false).want;
        left.sort_unstable();
        assert_eq!(wanted, left);
        assert!((40..90).contains(&wanted.len()));
    }

    #[test]
    fn who_drains_leaves_everything_and_wants_nothing() {
        let plan = plan("worker-0", &members(3)[1..], |partition| partition < 100);
        assert_eq!((plan.leave.len(), plan.want.len()), (100, 0));
    }

    #[test]
    fn all_partitions_are_held_by_somebody_in_the_end() {
        let all = members(5);
        let wanted: usize = all.iter().map(|worker| plan(worker, &all, |_| false).want.len()).sum();
        assert_eq!(wanted, usize::from(PARTITIONS));
    }

    #[test]
    fn partitions_are_even() {
        let mut counts = vec![0; usize::from(PARTITIONS)];
        for id in 0..25_600_u128 {
            counts[usize::from(partition(Uuid::from_u128(
                id.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835),
            )))] += 1;
        }
        assert!(counts.iter().all(|count| (50..170).contains(count)));
    }
}
