//! `postroad rules`: what changed settings would do.

use clap::{Args, Subcommand};
use jiff::Timestamp;
use postroad_proto::sync::v1::{RuleChange, RuleTotals, TryRulesRequest, try_rules_response::Result as Told};
use postroad_rig::{Role, wire};

use super::organization::pair;
use crate::{
    failure::{Exit, Failure},
    output::{
        Output,
        paint::{bad, faint, good, strong},
        time,
    },
    session::Session,
};

/// What decides about messages
#[derive(Args, Debug)]
pub struct Group {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Run changed settings over past messages: what would be tracked, and what would not. Writes nothing
    #[command(
        after_help = "Examples:\n  postroad rules try --mailbox ada@contoso.example --filtering-method responses\n  \
        postroad rules try --set smart-matching=yes --since 2026-11-01T00:00:00Z\n\n\
        Applying the change then gives exactly that, for messages that come in like those. What is tracked already stays tracked."
    )]
    Try {
        /// Only this mailbox, by address or id [default: all]
        #[arg(long, value_name = "ADDRESS", default_value = "", hide_default_value = true)]
        mailbox: String,
        /// A changed setting of the organization; may be repeated
        #[arg(long = "set", value_name = "NAME=VALUE", value_parser = pair)]
        settings: Vec<(String, String)>,
        /// A changed filtering method
        #[arg(long, value_name = "METHOD", value_parser = method)]
        filtering_method: Option<u32>,
        /// A changed Process Email From
        #[arg(long, value_name = "TIME")]
        process_email_from: Option<Timestamp>,
        /// Only messages received since
        #[arg(long, value_name = "TIME")]
        since: Option<Timestamp>,
    },
}

/// The filtering methods by their number in the CRM.
const METHODS: [&str; 5] = ["all_messages", "responses", "from_people", "from_records", "no_messages"];

fn method(text: &str) -> Result<u32, String> {
    let found = METHODS.iter().position(|name| *name == text).and_then(|number| u32::try_from(number).ok());
    found.ok_or_else(|| format!("is none of {}", METHODS.join(", ")))
}

impl Command {
    /// Runs it.
    pub async fn run(self, session: &mut Session) -> Result<Exit, Failure> {
        let Self::Try { mailbox, settings, filtering_method, process_email_from, since } = self;
        let request = TryRulesRequest {
            mailbox,
            settings: settings.into_iter().collect(),
            filtering_method,
            process_email_from: process_email_from.map(wire::timestamp),
            since: since.map(wire::timestamp),
        };
        let mut client = session.connection.sync()?;
        let answers = client.try_rules(request).await.map_err(session.connection.failed(Role::Sync))?;
        let mut answers = answers.into_inner();
        while let Some(answer) = answers.message().await.map_err(session.connection.failed(Role::Sync))? {
            if session.output.is_json() {
                session.output.message_event(&answer)?;
                continue;
            }
            match answer.result {
                Some(Told::Change(change)) => self::change(&mut session.output, &change)?,
                Some(Told::Totals(totals)) => self::totals(&mut session.output, &totals)?,
                None => {}
            }
        }
        Ok(Exit::Success)
    }
}

fn change(output: &mut Output, change: &RuleChange) -> Result<(), Failure> {
    let mark = if change.tracked { good("+") } else { bad("-") };
    let received = time::short(change.received_at.as_ref());
    output.line(format!("{mark} {}  {}  {}", strong(&change.email_address), change.message_id, faint(received)))?;
    output.line(format!("    now: {}", change.before))?;
    output.line(format!("    then: {}", change.after))
}

fn totals(output: &mut Output, totals: &RuleTotals) -> Result<(), Failure> {
    let RuleTotals { examined, added, removed, gone } = totals;
    let gone = if *gone == 0 { String::new() } else { format!("; {gone} are gone and nothing can be said of them") };
    output.line(format!(
        "{examined} messages: {} more would be tracked, {} would not be tracked any more{gone}. Nothing was changed.",
        strong(added),
        strong(removed)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::tests::captured;

    #[test]
    fn what_would_change_is_told() {
        let (mut output, text) = captured(false);
        let told = RuleChange {
            email_address: "ada@x.example".into(),
            message_id: "<a@x>".into(),
            tracked: true,
            before: "It was not.".into(),
            after: "It would be.".into(),
            ..RuleChange::default()
        };
        change(&mut output, &told).unwrap();
        totals(&mut output, &RuleTotals { examined: 3, added: 1, removed: 0, gone: 1 }).unwrap();
        assert!(text.text().contains("+ ada@x.example  <a@x>"), "{}", text.text());
        assert!(text.text().contains("3 messages: 1 more would be tracked"), "{}", text.text());
        assert_eq!(
            (method("responses"), method("all")),
            (Ok(1), Err("is none of all_messages, responses, from_people, from_records, no_messages".to_owned()))
        );
    }
}
