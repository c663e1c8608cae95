//! Who may make which call. A call without a row does not compile: the enumerations come out of `proto/`.
//!
//! Credentials decide what is the administrators': whoever chooses where a profile's password is sent, or tests settings
//! that are not stored, holds it in his hands. So do the rows of roles: what the locator and the CRM are told by roles
//! they take for true.

use postroad_proto::rpc::{Alert, Crm, Locator, Mailbox, Profile, Rpc, Sync};

use super::decision::Level;
use crate::Role;

/// Who may make a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Everybody, known or not.
    pub anyone: bool,
    /// Everybody who is known.
    pub known: bool,
    /// People with this level, about everything; `None`: no people at all.
    pub people: Option<Level>,
    /// People, about what they own. The handler has to ask [`super::Caller::reaches`].
    pub owner: bool,
    /// Roles.
    pub roles: &'static [Role],
}

impl Rule {
    const NOBODY: Self = Self { anyone: false, known: false, people: None, owner: false, roles: &[] };

    /// Everybody.
    pub const fn anyone() -> Self {
        Self { anyone: true, ..Self::NOBODY }
    }

    /// Everybody who is known.
    pub const fn known() -> Self {
        Self { known: true, ..Self::NOBODY }
    }

    /// People with this level.
    pub const fn people(level: Level) -> Self {
        Self { people: Some(level), ..Self::NOBODY }
    }

    /// Roles only.
    pub const fn roles(roles: &'static [Role]) -> Self {
        Self { roles, ..Self::NOBODY }
    }

    /// Also who owns what it is about.
    #[must_use]
    pub const fn or_owner(self) -> Self {
        Self { owner: true, ..self }
    }

    /// Also these roles.
    #[must_use]
    pub const fn or_roles(self, roles: &'static [Role]) -> Self {
        Self { roles, ..self }
    }

    /// What it takes, in words.
    pub fn needs(&self) -> String {
        let roles = self.roles.iter().map(|role| role.name()).collect::<Vec<_>>().join(" or ");
        match (self.people, self.owner) {
            (Some(level), true) => format!("it needs {}, or to be the owner", level.name()),
            (Some(level), false) => format!("it needs {}", level.name()),
            (None, _) if self.known => "it needs any grant".to_owned(),
            (None, _) => format!("it is for the role {roles} only"),
        }
    }
}

const READ: Rule = Rule::people(Level::Reader);
const OPERATE: Rule = Rule::people(Level::Operator);
const ADMINISTER: Rule = Rule::people(Level::Administrator);

/// The row of a request's path; `None` for what is no call of ours.
pub fn rule(path: &str) -> Option<Rule> {
    match path {
        // Whatever watches over a process has no credentials.
        "/grpc.health.v1.Health/Check" | "/grpc.health.v1.Health/Watch" | "/grpc.health.v1.Health/List" => {
            Some(Rule::anyone())
        }
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo" => Some(Rule::known()),
        _ => Rpc::by_path(path).map(row),
    }
}

