//! `postroad organization`: the settings that concern synchronization.

use std::collections::HashMap;

use clap::{Args, Subcommand};
use postroad_core::{
    fault::Code,
    organization::{ROWS, Settings},
};
use postroad_proto::crm::v1::{GetSettingsRequest, SaveSettingsRequest};
use postroad_rig::Role;

use crate::{
    failure::{Exit, Failure},
    output::{
        Output,
        paint::{cell, good, wary_cell},
    },
    session::Session,
};

/// Settings of the organization
#[derive(Args, Debug)]
pub struct Group {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Show every setting: its value, its default, and what it does
    Show,
    /// Change settings
    #[command(after_help = "Examples:\n  postroad organization set smart-matching=yes create-sender=contact\n  \
        postroad organization set smart-matching=     (brings the default back)\n\n\
        See first what a change would do to past messages: postroad rules try")]
    Set {
        /// The settings, as `postroad organization show` names them
        #[arg(value_name = "NAME=VALUE", required = true, value_parser = pair)]
        settings: Vec<(String, String)>,
    },
}

/// A setting with its value.
pub fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("is not NAME=VALUE")?;
    if ROWS.iter().any(|row| row.name == name.trim()) {
        return Ok((name.trim().to_owned(), value.trim().to_owned()));
    }
    Err(format!("`{name}` is no setting; `postroad organization show` lists them"))
}

impl Command {
    /// Runs it.
    pub async fn run(self, session: &mut Session) -> Result<Exit, Failure> {
        let failed = session.connection.failed(Role::Crm);
        let entries = match self {
            Self::Show => {
                let answer = session.connection.crm()?.get_settings(GetSettingsRequest {}).await;
                let entries = answer.map_err(&failed)?.into_inner().settings;
                drop(failed);
                return show(&mut session.output, &entries).map(|()| Exit::Success);
            }
            Self::Set { settings } => {
                let request = SaveSettingsRequest { settings: settings.into_iter().collect() };
                let answer = session.connection.crm()?.save_settings(request).await;
                answer.map_err(&failed)?.into_inner().settings
            }
        };
        drop(failed);
        if session.output.is_json() {
            session.output.json(&entries)?;
        } else {
            let line = format!("{} {} settings differ from their defaults", good("✓"), entries.len());
            session.output.line(line)?;
        }
        Ok(Exit::Success)
    }
}

fn show(output: &mut Output, entries: &HashMap<String, String>) -> Result<(), Failure> {
    let pairs = entries.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let (settings, refusals) = Settings::read(pairs);
    if let Some(refusal) = refusals.first() {
        return Err(Failure::refused(Code::ValueOutOfRange, refusal.field.clone(), refusal.rule.clone()));
    }
    let values = settings.values();
    if output.is_json() {
        let all: serde_json::Map<_, _> =
            values.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        return output.json(&all);
    }
    let rows = ROWS.iter().zip(values).map(|(row, (_, value))| {
        let is_default = value == row.default;
        let shown = if value.is_empty() { "-".to_owned() } else { value };
        let shown = if is_default { cell(shown) } else { wary_cell(shown) };
        vec![cell(row.name), shown, cell(if is_default { "" } else { row.default }), cell(row.range), cell(row.effect)]
    });
    output.table(&["SETTING", "VALUE", "DEFAULT", "RANGE", "EFFECT"], rows.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::tests::captured;

    #[test]
    fn settings_are_shown_with_what_they_do() {
        let (mut output, text) = captured(false);
        show(&mut output, &HashMap::from([("smart-matching".to_owned(), "yes".to_owned())])).unwrap();
        assert!(text.text().contains("smart-matching") && text.text().lines().count() > ROWS.len());
        assert!(pair("smart-matchin=yes").is_err() && pair("smart-matching").is_err());
        assert_eq!(pair("smart-matching=").unwrap().1, "");
    }
}
