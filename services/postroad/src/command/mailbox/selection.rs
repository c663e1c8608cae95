//! Which mailboxes a command is about: those named, all of a profile, or all.

use clap::Args;
use postroad_proto::mailbox::v1::MailboxSelection;

/// Names, a profile, or all.
#[derive(Args, Debug, Clone)]
#[group(id = "selection", required = true, multiple = false)]
pub struct Selection {
    /// Addresses or ids of mailboxes
    #[arg(value_name = "MAILBOX")]
    mailboxes: Vec<String>,
    /// All mailboxes of this profile, by name or id
    #[arg(long = "profile", alias = "of-profile", value_name = "PROFILE")]
    of_profile: Option<String>,
    /// All mailboxes
    #[arg(long)]
    all: bool,
}

/// As [`Selection`], where `--profile` is a setting.
#[derive(Args, Debug, Clone)]
#[group(id = "selection", required = true, multiple = false)]
pub struct ChangeSelection {
    /// Addresses or ids of mailboxes
    #[arg(value_name = "MAILBOX")]
    mailboxes: Vec<String>,
    /// Change all mailboxes of this profile, by name or id
    #[arg(long, value_name = "PROFILE")]
    of_profile: Option<String>,
    /// Change all mailboxes
    #[arg(long)]
    all: bool,
}

impl From<Selection> for MailboxSelection {
    fn from(selection: Selection) -> Self {
        Self { mailboxes: selection.mailboxes, profile: selection.of_profile.unwrap_or_default(), all: selection.all }
    }
}

impl From<ChangeSelection> for MailboxSelection {
    fn from(selection: ChangeSelection) -> Self {
        Self { mailboxes: selection.mailboxes, profile: selection.of_profile.unwrap_or_default(), all: selection.all }
    }
}

impl ChangeSelection {
    /// The only mailbox that was named, which is then changed under its etag.
    pub fn single(&self) -> Option<String> {
        match self.mailboxes.as_slice() {
            [one] => Some(one.clone()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser, Debug)]
    struct Line {
        #[command(flatten)]
        selection: Selection,
    }

    fn selection(line: &[&str]) -> Option<MailboxSelection> {
        Line::try_parse_from(std::iter::once(&"x").chain(line)).ok().map(|line| line.selection.into())
    }

    #[test]
    fn names_or_a_profile_or_all_but_not_nothing_and_not_both() {
        assert_eq!(selection(&["a@x.example", "b@x.example"]).unwrap().mailboxes.len(), 2);
        assert_eq!(selection(&["--profile", "Contoso"]).unwrap().profile, "Contoso");
        assert!(selection(&["--all"]).unwrap().all);
        assert_eq!((selection(&[]), selection(&["a@x.example", "--all"])), (None, None));
        assert_eq!(selection(&["--profile", "Contoso", "--all"]), None);
    }
}
