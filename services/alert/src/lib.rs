//! The alert role: the wall of alerts, and the mail to a profile's owner when more than half of its mailboxes fail
//! (setup guide, Email Notifications; spec §7).
//!
//! It follows the journal into a [`view`]; what is due is a pure function of the view and the time ([`plan`]); the
//! [`notifier`] does it, the journal deciding that each mail is sent at most once (INV-8).

use std::sync::Arc;

use postroad_metric::alert::ALERT;
use postroad_proto::alert::v1::alert_service_server::{AlertServiceServer, SERVICE_NAME};
use postroad_rig::{Context, Error};

pub mod board;
#[cfg(test)]
mod fixture;
pub mod mail;
pub mod mailer;
pub mod notifier;
pub mod plan;
mod service;
pub mod view;
mod wire;

pub use service::Service;

/// Has the number of open alerts set whenever it is read.
fn tell(board: &Arc<board::Board>) {
    let board = Arc::downgrade(board);
    postroad_metric::before_scrape(move || {
        let Some(board) = board.upgrade() else { return };
        let open = board.read(|view| view.wall().open());
        for (level, count) in open {
            ALERT.open.with_label_values(&[level]).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    });
}

/// Runs the role until shutdown. It serves and sends once its view holds everything that the journal held at the start.
pub async fn run(context: Context) -> Result<(), Error> {
    let mailer: Arc<dyn mailer::Mailer> = match &context.config.alert.smtp {
        Some(smtp) => Arc::new(mailer::Relay::open(smtp)?),
        None => Arc::new(mailer::Unconfigured),
    };
    let board = Arc::new(board::Board::default());
    context.tasks.spawn("view", Arc::clone(&board).follow(context.journal.clone(), context.shutdown.clone()));
    tokio::select! {
        () = board.caught_up() => {}
        () = context.shutdown.cancelled() => return Ok(()),
    }
    tell(&board);
    let notifier =
        notifier::Notifier::new(context.journal.clone(), Arc::clone(&board), mailer, postroad_rig::clock::now);
    context.tasks.spawn("notifier", notifier.run(context.shutdown.clone()));
    let service = Service::new(board, context.shutdown.clone());
    let routes = tonic::service::Routes::new(AlertServiceServer::new(service));
    postroad_rig::serve(&context, context.config.alert.listen, routes, &[SERVICE_NAME]).await
}
