//! `postroad record`: people, queues and organisations of the CRM.

use std::{fs::File, path::PathBuf};

use clap::{Args, Subcommand, ValueHint};
use postroad_core::{
    fault::Code,
    record::{Draft, Kind},
};
use postroad_proto::crm::v1::{GetRecordRequest, ListRecordsRequest, Record, RecordKind, SaveRecordRequest};
use postroad_rig::Role;

use crate::{
    connection::pages,
    contract,
    failure::{Exit, Failure},
    output::{
        Output,
        paint::{cell, faint, good, strong},
    },
    session::Session,
};

/// Users, queues, contacts, accounts and leads of the CRM
#[derive(Args, Debug)]
pub struct Group {
    #[command(subcommand)]
    pub command: Command,
}

fn kind() -> impl clap::builder::TypedValueParser<Value = RecordKind> {
    contract::choice("RECORD_KIND", &["user", "queue", "contact", "account", "lead"], RecordKind::from_str_name)
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Load people from a CSV file; loading it again changes nothing
    #[command(
        visible_alias = "import",
        after_help = "Example:\n  postroad record load people.csv\n\n\
        The first line names the columns, in any order: kind (user, queue, contact, account, lead), name, addresses (separated\n\
        by semicolons, the primary one first), and optionally id and active. The whole file is checked before anything is saved:\n\n  \
        kind,name,addresses\n  user,Ada King,ada@contoso.example;ada.king@contoso.example\n  queue,Support,support@contoso.example"
    )]
    Load {
        /// The file
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// List records by name
    List {
        /// Only this kind
        #[arg(long, value_parser = kind())]
        kind: Option<RecordKind>,
        /// At most so many
        #[arg(long, value_name = "NUMBER")]
        limit: Option<usize>,
    },
    /// Show a record
    Get {
        /// Its id or an address
        record: String,
        /// Only this kind
        #[arg(long, value_parser = kind())]
        kind: Option<RecordKind>,
    },
    /// Create a record, or make an existing one this
    #[command(
        after_help = "Example:\n  postroad record save --kind user --name 'Ada King' --address ada@contoso.example"
    )]
    Save {
        /// Its kind
        #[arg(long, value_parser = kind())]
        kind: RecordKind,
        /// Its name
        #[arg(long)]
        name: String,
        /// An address; repeated for more, the primary one first
        #[arg(long = "address", required = true)]
        addresses: Vec<String>,
        /// Not in use any more
        #[arg(long)]
        inactive: bool,
        /// Its id [default: derived from kind and primary address, so that saving twice makes one record]
        #[arg(long, default_value = "", hide_default_value = true)]
        id: String,
        /// The user who owns it, by id; of a queue, who may own its emails
        #[arg(long, value_name = "USER-ID", default_value = "", hide_default_value = true)]
        owner: String,
    },
}

impl Command {
    /// Runs it.
    pub async fn run(self, session: &mut Session) -> Result<Exit, Failure> {
        match self {
            Self::Load { file } => load(session, file).await,
            Self::List { kind, limit } => list(session, kind.unwrap_or_default(), limit).await,
            Self::Get { record, kind } => get(session, record, kind.unwrap_or_default()).await,
            Self::Save { kind, name, addresses, inactive, id, owner } => {
                let record = Record { id, kind: kind.into(), name, addresses, inactive, owner_id: owner };
                let (record, changed) = save(session, record).await?;
                if session.output.is_json() {
                    session.output.message(&record)?;
                } else {
                    let what = if changed { "saved" } else { "unchanged:" };
                    session.output.line(format!("{} {what} {} (id {})", good("✓"), record.name, record.id))?;
                }
                Ok(Exit::Success)
            }
        }
    }
}

async fn load(session: &mut Session, file: PathBuf) -> Result<Exit, Failure> {
    let refused = |rule: String| Failure::refused(Code::FieldUnknown, file.display().to_string(), rule);
    let reader = File::open(&file).map_err(|error| Failure::file("FILE", &file, "read", &error))?;
    let drafts = postroad_crm::people::parse(reader).map_err(|error| refused(error.to_string()))?;
    let (total, mut changed) = (drafts.len(), 0_usize);
    for draft in drafts {
        changed += usize::from(save(session, record(draft)).await?.1);
    }
    let unchanged = total - changed;
    if session.output.is_json() {
        session.output.json(&serde_json::json!({ "records": total, "changed": changed, "unchanged": unchanged }))?;
    } else {
        session.output.line(format!("{} {total} records: {changed} saved, {unchanged} unchanged", good("✓")))?;
    }
    Ok(Exit::Success)
}

