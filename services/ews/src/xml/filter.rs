//! Makes what Exchange sends well-formed, chunk by chunk.
//!
//! Exchange copies control characters out of message data into character references that XML 1.0 forbids, and a
//! conforming parser then rejects the whole batch. Such references, such bytes and invalid UTF-8 become U+FFFD; everything
//! else passes unchanged, whatever the borders of the chunks.

use super::{REPLACEMENT, is_legal};

/// Collects chunks of bytes as legal XML text.
#[derive(Debug, Default)]
pub struct Filter {
    text: String,
    pending: Pending,
}

/// What a chunk ended in the middle of.
#[derive(Debug, Default)]
enum Pending {
    #[default]
    Nothing,
    /// The beginning of a UTF-8 sequence, always a valid one.
    Sequence(Vec<u8>),
    /// The beginning of a reference, from its ampersand on.
    Reference(Reference),
}

/// A reference of which the end has not been seen.
#[derive(Debug)]
struct Reference {
    /// What was read so far, without superfluous digits, so that it stays short.
    text: String,
    radix: Option<u32>,
    digits: usize,
    value: u32,
}

/// Digits of a reference that are kept although they are leading zeros.
const KEPT_ZEROS: usize = 8;
/// Beyond the last code point; values stop growing there.
const BEYOND: u32 = 0x11_0000;

// === impl Filter ===

impl Filter {
    /// An empty filter that expects about this many bytes.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self { text: String::with_capacity(bytes), pending: Pending::Nothing }
    }

    /// Filters the whole of a text at once; the client filters as it receives.
    pub fn apply(bytes: &[u8]) -> String {
        let mut filter = Self::with_capacity(bytes.len());
        filter.push(bytes);
        filter.finish()
    }

    /// The length of the text so far, in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// Takes the next chunk.
    pub fn push(&mut self, mut chunk: &[u8]) {
        while !chunk.is_empty() {
            chunk = match std::mem::take(&mut self.pending) {
                Pending::Nothing => self.plain(chunk),
                Pending::Sequence(begun) => self.sequence(begun, chunk),
                Pending::Reference(begun) => self.reference(begun, chunk),
            };
        }
    }

    /// The text; what was left unfinished is closed.
    #[must_use]
    pub fn finish(mut self) -> String {
        match std::mem::take(&mut self.pending) {
            Pending::Nothing => {}
            Pending::Sequence(_) => self.text.push(REPLACEMENT),
            Pending::Reference(begun) => self.text.push_str(&begun.text),
        }
        self.text
    }

    /// Copies up to the next byte that needs a look; answers what is left.
    fn plain<'a>(&mut self, chunk: &'a [u8]) -> &'a [u8] {
        let end = special(chunk);
        let (run, rest) = chunk.split_at(end);
        self.utf8(run, rest.is_empty());
        match rest.split_first() {
            None => rest,
            Some((b'&', rest)) => {
                self.pending = Pending::Reference(Reference::new());
                rest
            }
            Some((_, rest)) => {
                self.text.push(REPLACEMENT);
                rest
            }
        }
    }

    fn utf8(&mut self, mut run: &[u8], may_continue: bool) {
        loop {
            let error = match std::str::from_utf8(run) {
                Ok(valid) => return self.legal(valid),
                Err(error) => error,
            };
            let (valid, invalid) = run.split_at(error.valid_up_to());
            self.legal(std::str::from_utf8(valid).unwrap_or_default());
            match error.error_len() {
                Some(length) => {
                    self.text.push(REPLACEMENT);
                    run = invalid.get(length..).unwrap_or_default();
                }
                None if may_continue => return self.pending = Pending::Sequence(invalid.to_vec()),
                None => return self.text.push(REPLACEMENT),
            }
        }
    }

    /// Copies valid UTF-8 without control characters; only U+FFFE and U+FFFF can still be wrong with it.
    fn legal(&mut self, text: &str) {
        if text.is_ascii() || text.chars().all(is_legal) {
            self.text.push_str(text);
        } else {
            self.text.extend(text.chars().map(|character| if is_legal(character) { character } else { REPLACEMENT }));
        }
    }

    fn sequence<'a>(&mut self, mut begun: Vec<u8>, chunk: &'a [u8]) -> &'a [u8] {
        let Some((byte, rest)) = chunk.split_first() else { return chunk };
        begun.push(*byte);
        match std::str::from_utf8(&begun) {
            Ok(complete) => {
                self.legal(complete);
                rest
            }
            Err(error) if error.error_len().is_none() => {
                self.pending = Pending::Sequence(begun);
                rest
            }
            // The byte does not continue the sequence: it begins something else.
            Err(_) => {
                self.text.push(REPLACEMENT);
                chunk
            }
        }
    }

    fn reference<'a>(&mut self, mut begun: Reference, chunk: &'a [u8]) -> &'a [u8] {
        let Some((byte, rest)) = chunk.split_first() else { return chunk };
        match begun.next(*byte) {
            Step::More => {
                self.pending = Pending::Reference(begun);
                rest
            }
            Step::Complete(true) => {
                self.text.push_str(&begun.text);
                self.text.push(';');
                rest
            }
            Step::Complete(false) => {
                self.text.push(REPLACEMENT);
                rest
            }
            Step::None => {
                self.text.push_str(&begun.text);
                chunk
            }
        }
    }
}

// === impl Reference ===

/// What a byte means to an unfinished reference.
enum Step {
    /// It belongs to it.
    More,
    /// It ends a numeric reference, to a legal character or not.
    Complete(bool),
    /// It is no numeric reference after all; the byte is not part of it.
    None,
}

impl Reference {
    fn new() -> Self {
        Self { text: "&".to_owned(), radix: None, digits: 0, value: 0 }
    }

