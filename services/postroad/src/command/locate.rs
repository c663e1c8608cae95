//! `postroad locate`: where a mailbox is served, and the transcript of how Autodiscover found it.

use clap::Args;
use postroad_core::fault::{Code, Report};
use postroad_proto::{
    locator::v1::{Conclusion, Location, Source, TranscriptEntry, transcript_entry::Use},
    profile::v1::{LocateMailboxRequest, locate_mailbox_response::Report as Reported},
};
use postroad_rig::{Role, wire};

use crate::{
    command::step,
    failure::{Exit, Failure},
    output::{
        Output,
        paint::{bad, faint, good, wary},
        time,
    },
    session::Session,
};

/// Find where a mailbox is served, and how that was found
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    postroad locate ada@contoso.example\n  \
    postroad locate ada@contoso.example --explain\n  \
    postroad locate eve@contoso.example --profile Contoso --anew --explain")]
pub struct Locate {
    /// The mailbox's address
    address: String,
    /// Locate it with this profile, by name or id, instead of the one that it is attached to
    #[arg(long, value_name = "PROFILE", default_value = "", hide_default_value = true)]
    profile: String,
    /// Show each candidate, what it answered, and why it was taken or dropped
    #[arg(long)]
    explain: bool,
    /// Ask Autodiscover now, whatever is known
    #[arg(long)]
    anew: bool,
}

impl Locate {
    /// Runs it.
    pub async fn run(self, session: &mut Session) -> Result<Exit, Failure> {
        let request = LocateMailboxRequest {
            email_address: self.address.clone(),
            profile: self.profile.clone(),
            anew: self.anew,
        };
        let failed = session.connection.failed(Role::Profile);
        let mut stream = session.connection.profiles()?.locate_mailbox(request).await.map_err(&failed)?.into_inner();
        let mut conclusion = None;
        while let Some(response) = stream.message().await.map_err(&failed)? {
            if session.output.is_json() {
                session.output.message_event(&response)?;
            }
            match response.report {
                Some(Reported::Entry(entry)) if self.explain && !session.output.is_json() => {
                    lines(&entry).iter().try_for_each(|line| session.output.line(line))?;
                }
                Some(Reported::Conclusion(found)) => conclusion = Some(found),
                Some(Reported::Entry(_)) | None => {}
            }
        }
        let conclusion = conclusion
            .ok_or_else(|| Failure::from(&Report::new(Code::Internal, "the explanation ended without a conclusion")))?;
        if !session.output.is_json() {
            self.conclude(&mut session.output, &conclusion)?;
        }
        Ok(if conclusion.fault.is_none() { Exit::Success } else { Exit::Failed })
    }

    fn conclude(&self, output: &mut Output, conclusion: &Conclusion) -> Result<(), Failure> {
        if self.explain {
            output.line("")?;
        }
        if let Some(fault) = &conclusion.fault {
            output.line(format!("{} {} is not found", bad("✗"), self.address))?;
            step::explanation(fault, "  ").iter().try_for_each(|line| output.line(line))?;
            if !conclusion.wants_host.is_empty() {
                let profile = if self.profile.is_empty() { "PROFILE" } else { &self.profile };
                let host = &conclusion.wants_host;
                output.line(format!("  {} Autodiscover wants to use {host}; approve?", wary("?")))?;
                output.line(format!("    postroad profile release {profile} {host}"))?;
            }
        }
        if let Some(location) = &conclusion.location {
            let (mark, still) = if conclusion.fault.is_some() {
                (wary("!"), "used until a new one is found: ")
            } else {
                (good("✓"), "")
            };
            output.line(format!("{mark} {still}{}  {}", location.url, faint(how(location))))?;
        }
        if let (false, Some(asked)) = (self.anew, conclusion.asked_at.as_ref()) {
            let hint = "--anew asks again";
            output.line(faint(format!("  Autodiscover was asked {}; {hint}", time::full(Some(asked)))))?;
        }
        Ok(())
    }
}

fn how(location: &Location) -> String {
    match location.source() {
        Source::Fixed => "as entered in the profile".to_owned(),
        Source::AutodiscoverSoap => format!("Autodiscover (SOAP), {}", time::full(location.found_at.as_ref())),
        Source::AutodiscoverPox => format!("Autodiscover (POX), {}", time::full(location.found_at.as_ref())),
        Source::Unspecified => String::new(),
    }
}

/// The question, and below it what was answered and what became of that.
fn lines(entry: &TranscriptEntry) -> Vec<String> {
    let (mark, verb) = match entry.r#use() {
        Use::Followed => (faint("→"), "followed"),
        Use::Dropped => (faint("·"), "dropped"),
        Use::Taken => (good("✓"), "taken"),
        Use::Stopped => (bad("✗"), "stopped"),
        Use::Unspecified => (faint("?"), ""),
    };
    let elapsed = time::elapsed(wire::elapsed(entry.elapsed.as_ref()));
    let mut lines = vec![format!("{mark} {}  {}", entry.question, faint(elapsed))];
    // A failure is its own answer.
    if !entry.answer.is_empty() && !entry.reason.contains(&entry.answer) {
        lines.push(format!("    answer: {}", entry.answer));
    }
    lines.push(format!("    {verb}: {}", entry.reason));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::tests::captured;

    fn plain(lines: &[String]) -> String {
        anstream::adapter::strip_str(&lines.join("\n")).to_string()
    }

    #[test]
    fn an_entry_says_what_was_asked_answered_and_decided() {
        let mut entry = TranscriptEntry {
            question: "GET https://contoso.example/autodiscover/autodiscover.xml without credentials".into(),
            answer: "HTTP 404".into(),
            reason: "no Autodiscover service".into(),
            ..TranscriptEntry::default()
        };
        entry.set_use(Use::Dropped);
        let text = plain(&lines(&entry));
        assert!(text.starts_with("· GET https://contoso.example/"), "{text}");
        assert!(text.ends_with("answer: HTTP 404\n    dropped: no Autodiscover service"), "{text}");
    }

    #[test]
    fn a_host_that_is_wanted_can_be_released_by_the_command_shown() {
        let fault = postroad_rig::status::to_wire(&Report::new(Code::AutodiscoverHostRefused, "x"));
        let conclusion =
            Conclusion { fault: Some(fault), wants_host: "mail.hoster.example".into(), ..Conclusion::default() };
        let locate =
            Locate { address: "ada@contoso.example".into(), profile: "Contoso".into(), explain: true, anew: true };
        let (mut output, captured) = captured(false);
        locate.conclude(&mut output, &conclusion).unwrap();
        let text = captured.text();
        assert!(text.contains("Autodiscover wants to use mail.hoster.example; approve?"), "{text}");
        assert!(text.contains("postroad profile release Contoso mail.hoster.example"), "{text}");
    }
}
