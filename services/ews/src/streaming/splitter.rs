//! Cuts a stream of bytes into envelopes: they follow each other without anything between, and chunks end anywhere.

/// The largest envelope; 200 subscriptions with many events each are far smaller.
const LIMIT: usize = 8 << 20;

/// The stream is none of envelopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an envelope of the stream is larger than {LIMIT} bytes")]
pub struct TooLarge;

/// Collects chunks, gives envelopes. Each byte is looked at once.
#[derive(Debug, Default)]
pub struct Splitter {
    bytes: Vec<u8>,
    /// Up to here was looked.
    looked: usize,
    /// The last `<` that was seen.
    opened: Option<usize>,
}

impl Splitter {
    /// Takes the next chunk.
    ///
    /// # Errors
    /// What has gathered without an end is larger than any envelope.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), TooLarge> {
        if self.bytes.len() + chunk.len() > LIMIT {
            return Err(TooLarge);
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }

    /// The next envelope that is complete.
    pub fn next(&mut self) -> Option<Vec<u8>> {
        while let Some((at, byte)) = self.next_bracket() {
            self.looked = at + 1;
            if byte == b'<' {
                self.opened = Some(at);
                continue;
            }
            let tag = self.opened.take().and_then(|opened| self.bytes.get(opened..at));
            if tag.is_some_and(is_end) {
                let rest = self.bytes.split_off(at + 1);
                let envelope = std::mem::replace(&mut self.bytes, rest);
                self.looked = 0;
                return Some(envelope);
            }
        }
        self.looked = self.bytes.len();
        None
    }

    /// Whether an envelope has begun and not ended.
    pub fn is_within(&self) -> bool {
        self.bytes.iter().any(|byte| !byte.is_ascii_whitespace())
    }

    fn next_bracket(&self) -> Option<(usize, u8)> {
        let rest = self.bytes.get(self.looked..)?;
        let found = rest.iter().position(|byte| matches!(byte, b'<' | b'>'))?;
        rest.get(found).map(|byte| (self.looked + found, *byte))
    }
}

/// Whether a tag, without its `>`, is the end of an envelope, whatever its prefix.
fn is_end(tag: &[u8]) -> bool {
    let Some(name) = tag.strip_prefix(b"</") else { return false };
    let name = name.trim_ascii_end();
    name == b"Envelope" || name.strip_suffix(b":Envelope").is_some_and(|prefix| !prefix.contains(&b':'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(chunks: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut splitter = Splitter::default();
        let mut envelopes = Vec::new();
        for chunk in chunks {
            splitter.push(chunk).unwrap();
            envelopes.extend(std::iter::from_fn(|| splitter.next()));
        }
        assert!(!splitter.is_within());
        envelopes
    }

    #[test]
    fn prefixes_and_blanks_do_not_matter() {
        let texts = [
            "<Envelope a='>'><x/></Envelope>",
            "<s:Envelope>&lt;/s:Envelope&gt;</s:Envelope >",
            "<?xml?><e:Envelope/></e:Envelope\n>",
        ];
        let whole = texts.concat();
        let found = split(&[whole.as_bytes()]);
        assert_eq!(found, texts.map(|text| text.as_bytes().to_vec()));
    }

    #[test]
    fn other_elements_are_no_ends() {
        let mut splitter = Splitter::default();
        splitter.push(b"<Envelope></MyEnvelope></a:b:Envelope></Envelopes><Envelope/>").unwrap();
        assert_eq!(splitter.next(), None);
        assert!(splitter.is_within());
    }

    #[test]
    fn a_stream_without_ends_is_given_up() {
        let mut splitter = Splitter::default();
        let chunk = vec![b'x'; 1 << 20];
        let taken = (0..100).take_while(|_| splitter.push(&chunk).is_ok() && splitter.next().is_none()).count();
        assert_eq!(taken, 8);
    }

    proptest! {
        #[test]
        fn any_cutting_gives_the_same_envelopes(
            bodies in prop::collection::vec("[a-z<>/:& é]{0,40}", 1..6),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..30),
        ) {
            let envelope = |body: &String| format!("<s:Envelope>{}</s:Envelope>", body.replace('&', "&amp;").replace('<', "&lt;"));
            let envelopes: Vec<Vec<u8>> = bodies.iter().map(|body| envelope(body).into_bytes()).collect();
            let whole = envelopes.concat();
            let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(whole.len())).collect();
            places.sort_unstable();
            let mut chunks = Vec::new();
            let mut from = 0;
            for place in places {
                chunks.push(&whole[from..place]);
                from = place;
            }
            chunks.push(&whole[from..]);
            prop_assert_eq!(split(&chunks), envelopes);
        }

        #[test]
        fn foreign_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            let mut splitter = Splitter::default();
            splitter.push(&bytes).unwrap();
            let total: usize = std::iter::from_fn(|| splitter.next()).map(|envelope| envelope.len()).sum();
            prop_assert!(total <= bytes.len());
        }
    }
}
