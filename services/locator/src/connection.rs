//! The test of everything between Postroad and a mailbox, one step after the other (spec §2.3; DESIGN, Test & enable).

use std::time::Duration;

use postroad_core::fault::{Code, Report};
use postroad_ews::{
    Client, ConvertId, Distinguished, Endpoint, Error, FolderRef, GetFolder, Identity, ItemError, ServerVersion,
};

use crate::access::Access;

/// What has to work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The mailbox's location is known.
    Location,
    /// The server is reached over TLS that can be trusted.
    Tls,
    /// The account can log on.
    Credentials,
    /// The account may act for the mailbox.
    Impersonation,
    /// The Inbox can be read.
    Inbox,
    /// Drafts and Sent Items can be read.
    Outgoing,
    /// Calendar, Contacts and Tasks can be read.
    AppointmentsContactsTasks,
}

impl Step {
    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Location => "location",
            Self::Tls => "tls",
            Self::Credentials => "credentials",
            Self::Impersonation => "impersonation",
            Self::Inbox => "inbox",
            Self::Outgoing => "outgoing",
            Self::AppointmentsContactsTasks => "appointments_contacts_tasks",
        }
    }

    /// What is being done, for people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Location => "Finding the mailbox's location",
            Self::Tls => "Connecting to the server over TLS",
            Self::Credentials => "Logging on with the account",
            Self::Impersonation => "Acting for the mailbox's user",
            Self::Inbox => "Opening the Inbox",
            Self::Outgoing => "Opening Drafts and Sent Items",
            Self::AppointmentsContactsTasks => "Opening Calendar, Contacts and Tasks",
        }
    }
}

/// How a step ended.
pub enum Ended {
    /// It works; what was found.
    Passed(String),
    /// It works, with something to mind.
    Warning(String),
    /// It does not work; with what was said on the wire.
    Failed(Report, String),
    /// An earlier step failed.
    NotAttempted,
}

/// Told about each step as it begins and ends.
pub trait Observer {
    /// A step begins.
    fn begins(&mut self, step: Step) -> impl Future<Output = ()> + Send;
    /// A step ended.
    fn ended(&mut self, step: Step, ended: Ended, elapsed: Duration) -> impl Future<Output = ()> + Send;
}

/// What the test found out.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Why incoming email cannot work.
    pub incoming: Option<Report>,
    /// Why outgoing email cannot work.
    pub outgoing: Option<Report>,
    /// Why appointments, contacts and tasks cannot.
    pub appointments_contacts_tasks: Option<Report>,
    /// The server's version.
    pub server: Option<ServerVersion>,
}

/// Which directions are to be tested besides incoming email.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Outgoing email.
    pub outgoing: bool,
    /// Appointments, contacts and tasks.
    pub appointments_contacts_tasks: bool,
}

/// Tests a mailbox. `locate` finds its location.
pub async fn test<O: Observer + Send>(
    access: &Access,
    wanted: Wanted,
    locate: impl Future<Output = Result<(Endpoint, String), Report>> + Send,
    observer: &mut O,
) -> Outcome {
    let mut test = Test { access, observer, outcome: Outcome::default() };
    let shared = test.shared(locate).await;
    let folders = [
        (Step::Inbox, true, vec![Distinguished::Inbox]),
        (Step::Outgoing, wanted.outgoing, vec![Distinguished::Drafts, Distinguished::SentItems]),
        (
            Step::AppointmentsContactsTasks,
            wanted.appointments_contacts_tasks,
            vec![Distinguished::Calendar, Distinguished::Contacts, Distinguished::Tasks],
        ),
    ];
    for (step, is_wanted, folders) in folders {
        if is_wanted {
            let failed = match &shared {
                Ok(client) => test.folders(step, client, folders).await.err(),
                Err(report) => {
                    test.observer.ended(step, Ended::NotAttempted, Duration::ZERO).await;
                    Some(report.clone())
                }
            };
            test.conclude(step, failed);
        }
    }
    test.outcome
}

struct Test<'a, O> {
    access: &'a Access,
    observer: &'a mut O,
    outcome: Outcome,
}

