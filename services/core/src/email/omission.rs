//! Attachments that the CRM does not keep: the email is kept all the same, and says so (spec §3.8).

use serde::{Deserialize, Serialize};

/// Why an attachment's content is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Omission {
    /// Its name ends as files that can do harm do.
    Blocked,
    /// It is larger than the CRM keeps.
    TooLarge,
}

/// What the CRM keeps of attachments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// The largest one, in bytes.
    pub bytes: u64,
    /// Ends of names, without the dot, in lower case.
    pub blocked: Vec<String>,
}

impl Limits {
    /// Whether an attachment is not kept, and why.
    pub fn omission(&self, name: &str, size: u64) -> Option<Omission> {
        // Windows ignores dots and spaces at the end of a name.
        let name = name.trim_end_matches(['.', ' ']).to_lowercase();
        let extension = name.rsplit_once('.').map(|(_, extension)| extension);
        if extension.is_some_and(|extension| self.blocked.iter().any(|blocked| blocked == extension)) {
            return Some(Omission::Blocked);
        }
        (size > self.bytes).then_some(Omission::TooLarge)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("report.pdf", 10, None)]
    #[case("report.pdf", 11, Some(Omission::TooLarge))]
    #[case("invoice.pdf.EXE", 1, Some(Omission::Blocked))]
    #[case("invoice.exe. ", 1, Some(Omission::Blocked))]
    #[case("exe", 1, None)]
    #[case("setup.exe", 99, Some(Omission::Blocked))]
    #[case("", 0, None)]
    fn what_can_do_harm_and_what_is_too_large_is_not_kept(
        #[case] name: &str,
        #[case] size: u64,
        #[case] omission: Option<Omission>,
    ) {
        let limits = Limits { bytes: 10, blocked: vec!["exe".to_owned(), "js".to_owned()] };
        assert_eq!(limits.omission(name, size), omission);
    }
}