    fn next(&mut self, byte: u8) -> Step {
        let Some(radix) = self.radix else { return self.begin(byte) };
        if byte == b'x' && radix == 10 && self.digits == 0 {
            self.radix = Some(16);
            self.text.push('x');
            return Step::More;
        }
        if byte == b';' && self.digits > 0 {
            return Step::Complete(char::from_u32(self.value).is_some_and(is_legal));
        }
        let Some(digit) = char::from(byte).to_digit(radix) else { return Step::None };
        self.digits += 1;
        let superfluous = (self.value == 0 && digit == 0 && self.digits > KEPT_ZEROS) || self.value >= BEYOND;
        self.value = self.value.saturating_mul(radix).saturating_add(digit).min(BEYOND);
        if !superfluous {
            self.text.push(char::from(byte));
        }
        Step::More
    }

    fn begin(&mut self, byte: u8) -> Step {
        if byte != b'#' {
            return Step::None;
        }
        self.radix = Some(10);
        self.text.push('#');
        Step::More
    }
}

/// The position of the first byte that is an ampersand or a forbidden control character.
fn special(bytes: &[u8]) -> usize {
    // Blocks without branches inside are compiled to vector instructions; most of an answer is base64.
    let block = 32;
    let clean = bytes.chunks(block).take_while(|chunk| !chunk.iter().fold(false, |any, byte| any | is_special(*byte)));
    let skipped: usize = clean.map(<[u8]>::len).sum();
    let tail = bytes.get(skipped..).unwrap_or_default();
    tail.iter().position(|byte| is_special(*byte)).map_or(bytes.len(), |at| skipped + at)
}

const fn is_special(byte: u8) -> bool {
    byte == b'&' || (byte < b' ' && byte != b'\t' && byte != b'\n' && byte != b'\r')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("a&#x0;b", "a\u{FFFD}b")]
    #[case("a&#x0B;b&#11;c&#x0000B;d&#0000000000000000011;e", "a\u{FFFD}b\u{FFFD}c\u{FFFD}d\u{FFFD}e")]
    #[case("&#x1F;&#x1f;&#8;", "\u{FFFD}\u{FFFD}\u{FFFD}")]
    #[case("&#xFFFF;&#xD83D;&#xFFFE;&#x110000;&#99999999999999;", "\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}")]
    #[case("&#x9;&#10;&#xD;&#x20;&#x1F600;&#65;", "&#x9;&#10;&#xD;&#x20;&#x1F600;&#65;")]
    #[case("&amp;&lt;&#;&#x;&#xZ;&#12", "&amp;&lt;&#;&#x;&#xZ;&#12")]
    #[case("&&#x0;&", "&\u{FFFD}&")]
    #[case("\u{B}\u{0}\t\r\n\u{7F}\u{FFFF}é", "\u{FFFD}\u{FFFD}\t\r\n\u{7F}\u{FFFD}é")]
    #[case("&#000000000000000000000000000065;", "&#0000000065;")]
    fn replaces_only_what_xml_forbids(#[case] input: &str, #[case] expected: &str) {
        assert_eq!(Filter::apply(input.as_bytes()), expected);
    }

    #[rstest]
    #[case(b"a\xFFb", "a\u{FFFD}b")]
    #[case(b"\xED\xA0\x80", "\u{FFFD}\u{FFFD}\u{FFFD}")]
    #[case(b"\xE2\x82", "\u{FFFD}")]
    #[case(b"\xE2\x82&amp;", "\u{FFFD}&amp;")]
    fn replaces_invalid_utf8(#[case] input: &[u8], #[case] expected: &str) {
        assert_eq!(Filter::apply(input), expected);
    }

    fn in_chunks(bytes: &[u8], size: usize) -> String {
        let mut filter = Filter::default();
        bytes.chunks(size).for_each(|chunk| filter.push(chunk));
        filter.finish()
    }

    #[test]
    fn the_borders_of_chunks_do_not_matter() {
        let text = "x&#x0000B;é€😀&#11;&amp;&#xFFFF;\u{1}y&#x1F600;\u{FFFF}&#12".as_bytes();
        for size in 1..text.len() {
            assert_eq!(in_chunks(text, size), Filter::apply(text), "chunks of {size}");
        }
    }

    fn fragments() -> impl Strategy<Value = Vec<u8>> {
        let fragment = prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..8),
            any::<char>().prop_map(|character| character.to_string().into_bytes()),
            (0_u32..0x12_0000, 0_usize..12)
                .prop_map(|(value, zeros)| format!("&#{}{value};", "0".repeat(zeros)).into_bytes()),
            (0_u32..0x12_0000, 0_usize..12)
                .prop_map(|(value, zeros)| format!("&#x{}{value:X};", "0".repeat(zeros)).into_bytes()),
            Just(b"&#".to_vec()),
            Just(b"&amp;".to_vec()),
        ];
        proptest::collection::vec(fragment, 0..24).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn filtering_twice_is_filtering_once(bytes in fragments()) {
            let once = Filter::apply(&bytes);
            prop_assert_eq!(&Filter::apply(once.as_bytes()), &once);
            prop_assert!(once.chars().all(is_legal));
            prop_assert!(once.len() <= 3 * bytes.len());
        }

        #[test]
        fn chunks_give_what_the_whole_gives(bytes in fragments(), size in 1_usize..9) {
            prop_assert_eq!(in_chunks(&bytes, size), Filter::apply(&bytes));
        }

        #[test]
        fn legal_text_is_preserved(text in "[\t\n\r -\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]{0,200}") {
            let text = text.replace('&', "&amp;");
            prop_assert_eq!(Filter::apply(text.as_bytes()), text);
        }
    }
}
