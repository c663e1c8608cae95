//! Refusals and faults as gRPC statuses with rich details, and back.
//!
//! The details are a google.rpc.Status: a postroad.fault.v1.Fault, a google.rpc.ErrorInfo (domain `postroad`, reason = the
//! fault's code), and a google.rpc.BadRequest where a field is at fault.

use postroad_core::{
    Refusal,
    fault::{Code, Permanence, Report, Scope},
};
use postroad_journal::ExecuteError;
use postroad_proto::fault::v1 as wire;
use prost::Message as _;
use tonic_types::pb;

const FAULT: &str = "type.googleapis.com/postroad.fault.v1.Fault";
const BAD_REQUEST: &str = "type.googleapis.com/google.rpc.BadRequest";
const ERROR_INFO: &str = "type.googleapis.com/google.rpc.ErrorInfo";

/// The status of a refused command. It changed nothing.
pub fn refused(refusal: &Refusal) -> tonic::Status {
    let report = Report::new(refusal.code, refusal.to_string());
    status(grpc_code(refusal.code), &report, Some(refusal))
}

/// The status of a failure.
pub fn failed(report: &Report) -> tonic::Status {
    status(grpc_code(report.code), report, None)
}

/// The status of a command that could not be executed.
pub fn journal(error: ExecuteError<Refusal>) -> tonic::Status {
    match error {
        ExecuteError::Refused(refusal) => refused(&refusal),
        ExecuteError::Contended => {
            failed(&Report::new(Code::JournalUnavailable, "too many changes at the same time; try again"))
        }
        ExecuteError::Journal(error) => failed(&error.report()),
    }
}

/// The fault that a status carries.
pub fn fault_of(status: &tonic::Status) -> Option<wire::Fault> {
    details(status)
        .into_iter()
        .find(|any| any.type_url == FAULT)
        .and_then(|any| wire::Fault::decode(any.value.as_slice()).ok())
}

/// The field that a status names, and what is wrong with it.
pub fn field_of(status: &tonic::Status) -> Option<(String, String)> {
    let bad = details(status).into_iter().find(|any| any.type_url == BAD_REQUEST)?;
    let violation = pb::BadRequest::decode(bad.value.as_slice()).ok()?.field_violations.into_iter().next()?;
    Some((violation.field, violation.description))
}

/// A fault for the wire, with the text of its row.
pub fn to_wire(report: &Report) -> wire::Fault {
    let row = report.code.row();
    wire::Fault {
        code: row.name.to_owned(),
        permanence: match row.permanence {
            Permanence::Transient => wire::Permanence::Transient.into(),
            Permanence::Permanent => wire::Permanence::Permanent.into(),
        },
        scope: match row.scope {
            Scope::Server => wire::Scope::Server.into(),
            Scope::Mailbox => wire::Scope::Mailbox.into(),
            Scope::Item => wire::Scope::Item.into(),
            Scope::Deployment => wire::Scope::Deployment.into(),
            Scope::Input => wire::Scope::Input.into(),
        },
        what: row.what.to_owned(),
        cause: row.cause.to_owned(),
        remedy: row.remedy.to_owned(),
        who: row.who.phrase().to_owned(),
        detail: report.detail.clone(),
    }
}

/// A fault from the wire. A code that this version does not know becomes `INTERNAL` with its name in the detail.
pub fn from_wire(fault: &wire::Fault) -> Report {
    match Code::by_name(&fault.code) {
        Some(code) => Report::new(code, fault.detail.clone()),
        None => Report::new(Code::Internal, format!("{}: {}", fault.code, fault.detail)),
    }
}

/// What a failed call to another role means: the fault it carries, or `unreachable` if it carries none.
pub fn report_of(status: &tonic::Status, unreachable: Code) -> Report {
    fault_of(status).map_or_else(|| Report::new(unreachable, status.message().to_owned()), |fault| from_wire(&fault))
}