/// The row of a call.
pub const fn row(rpc: Rpc) -> Rule {
    match rpc {
        Rpc::Profile(rpc) => match rpc {
            Profile::GetProfile | Profile::ListProfiles | Profile::ListProfileChanges => READ.or_owner(),
            Profile::ActivateProfile | Profile::DeactivateProfile | Profile::TestProfile | Profile::LocateMailbox => {
                OPERATE.or_owner()
            }
            Profile::CreateProfile
            | Profile::UpdateProfile
            | Profile::DeleteProfile
            | Profile::AssignProfile
            | Profile::TestSettings
            | Profile::ReleaseHost
            | Profile::WithdrawHost
            | Profile::ResealPasswords => ADMINISTER,
        },
        Rpc::Mailbox(rpc) => match rpc {
            Mailbox::GetMailbox | Mailbox::ListMailboxes | Mailbox::SummarizeMailboxes | Mailbox::ListTimeline => {
                READ.or_owner()
            }
            Mailbox::ActivateMailboxes | Mailbox::DeactivateMailboxes | Mailbox::TestAndEnableMailboxes => {
                OPERATE.or_owner()
            }
            Mailbox::CreateMailbox
            | Mailbox::UpdateMailbox
            | Mailbox::UpdateMailboxes
            | Mailbox::DeleteMailbox
            | Mailbox::ApplyDefaultSettings
            | Mailbox::ApproveMailboxes => ADMINISTER,
        },
        Rpc::Locator(rpc) => match rpc {
            Locator::Locate => Rule::roles(&[Role::Sync]),
            Locator::Explain | Locator::TestMailbox => Rule::roles(&[Role::Profile]),
        },
        Rpc::Sync(rpc) => match rpc {
            Sync::ExplainMessage | Sync::ListVerdicts | Sync::TryRules | Sync::ListFolders | Sync::GetProgress => {
                READ.or_owner()
            }
            Sync::GetWorker | Sync::ListWorkers | Sync::ListServers => READ,
            Sync::SyncNow
            | Sync::AuditMailbox
            | Sync::TrackFolder
            | Sync::UntrackFolder
            | Sync::RetryMessages
            | Sync::PauseBackfill => OPERATE.or_owner(),
            Sync::DrainWorker => OPERATE,
        },
        Rpc::Alert(rpc) => match rpc {
            Alert::ListAlerts | Alert::WatchAlerts => READ.or_owner(),
        },
        Rpc::Crm(rpc) => match rpc {
            Crm::GetSettings => READ.or_roles(&[Role::Sync]),
            Crm::GetRecord => READ.or_roles(&[Role::Sync, Role::Profile]),
            Crm::GetEmail => READ.or_roles(&[Role::Sync]),
            Crm::ListRecords | Crm::SearchEmails | Crm::ListQueueItems | Crm::FindPerson => READ,
            Crm::ResendEmail | Crm::SetRegarding => OPERATE,
            // The contents of people's mail, and mail in their names.
            Crm::ReadContent => ADMINISTER.or_roles(&[Role::Sync]),
            Crm::SendEmail | Crm::SaveSettings | Crm::SaveRecord | Crm::ErasePerson | Crm::ResealContentKeys => {
                ADMINISTER
            }
            Crm::MatchEmail
            | Crm::PromoteEmail
            | Crm::UntrackEmail
            | Crm::ImposeRegarding
            | Crm::ListOutbox
            | Crm::WatchOutbox
            | Crm::ClaimEmail
            | Crm::ReportDelivery => Rule::roles(&[Role::Sync]),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost::Message as _;

    use super::*;

    /// The paths of all calls, out of the contracts themselves.
    fn described() -> BTreeSet<String> {
        let files = prost_types::FileDescriptorSet::decode(postroad_proto::DESCRIPTORS).unwrap();
        let services = files.file.iter().flat_map(|file| file.service.iter().map(move |service| (file, service)));
        let paths = services.flat_map(|(file, service)| {
            let path = |method: &str| format!("/{}.{}/{method}", file.package(), service.name());
            service.method.iter().map(move |method| path(method.name()))
        });
        paths.collect()
    }

    #[test]
    fn the_table_has_a_row_for_each_call_of_the_contracts_and_no_other() {
        let rows: BTreeSet<String> = Rpc::ALL.iter().map(|rpc| rpc.path().to_owned()).collect();
        assert_eq!(rows, described());
        assert!(described().len() > 60);
        for path in &rows {
            assert_eq!(rule(path), Rpc::by_path(path).map(row), "{path}");
        }
    }

    #[test]
    fn every_call_is_for_somebody_and_none_of_the_contracts_for_everybody() {
        for rpc in Rpc::ALL {
            let rule = row(*rpc);
            assert!(rule.people.is_some() || !rule.roles.is_empty(), "{}", rpc.path());
            assert!(!rule.anyone && !rule.known, "{}", rpc.path());
            // Who may do it with what is his, others may do with everything.
            assert!(!rule.owner || rule.people.is_some(), "{}", rpc.path());
        }
    }

    #[test]
    fn what_is_unknown_has_no_row() {
        for path in
            ["", "/", "/postroad.profile.v1.ProfileService/Nothing", "/postroad.profile.v1.ProfileService/getprofile"]
        {
            assert_eq!(rule(path), None, "{path}");
        }
    }

    #[test]
    fn what_could_send_credentials_elsewhere_or_read_mail_is_for_administrators() {
        for rpc in [
            Rpc::Profile(Profile::UpdateProfile),
            Rpc::Profile(Profile::TestSettings),
            Rpc::Profile(Profile::ReleaseHost),
            Rpc::Mailbox(Mailbox::UpdateMailbox),
            Rpc::Mailbox(Mailbox::ApproveMailboxes),
            Rpc::Crm(Crm::ReadContent),
            Rpc::Crm(Crm::SendEmail),
        ] {
            let rule = row(rpc);
            assert_eq!((rule.people, rule.owner), (Some(Level::Administrator), false), "{}", rpc.path());
        }
        for rpc in Rpc::ALL.iter().filter(|rpc| matches!(rpc, Rpc::Locator(_))) {
            assert_eq!(row(*rpc).people, None, "{}", rpc.path());
        }
    }
}
