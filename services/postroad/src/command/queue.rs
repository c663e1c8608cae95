//! `postroad queue`: what lies in the queues of the CRM.

use clap::{Args, Subcommand};
use postroad_proto::crm::v1::{ListQueueItemsRequest, QueueItem};
use postroad_rig::Role;

use crate::{
    connection::pages,
    failure::{Exit, Failure},
    output::{
        paint::{cell, faint},
        time,
    },
    session::Session,
};

/// Queues of the CRM
#[derive(Args, Debug)]
pub struct Group {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// List the items of a queue, the newest first
    #[command(after_help = "Example:\n  postroad queue items support@contoso.example")]
    Items {
        /// Its address or id
        queue: String,
        /// At most so many
        #[arg(long, value_name = "NUMBER", default_value_t = 100)]
        limit: usize,
    },
}

impl Command {
    /// Runs it.
    pub async fn run(self, session: &mut Session) -> Result<Exit, Failure> {
        let Self::Items { queue, limit } = self;
        let mut client = session.connection.crm()?;
        let items: Vec<QueueItem> = pages(Some(limit), async |page_size, page_token| {
            let request = ListQueueItemsRequest { queue: queue.clone(), page_size, page_token };
            let answer = client.list_queue_items(request).await;
            let answer = answer.map_err(session.connection.failed(Role::Crm))?.into_inner();
            Ok((answer.items, answer.next_page_token))
        })
        .await?;
        if session.output.is_json() {
            session.output.messages(&items)?;
        } else if items.is_empty() {
            session.output.line(faint("the queue is empty"))?;
        } else {
            let rows = items.iter().map(|item| {
                vec![cell(time::short(item.entered_at.as_ref())), cell(&item.subject), cell(&item.email_id)]
            });
            session.output.table(&["ENTERED", "SUBJECT", "EMAIL"], rows.collect())?;
        }
        Ok(Exit::Success)
    }
}
