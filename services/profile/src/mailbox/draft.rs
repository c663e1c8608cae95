//! From the wire's settings to a draft.

use postroad_core::{
    Refusal,
    fault::Code,
    mailbox::{Draft, FilteringMethod, Kind, Method, PerDirection},
};
use postroad_proto::mailbox::v1::{
    FilteringMethod as WireFilteringMethod, MailboxKind, MailboxSettings, SynchronizationMethod,
};
use postroad_rig::{config::MailboxDefaults, status, wire};
use tonic::Status;
use uuid::Uuid;

use crate::{mask::Mask, people::PersonKind, registry::Registry};

/// Nothing filled in.
pub fn blank() -> Draft {
    Draft {
        name: String::new(),
        kind: None,
        address: String::new(),
        profile_id: None,
        methods: PerDirection::default(),
        filtering_method: FilteringMethod::default(),
        process_email_from: None,
        delete_after_processing: false,
        allow_own_credentials: false,
        user_name: String::new(),
    }
}

/// Takes the fields that the mask names, except those that are looked up: kind, regarding, profile.
pub fn apply(draft: &mut Draft, settings: &MailboxSettings, mask: &Mask) -> Result<(), Refusal> {
    if mask.has("name") {
        draft.name.clone_from(&settings.name);
    }
    if mask.has("email_address") {
        settings.email_address.trim().clone_into(&mut draft.address);
    }
    if mask.has("incoming_method") {
        draft.methods.incoming = method(settings.incoming_method());
    }
    if mask.has("outgoing_method") {
        draft.methods.outgoing = method(settings.outgoing_method());
    }
    if mask.has("appointments_contacts_tasks_method") {
        draft.methods.appointments_contacts_tasks = method(settings.appointments_contacts_tasks_method());
    }
    if mask.has("filtering_method") {
        draft.filtering_method = match settings.filtering_method() {
            WireFilteringMethod::Unspecified | WireFilteringMethod::AllMessages => FilteringMethod::AllMessages,
            WireFilteringMethod::Responses => FilteringMethod::Responses,
            WireFilteringMethod::FromPeople => FilteringMethod::FromPeople,
            WireFilteringMethod::FromRecords => FilteringMethod::FromRecords,
            WireFilteringMethod::NoMessages => FilteringMethod::NoMessages,
        };
    }
    if mask.has("process_email_from") {
        draft.process_email_from = wire::time("process_email_from", settings.process_email_from.as_ref())?;
    }
    if mask.has("delete_after_processing") {
        draft.delete_after_processing = settings.delete_after_processing;
    }
    if mask.has("allow_own_credentials") {
        draft.allow_own_credentials = settings.allow_own_credentials;
        if !draft.allow_own_credentials {
            draft.user_name.clear();
        }
    }
    if mask.has("user_name") {
        draft.user_name.clone_from(&settings.user_name);
    }
    Ok(())
}

/// Whose mailbox it is, looked up in the CRM.
pub async fn kind(registry: &Registry, settings: &MailboxSettings) -> Result<Option<Kind>, Status> {
    let regarding = settings.regarding.trim();
    let refused = |code, rule: String| Err(status::refused(&Refusal::new(code, "regarding", rule)));
    let (person_kind, make, what): (_, fn(Uuid) -> Kind, _) = match settings.kind() {
        MailboxKind::Unspecified => return Ok(None),
        MailboxKind::Forward if regarding.is_empty() => return Ok(Some(Kind::Forward)),
        MailboxKind::Forward => {
            return refused(Code::FieldNotApplicable, "must be empty: a forward mailbox belongs to nobody".to_owned());
        }
        MailboxKind::User => (PersonKind::User, Kind::User, "user"),
        MailboxKind::Queue => (PersonKind::Queue, Kind::Queue, "queue"),
    };
    if regarding.is_empty() {
        return refused(Code::FieldRequired, format!("is required: whose mailbox it is, a {what} of the CRM"));
    }
    match registry.person(person_kind, regarding).await? {
        Some(person) => Ok(Some(make(person.id))),
        None => refused(Code::RegardingUnknown, format!("`{regarding}` is no {what} of the CRM")),
    }
}

/// Apply Default Email Settings: what does not fit the kind of mailbox is left out.
pub fn apply_defaults(draft: &mut Draft, defaults: &MailboxDefaults, profile: Option<Uuid>) {
    let method = |wanted: bool| if wanted { Method::ServerSideSync } else { Method::None };
    let is_user = matches!(draft.kind, Some(Kind::User(_)));
    let is_forward = matches!(draft.kind, Some(Kind::Forward));
    draft.profile_id = profile.or(draft.profile_id);
    draft.methods = PerDirection {
        incoming: method(defaults.incoming),
        outgoing: method(defaults.outgoing && !is_forward),
        appointments_contacts_tasks: method(defaults.appointments_contacts_tasks && is_user),
    };
}

const fn method(wire: SynchronizationMethod) -> Method {
    match wire {
        SynchronizationMethod::Unspecified | SynchronizationMethod::None => Method::None,
        SynchronizationMethod::ServerSideSync => Method::ServerSideSync,
        SynchronizationMethod::ForwardMailbox => Method::ForwardMailbox,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_fit_the_kind_of_mailbox() {
        let all = MailboxDefaults {
            profile: String::new(),
            incoming: true,
            outgoing: true,
            appointments_contacts_tasks: true,
        };
        let applied = |kind| {
            let mut draft = Draft { kind: Some(kind), ..blank() };
            apply_defaults(&mut draft, &all, None);
            let is_on = |method| method == Method::ServerSideSync;
            (
                is_on(draft.methods.incoming),
                is_on(draft.methods.outgoing),
                is_on(draft.methods.appointments_contacts_tasks),
            )
        };
        let person = Uuid::from_u128(1);
        assert_eq!(applied(Kind::User(person)), (true, true, true));
        assert_eq!(applied(Kind::Queue(person)), (true, true, false));
        assert_eq!(applied(Kind::Forward), (true, false, false));
    }
}
