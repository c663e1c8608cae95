//! Running roles: one, or all in one process. In one process, too, they speak to each other over gRPC only.

use std::sync::Arc;

use postroad_core::fault::{Code, Report};
use postroad_rig::{Config, Context, Error, Metrics, Role, Tasks};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    failure::{Exit, Failure},
    session::Global,
};

/// The order in which `all` starts them: those that others ask come first.
const ORDER: [Role; 5] = [Role::Crm, Role::Locator, Role::Profile, Role::Sync, Role::Alert];

/// Runs one role until it is asked to stop.
pub async fn one(global: &Global, role: Role) -> Result<Exit, Failure> {
    run(global, &[role]).await
}

/// Runs every role until they are asked to stop. If one fails, the others are stopped too.
pub async fn all(global: &Global) -> Result<Exit, Failure> {
    run(global, &ORDER).await
}

async fn run(global: &Global, roles: &[Role]) -> Result<Exit, Failure> {
    if global.config.is_none() {
        let rule = "is required to run a role; print one to start from with: postroad config example";
        return Err(Failure::refused(Code::FieldRequired, "--config", rule));
    }
    let config = Arc::new(global.configuration()?);
    let process = if let [role] = roles { format!("postroad-{}", role.name()) } else { "postroad".to_owned() };
    let telemetry = postroad_rig::telemetry::start(global.json.then_some(true), &process, &config.telemetry)?;
    let outcome = Box::pin(supervise(&config, roles)).await;
    telemetry.finish().await;
    outcome
}

async fn supervise(config: &Arc<Config>, roles: &[Role]) -> Result<Exit, Failure> {
    let shutdown = CancellationToken::new();
    if let Some(listen) = config.telemetry.listen(roles) {
        let names: Vec<_> = roles.iter().map(|role| role.name()).collect();
        let metrics = Metrics::open(listen, &names.join(",")).await?;
        Tasks::new(shutdown.clone()).spawn("metrics", metrics.serve(shutdown.clone()));
    }
    let mut running = start(config, roles, &shutdown).await?;
    let mut stop = Box::pin(postroad_rig::shutdown_signal());
    let mut outcome = Ok(Exit::Success);
    loop {
        tokio::select! {
            () = &mut stop, if !shutdown.is_cancelled() => shutdown.cancel(),
            ended = running.join_next() => match ended {
                None => return outcome,
                Some(ended) => {
                    let failed = failure(ended, shutdown.is_cancelled());
                    // The first failure is the cause; those that follow are its echo.
                    if let (Some(failure), Ok(_)) = (failed, &outcome) {
                        outcome = Err(failure);
                    }
                    shutdown.cancel();
                }
            },
        }
    }
}

type Ended = (Role, Result<(), Error>);

async fn start(config: &Arc<Config>, roles: &[Role], shutdown: &CancellationToken) -> Result<JoinSet<Ended>, Failure> {
    let mut contexts = Vec::new();
    for role in roles {
        // A child: a role that fails stops itself only, and what is done about it is decided here.
        contexts.push(postroad_rig::start(Arc::clone(config), *role, shutdown.child_token()).await?);
    }
    let mut running = JoinSet::new();
    for context in contexts {
        running.spawn(async move { (context.role, Box::pin(role(context)).await) });
    }
    Ok(running)
}

/// Runs a role to its end, and its tasks to theirs.
async fn role(context: Context) -> Result<(), Error> {
    let (shutdown, tasks, denials) = (context.shutdown.clone(), context.tasks.clone(), context.denials.clone());
    let (serving, denied) = (context.serving.clone(), denials.any());
    // Before a role serves, what it may not is what it cannot do without; later, the rest of it still works.
    let denied_at_start = async {
        let said = denied.await;
        if serving.is_cancelled() { std::future::pending().await } else { said }
    };
    let ended = tokio::select! {
        ended = Box::pin(serve(context)) => ended,
        said = denied_at_start => Err(Error::Fault(Report::new(Code::NatsDenied, said))),
    };
    shutdown.cancel();
    // A task that failed is why the role ended.
    let ended = tasks.finish().await.and(ended);
    match (ended, denials.last()) {
        // What NATS does not allow it does not answer, which looks like a NATS that is gone.
        (Err(error), Some(said)) if matches!(error.report().code, Code::JournalUnavailable | Code::Internal) => {
            Err(Error::Fault(Report::new(Code::NatsDenied, said)))
        }
        (ended, _) => ended,
    }
}

async fn serve(context: Context) -> Result<(), Error> {
    match context.role {
        Role::Profile => postroad_profile::run(context).await,
        Role::Locator => postroad_locator::run(context).await,
        Role::Sync => postroad_sync::run(context).await,
        Role::Alert => postroad_alert::run(context).await,
        Role::Crm => postroad_crm::run(context).await,
    }
}

fn failure(ended: Result<Ended, tokio::task::JoinError>, asked: bool) -> Option<Failure> {
    match ended {
        Ok((_, Ok(()))) if asked => None,
        Ok((role, Ok(()))) => {
            Some(Failure::from(Error::Task { task: role.name(), reason: "it ended without being asked to".into() }))
        }
        Ok((role, Err(error))) => {
            tracing::error!(role = role.name(), fault = %error.report().code, "{}", error.report().sentence());
            Some(Failure::from(error))
        }
        Err(error) => Some(Failure::from(Error::Task { task: "role", reason: error.to_string() })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_is_started() {
        assert!(Role::ALL.iter().all(|role| ORDER.contains(role)));
    }

    #[test]
    fn an_end_counts_as_a_failure_unless_it_was_asked_for() {
        assert!(failure(Ok((Role::Sync, Ok(()))), true).is_none());
        assert!(failure(Ok((Role::Sync, Ok(()))), false).unwrap().to_string().contains("sync"));
        let fault = Error::Fault(Report::new(Code::NatsTooOld, "2.9.10"));
        assert_eq!(failure(Ok((Role::Crm, Err(fault))), true).unwrap().exit(), Exit::Failed);
    }
}