fn details(status: &tonic::Status) -> Vec<prost_types::Any> {
    pb::Status::decode(status.details()).map(|status| status.details).unwrap_or_default()
}

fn status(code: tonic::Code, report: &Report, refusal: Option<&Refusal>) -> tonic::Status {
    let row = report.code.row();
    let message = format!("{}. {}.", report.sentence(), row.remedy);
    let mut details = vec![
        any(FAULT.to_owned(), &to_wire(report)),
        any(
            ERROR_INFO.to_owned(),
            &pb::ErrorInfo { reason: row.name.to_owned(), domain: "postroad".to_owned(), metadata: Default::default() },
        ),
    ];
    if let Some(refusal) = refusal.filter(|refusal| !refusal.field.is_empty()) {
        let violation = pb::bad_request::FieldViolation {
            field: refusal.field.clone(),
            description: refusal.rule.clone(),
            reason: row.name.to_owned(),
            ..Default::default()
        };
        details.push(any(BAD_REQUEST.to_owned(), &pb::BadRequest { field_violations: vec![violation] }));
    }
    let rich = pb::Status { code: code.into(), message: message.clone(), details };
    tonic::Status::with_details(code, message, rich.encode_to_vec().into())
}

fn any(type_url: String, message: &impl prost::Message) -> prost_types::Any {
    prost_types::Any { type_url, value: message.encode_to_vec() }
}

fn grpc_code(code: Code) -> tonic::Code {
    match code {
        Code::NotFound | Code::EmailErased => tonic::Code::NotFound,
        Code::CallerUnknown | Code::AccessTokenRefused | Code::CertificateExpires => tonic::Code::Unauthenticated,
        Code::AccessDenied => tonic::Code::PermissionDenied,
        Code::CallUnknown => tonic::Code::Unimplemented,
        Code::NameTaken | Code::AddressTaken | Code::RegardingTaken => tonic::Code::AlreadyExists,
        Code::EtagStale => tonic::Code::Aborted,
        Code::ProfileInUse | Code::StateConflict => tonic::Code::FailedPrecondition,
        _ => match code.row().scope {
            Scope::Input => tonic::Code::InvalidArgument,
            Scope::Deployment if code == Code::Internal => tonic::Code::Internal,
            Scope::Deployment => tonic::Code::Unavailable,
            Scope::Server | Scope::Mailbox | Scope::Item if code.is_permanent() => tonic::Code::FailedPrecondition,
            Scope::Server | Scope::Mailbox | Scope::Item => tonic::Code::Unavailable,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_field_rule_and_fix() {
        let status = refused(&Refusal::new(
            Code::LocationNotHttps,
            "incoming_location",
            "`http://x` does not start with https://",
        ));
        assert_eq!(status.code(), tonic::Code::InvalidArgument);
        let fault = fault_of(&status).unwrap();
        assert_eq!((fault.code.as_str(), fault.remedy.contains("https://")), ("LOCATION_NOT_HTTPS", true));
        assert_eq!(field_of(&status).unwrap().0, "incoming_location");
        assert!(status.message().contains("incoming_location"));
    }

    #[test]
    fn statuses_fit_their_kind() {
        let code = |code| refused(&Refusal::new(code, "x", "y")).code();
        assert_eq!(code(Code::NameTaken), tonic::Code::AlreadyExists);
        assert_eq!(code(Code::EtagStale), tonic::Code::Aborted);
        assert_eq!(code(Code::ProfileInUse), tonic::Code::FailedPrecondition);
        assert_eq!(code(Code::NotFound), tonic::Code::NotFound);
        assert_eq!(failed(&Report::new(Code::CrmUnavailable, "")).code(), tonic::Code::Unavailable);
    }

    #[test]
    fn every_fault_survives_the_wire() {
        for code in Code::ALL {
            let report = Report::new(*code, "seen");
            assert_eq!(report_of(&failed(&report), Code::Internal), report);
        }
    }
}
