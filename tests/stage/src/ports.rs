//! Ports on the loopback interface for processes that are started later, and started again.

use std::{
    fs::{File, TryLockError},
    io,
    net::TcpListener,
    path::Path,
    sync::{Mutex, PoisonError},
};

/// The first port that is given. Below are services of the machine.
const FIRST: u16 = 10_000;
/// Where the ports begin that the kernel gives by itself, to whoever dials or asks for any port: Linux' default, and its present value.
const EPHEMERAL: u16 = 32_768;
const EPHEMERAL_NOW: &str = "/proc/sys/net/ipv4/ip_local_port_range";

/// What holds the ports that were given: a file each, locked until this process ends, so that no other process of tests is given them.
static HELD: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// Ports that are free, and stay so until this process ends: nobody else is given them, here or in another process, and none is
/// one that the kernel gives. Whoever started before a role, or while it is down, cannot take its place.
///
/// # Errors
/// Their files cannot be made, or all ports are taken.
pub fn free(count: usize) -> io::Result<Vec<u16>> {
    let folder = std::env::temp_dir().join("postroad-ports");
    std::fs::create_dir_all(&folder)?;
    let now = std::fs::read_to_string(EPHEMERAL_NOW).ok();
    let end = end_of(now.as_deref());
    let start = rand::random_range(FIRST..end);
    let mut found = Vec::with_capacity(count);
    for port in (start..end).chain(FIRST..start) {
        if found.len() == count {
            break;
        }
        if let Some(file) = reserve(&folder, port)? {
            HELD.lock().unwrap_or_else(PoisonError::into_inner).push(file);
            found.push(port);
        }
    }
    match found.len() == count {
        true => Ok(found),
        false => Err(io::Error::new(io::ErrorKind::AddrInUse, format!("fewer than {count} ports are free"))),
    }
}

/// Where the ports that are given end.
fn end_of(range: Option<&str>) -> u16 {
    let first = range.and_then(|range| range.split_whitespace().next()).and_then(|first| first.parse().ok());
    // A machine whose kernel gives nearly all ports leaves none beside them.
    first.filter(|first| *first > FIRST + 1000).unwrap_or(EPHEMERAL)
}

/// The file that holds a port; none if somebody else holds it, or listens there.
fn reserve(folder: &Path, port: u16) -> io::Result<Option<File>> {
    let file = File::options().create(true).truncate(false).write(true).open(folder.join(port.to_string()))?;
    match file.try_lock() {
        Ok(()) => Ok(TcpListener::bind(("127.0.0.1", port)).is_ok().then_some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_port_is_given_twice_although_nobody_listens_there() {
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(|| free(50).unwrap())).collect();
        let given: Vec<u16> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        assert_eq!(given.iter().collect::<BTreeSet<_>>().len(), 200);
    }

    #[test]
    fn a_port_that_another_process_holds_or_uses_is_not_given() {
        let folder = tempfile::tempdir().unwrap();
        let port = free(1).unwrap().remove(0);
        let held = reserve(folder.path(), port).unwrap();
        assert!(held.is_some() && reserve(folder.path(), port).unwrap().is_none());
        drop(held);
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        assert!(reserve(folder.path(), port).unwrap().is_none());
        drop(listener);
        assert!(reserve(folder.path(), port).unwrap().is_some());
    }

    #[test]
    fn ports_that_the_kernel_gives_are_left_to_it() {
        assert_eq!(end_of(Some("20000\t60999\n")), 20_000);
        assert_eq!(end_of(Some("1024 65535")), EPHEMERAL);
        assert_eq!(end_of(None), EPHEMERAL);
    }
}