impl<O: Observer> Test<'_, O> {
    /// The steps that every direction needs.
    async fn shared(
        &mut self,
        locate: impl Future<Output = Result<(Endpoint, String), Report>>,
    ) -> Result<Client, Report> {
        let mut rest = vec![Step::Impersonation, Step::Credentials, Step::Tls];
        let found = self.located(locate).await;
        let result = match found {
            Ok(endpoint) => self.logged_on(&endpoint, &mut rest).await,
            Err(report) => Err(report),
        };
        if result.is_err() {
            for step in rest.into_iter().rev() {
                self.observer.ended(step, Ended::NotAttempted, Duration::ZERO).await;
            }
        }
        result
    }

    async fn located(
        &mut self,
        locate: impl Future<Output = Result<(Endpoint, String), Report>>,
    ) -> Result<Endpoint, Report> {
        let started = postroad_rig::clock::instant();
        self.observer.begins(Step::Location).await;
        let found = locate.await;
        let (ended, result) = match found {
            Ok((endpoint, how)) => (Ended::Passed(format!("{endpoint}, {how}")), Ok(endpoint)),
            Err(report) => (Ended::Failed(report.clone(), String::new()), Err(report)),
        };
        self.observer.ended(Step::Location, ended, started.elapsed()).await;
        result
    }

    async fn logged_on(&mut self, endpoint: &Endpoint, rest: &mut Vec<Step>) -> Result<Client, Report> {
        let access = self.access;
        rest.pop();
        let host = endpoint.host().to_owned();
        let secured = |_: &u16| Ended::Passed(format!("{host} presents a trusted certificate"));
        self.step(Step::Tls, endpoint, access.transport.reach(endpoint, access.timeout), secured).await?;

        rest.pop();
        let client = access.client(endpoint);
        let own = client.for_identity(Identity::Own);
        let probe = ConvertId::probe(access.address.as_str());
        let user = access.credentials.user().to_owned();
        let connections = access.connections;
        let answer = self
            .step(Step::Credentials, endpoint, own.call(&probe), |answer| {
                logged_on(&user, answer.server.as_ref(), connections)
            })
            .await?;
        self.outcome.server = answer.server;

        rest.pop();
        let passed = if access.impersonate {
            format!("{} may act for {}", access.credentials.user(), access.address.as_str())
        } else {
            "not needed with the mailbox's own credentials".to_owned()
        };
        self.step(Step::Impersonation, endpoint, client.ask(&probe), |_| Ended::Passed(passed)).await?;
        Ok(client)
    }

    async fn folders(&mut self, step: Step, client: &Client, folders: Vec<Distinguished>) -> Result<(), Report> {
        let request = GetFolder {
            folders: folders.iter().map(|folder| FolderRef::Distinguished(*folder)).collect(),
            ..GetFolder::one(FolderRef::INBOX)
        };
        let opened = async {
            let answers = client.ask(&request).await.map_err(|error| failed(&error, &client.access().endpoint))?;
            let mut found = Vec::new();
            for (folder, answer) in folders.iter().zip(answers) {
                let name = folder.as_str();
                let opened = answer.map_err(|error| (item_report(name, &error), String::new()))?;
                found.push(format!("{name}: {} items", opened.total.unwrap_or_default()));
            }
            Ok(found.join(", "))
        };
        let started = postroad_rig::clock::instant();
        self.observer.begins(step).await;
        let (ended, result) = match opened.await {
            Ok(found) => (Ended::Passed(found), Ok(())),
            Err((report, evidence)) => (Ended::Failed(report.clone(), evidence), Err(report)),
        };
        self.observer.ended(step, ended, started.elapsed()).await;
        result
    }

    async fn step<T>(
        &mut self,
        step: Step,
        endpoint: &Endpoint,
        doing: impl Future<Output = Result<T, Error>>,
        passed: impl FnOnce(&T) -> Ended,
    ) -> Result<T, Report> {
        let started = postroad_rig::clock::instant();
        self.observer.begins(step).await;
        let done = doing.await.map_err(|error| failed(&error, endpoint));
        let (ended, result) = match done {
            Ok(value) => (passed(&value), Ok(value)),
            Err((report, evidence)) => (Ended::Failed(report.clone(), evidence), Err(report)),
        };
        self.observer.ended(step, ended, started.elapsed()).await;
        result
    }

    fn conclude(&mut self, step: Step, failed: Option<Report>) {
        match step {
            Step::Outgoing => self.outcome.outgoing = failed,
            Step::AppointmentsContactsTasks => self.outcome.appointments_contacts_tasks = failed,
            _ => self.outcome.incoming = failed,
        }
    }
}

/// A version that allows fewer connections than the profile does is worth a word (setup guide, Advanced Options).
fn logged_on(user: &str, server: Option<&ServerVersion>, connections: u32) -> Ended {
    let Some(server) = server else { return Ended::Passed(format!("{user} logged on")) };
    let allowed = server.default_concurrency();
    let found = format!("{user} logged on to {server}");
    if connections > allowed {
        return Ended::Warning(format!(
            "{found}; it allows {allowed} connections by default, so at most {allowed} of the profile's {connections} are used"
        ));
    }
    Ended::Passed(found)
}

fn failed(error: &Error, endpoint: &Endpoint) -> (Report, String) {
    (Report::new(error.fault(), format!("{}: {error}", endpoint.host())), error.exchange().to_string())
}

fn item_report(folder: &str, error: &ItemError) -> Report {
    let code = match error {
        ItemError::Response(error) => error.effective_code().fault(),
        _ => Code::ResponseMalformed,
    };
    Report::new(code, format!("{folder}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(major: u32) -> ServerVersion {
        ServerVersion { major, minor: 1, build: 2, revision: 3, schema: None }
    }

    #[test]
    fn an_old_server_that_allows_fewer_connections_is_told() {
        let Ended::Warning(text) = logged_on("crm@contoso.example", Some(&server(14)), 27) else {
            panic!("no warning")
        };
        assert!(text.contains("at most 10 of the profile's 27"), "{text}");
        assert!(matches!(logged_on("crm@contoso.example", Some(&server(15)), 27), Ended::Passed(_)));
        assert!(matches!(logged_on("crm@contoso.example", Some(&server(15)), 28), Ended::Warning(_)));
    }
}
