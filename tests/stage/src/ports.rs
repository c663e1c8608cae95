//! Free ports on the loopback interface.

use std::net::TcpListener;

/// Ports that are free now; all different.
pub fn free(count: usize) -> std::io::Result<Vec<u16>> {
    // All are held until the last is known, so that none is given twice.
    let held: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    held.iter().map(|listener| listener.local_addr().map(|address| address.port())).collect()
}
