//! The roles: one call for each question.

use postroad_proto::{
    alert::v1::{AlertFilter, Level, ListAlertsRequest},
    mailbox::v1::{
        GetMailboxRequest, ListMailboxesRequest, ListTimelineRequest, SummarizeMailboxesRequest, TimelineEntry,
    },
    sync::v1::{ListServersRequest, ListWorkersRequest},
};
use postroad_rig::clock;

use super::question::{Answer, Question, Reply, Wanted};
use crate::{connection::Connection, failure::Failure};

/// Mailboxes of the list; whoever is not among them is searched for.
const MAILBOXES: u32 = 500;
/// Alerts.
const ALERTS: u32 = 100;
/// Events of a timeline; what is older is left to `postroad mailbox timeline`.
pub const EVENTS: usize = 1000;

/// Asks; what went wrong is part of the answer.
pub async fn ask(connection: &Connection, question: Question) -> Answer {
    let reply = reply(connection, &question).await;
    Answer { question, at: clock::now(), reply }
}

async fn reply(connection: &Connection, question: &Question) -> Result<Reply, Failure> {
    let failed = connection.failed(question.role());
    Ok(match question {
        Question::Summary => {
            let request = SummarizeMailboxesRequest::default();
            let answer = connection.mailboxes()?.summarize_mailboxes(request).await;
            Reply::Summary(answer.map_err(failed)?.into_inner())
        }
        Question::Workers => {
            let answer = connection.sync()?.list_workers(ListWorkersRequest {}).await;
            Reply::Workers(answer.map_err(failed)?.into_inner())
        }
        Question::Servers => {
            let answer = connection.sync()?.list_servers(ListServersRequest {}).await;
            Reply::Servers(answer.map_err(failed)?.into_inner().servers)
        }
        Question::Alerts => {
            let filter = Some(AlertFilter { least: Level::Warning.into(), resolved: true, ..AlertFilter::default() });
            let request = ListAlertsRequest { filter, page_size: ALERTS, page_token: String::new() };
            Reply::Alerts(connection.alerts()?.list_alerts(request).await.map_err(failed)?.into_inner().alerts)
        }
        Question::Mailboxes(wanted) => {
            let Wanted { condition, fault, search } = wanted.clone();
            let conditions = condition.into_iter().map(i32::from).collect();
            let request =
                ListMailboxesRequest { page_size: MAILBOXES, conditions, fault, search, ..Default::default() };
            let page = connection.mailboxes()?.list_mailboxes(request).await.map_err(failed)?.into_inner();
            Reply::Mailboxes(page.mailboxes, !page.next_page_token.is_empty())
        }
        Question::Mailbox(id) => {
            let request = GetMailboxRequest { mailbox: id.clone() };
            let answer = connection.mailboxes()?.get_mailbox(request).await.map_err(failed)?.into_inner();
            Reply::Mailbox(Box::new(answer.mailbox.unwrap_or_default()))
        }
        Question::Timeline(id, after) => Reply::Timeline(timeline(connection, id, *after).await?),
    })
}

/// The newest events after a position.
async fn timeline(connection: &Connection, id: &str, after: u64) -> Result<Vec<TimelineEntry>, Failure> {
    let mut client = connection.mailboxes()?;
    let failed = connection.failed(Question::Timeline(String::new(), 0).role());
    let (mut entries, mut page_token) = (Vec::new(), String::new());
    loop {
        let newest = u32::try_from(EVENTS).unwrap_or(u32::MAX);
        let request = ListTimelineRequest { mailbox: id.to_owned(), page_size: 1000, page_token, after, newest };
        let page = client.list_timeline(request).await.map_err(&failed)?.into_inner();
        entries.extend(page.entries);
        entries.drain(..entries.len().saturating_sub(EVENTS));
        if page.next_page_token.is_empty() {
            return Ok(entries);
        }
        page_token = page.next_page_token;
    }
}
