//! A time of day of one's own for a child process: libfaketime, preloaded, reads how far it is off from a file. The monotonic clock stays
//! as it is, as it does when an operator or NTP sets a machine's clock.

use std::path::{Path, PathBuf};

use jiff::SignedDuration;

/// Where distributions put the library, below the library folders.
const PLACES: [&str; 5] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib64/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
    "/usr/local/lib/faketime/libfaketimeMT.so.1",
];

/// The library, if it is installed (Debian's package `faketime`).
pub fn library() -> Option<PathBuf> {
    PLACES.into_iter().map(PathBuf::from).find(|path| path.exists())
}

/// The clock of a process.
#[derive(Clone, Debug)]
pub struct Clock {
    library: PathBuf,
    file: PathBuf,
}

impl Clock {
    /// A clock that is right; `None` where the library is not installed.
    pub fn new(folder: &Path, name: &str) -> std::io::Result<Option<Self>> {
        let Some(library) = library() else { return Ok(None) };
        let clock = Self { library, file: folder.join(format!("{name}.clock")) };
        clock.set(SignedDuration::ZERO)?;
        Ok(Some(clock))
    }

    /// How far it is off from now on; the process notices within a second.
    pub fn set(&self, off: SignedDuration) -> std::io::Result<()> {
        // Renamed, so that it is never read half written.
        let next = self.file.with_extension("next");
        std::fs::write(&next, format!("{:+}s\n", off.as_secs()))?;
        std::fs::rename(next, &self.file)
    }

    /// What the process is started with.
    pub fn variables(&self) -> Vec<(String, String)> {
        [
            ("LD_PRELOAD", self.library.display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.display().to_string()),
            ("FAKETIME_CACHE_DURATION", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_has_the_time_that_it_is_given() {
        let folder = tempfile::tempdir().unwrap();
        let Some(clock) = Clock::new(folder.path(), "date").unwrap() else {
            return eprintln!("SKIPPED: libfaketime is not installed (Debian: faketime)");
        };
        let seconds = || -> i64 {
            let output = Command::new("date").arg("+%s").envs(clock.variables()).output().unwrap();
            String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
        };
        let now = || jiff::Timestamp::now().as_second();
        for off in [0, 7200, -7200] {
            clock.set(SignedDuration::from_secs(off)).unwrap();
            let (before, told, after) = (now(), seconds(), now());
            assert!((before + off..=after + off + 1).contains(&told), "{off}: {before} {told} {after}");
        }
    }
}
