//! What is told of a play that went wrong.

use postroad_proto::crm::v1::EmailStatus;
use system::{activities::emails, fragile::Member};
use tokio::time::timeout;

use super::{CALL, Play};
use crate::{evidence::Evidence, plan::WORKERS};

impl Play {
    /// Where a process panicked, if one did.
    pub fn panics(&self) -> Vec<String> {
        let logs = Member::all(WORKERS).map(|member| self.scene.deployment.log_of(member));
        let panics =
            logs.map(|log| log.lines().filter(|line| line.contains("panicked")).map(str::to_owned).collect::<Vec<_>>());
        panics.flatten().collect()
    }

    /// How mailboxes and emails stand that are not done.
    pub async fn states(&self) -> String {
        let decided = Evidence::read(&self.scene.deployment).await.map(|evidence| evidence.decided());
        let decided = decided.unwrap_or_default();
        let mut states = String::new();
        for (address, items) in &self.mail.items {
            let open = items.iter().filter(|item| !decided.get(address).is_some_and(|known| known.contains(*item)));
            let mailbox = timeout(CALL, self.scene.mailbox(address)).await.map(|known| {
                known.map(|known| {
                    (known.incoming, known.outgoing, known.next_attempt_at, known.throttled_until, known.fault)
                })
            });
            states.push_str(&format!("{address}: {} undecided, {mailbox:?}\n", open.count()));
        }
        let emails = timeout(CALL, emails(&self.scene.deployment)).await.ok().and_then(Result::ok).unwrap_or_default();
        for email in emails.iter().filter(|email| self.is_queued(email) && email.status() != EmailStatus::Sent) {
            states.push_str(&format!("email {}: {:?} {}\n", email.id, email.status(), email.failure));
        }
        states
    }

    /// The ends of all logs.
    pub fn logs(&mut self) -> String {
        let mut logs = String::new();
        for member in Member::all(WORKERS) {
            let log = self.scene.deployment.process(member).map(|process| process.log()).unwrap_or_default();
            logs.push_str(&format!("--- {}\n{log}\n", member.name()));
        }
        logs
    }
}
