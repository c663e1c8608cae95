//! The test of everything between Postroad and a mailbox, one step after the other (setup guide, Test Connection; spec §2.3).
//!
//! It goes the way of the synchronization, with its connections and requests, and writes nothing into the mailbox.
//!
//! - `step`: the steps, and how each ends
//! - `road`: the way to the server, before anything is said with credentials

mod road;
mod step;

use postroad_core::fault::{Code, Report};
use postroad_ews::{
    Client, ConvertId, Distinguished, Endpoint, Error, Folder, FolderRef, GetFolder, Identity, ItemError, Rights,
    ServerVersion,
};
use postroad_rig::clock;
use step::Failed;
pub use step::{Ended, Observer, Step};

use crate::access::Access;

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
    let mut test = Test { access, observer, ended: 0, outcome: Outcome::default(), folders: Vec::new() };
    let shared = test.shared(locate).await;
    for step in Step::SHARED.into_iter().skip(test.ended) {
        test.skip(step).await;
    }
    let directions = [
        (Step::Inbox, true, vec![Distinguished::Inbox]),
        (Step::Outgoing, wanted.outgoing, vec![Distinguished::Drafts, Distinguished::SentItems]),
        (
            Step::AppointmentsContactsTasks,
            wanted.appointments_contacts_tasks,
            vec![Distinguished::Calendar, Distinguished::Contacts, Distinguished::Tasks],
        ),
    ];
    for (step, is_wanted, folders) in directions {
        if is_wanted {
            let failed = match &shared {
                Ok(client) => test.folders(step, client, folders).await.err(),
                Err(report) => {
                    test.skip(step).await;
                    Some(report.clone())
                }
            };
            test.conclude(step, failed);
        }
    }
    if shared.is_ok() && !test.folders.is_empty() {
        let ended = rights(&test.folders);
        // What was found out before is only judged here.
        let _ = test.run(Step::Rights, async { Ok((ended, ())) }).await;
    } else {
        test.skip(Step::Rights).await;
    }
    test.outcome
}

struct Test<'a, O> {
    access: &'a Access,
    observer: &'a mut O,
    /// How many of the shared steps ended.
    ended: usize,
    outcome: Outcome,
    folders: Vec<(Distinguished, Rights)>,
}

impl<O: Observer> Test<'_, O> {
    async fn run<T>(
        &mut self,
        step: Step,
        doing: impl Future<Output = Result<(Ended, T), Failed>>,
    ) -> Result<T, Report> {
        let started = clock::instant();
        self.observer.begins(step).await;
        let (ended, result) = match doing.await {
            Ok((ended, value)) => (ended, Ok(value)),
            Err(Failed(report, evidence)) => (Ended::Failed(report.clone(), evidence), Err(report)),
        };
        self.observer.ended(step, ended, started.elapsed()).await;
        self.ended += usize::from(Step::SHARED.contains(&step));
        result
    }

    async fn skip(&mut self, step: Step) {
        self.observer.ended(step, Ended::NotAttempted, std::time::Duration::ZERO).await;
    }

    /// The steps that every direction needs.
    async fn shared(
        &mut self,
        locate: impl Future<Output = Result<(Endpoint, String), Report>>,
    ) -> Result<Client, Report> {
        let access = self.access;
        let found = async {
            let (endpoint, how) = locate.await.map_err(|report| Failed(report, String::new()))?;
            Ok((Ended::Passed(format!("{endpoint}, {how}")), endpoint))
        };
        let endpoint = self.run(Step::Location, found).await?;
        let addresses = self.run(Step::Dns, road::resolve(access, &endpoint)).await?;
        let connected = self.run(Step::Tcp, road::connect(access, &addresses)).await?;
        self.run(Step::Tls, road::secure(access, &endpoint, connected)).await?;
        let greeting = self.run(Step::Http, road::look(access, &endpoint)).await?;
        let clocks = road::clock(&greeting, clock::now());
        self.run(Step::Clock, async { Ok((clocks, ())) }).await?;
        self.run(Step::Authentication, async {
            road::authentication(access.credentials.scheme(), &greeting, &endpoint)
        })
        .await?;
        self.logged_on(&endpoint).await
    }

    async fn logged_on(&mut self, endpoint: &Endpoint) -> Result<Client, Report> {
        let access = self.access;
        let client = access.client(endpoint);
        let probe = ConvertId::probe(access.address.as_str());
        let own = client.for_identity(Identity::Own);
        let credentials = async {
            let answer = own.call(&probe).await.map_err(|error| failed(&error, endpoint))?;
            Ok((Ended::Passed(format!("{} logged on", access.credentials.user())), answer.server))
        };
        let server = self.run(Step::Credentials, credentials).await?;
        self.outcome.server.clone_from(&server);
        let told = version(server.as_ref(), &client);
        self.run(Step::Version, async { Ok((told, ())) }).await?;
        let connections = throttling(server.as_ref(), access.connections);
        self.run(Step::Throttling, async { Ok((connections, ())) }).await?;
        let impersonated = async {
            client.ask(&probe).await.map_err(|error| failed(&error, endpoint))?;
            let passed = if access.impersonate {
                format!("{} may act for {}", access.credentials.user(), access.address)
            } else {
                "not needed: the account opens its own mailbox".to_owned()
            };
            Ok((Ended::Passed(passed), ()))
        };
        self.run(Step::Impersonation, impersonated).await?;
        Ok(client)
    }

    async fn folders(&mut self, step: Step, client: &Client, folders: Vec<Distinguished>) -> Result<(), Report> {
        let request = GetFolder::rights(folders.iter().map(|folder| FolderRef::Distinguished(*folder)).collect());
        let opened = async {
            let answers = client.ask(&request).await.map_err(|error| failed(&error, &client.access().endpoint))?;
            let mut found = Vec::new();
            for (folder, answer) in folders.iter().zip(answers) {
                let opened: Folder =
                    answer.map_err(|error| Failed(item_report(folder.as_str(), &error), String::new()))?;
                found.push((*folder, opened));
            }
            let counts: Vec<String> = found
                .iter()
                .map(|(folder, opened)| format!("{}: {} items", folder.as_str(), opened.total.unwrap_or_default()))
                .collect();
            Ok((Ended::Passed(counts.join(", ")), found))
        };
        let found = self.run(step, opened).await?;
        self.folders.extend(found.into_iter().filter_map(|(folder, opened)| Some((folder, opened.rights?))));
        Ok(())
    }

    fn conclude(&mut self, step: Step, failed: Option<Report>) {
        match step {
            Step::Outgoing => self.outcome.outgoing = failed,
            Step::AppointmentsContactsTasks => self.outcome.appointments_contacts_tasks = failed,
            _ => self.outcome.incoming = failed,
        }
    }
}

