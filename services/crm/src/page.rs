//! Cutting a page to its size, by number and by bytes.

use postroad_rig::wire;

/// A page's bytes on the wire: well below the 4 MiB that gRPC clients accept by default.
const MOST_BYTES: usize = 2 * 1024 * 1024;

/// Cuts a page out of messages with their keys, which may be one more than the page holds. Gives the messages, and the
/// token of the next page, empty on the last one.
pub fn cut<M: prost::Message>(found: impl IntoIterator<Item = (String, M)>, size: usize) -> (Vec<M>, String) {
    let (mut messages, mut bytes, mut last) = (Vec::new(), 0, String::new());
    for (key, message) in found {
        bytes += message.encoded_len();
        if messages.len() >= size || (bytes > MOST_BYTES && !messages.is_empty()) {
            return (messages, wire::page_token(&last));
        }
        messages.push(message);
        last = key;
    }
    (messages, String::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lengths: &[usize]) -> Vec<(String, String)> {
        lengths.iter().enumerate().map(|(index, length)| (index.to_string(), "x".repeat(*length))).collect()
    }

    #[test]
    fn a_page_ends_by_number_or_by_bytes() {
        assert_eq!(cut(of(&[1, 1]), 2).1, "");
        assert_eq!(cut(of(&[1, 1, 1]), 2), (vec!["x".into(), "x".into()], wire::page_token("1")));
        let (messages, next) = cut(of(&[MOST_BYTES, MOST_BYTES]), 10);
        assert_eq!((messages.len(), next), (1, wire::page_token("0")));
    }
}
