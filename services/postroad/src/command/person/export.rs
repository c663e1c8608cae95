//! `postroad person export`: all that is held about a person, for machines and people.

use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use postroad_proto::{
    crm::v1::{Content, Email, GetRecordRequest, ListRecordsRequest, Record, RecordKind, SearchEmailsRequest},
    sync::v1::ExplainMessageRequest,
};
use postroad_rig::Role;

use crate::{
    command::activity::pieces,
    connection::pages,
    contract::{Extent, Written},
    failure::{Exit, Failure},
    output::paint::good,
    session::Session,
};

/// Writes the directory.
pub async fn run(session: &mut Session, person: &str, out: &Path) -> Result<Exit, Failure> {
    let refused = |error: std::io::Error| Failure::file("--out", out, "created", &error);
    let (addresses, records) = who(session, person).await?;
    let emails = naming(session, &addresses).await?;
    // Never among files of something else, and for nobody else to read.
    fs::DirBuilder::new().mode(0o700).create(out).map_err(refused)?;
    let mut told = Vec::new();
    for email in &emails {
        told.push(one(session, out, email).await?);
    }
    let records: Result<Vec<_>, _> = records.iter().map(|record| Written::new(record, Extent::All)).collect();
    let person = serde_json::json!({ "addresses": addresses, "records": records?, "emails": told });
    let text = serde_json::to_string_pretty(&person).map_err(std::io::Error::from)?;
    fs::write(out.join("person.json"), text + "\n")?;
    if session.output.is_json() {
        session
            .output
            .json(&serde_json::json!({ "directory": out, "addresses": addresses, "emails": emails.len() }))?;
    } else {
        let line = format!("{} wrote what is held about {}: {} emails", good("✓"), join(&addresses), emails.len());
        session.output.line(format!("{line}, in {}", out.display()))?;
    }
    Ok(Exit::Success)
}

fn join(addresses: &BTreeSet<String>) -> String {
    addresses.iter().cloned().collect::<Vec<_>>().join(", ")
}

/// The addresses in lower case, and all records that have one of them.
async fn who(session: &Session, person: &str) -> Result<(BTreeSet<String>, Vec<Record>), Failure> {
    let mut client = session.connection.crm()?;
    let mut addresses = BTreeSet::new();
    if person.contains('@') {
        addresses.insert(person.trim().to_lowercase());
    } else {
        let request = GetRecordRequest { record: person.to_owned(), ..GetRecordRequest::default() };
        let answer = client.get_record(request).await.map_err(session.connection.failed(Role::Crm))?.into_inner();
        let record = answer.record.unwrap_or_default();
        addresses.extend(record.addresses.iter().map(|address| address.to_lowercase()));
    }
    let records: Vec<Record> = pages(None, async |page_size, page_token| {
        let request = ListRecordsRequest { page_size, page_token, ..ListRecordsRequest::default() };
        let answer = client.list_records(request).await.map_err(session.connection.failed(Role::Crm))?.into_inner();
        Ok((answer.records, answer.next_page_token))
    })
    .await?;
    Ok(all_of(addresses, records))
}

/// The records with one of the addresses, and those that share one with them, with all their addresses: as an erasure finds them.
fn all_of(mut addresses: BTreeSet<String>, mut others: Vec<Record>) -> (BTreeSet<String>, Vec<Record>) {
    let mut found = Vec::new();
    loop {
        let has = |record: &Record| record.addresses.iter().any(|address| addresses.contains(&address.to_lowercase()));
        let (new, left): (Vec<_>, Vec<_>) = others.into_iter().partition(has);
        if new.is_empty() {
            return (addresses, found);
        }
        // What users and queues have besides is theirs.
        let outside = new.iter().filter(|record| !matches!(record.kind(), RecordKind::User | RecordKind::Queue));
        addresses.extend(outside.flat_map(|record| &record.addresses).map(|address| address.to_lowercase()));
        found.extend(new);
        others = left;
    }
}

