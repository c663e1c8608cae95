//! `postroad person export`: all that is held about a person, for machines and people.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use postroad_proto::{
    crm::v1::{Content, Email, FindPersonRequest, FindPersonResponse, GetEmailRequest},
    sync::v1::ExplainMessageRequest,
};
use postroad_rig::Role;
use tonic::Code;

use crate::{
    command::activity::pieces,
    contract::{Extent, Written},
    failure::{Exit, Failure},
    output::paint::good,
    session::Session,
};

/// Writes the directory.
pub async fn run(session: &mut Session, person: &str, out: &Path) -> Result<Exit, Failure> {
    let refused = |error: std::io::Error| Failure::file("--out", out, "created", &error);
    let FindPersonResponse { addresses, records, email_ids } = find(session, person).await?;
    // Never among files of something else, and for nobody else to read.
    fs::DirBuilder::new().mode(0o700).create(out).map_err(refused)?;
    let mut told = Vec::new();
    for id in &email_ids {
        let Some(found) = email(session, id).await? else { continue };
        match one(session, out, &found).await {
            Ok(one) => told.push(one),
            // Of what was erased meanwhile nothing may stay.
            Err(_) if email(session, id).await?.is_none() => {
                for (name, _) in parts(&found) {
                    let _ = fs::remove_file(out.join(name));
                }
            }
            Err(failure) => return Err(failure),
        }
    }
    let emails = told.len();
    let records: Result<Vec<_>, _> = records.iter().map(|record| Written::new(record, Extent::All)).collect();
    let person = serde_json::json!({ "addresses": addresses, "records": records?, "emails": told });
    let text = serde_json::to_string_pretty(&person).map_err(std::io::Error::from)?;
    fs::write(out.join("person.json"), text + "\n")?;
    if session.output.is_json() {
        session.output.json(&serde_json::json!({ "directory": out, "addresses": addresses, "emails": emails }))?;
    } else {
        let noun = if emails == 1 { "email" } else { "emails" };
        let line = format!("{} wrote what is held about {}: {emails} {noun}", good("✓"), addresses.join(", "));
        session.output.line(format!("{line}, in {}", out.display()))?;
    }
    Ok(Exit::Success)
}

/// What the crm role finds of a person, as an erasure would.
async fn find(session: &Session, person: &str) -> Result<FindPersonResponse, Failure> {
    let failed = session.connection.failed(Role::Crm);
    let request = FindPersonRequest { person: person.to_owned() };
    let mut told = session.connection.crm()?.find_person(request).await.map_err(&failed)?.into_inner();
    let mut found = FindPersonResponse::default();
    while let Some(more) = told.message().await.map_err(&failed)? {
        found.addresses.extend(more.addresses);
        found.records.extend(more.records);
        found.email_ids.extend(more.email_ids);
    }
    Ok(found)
}

/// An email by its id; `None` if it was erased meanwhile.
async fn email(session: &Session, id: &str) -> Result<Option<Email>, Failure> {
    let request = GetEmailRequest { email: id.to_owned() };
    match session.connection.crm()?.get_email(request).await {
        Ok(answer) => Ok(answer.into_inner().email),
        Err(status) if status.code() == Code::NotFound => Ok(None),
        Err(status) => Err(session.connection.failed(Role::Crm)(status)),
    }
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
