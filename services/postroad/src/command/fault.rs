//! `postroad fault`: the fault table, for people, machines and the documentation.

use std::fmt::Write as _;

use clap::{Args, Subcommand};
use postroad_core::fault::{Code, Permanence, Probe, Report, Row, Scope};
use serde::Serialize;

use crate::{
    failure::{Exit, Failure},
    output::{
        Output,
        paint::{cell, faint, strong},
    },
    session::Global,
};

/// Explain the faults that Postroad reports
#[derive(Args, Debug)]
pub struct Group {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// List every fault
    #[command(after_help = "Example:\n  postroad fault list --json | jq -r '.[].code'")]
    List {
        /// Print Markdown, as in the documentation
        #[arg(long, conflicts_with = "json")]
        markdown: bool,
    },
    /// Explain one fault: what it means, why it happens, what to do, and who
    #[command(after_help = "Example:\n  postroad fault show BASIC_NOT_OFFERED")]
    Show {
        /// The code, as errors and alerts print it
        code: String,
        /// Print Markdown, as in the documentation
        #[arg(long, conflicts_with = "json")]
        markdown: bool,
    },
}

#[derive(Serialize)]
struct Entry {
    code: &'static str,
    permanence: &'static str,
    scope: &'static str,
    what: &'static str,
    cause: &'static str,
    remedy: &'static str,
    who: &'static str,
    probe: &'static str,
}

impl From<Row> for Entry {
    fn from(row: Row) -> Self {
        Self {
            code: row.name,
            permanence: match row.permanence {
                Permanence::Transient => "transient",
                Permanence::Permanent => "permanent",
            },
            scope: match row.scope {
                Scope::Server => "server",
                Scope::Mailbox => "mailbox",
                Scope::Item => "item",
                Scope::Deployment => "deployment",
                Scope::Input => "input",
            },
            what: row.what,
            cause: row.cause,
            remedy: row.remedy,
            who: row.who.phrase(),
            probe: match row.probe {
                Probe::Growing => "growing",
                Probe::OnChange => "on_change",
            },
        }
    }
}

impl Entry {
    /// What Postroad does about it by itself; empty where that cannot be said.
    fn by_itself(&self) -> &'static str {
        match (self.scope, self.permanence, self.probe) {
            ("server" | "mailbox", "transient", _) => {
                "retries, and disables the mailbox only if it goes on; then keeps probing"
            }
            ("server" | "mailbox", _, "growing") => {
                "disables the mailbox at once, and probes with growing distance until it is gone"
            }
            ("server" | "mailbox", _, _) => {
                "disables the mailbox at once, and tries again after its profile or the mailbox changed"
            }
            ("item", ..) => "isolates the message, retries it in later cycles, and never stops the mailbox",
            ("deployment", "transient", _) => "retries",
            ("input", ..) => "refuses the request and changes nothing",
            _ => "",
        }
    }
}

impl Command {
    /// Runs it.
    pub fn run(self, global: &Global) -> Result<Exit, Failure> {
        let mut output = Output::standard(global.json);
        match self {
            Self::List { markdown: true } => output.line(markdown_list())?,
            Self::List { markdown: false } => list(&mut output)?,
            Self::Show { code, markdown } => show(&mut output, find(&code)?, markdown)?,
        }
        Ok(Exit::Success)
    }
}

fn find(code: &str) -> Result<Code, Failure> {
    let wanted = code.trim().to_uppercase().replace('-', "_");
    Code::by_name(&wanted).ok_or_else(|| {
        let near: Vec<&str> =
            Code::ALL.iter().map(|code| code.name()).filter(|name| shares_a_word(name, &wanted)).collect();
        let hint = if near.is_empty() {
            "see: postroad fault list".to_owned()
        } else {
            format!("perhaps {}", near.join(", "))
        };
        Failure::refused(Code::NotFound, "CODE", format!("`{code}` is no fault of this version; {hint}"))
    })
}

fn shares_a_word(name: &str, wanted: &str) -> bool {
    name.split('_').any(|word| word.len() > 3 && wanted.split('_').any(|other| other == word))
}

fn entries() -> Vec<Entry> {
    Code::ALL.iter().map(|code| Entry::from(code.row())).collect()
}

fn list(output: &mut Output) -> Result<(), Failure> {
    if output.is_json() {
        return output.json(&entries());
    }
    let rows = entries()
        .iter()
        .map(|entry| vec![cell(entry.code), cell(entry.scope), cell(entry.permanence), cell(entry.what)])
        .collect();
    output.table(&["CODE", "SCOPE", "PERMANENCE", "WHAT"], rows)
}

fn show(output: &mut Output, code: Code, markdown: bool) -> Result<(), Failure> {
    let entry = Entry::from(code.row());
    if output.is_json() {
        return output.json(&entry);
    }
    if markdown {
        return output.line(markdown_entry(&entry).trim_end());
    }
    output.line(format!("{}  {}", strong(entry.code), faint(format!("{}, {}", entry.permanence, entry.scope))))?;
    output.line(format!("{}.", Report::new(code, "").sentence()))?;
    output.line("")?;
    output.facts(vec![
        ("cause", entry.cause.to_owned()),
        ("remedy", entry.remedy.to_owned()),
        ("who", entry.who.to_owned()),
        ("by itself", entry.by_itself().to_owned()),
    ])
}

fn markdown_entry(entry: &Entry) -> String {
    let mut text = format!("### {}\n\n{}. ({}, {})\n\n", entry.code, entry.what, entry.permanence, entry.scope);
    for (label, cell) in
        [("Cause", entry.cause), ("Remedy", entry.remedy), ("Who", entry.who), ("Postroad", entry.by_itself())]
    {
        if !cell.is_empty() {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "- **{label}:** {cell}.");
        }
    }
    text.push('\n');
    text
}

fn markdown_list() -> String {
    let text: String = entries().iter().map(markdown_entry).collect();
    format!("# Faults\n\n{}", text.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::tests::captured;

    #[test]
    fn the_list_has_every_row() {
        let (mut output, captured) = captured(true);
        list(&mut output).unwrap();
        let rows: Vec<serde_json::Value> = serde_json::from_str(&captured.text()).unwrap();
        assert_eq!(rows.len(), Code::ALL.len());
        assert!(rows.iter().all(|row| row["remedy"].as_str().is_some_and(|text| !text.is_empty())));
    }

    #[test]
    fn a_row_is_explained() {
        let (mut output, captured) = captured(false);
        show(&mut output, find("basic-not-offered").unwrap(), false).unwrap();
        assert!(captured.text().contains(Code::BasicNotOffered.row().remedy));
    }

    #[test]
    fn an_unknown_code_is_answered_with_near_ones() {
        let failure = find("BASIC_MISSING").unwrap_err();
        assert_eq!(failure.exit(), Exit::Refused);
        assert!(failure.to_string().contains("BASIC_NOT_OFFERED"), "{failure}");
        assert!(find("nonsense").unwrap_err().to_string().contains("postroad fault list"));
    }

    #[test]
    fn markdown_has_a_heading_for_every_row() {
        let text = markdown_list();
        assert_eq!(text.matches("\n### ").count(), Code::ALL.len());
        assert!(!text.contains(".."), "a stop is doubled");
    }
}
