//! What NATS did not allow. It answers a request that is not allowed with an error on the side, and the request itself never: without
//! this, a missing permission would look like a server that is too slow.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::broadcast;

/// Denials of one connection; a cheap clone.
#[derive(Clone, Debug)]
pub struct Denials {
    last: Arc<Mutex<Option<String>>>,
    noted: broadcast::Sender<String>,
}

impl Default for Denials {
    fn default() -> Self {
        Self { last: Arc::default(), noted: broadcast::channel(64).0 }
    }
}

impl Denials {
    /// Notes what the server said.
    pub fn note(&self, said: String) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(said.clone());
        // Nobody may be waiting.
        let _ = self.noted.send(said);
    }

    /// What was denied last, if anything was.
    pub fn last(&self) -> Option<String> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Completes when something about a subject is denied from now on.
    pub fn about(&self, subject: &str) -> impl Future<Output = String> + Send + use<> {
        let (mut noted, quoted) = (self.noted.subscribe(), format!("\"{subject}\""));
        async move {
            loop {
                match noted.recv().await {
                    Ok(said) if said.contains(&quoted) => return said,
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => std::future::pending::<()>().await,
                }
            }
        }
    }

    /// Completes when anything is denied from now on.
    pub fn any(&self) -> impl Future<Output = String> + Send + use<> {
        let mut noted = self.noted.subscribe();
        async move {
            match noted.recv().await {
                Ok(said) => said,
                Err(_) => std::future::pending().await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn who_waits_hears_of_its_own_subject_only() {
        let denials = Denials::default();
        denials.note("publish to \"journal.mailbox.a\"".to_owned());
        let mut waiting = Box::pin(denials.about("journal.mailbox.a"));
        assert_eq!((&mut waiting).now_or_never(), None, "what was denied before is another's");
        denials.note("publish to \"journal.mailbox.ab\"".to_owned());
        assert_eq!((&mut waiting).now_or_never(), None);
        denials.note("publish to \"journal.mailbox.a\"".to_owned());
        assert!(waiting.now_or_never().is_some());
        assert!(denials.last().is_some());
    }
}