fn version(server: Option<&ServerVersion>, client: &Client) -> Ended {
    match server {
        Some(server) => Ended::Passed(format!("{server}; requests follow the schema {}", client.access().version)),
        None => Ended::Warning("the server does not tell its version; a proxy may have taken it out".to_owned()),
    }
}

/// A version that allows fewer connections than the profile does is worth a word (setup guide, Advanced Options).
fn throttling(server: Option<&ServerVersion>, wanted: u32) -> Ended {
    let Some(server) = server else { return Ended::Passed("the server's version is not known".to_owned()) };
    let allowed = server.default_concurrency();
    if wanted > allowed {
        let rest = format!("so at most {allowed} of the profile's {wanted} are used");
        return Ended::Warning(format!("{} allows {allowed} connections by default, {rest}", server.product()));
    }
    Ended::Passed(format!("{wanted} of the profile, {allowed} by the server's default policy; it asked for no pause"))
}

/// What Postroad does with folders later, beyond reading.
fn rights(folders: &[(Distinguished, Rights)]) -> Ended {
    let mut missing = Vec::new();
    for (folder, rights) in folders {
        let wanted = [
            ("read", rights.read, true),
            ("create folders in", rights.create_hierarchy, *folder == Distinguished::Inbox),
            ("create items in", rights.create_contents, *folder != Distinguished::Inbox),
            ("change items of", rights.modify, true),
            ("delete items of", rights.delete, true),
        ];
        let lacking = wanted.iter().filter(|(_, granted, needed)| *needed && !granted);
        missing.extend(lacking.map(|(what, ..)| format!("{what} {}", folder.as_str())));
    }
    if missing.is_empty() {
        return Ended::Passed("reading, creating, changing and deleting are permitted".to_owned());
    }
    Ended::Warning(format!("not permitted: {}", missing.join(", ")))
}

fn failed(error: &Error, endpoint: &Endpoint) -> Failed {
    Failed(Report::new(error.fault(), format!("{}: {error}", endpoint.host())), error.exchange().to_string())
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
        let Ended::Warning(text) = throttling(Some(&server(14)), 27) else { panic!("no warning") };
        assert!(text.contains("at most 10 of the profile's 27"), "{text}");
        assert!(matches!(throttling(Some(&server(15)), 27), Ended::Passed(_)));
        assert!(matches!(throttling(Some(&server(15)), 28), Ended::Warning(_)));
    }

    #[test]
    fn rights_that_are_missing_are_named_and_do_not_fail() {
        let all = Rights { read: true, create_contents: true, create_hierarchy: true, modify: true, delete: true };
        assert!(matches!(rights(&[(Distinguished::Inbox, all), (Distinguished::Calendar, all)]), Ended::Passed(_)));
        let some = Rights { create_hierarchy: false, create_contents: false, ..all };
        let Ended::Warning(text) = rights(&[(Distinguished::Inbox, some), (Distinguished::Calendar, some)]) else {
            panic!("no warning")
        };
        assert_eq!(text, "not permitted: create folders in inbox, create items in calendar");
    }
}
