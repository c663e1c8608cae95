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
