//! Mailboxes for the wire.

use jiff::Timestamp;
use postroad_core::{
    fault::Report,
    mailbox::{Approval, Condition, DirectionState, FilteringMethod, Health, Kind, Mailbox, Method, Settings, Status},
};
use postroad_proto::mailbox::v1::{
    Approval as WireApproval, Condition as WireCondition, DirectionState as WireDirectionState,
    FilteringMethod as WireFilteringMethod, Mailbox as WireMailbox, MailboxKind, MailboxSettings, Status as WireStatus,
    SynchronizationMethod,
};
use postroad_rig::{status, wire};
use sha2::{Digest as _, Sha256};

use crate::directory::Directory;

/// A mailbox with the name of its profile, as it does now.
pub fn mailbox(mailbox: &Mailbox, directory: &Directory, now: Timestamp) -> WireMailbox {
    let profile = mailbox.settings.profile_id.and_then(|id| directory.profile_by_id(id));
    let sync = &mailbox.sync;
    let (report, failures, next_attempt, disabled) = match &sync.health {
        Health::Unknown | Health::Healthy => (None, 0, None, false),
        Health::Failing { report, failures, next_attempt } => (Some(report), *failures, Some(*next_attempt), false),
        Health::Disabled { report, probes, next_probe, .. } => (Some(report), *probes, *next_probe, true),
    };
    WireMailbox {
        id: mailbox.id.to_string(),
        etag: etag(mailbox),
        settings: Some(settings(&mailbox.settings)),
        profile_name: profile.map(|profile| profile.settings.name).unwrap_or_default(),
        approval: approval(mailbox.approval).into(),
        active: mailbox.active,
        incoming: Some(direction(&mailbox.directions.incoming)),
        outgoing: Some(direction(&mailbox.directions.outgoing)),
        appointments_contacts_tasks: Some(direction(&mailbox.directions.appointments_contacts_tasks)),
        test_completed_on: mailbox.test_completed_on.map(wire::timestamp),
        last_attempt_at: sync.last_attempt.map(wire::timestamp),
        last_success_at: sync.last_success.map(wire::timestamp),
        fault: report.map(|report: &Report| status::to_wire(report)),
        failures,
        next_attempt_at: next_attempt.map(wire::timestamp),
        disabled_by_fault: disabled,
        processed: sync.processed,
        deferred: u32::try_from(sync.deferred.len()).unwrap_or(u32::MAX),
        // One that is over stays in the state until the next attempt that is recorded.
        throttled_until: mailbox.back_off(now).map(wire::timestamp),
        condition: condition(mailbox.condition(now)).into(),
    }
}

/// A condition for the wire.
pub const fn condition(condition: Condition) -> WireCondition {
    match condition {
        Condition::Well => WireCondition::Well,
        Condition::Retrying => WireCondition::Retrying,
        Condition::Throttled => WireCondition::Throttled,
        Condition::Disabled => WireCondition::Disabled,
        Condition::NotEnabled => WireCondition::NotEnabled,
        Condition::Inactive => WireCondition::Inactive,
    }
}

/// An etag is a digest of what administrators set: it does not change with synchronization.
pub fn etag(mailbox: &Mailbox) -> String {
    let set = (&mailbox.settings, &mailbox.sealed, mailbox.approval, mailbox.active);
    let bytes = serde_json::to_vec(&set).unwrap_or_default();
    Sha256::digest(&bytes).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn settings(settings: &Settings) -> MailboxSettings {
    let (kind, regarding) = match settings.kind {
        Kind::User(id) => (MailboxKind::User, id.to_string()),
        Kind::Queue(id) => (MailboxKind::Queue, id.to_string()),
        Kind::Forward => (MailboxKind::Forward, String::new()),
    };
    let filtering_method = match settings.filtering_method {
        FilteringMethod::AllMessages => WireFilteringMethod::AllMessages,
        FilteringMethod::Responses => WireFilteringMethod::Responses,
        FilteringMethod::FromPeople => WireFilteringMethod::FromPeople,
        FilteringMethod::FromRecords => WireFilteringMethod::FromRecords,
        FilteringMethod::NoMessages => WireFilteringMethod::NoMessages,
    };
    MailboxSettings {
        name: settings.name.clone(),
        kind: kind.into(),
        regarding,
        email_address: settings.address.to_string(),
        profile: settings.profile_id.map(|id| id.to_string()).unwrap_or_default(),
        incoming_method: method(settings.methods.incoming).into(),
        outgoing_method: method(settings.methods.outgoing).into(),
        appointments_contacts_tasks_method: method(settings.methods.appointments_contacts_tasks).into(),
        filtering_method: filtering_method.into(),
        process_email_from: settings.process_email_from.map(wire::timestamp),
        delete_after_processing: settings.delete_after_processing,
        allow_own_credentials: settings.allow_own_credentials,
        user_name: settings.user_name.clone(),
        password: String::new(),
    }
}

const fn method(method: Method) -> SynchronizationMethod {
    match method {
        Method::None => SynchronizationMethod::None,
        Method::ServerSideSync => SynchronizationMethod::ServerSideSync,
        Method::ForwardMailbox => SynchronizationMethod::ForwardMailbox,
    }
}

const fn approval(approval: Approval) -> WireApproval {
    match approval {
        Approval::Pending => WireApproval::Pending,
        Approval::Approved => WireApproval::Approved,
        Approval::Rejected => WireApproval::Rejected,
    }
}

fn direction(state: &DirectionState) -> WireDirectionState {
    let status = match state.status {
        Status::NotRun => WireStatus::NotRun,
        Status::Success => WireStatus::Success,
        Status::Failure => WireStatus::Failure,
    };
    WireDirectionState { enabled: state.enabled, status: status.into() }
}
