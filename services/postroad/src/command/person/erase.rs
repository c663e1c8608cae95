//! `postroad person erase`.

use std::io::{BufRead as _, IsTerminal as _};

use indicatif::ProgressBar;
use postroad_core::fault::Code;
use postroad_proto::crm::v1::{ErasePersonRequest, ErasePersonResponse};
use postroad_rig::Role;

use crate::{
    failure::{Exit, Failure},
    output::paint::{good, wary},
    session::Session,
};

/// Tells what would be erased, asks, and erases.
pub async fn run(session: &mut Session, person: &str, dry_run: bool, yes: bool) -> Result<Exit, Failure> {
    let found = ask(session, person, true).await?;
    if dry_run {
        return tell(session, &found, true);
    }
    if !yes && !confirmed(&found)? {
        return Ok(Exit::Refused);
    }
    let done = ask(session, person, false).await?;
    tell(session, &done, false)
}

async fn ask(session: &Session, person: &str, dry_run: bool) -> Result<ErasePersonResponse, Failure> {
    let failed = session.connection.failed(Role::Crm);
    let request = ErasePersonRequest { person: person.to_owned(), dry_run };
    let mut told = session.connection.crm()?.erase_person(request).await.map_err(&failed)?.into_inner();
    let progress = ProgressBar::no_length();
    let mut last = ErasePersonResponse::default();
    while let Some(one) = told.message().await.map_err(&failed)? {
        progress.set_length(one.emails);
        progress.set_position(one.erased + one.waiting);
        last = one;
    }
    progress.finish_and_clear();
    Ok(last)
}

fn confirmed(found: &ErasePersonResponse) -> Result<bool, Failure> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(Failure::refused(Code::FieldRequired, "--yes", "is required where nobody can be asked"));
    }
    anstream::eprintln!("{}", summary(found));
    anstream::eprint!("This cannot be undone. Write the word erase to go on: ");
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer)?;
    Ok(answer.trim() == "erase")
}

fn tell(session: &mut Session, told: &ErasePersonResponse, dry_run: bool) -> Result<Exit, Failure> {
    if session.output.is_json() {
        session.output.message(told)?;
        return Ok(Exit::Success);
    }
    if dry_run {
        session.output.line(format!("would be erased: {}", summary(told)))?;
        return Ok(Exit::Success);
    }
    session.output.line(format!("{} erased: {}", good("✓"), summary(told)))?;
    if told.waiting > 0 {
        let waiting = format!("{} emails are being sent; they are erased when that has ended", told.waiting);
        session.output.line(wary(waiting))?;
    }
    Ok(Exit::Success)
}

fn summary(told: &ErasePersonResponse) -> String {
    let records: Vec<_> =
        told.records.iter().map(|record| format!("{} {}", word(record.kind()), record.name)).collect();
    let records = if records.is_empty() { "no record".to_owned() } else { records.join(", ") };
    format!(
        "{}; {records}; {} emails, {} of them written by the person",
        told.addresses.join(", "),
        told.emails,
        told.written
    )
}

fn word(kind: postroad_proto::crm::v1::RecordKind) -> String {
    kind.as_str_name().trim_start_matches("RECORD_KIND_").to_lowercase()
}

#[cfg(test)]
mod tests {
    use postroad_proto::crm::v1::{Record, RecordKind};

    use super::*;

    #[test]
    fn what_is_erased_is_counted_and_named() {
        let record = Record { kind: RecordKind::Contact.into(), name: "Eve".into(), ..Record::default() };
        let told = ErasePersonResponse {
            addresses: vec!["eve@x.example".into()],
            records: vec![record],
            emails: 3,
            written: 2,
            ..ErasePersonResponse::default()
        };
        assert_eq!(summary(&told), "eve@x.example; contact Eve; 3 emails, 2 of them written by the person");
    }
}
