//! Supervised tasks: none is lost, none fails silently.

use std::{future::Future, sync::Arc};

use tokio::sync::Mutex;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::Error;

/// Spawns the tasks of a role. A task that panics or ends with an error brings the role down, so that its supervisor
/// restarts it from the journal instead of leaving it half alive.
#[derive(Clone)]
pub struct Tasks {
    tracker: TaskTracker,
    shutdown: CancellationToken,
    failure: Arc<Mutex<Option<Error>>>,
}

impl Tasks {
    /// Tasks that end with `shutdown`.
    pub fn new(shutdown: CancellationToken) -> Self {
        Self { tracker: TaskTracker::new(), shutdown, failure: Arc::default() }
    }

    /// Spawns a task that runs until shutdown; if it fails, the role is brought down.
    pub fn spawn<F, E>(&self, task: &'static str, future: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: std::fmt::Display + Send + 'static,
    {
        let (shutdown, failure) = (self.shutdown.clone(), Arc::clone(&self.failure));
        let work = self.tracker.spawn(future);
        self.tracker.spawn(async move {
            let reason = match work.await {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error.to_string(),
                Err(error) if error.is_cancelled() => return,
                Err(error) => format!("it panicked: {error}"),
            };
            tracing::error!(task, reason, "task failed; the role stops");
            failure.lock().await.get_or_insert(Error::Task { task, reason });
            shutdown.cancel();
        });
    }

    /// Waits until shutdown is asked for and all tasks have ended; gives the failure that brought the role down, if any.
    pub async fn finish(&self) -> Result<(), Error> {
        self.shutdown.cancelled().await;
        self.tracker.close();
        let grace = tokio::time::timeout(std::time::Duration::from_secs(10), self.tracker.wait()).await;
        if grace.is_err() {
            tracing::warn!(tasks = self.tracker.len(), "tasks did not end within 10 s of shutdown and are dropped");
        }
        self.failure.lock().await.take().map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_failing_task_brings_the_role_down() {
        let tasks = Tasks::new(CancellationToken::new());
        tasks.spawn("steady", std::future::ready(Ok::<(), String>(())));
        tasks.spawn("failing", async { Err("no luck") });
        let error = tasks.finish().await.unwrap_err();
        assert_eq!(error.to_string(), "the task failing failed: no luck");
    }
}
