//! Subjects: their prefixes and words, and when two emails are alike (spec §3.4, smart matching).

use std::collections::BTreeSet;

use crate::organization::SmartSettings;

/// What mail clients put before the subject of a forwarded message.
const FORWARD: [&str; 9] = ["fw", "fwd", "wg", "tr", "rv", "enc", "i", "doorst", "pd"];

/// The subject without the words before a colon at its begin, such as `RE:` or `AW: WG:`. The default of the original's
/// `HashFilterKeywords`, `^[\s]*([\w]+\s?:[\s]*)+`.
pub fn without_prefixes(subject: &str) -> &str {
    let mut rest = subject.trim_start();
    while let Some((_, after)) = prefix(rest) {
        rest = after;
    }
    rest
}

/// Whether the first prefix says that the message was forwarded.
pub fn is_forward(subject: &str) -> bool {
    prefix(subject.trim_start()).is_some_and(|(word, _)| FORWARD.contains(&word.to_lowercase().as_str()))
}

fn prefix(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|end| *end > 0)?;
    let (word, rest) = text.split_at_checked(end)?;
    let rest = rest.strip_prefix(char::is_whitespace).unwrap_or(rest);
    Some((word, rest.strip_prefix(':')?.trim_start()))
}

/// The first words of a subject without its prefixes, in lower case, each once.
pub fn words(subject: &str, most: usize) -> BTreeSet<String> {
    let words = without_prefixes(subject).split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.take(most).map(str::to_lowercase).collect()
}

/// What of a message is compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alike {
    /// The words of its subject.
    pub words: BTreeSet<String>,
    /// The addresses of From, To, Cc and Bcc, in lower case.
    pub addresses: BTreeSet<String>,
}

impl Alike {
    /// What of a message is compared, by the settings.
    pub fn of<'a>(subject: &str, addresses: impl IntoIterator<Item = &'a str>, settings: &SmartSettings) -> Self {
        let most = usize::try_from(settings.most).unwrap_or(usize::MAX);
        let addresses: Vec<String> = addresses.into_iter().map(|address| address.trim().to_lowercase()).collect();
        let mut seen = BTreeSet::new();
        let first = addresses.into_iter().filter(|address| !address.is_empty() && seen.insert(address.clone()));
        Self { words: words(subject, most), addresses: first.take(most).collect() }
    }

    /// Whether another one is alike: their subjects differ by at most `delta` words, and so many addresses are common. An empty
    /// subject is like none.
    pub fn is_like(&self, other: &Self, delta: usize, least_addresses: usize) -> bool {
        let most = self.words.len().max(other.words.len());
        let common = self.words.intersection(&other.words).count();
        common > 0
            && common.saturating_add(delta) >= most
            && self.addresses.intersection(&other.addresses).count() >= least_addresses
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SETTINGS: SmartSettings = SmartSettings { enabled: true, subject_delta: 0, most: 20, least_addresses: 2 };

    fn alike(one: &str, other: &str, delta: u32) -> bool {
        let settings = SmartSettings { subject_delta: delta, ..SETTINGS };
        let of = |subject| Alike::of(subject, ["ada@x.example", "bob@x.example"], &settings);
        of(one).is_like(&of(other), delta as usize, 2)
    }

    #[test]
    fn prefixes_are_dropped() {
        for subject in ["RE: Offer", "re :Offer", " AW: WG:  Offer", "Offer", "RE[2]: Offer"] {
            let expected = if subject.contains('[') { subject } else { "Offer" };
            assert_eq!(without_prefixes(subject), expected);
        }
        assert!(is_forward("FW: Offer") && is_forward("wg: Offer") && !is_forward("RE: FW: Offer"));
        assert_eq!(without_prefixes("Grüße: Offer"), "Offer");
    }

    /// Spec §12, check 8: delta 0, two addresses, and subjects of more than twenty words.
    #[test]
    fn check_08_smart_matching_compares_words_and_addresses() {
        assert!(alike("RE: The Offer of May", "the offer, of May", 0));
        assert!(!alike("The offer of May", "The offer of June", 0));
        assert!(alike("The offer of May", "The offer of June", 1));
        assert!(!alike("", "RE:", 5));
        let long: Vec<String> = (0..20).map(|number| format!("word{number}")).collect();
        let long = long.join(" ");
        assert!(alike(&format!("{long} one"), &format!("{long} another ending"), 0));
        let one = Alike::of("Offer", ["ada@x.example", "bob@x.example"], &SETTINGS);
        assert!(!one.is_like(&Alike::of("Offer", ["ada@x.example", "eve@x.example"], &SETTINGS), 0, 2));
        let same = Alike::of("Offer", ["ADA@x.example", "ada@x.example"], &SETTINGS);
        assert!(!same.is_like(&same, 0, 2));
    }

    proptest! {
        #[test]
        fn likeness_is_mutual_and_reflexive(one in "[a-d ]{0,12}", other in "[a-d ]{0,12}", delta in 0_u32..3) {
            prop_assert_eq!(alike(&one, &other, delta), alike(&other, &one, delta));
            prop_assert_eq!(alike(&one, &one, delta), !words(&one, 20).is_empty());
        }

        #[test]
        fn no_subject_breaks_it(subject in any::<String>()) {
            let _ = (is_forward(&subject), words(&subject, 20));
            prop_assert!(subject.ends_with(without_prefixes(&subject)));
        }
    }
}
