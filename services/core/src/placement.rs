//! Which worker owns which mailboxes: partitions by a pinned hash, owners by rendezvous hashing over the live members.

use uuid::Uuid;

/// How many partitions there are; pinned, because leases are named by it.
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