fn record(draft: Draft) -> Record {
    let kind = match draft.kind {
        Some(Kind::User) => RecordKind::User,
        Some(Kind::Queue) => RecordKind::Queue,
        Some(Kind::Contact) => RecordKind::Contact,
        Some(Kind::Account) => RecordKind::Account,
        Some(Kind::Lead) => RecordKind::Lead,
        None => RecordKind::Unspecified,
    };
    Record {
        id: draft.id.map_or_else(String::new, |id| id.to_string()),
        kind: kind.into(),
        name: draft.name,
        addresses: draft.addresses,
        inactive: !draft.active,
        owner_id: draft.owner_id.map_or_else(String::new, |id| id.to_string()),
    }
}

async fn save(session: &Session, record: Record) -> Result<(Record, bool), Failure> {
    let request = SaveRecordRequest { record: Some(record) };
    let failed = session.connection.failed(Role::Crm);
    let answer = session.connection.crm()?.save_record(request).await.map_err(failed)?.into_inner();
    Ok((answer.record.unwrap_or_default(), answer.changed))
}

async fn list(session: &mut Session, kind: RecordKind, limit: Option<usize>) -> Result<Exit, Failure> {
    let mut client = session.connection.crm()?;
    let records: Vec<Record> = pages(limit, async |page_size, page_token| {
        let request = ListRecordsRequest { kind: kind.into(), page_size, page_token };
        let answer = client.list_records(request).await.map_err(session.connection.failed(Role::Crm))?.into_inner();
        Ok((answer.records, answer.next_page_token))
    })
    .await?;
    if session.output.is_json() {
        session.output.messages(&records)?
    } else {
        table(&mut session.output, &records)?
    }
    Ok(Exit::Success)
}

async fn get(session: &mut Session, record: String, kind: RecordKind) -> Result<Exit, Failure> {
    let request = GetRecordRequest { record, kind: kind.into() };
    let failed = session.connection.failed(Role::Crm);
    let answer = session.connection.crm()?.get_record(request).await.map_err(failed)?.into_inner();
    let record = answer.record.unwrap_or_default();
    if session.output.is_json() {
        session.output.message(&record)?;
        return Ok(Exit::Success);
    }
    session.output.line(strong(&record.name))?;
    session.output.facts(vec![
        ("id", record.id.clone()),
        ("kind", kind_word(&record).to_owned()),
        ("addresses", record.addresses.join(", ")),
        ("state", if record.inactive { "inactive" } else { "active" }.to_owned()),
    ])?;
    Ok(Exit::Success)
}

fn table(output: &mut Output, records: &[Record]) -> Result<(), Failure> {
    if records.is_empty() {
        return output.line(faint("no records; load people with: postroad record load FILE.csv"));
    }
    let rows = records.iter().map(|record| {
        let state = if record.inactive { "inactive" } else { "" };
        vec![
            cell(&record.name),
            cell(kind_word(record)),
            cell(record.addresses.join(", ")),
            cell(state),
            cell(&record.id),
        ]
    });
    output.table(&["NAME", "KIND", "ADDRESSES", "", "ID"], rows.collect())
}

fn kind_word(record: &Record) -> &'static str {
    match record.kind() {
        RecordKind::User => "user",
        RecordKind::Queue => "queue",
        RecordKind::Contact => "contact",
        RecordKind::Account => "account",
        RecordKind::Lead => "lead",
        RecordKind::Unspecified => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::tests::captured;

    #[test]
    fn a_row_of_the_file_becomes_a_record() {
        let text = "kind,name,addresses,active\nqueue,Support,support@x.example;help@x.example,no\n";
        let drafts = postroad_crm::people::parse(text.as_bytes()).unwrap();
        let record = record(drafts.into_iter().next().unwrap());
        assert_eq!(
            (record.kind(), record.addresses.len(), record.inactive, record.id.as_str()),
            (RecordKind::Queue, 2, true, "")
        );
    }

    #[test]
    fn records_are_one_in_a_row() {
        let record = Record { name: "Ada".into(), kind: RecordKind::User.into(), inactive: true, ..Default::default() };
        let (mut output, captured) = captured(false);
        table(&mut output, &[record]).unwrap();
        table(&mut output, &[]).unwrap();
        let text = captured.text();
        assert!(text.contains("Ada") && text.contains("inactive") && text.contains("record load"), "{text}");
    }
}