async fn naming(session: &Session, addresses: &BTreeSet<String>) -> Result<Vec<Email>, Failure> {
    let mut client = session.connection.crm()?;
    let mut found: Vec<Email> = Vec::new();
    for address in addresses {
        let emails: Vec<Email> = pages(None, async |page_size, page_token| {
            let request =
                SearchEmailsRequest { query: address.clone(), page_size, page_token, ..SearchEmailsRequest::default() };
            let answer =
                client.search_emails(request).await.map_err(session.connection.failed(Role::Crm))?.into_inner();
            Ok((answer.emails, answer.next_page_token))
        })
        .await?;
        // The search also finds what only mentions the address.
        let names =
            |email: &Email| email.parties.iter().any(|party| party.address.trim().eq_ignore_ascii_case(address));
        for email in emails.into_iter().filter(names) {
            if found.iter().all(|known| known.id != email.id) {
                found.push(email);
            }
        }
    }
    Ok(found)
}

/// Writes an email's files; gives what is told of it.
async fn one(session: &Session, out: &Path, email: &Email) -> Result<serde_json::Value, Failure> {
    let mut files = Vec::new();
    for (name, content) in parts(email) {
        let file = PathBuf::from(name);
        write(session, &email.id, content, &out.join(&file)).await?;
        files.push(file);
    }
    let verdicts = match email.message_id.as_str() {
        "" => Vec::new(),
        message_id => {
            let request = ExplainMessageRequest { message_id: message_id.to_owned() };
            let failed = session.connection.failed(Role::Sync);
            session.connection.sync()?.explain_message(request).await.map_err(failed)?.into_inner().verdicts
        }
    };
    let verdicts: Result<Vec<_>, _> = verdicts.iter().map(|verdict| Written::new(verdict, Extent::All)).collect();
    Ok(serde_json::json!({ "email": Written::new(email, Extent::All)?, "verdicts": verdicts?, "files": files }))
}

/// The contents that are written: the original has all others; without one, each of them. Names are of our own making only.
fn parts(email: &Email) -> Vec<(String, &Content)> {
    if let Some(mime) = &email.mime {
        return vec![(format!("{}.eml", email.id), mime)];
    }
    let bodies = [("txt", &email.text), ("html", &email.html)];
    let bodies =
        bodies.into_iter().filter_map(|(end, content)| Some((format!("{}.{end}", email.id), content.as_ref()?)));
    let kept = email.attachments.iter().enumerate().filter(|(_, one)| one.omission == 0);
    let attachments =
        kept.filter_map(|(at, one)| Some((format!("{}.{}.attachment", email.id, at + 1), one.content.as_ref()?)));
    bodies.chain(attachments).collect()
}

async fn write(session: &Session, email_id: &str, content: &Content, path: &Path) -> Result<(), Failure> {
    let mut file = fs::File::create_new(path)?;
    let mut pieces = pieces(session, email_id, content).await?;
    while let Some(piece) = pieces.next(session).await? {
        file.write_all(&piece)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use postroad_proto::crm::v1::Attachment;

    use super::*;

    #[test]
    fn one_address_stands_for_the_person_with_all_of_them() {
        let record = |name: &str, addresses: &[&str]| Record {
            name: name.into(),
            addresses: addresses.iter().map(|address| (*address).to_owned()).collect(),
            ..Record::default()
        };
        let records = vec![
            record("lead", &["eve@third.example"]),
            record("contact", &["Eve@x.example", "eve@home.example"]),
            record("duplicate", &["eve@home.example", "eve@third.example"]),
            record("other", &["ben@x.example"]),
            Record { kind: RecordKind::User.into(), ..record("user", &["eve@x.example", "ada@contoso.example"]) },
        ];
        let (addresses, found) = all_of(["eve@x.example".to_owned()].into(), records);
        assert_eq!(join(&addresses), "eve@home.example, eve@third.example, eve@x.example");
        assert_eq!(
            found.iter().map(|record| record.name.as_str()).collect::<Vec<_>>(),
            ["contact", "user", "duplicate", "lead"]
        );
    }

    #[test]
    fn names_of_files_come_from_no_message() {
        let content = || Some(Content { digest: "d".into(), size: 1 });
        let hostile = Attachment { name: "../../x".into(), content: content(), ..Attachment::default() };
        let blocked = Attachment { omission: 1, ..hostile.clone() };
        let email = Email { id: "7".into(), text: content(), attachments: vec![blocked, hostile], ..Email::default() };
        let names = |email: &Email| parts(email).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names(&email), ["7.txt", "7.2.attachment"]);
        assert_eq!(names(&Email { mime: content(), ..email }), ["7.eml"]);
    }
}
