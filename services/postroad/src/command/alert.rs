//! `postroad alert`: alerts about profiles and mailboxes.

use clap::{Args, Subcommand};
use postroad_proto::alert::v1::{Alert, AlertFilter, Level, ListAlertsRequest, WatchAlertsRequest};
use postroad_rig::Role;

use crate::{
    connection::pages,
    contract,
    failure::{Exit, Failure},
    output::{
        Output,
        paint::{bad, faint, good, strong, wary},
        time,
    },
    session::Session,
};

/// Alerts about profiles and mailboxes; with --config FILE and no subcommand, run the alert role
#[derive(Args, Debug)]
pub struct Group {
    #[command(subcommand)]
    pub command: Option<Command>,
}

fn level() -> impl clap::builder::TypedValueParser<Value = Level> {
    contract::choice("LEVEL", &["information", "warning", "error"], Level::from_str_name)
}

/// Which alerts.
#[derive(Args, Debug)]
pub struct Filter {
    /// Only this level and graver ones
    #[arg(long, value_parser = level())]
    level: Option<Level>,
    /// Only those of this profile, by name or id
    #[arg(long, value_name = "PROFILE", default_value = "", hide_default_value = true)]
    profile: String,
    /// Only those of this mailbox, by address or id
    #[arg(long, value_name = "ADDRESS", default_value = "", hide_default_value = true)]
    mailbox: String,
    /// Resolved ones as well
    #[arg(long)]
    resolved: bool,
}

impl From<Filter> for AlertFilter {
    fn from(filter: Filter) -> Self {
        let least = filter.level.unwrap_or(Level::Unspecified).into();
        Self { least, profile: filter.profile, mailbox: filter.mailbox, resolved: filter.resolved }
    }
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// List alerts, the newest first
    #[command(after_help = "Examples:\n  postroad alert list\n  postroad alert list --level error --profile Contoso")]
    List {
        #[command(flatten)]
        filter: Filter,
        /// At most so many
        #[arg(long, value_name = "NUMBER")]
        limit: Option<usize>,
    },
    /// Show the alerts as they are, then each as it is raised, repeated or resolved, until Ctrl-C
    #[command(after_help = "Example:\n  postroad alert watch --json | jq 'select(.level == \"error\")'")]
    Watch {
        #[command(flatten)]
        filter: Filter,
    },
}

impl Command {
    /// Runs it.
    pub async fn run(self, session: &mut Session) -> Result<Exit, Failure> {
        match self {
            Self::List { filter, limit } => list(session, filter.into(), limit).await,
            Self::Watch { filter } => watch(session, filter.into()).await,
        }
    }
}

async fn list(session: &mut Session, filter: AlertFilter, limit: Option<usize>) -> Result<Exit, Failure> {
    let mut client = session.connection.alerts()?;
    let alerts: Vec<Alert> = pages(limit, async |page_size, page_token| {
        let request = ListAlertsRequest { filter: Some(filter.clone()), page_size, page_token };
        let answer = client.list_alerts(request).await.map_err(session.connection.failed(Role::Alert))?.into_inner();
        Ok((answer.alerts, answer.next_page_token))
    })
    .await?;
    if session.output.is_json() {
        session.output.messages(&alerts)?;
    } else if alerts.is_empty() {
        session.output.line(good("no alerts"))?;
    } else {
        alerts.iter().try_for_each(|alert| show(&mut session.output, alert))?;
    }
    Ok(Exit::Success)
}

async fn watch(session: &mut Session, filter: AlertFilter) -> Result<Exit, Failure> {
    let failed = session.connection.failed(Role::Alert);
    let request = WatchAlertsRequest { filter: Some(filter) };
    let mut stream = session.connection.alerts()?.watch_alerts(request).await.map_err(&failed)?.into_inner();
    while let Some(response) = stream.message().await.map_err(&failed)? {
        let Some(alert) = response.alert else { continue };
        if session.output.is_json() {
            session.output.message_event(&alert)?
        } else {
            show(&mut session.output, &alert)?
        }
    }
    Ok(Exit::Success)
}

fn show(output: &mut Output, alert: &Alert) -> Result<(), Failure> {
    let level = match alert.level() {
        _ if alert.resolved_at.is_some() => good("resolved   "),
        Level::Error => bad("error      "),
        Level::Warning => wary("warning    "),
        Level::Information | Level::Unspecified => "information".to_owned(),
    };
    let when = time::full(alert.resolved_at.as_ref().or(alert.last_at.as_ref()));
    output.line(format!("{level}  {}  {}", strong(&alert.regarding_name), faint(when)))?;
    output.line(format!("    {}", alert.text))?;
    if let Some(fault) = &alert.fault {
        output.line(format!("    {} {}", faint("remedy "), fault.remedy))?;
        output.line(format!("    {} {}", faint("who    "), fault.who))?;
    }
    if alert.count > 1 {
        let since = time::full(alert.first_at.as_ref());
        output.line(format!("    {} {} times since {since}", faint("seen   "), alert.count))?;
    }
    if alert.mailboxes > 1 {
        output.line(format!("    {} {} mailboxes", faint("concerns"), alert.mailboxes))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use postroad_core::fault::{Code, Report};
    use postroad_rig::status::to_wire;

    use super::*;
    use crate::output::tests::captured;

    #[test]
    fn an_alert_tells_what_to_do() {
        let alert = Alert {
            level: Level::Error.into(),
            regarding_name: "Contoso".into(),
            text: "The server refused the connection".into(),
            fault: Some(to_wire(&Report::new(Code::ConnectRefused, ""))),
            count: 3,
            mailboxes: 12,
            ..Default::default()
        };
        let (mut output, captured) = captured(false);
        show(&mut output, &alert).unwrap();
        let text = captured.text();
        for part in ["error", "Contoso", Code::ConnectRefused.row().remedy, "3 times", "12 mailboxes"] {
            assert!(text.contains(part), "{text}");
        }
    }
}
