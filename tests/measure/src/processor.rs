//! The processor time of this process, and of others.

use std::time::Duration;

use crate::Error;

/// Ticks a second: fixed in the interface of Linux.
const TICKS: u64 = 100;

/// User and system time together; a tick is 10 ms.
pub fn time() -> Result<Duration, Error> {
    time_of("self")
}

/// The same of another process, by its id.
pub fn time_of(process: &str) -> Result<Duration, Error> {
    let file = format!("/proc/{process}/stat");
    let missing = |why: &str| Error::Missing(format!("{file}: {why}"));
    let text = std::fs::read_to_string(&file).map_err(|error| missing(&error.to_string()))?;
    // The name of the program stands in parentheses and may hold anything.
    let (_, rest) = text.rsplit_once(')').ok_or_else(|| missing("its form is unknown"))?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok());
    let (Some(user), Some(system)) = (ticks(11), ticks(12)) else { return Err(missing("its form is unknown")) };
    Ok(Duration::from_millis((user + system) * 1000 / TICKS))
}

/// The processor time of another process to the nanosecond: that of its threads that live.
pub fn precise(process: &str) -> Result<Duration, Error> {
    let folder = format!("/proc/{process}/task");
    let missing = |error: std::io::Error| Error::Missing(format!("{folder}: {error}"));
    let mut nanoseconds = 0;
    for task in std::fs::read_dir(&folder).map_err(missing)? {
        let Ok(text) = std::fs::read_to_string(task.map_err(missing)?.path().join("schedstat")) else { continue };
        nanoseconds += text.split_whitespace().next().and_then(|first| first.parse::<u64>().ok()).unwrap_or_default();
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// The resident memory of a process, in bytes.
pub fn resident(process: &str) -> Result<u64, Error> {
    let file = format!("/proc/{process}/status");
    let text = std::fs::read_to_string(&file).map_err(|error| Error::Missing(format!("{file}: {error}")))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.map(|kilobytes| kilobytes * 1024).ok_or_else(|| Error::Missing(format!("{file}: it tells no VmRSS")))
}

/// The cores of the machine.
pub fn cores() -> f64 {
    std::thread::available_parallelism().map_or(1.0, |cores| cores.get() as f64)
}

#[cfg(test)]
mod tests {
    #[test]
    fn work_takes_time() {
        let before = super::time().unwrap();
        let mut sum = 0_u64;
        while super::time().unwrap() == before {
            sum = (0..100_000_u64).fold(sum, u64::wrapping_add);
        }
        assert!(super::time().unwrap() > before, "{sum}");
    }
}
