//! What has to be so before a server is asked at all: address, approval, profile (spec §2.3).

use postroad_core::{
    fault::{Code, Report},
    mailbox::{Approval, Direction, Mailbox},
    profile::Profile,
};

/// One step and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Precondition {
    /// Stable name.
    pub name: &'static str,
    /// What is checked, for people.
    pub title: &'static str,
    /// What was found, or what is missing.
    pub result: Result<String, Report>,
}

/// The steps in their order; those after a failed one are checked all the same, for they cost nothing.
pub fn preconditions(mailbox: &Mailbox, profile: Option<&Profile>, require_approval: bool) -> Vec<Precondition> {
    vec![
        Precondition { name: "address", title: "Checking the email address", result: address(mailbox) },
        Precondition { name: "approval", title: "Checking the approval", result: approval(mailbox, require_approval) },
        Precondition { name: "profile", title: "Checking the profile", result: profile_of(mailbox, profile) },
    ]
}

fn address(mailbox: &Mailbox) -> Result<String, Report> {
    if !mailbox.active {
        return Err(Report::new(Code::MailboxInactive, mailbox.settings.address.to_string()));
    }
    if !Direction::ALL.into_iter().any(|direction| mailbox.wants(direction)) {
        return Err(Report::new(Code::NothingToSynchronize, mailbox.settings.address.to_string()));
    }
    Ok(mailbox.settings.address.to_string())
}

fn approval(mailbox: &Mailbox, require_approval: bool) -> Result<String, Report> {
    let refused = |state: &str| Err(Report::new(Code::MailboxNotApproved, format!("the approval is {state}")));
    match mailbox.approval {
        Approval::Approved => Ok("approved".to_owned()),
        Approval::Rejected => refused("rejected"),
        Approval::Pending if require_approval => refused("pending"),
        Approval::Pending => Ok("not needed in this deployment".to_owned()),
    }
}

fn profile_of(mailbox: &Mailbox, profile: Option<&Profile>) -> Result<String, Report> {
    let Some(profile) = profile else { return Err(Report::new(Code::ProfileMissing, String::new())) };
    let name = &profile.settings.name;
    if !profile.active {
        return Err(Report::new(Code::ProfileInactive, name.clone()));
    }
    let sealed = if mailbox.settings.allow_own_credentials { &mailbox.sealed } else { &profile.sealed };
    if sealed.is_none() {
        let whose = if mailbox.settings.allow_own_credentials { "the mailbox" } else { name.as_str() };
        return Err(Report::new(Code::CredentialsMissing, format!("{whose} has no password")));
    }
    Ok(name.clone())
}
