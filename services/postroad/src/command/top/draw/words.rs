//! Numbers and times in few characters, and text in lines.

use std::time::Duration;

use jiff::Timestamp;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::output::time;

/// `12 345`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// `1 mailbox`, `12 345 mailboxes`.
pub fn count(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { many })
}

/// `12.3/s`; above a hundred without a fraction.
pub fn rate(rate: f64) -> String {
    if rate >= 99.95 { format!("{}/s", grouped(rate.round() as u64)) } else { format!("{rate:.1}/s") }
}

/// `320 ms`, `1.2 s`, `45 s`, `3 min`.
pub fn took(duration: Duration) -> String {
    match duration.as_millis() {
        milliseconds @ 0..1000 => format!("{milliseconds} ms"),
        1000..10_000 => format!("{:.1} s", duration.as_secs_f64()),
        10_000..120_000 => format!("{} s", duration.as_secs()),
        120_000..7_200_000 => format!("{} min", duration.as_secs() / 60),
        _ => format!("{} h", duration.as_secs() / 3600),
    }
}

/// How long it has lasted: `12 s`.
pub fn lasting(now: Timestamp, since: Timestamp) -> String {
    match now.duration_since(since).as_secs().max(0).unsigned_abs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds => took(Duration::from_secs(seconds)),
    }
}

/// `3 min ago`, `in 2 h`; empty where it is unset.
pub fn ago(now: Timestamp, at: Option<&prost_types::Timestamp>) -> String {
    time::of(at).map_or_else(String::new, |at| time::distance(now, at))
}

/// A text that is no wider than so many columns; what is left out is shown by `…`.
pub fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 1;
    for character in text.chars() {
        used += character.width().unwrap_or(0);
        if used > width {
            break;
        }
        kept.push(character);
    }
    if width > 0 {
        kept.push('…');
    }
    kept
}

/// A text in lines that are no wider than so many columns, broken between words where that is possible.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let mut rest = word;
        if !line.is_empty() && line.width() + 1 + rest.width() > width {
            lines.push(std::mem::take(&mut line));
        }
        // A word that is wider than a line is broken.
        while rest.width() > width.max(1) {
            let end = split_at(rest, width.max(1));
            let (head, tail) = rest.split_at(end);
            lines.push(head.to_owned());
            rest = tail;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(rest);
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines
}

/// Where so many columns of a text end; after one character at least.
fn split_at(text: &str, width: usize) -> usize {
    let mut used = 0;
    for (at, character) in text.char_indices() {
        used += character.width().unwrap_or(0);
        if used > width && at > 0 {
            return at;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1 000", "1 234 567"]);
        assert_eq!([0.0, 12.34, 99.94, 1234.5].map(rate), ["0.0/s", "12.3/s", "99.9/s", "1 235/s"]);
        assert_eq!(
            [5, 1250, 45_000, 600_000, 9_000_000].map(|ms| took(Duration::from_millis(ms))),
            ["5 ms", "1.2 s", "45 s", "10 min", "2 h"]
        );
        assert_eq!(count(1, "mailbox", "mailboxes"), "1 mailbox");
    }

    #[test]
    fn a_wide_character_counts_twice() {
        assert_eq!(cut("日本語のメール", 7), "日本語…");
    }

    proptest! {
        #[test]
        fn nothing_is_wider_than_its_place(text in "(\\PC| ){0,60}", width in 2_usize..40) {
            prop_assert!(cut(&text, width).width() <= width);
            for line in wrapped(&text, width) {
                prop_assert!(line.width() <= width, "{line:?}");
            }
            let words = |text: &str| text.split_whitespace().collect::<String>();
            prop_assert_eq!(words(&wrapped(&text, width).join(" ")), words(&text));
        }
    }
}
