//! Core files: there are none. One would hold opened passwords and keys, and lie around readable.

use rustix::process::{Resource, Rlimit, setrlimit};

/// Forbids core files of this process, for good; systemd-coredump keeps to it as well.
pub fn forbid() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    // A limit can always be lowered.
    let _ = setrlimit(Resource::Core, none);
}
