//! What an administrator filled in for a mailbox, before it is checked.

use jiff::Timestamp;
use uuid::Uuid;

use super::{FilteringMethod, Kind, Method, PerDirection, Settings};
use crate::{EmailAddress, Refusal, address::user_principal_name, fault::Code, refusal::required};

/// The names of the fields, as API, files and audit history have them.
pub const FIELDS: &[&str] = &[
    "name",
    "kind",
    "regarding",
    "email_address",
    "profile",
    "incoming_method",
    "outgoing_method",
    "appointments_contacts_tasks_method",
    "filtering_method",
    "process_email_from",
    "delete_after_processing",
    "allow_own_credentials",
    "user_name",
];

/// Unchecked settings of a mailbox.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Display name; empty means the address.
    pub name: String,
    /// Whose; `None` is refused.
    pub kind: Option<Kind>,
    /// The address.
    pub address: String,
    /// The profile.
    pub profile_id: Option<Uuid>,
    /// The synchronization methods.
    pub methods: PerDirection<Method>,
    /// Which messages become activities.
    pub filtering_method: FilteringMethod,
    /// Process Email From.
    pub process_email_from: Option<Timestamp>,
    /// Delete Emails after Processing.
    pub delete_after_processing: bool,
    /// Allow to Use Credentials for Email Processing.
    pub allow_own_credentials: bool,
    /// Own user name.
    pub user_name: String,
}

impl Draft {
    /// Checks every field (spec §2.1, §2.6) and gives the settings.
    pub fn settings(&self) -> Result<Settings, Refusal> {
        let address = EmailAddress::parse("email_address", &self.address)?;
        let name = if self.name.trim().is_empty() { address.as_str() } else { self.name.trim() };
        required("name", name, 200)?;
        let kind = self.kind.ok_or_else(|| Refusal::new(Code::FieldRequired, "kind", "is required"))?;
        self.fits(kind)?;
        let user_name = if self.allow_own_credentials {
            user_principal_name("user_name", &self.user_name)?
        } else if self.user_name.trim().is_empty() {
            String::new()
        } else {
            return Err(not_applicable("user_name", "is used only where allow_own_credentials is true"));
        };
        Ok(Settings {
            name: name.to_owned(),
            kind,
            address,
            profile_id: self.profile_id,
            methods: self.methods,
            filtering_method: self.filtering_method,
            process_email_from: self.process_email_from,
            delete_after_processing: self.delete_after_processing,
            allow_own_credentials: self.allow_own_credentials,
            user_name,
        })
    }

    fn fits(&self, kind: Kind) -> Result<(), Refusal> {
        let act = self.methods.appointments_contacts_tasks != Method::None;
        match kind {
            Kind::User(_) if self.delete_after_processing => {
                Err(not_applicable("delete_after_processing", "is for queue and forward mailboxes only"))
            }
            _ if [self.methods.outgoing, self.methods.appointments_contacts_tasks]
                .contains(&Method::ForwardMailbox) =>
            {
                Err(not_applicable("outgoing_method", "cannot be Forward Mailbox, which is for incoming email only"))
            }
            Kind::Forward if self.methods.incoming == Method::ForwardMailbox => {
                Err(not_applicable("incoming_method", "must be server-side sync or None: this is the forward mailbox"))
            }
            Kind::Forward if self.methods.outgoing != Method::None => {
                Err(not_applicable("outgoing_method", "must be None: a forward mailbox is incoming only"))
            }
            Kind::Queue(_) | Kind::Forward if act => {
                Err(not_applicable("appointments_contacts_tasks_method", "must be None: only user mailboxes have them"))
            }
            Kind::User(_) | Kind::Queue(_) | Kind::Forward => Ok(()),
        }
    }
}

fn not_applicable(field: &str, rule: &str) -> Refusal {
    Refusal::new(Code::FieldNotApplicable, field, rule)
}

impl From<&Settings> for Draft {
    fn from(settings: &Settings) -> Self {
        Self {
            name: settings.name.clone(),
            kind: Some(settings.kind),
            address: settings.address.as_str().to_owned(),
            profile_id: settings.profile_id,
            methods: settings.methods,
            filtering_method: settings.filtering_method,
            process_email_from: settings.process_email_from,
            delete_after_processing: settings.delete_after_processing,
            allow_own_credentials: settings.allow_own_credentials,
            user_name: settings.user_name.clone(),
        }
    }
}
