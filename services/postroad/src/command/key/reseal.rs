//! `postroad key reseal`: what is stored under the present sealing key.

use std::collections::BTreeMap;

use indicatif::ProgressBar;
use postroad_core::fault::Report;
use postroad_proto::{
    crm::v1::{ResealContentKeysRequest, ResealContentKeysResponse},
    profile::v1::{ResealPasswordsRequest, ResealPasswordsResponse},
};
use postroad_rig::{Role, status};

use crate::{
    failure::{Exit, Failure},
    output::paint::{bad, good},
    session::Session,
};

/// What came out.
#[derive(Debug, Default)]
struct Tally {
    changed: u32,
    kept: u32,
    /// What failed, by why.
    failed: BTreeMap<String, Vec<String>>,
}

/// Seals anew, and tells of each.
pub async fn run(session: &mut Session) -> Result<Exit, Failure> {
    let mut client = session.connection.profiles()?;
    let answer = client.reseal_passwords(ResealPasswordsRequest {}).await;
    let mut told = answer.map_err(session.connection.failed(Role::Profile))?.into_inner();
    let mut tally = Tally::default();
    let progress = ProgressBar::no_length();
    while let Some(one) = told.message().await.map_err(session.connection.failed(Role::Profile))? {
        progress.set_length(u64::from(one.total));
        progress.set_position(u64::from(one.done));
        tally.note(&one);
        if session.output.is_json() {
            session.output.message_event(&one)?;
        }
    }
    progress.finish_and_clear();
    if !session.output.is_json() {
        for line in tally.lines() {
            session.output.line(line)?;
        }
    }
    let contents = contents(session).await?;
    Ok(if contents == Exit::Success { tally.exit() } else { contents })
}

/// The data keys of email contents; another CRM than the built-in one has its own ways.
async fn contents(session: &mut Session) -> Result<Exit, Failure> {
    let mut told = match session.connection.crm()?.reseal_content_keys(ResealContentKeysRequest::default()).await {
        Ok(answer) => answer.into_inner(),
        Err(status) if status.code() == tonic::Code::Unimplemented => return Ok(Exit::Success),
        Err(status) => return Err(session.connection.failed(Role::Crm)(status)),
    };
    let progress = ProgressBar::new_spinner();
    let mut last = ResealContentKeysResponse::default();
    while let Some(one) = told.message().await.map_err(session.connection.failed(Role::Crm))? {
        progress.set_message(format!("{} keys of email contents", one.done));
        last = one;
    }
    progress.finish_and_clear();
    if session.output.is_json() {
        session.output.message_event(&last)?;
    } else {
        for line in content_lines(&last) {
            session.output.line(line)?;
        }
    }
    Ok(if last.failed == 0 { Exit::Success } else { Exit::Failed })
}

/// What came of the keys of email contents: the total once, then each reason.
fn content_lines(last: &ResealContentKeysResponse) -> Vec<String> {
    let ResealContentKeysResponse { done, changed, failed, faults } = last;
    let kept = done.saturating_sub(changed.saturating_add(*failed));
    let mut lines =
        vec![format!("keys of email contents: {} sealed anew, {kept} with the present key already", good(changed))];
    if *failed > 0 {
        lines.push(format!("{} {failed} keys of email contents", bad("not sealed anew:")));
    }
    for Report { code, detail } in faults.iter().map(status::from_wire) {
        lines.push(format!("    {detail}; {}", code.row().remedy));
    }
    lines
}

impl Tally {
    fn note(&mut self, one: &ResealPasswordsResponse) {
        let whose = match one.profile.as_str() {
            "" => format!("mailbox {}", one.email_address),
            name => format!("profile {name}"),
        };
        match &one.fault {
            Some(fault) => {
                let Report { code, detail } = status::from_wire(fault);
                let why = format!("{detail}; {}", code.row().remedy);
                self.failed.entry(why).or_default().push(whose);
            }
            None if one.changed => self.changed += 1,
            None => self.kept += 1,
        }
    }

    fn lines(&self) -> Vec<String> {
        let Self { changed, kept, failed } = self;
        let mut lines = vec![format!("passwords: {} sealed anew, {kept} with the present key already", good(changed))];
        for (why, whose) in failed {
            lines.push(format!("{} {}", bad("not sealed anew:"), whose.join(", ")));
            lines.push(format!("    {why}"));
        }
        lines
    }

    fn exit(&self) -> Exit {
        if self.failed.is_empty() { Exit::Success } else { Exit::Failed }
    }
}

#[cfg(test)]
mod tests {
    use postroad_core::fault::Code;

    use super::*;

    fn told(profile: &str, email_address: &str) -> ResealPasswordsResponse {
        let (profile, email_address) = (profile.to_owned(), email_address.to_owned());
        ResealPasswordsResponse { profile, email_address, ..ResealPasswordsResponse::default() }
    }

    #[test]
    fn a_lost_key_is_named_with_what_it_sealed() {
        let lost = Report::new(Code::SealingKeyLost, "it was sealed with the key with the id `2024`");
        let fault = Some(status::to_wire(&lost));
        let mut tally = Tally::default();
        tally.note(&ResealPasswordsResponse { changed: true, ..told("Fabrikam", "") });
        assert_eq!(tally.exit(), Exit::Success);
        tally.note(&ResealPasswordsResponse { fault: fault.clone(), ..told("Contoso", "") });
        tally.note(&ResealPasswordsResponse { fault, ..told("", "ada@contoso.example") });
        let text = tally.lines().join("\n");
        assert!(text.contains("profile Contoso, mailbox ada@contoso.example"), "{text}");
        assert!(text.contains("`2024`") && text.contains("enter the passwords"), "{text}");
        assert_eq!((tally.exit(), tally.changed), (Exit::Failed, 1));
    }

    #[test]
    fn with_several_reasons_the_total_stands_once() {
        let lost = |id: &str| {
            let why = format!("it was sealed with the key with the id `{id}`");
            status::to_wire(&Report::new(Code::SealingKeyLost, why))
        };
        let last = ResealContentKeysResponse { done: 20, changed: 5, failed: 8, faults: vec![lost("a"), lost("b")] };
        let text = content_lines(&last).join("\n");
        assert_eq!(text.matches("8 keys of email contents").count(), 1, "{text}");
        assert!(
            text.contains("`a`") && text.contains("`b`") && text.contains("7 with the present key already"),
            "{text}"
        );
    }
}
