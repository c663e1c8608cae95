//! The roles: whether each serves, and whether CRM and workers do their work.

use postroad_core::fault::Code;
use postroad_proto::{crm::v1::ListRecordsRequest, sync::v1::GetWorkerRequest};
use postroad_rig::Role;

use super::{Check, patiently};
use crate::{connection::Connection, failure::Failure};

/// Whether a role says that it serves.
pub async fn health(connection: &Connection, role: Role) -> Check {
    let (name, endpoint) = (format!("{} role", role.name()), connection.endpoint(role));
    let channel = match connection.channel(role) {
        Ok(channel) => channel,
        Err(failure) => return Check::problem(name, &failure),
    };
    match patiently(postroad_rig::is_serving(channel)).await {
        Some(Ok(true)) => Check::well(name, format!("serves at {endpoint}")),
        Some(Ok(false)) => Check::warning(
            name,
            format!("runs at {endpoint} and is not ready"),
            "wait until it has read the journal; look at its log",
        ),
        Some(Err(status)) => {
            Check::problem(name, &connection.explained(Failure::of_call(role, endpoint, &status)).await)
        }
        None => Check::problem(name, &slow(connection, role)),
    }
}

/// What a refusal means to the doctor: a role's own certificate is for what roles do, and people's rights differ.
fn refused(name: &str, failure: &Failure) -> Check {
    match failure {
        Failure::Fault(problem) if problem.code == Code::AccessDenied.name() => {
            Check::not_checked(name, "only people may ask for it, readers at least")
        }
        failure => Check::problem(name, failure),
    }
}

/// Whether the CRM answers what roles ask it.
pub async fn crm(connection: &Connection) -> Check {
    let call = async {
        let request = ListRecordsRequest { page_size: 1, ..Default::default() };
        connection.crm()?.list_records(request).await.map_err(connection.failed(Role::Crm))
    };
    match patiently(call).await {
        Some(Ok(answer)) if answer.get_ref().records.is_empty() => Check::warning(
            "crm records",
            "the CRM has no records: profiles need an owner, and mailboxes a user or queue",
            "load people with: postroad record load FILE.csv",
        ),
        Some(Ok(_)) => Check::well("crm records", "the CRM answers and has records"),
        Some(Err(failure)) => refused("crm records", &failure),
        None => Check::fault("crm records", Code::CrmUnavailable, "it did not answer in time"),
    }
}

/// Whether the workers have shared out the mailboxes.
pub async fn workers(connection: &Connection) -> Check {
    let call =
        async { connection.sync()?.get_worker(GetWorkerRequest {}).await.map_err(connection.failed(Role::Sync)) };
    match patiently(call).await {
        Some(Ok(answer)) => {
            let worker = answer.into_inner();
            Check::well(
                "sync workers",
                format!(
                    "{} live; {} holds {} of 256 partitions with {} mailboxes, {} being processed",
                    worker.members.len(),
                    worker.worker,
                    worker.partitions,
                    worker.mailboxes,
                    worker.running
                ),
            )
        }
        Some(Err(failure)) => refused("sync workers", &failure),
        None => Check::problem("sync workers", &slow(connection, Role::Sync)),
    }
}

fn slow(connection: &Connection, role: Role) -> Failure {
    Failure::Unreachable {
        role,
        endpoint: connection.endpoint(role).to_owned(),
        reason: "no answer in time".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use postroad_core::fault::Report;
    use postroad_rig::{Channels, config::Endpoints};

    use super::{super::State, *};

    #[tokio::test]
    async fn a_role_that_does_not_run_is_a_problem_with_the_way_to_start_it() {
        // A port that was free a moment ago, and that nobody listens on.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let endpoints = Endpoints { alert: format!("http://127.0.0.1:{port}"), ..Endpoints::default() };
        let check = health(&Connection::new(Channels::new(endpoints, None), &[], "admin"), Role::Alert).await;
        assert_eq!(check.state, State::Problem);
        assert!(check.remedy.unwrap().contains("postroad alert --config FILE"));
        assert!(check.found.contains("(Connection refused"), "{}", check.found);
    }

    #[test]
    fn what_only_people_may_ask_is_not_checked_with_the_certificate_of_a_role() {
        let failure = |code| Failure::from(&Report::new(code, "the certificate of role crm; it needs reader"));
        assert_eq!(refused("crm records", &failure(Code::AccessDenied)).state, State::NotChecked);
        assert_eq!(refused("crm records", &failure(Code::JournalUnavailable)).state, State::Problem);
    }
}
