//! People from a CSV file: what `postroad record load` reads.
//!
//! The first line names the columns, in any order: `kind`, `name`, `addresses` (separated by semicolons, the primary one
//! first), and optionally `id`, `active` and `owner` (the id of a user).

use std::{collections::HashMap, io::Read};

use postroad_core::record::{Draft, Kind};
use uuid::Uuid;

const COLUMNS: [&str; 6] = ["kind", "name", "addresses", "id", "active", "owner"];
const REQUIRED: [&str; 3] = ["kind", "name", "addresses"];

/// What is wrong with a file of people.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PeopleError {
    /// It cannot be read as CSV in UTF-8.
    #[error("line {line}: {why}")]
    Unreadable {
        /// Counted from 1.
        line: u64,
        /// Why.
        why: String,
    },
    /// A required column is missing.
    #[error(
        "line 1: the column `{column}` is missing; the columns are kind, name, addresses and, if wanted, id, active and owner"
    )]
    ColumnMissing {
        /// Its name.
        column: &'static str,
    },
    /// A column is unknown or named twice.
    #[error(
        "line 1, column {number}: `{name}` is {why}; the columns are kind, name, addresses and, if wanted, id, active and owner"
    )]
    ColumnWrong {
        /// Counted from 1.
        number: usize,
        /// As written.
        name: String,
        /// `unknown` or `named twice`.
        why: &'static str,
    },
    /// A cell is wrong.
    #[error("line {line}, column {column}: {rule}")]
    Cell {
        /// Counted from 1.
        line: u64,
        /// The column's name.
        column: String,
        /// What is wrong with it.
        rule: String,
    },
}

/// Reads people. Each draft has been checked; the first error is reported with its line and column, and nothing is given.
pub fn parse(reader: impl Read) -> Result<Vec<Draft>, PeopleError> {
    let mut rows = csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(true).from_reader(reader);
    let columns = columns(rows.headers().map_err(unreadable)?)?;
    let mut drafts = Vec::new();
    let mut seen = HashMap::new();
    for row in rows.records() {
        let row = row.map_err(unreadable)?;
        let line = row.position().map_or(0, csv::Position::line);
        if let Some(extra) = row.get(columns.len()) {
            let (column, rule) =
                ((columns.len() + 1).to_string(), format!("`{extra}` has no column; quote a text with commas"));
            return Err(PeopleError::Cell { line, column, rule });
        }
        let draft = draft(&columns, &row, line)?;
        let id = draft.record().map_err(|refusal| cell(line, &refusal.field, refusal.rule))?.id;
        if let Some(first) = seen.insert(id, line) {
            return Err(cell(line, "addresses", format!("is the same record as line {first}")));
        }
        drafts.push(draft);
    }
    Ok(drafts)
}

fn columns(header: &csv::StringRecord) -> Result<Vec<&'static str>, PeopleError> {
    let mut columns = Vec::new();
    for (index, name) in header.iter().enumerate() {
        let name = name.trim_start_matches('\u{feff}').trim();
        let wrong = |why| PeopleError::ColumnWrong { number: index + 1, name: name.to_owned(), why };
        let known =
            COLUMNS.into_iter().find(|column| column.eq_ignore_ascii_case(name)).ok_or_else(|| wrong("unknown"))?;
        if columns.contains(&known) {
            return Err(wrong("named twice"));
        }
        columns.push(known);
    }
    match REQUIRED.into_iter().find(|column| !columns.contains(column)) {
        Some(column) => Err(PeopleError::ColumnMissing { column }),
        None => Ok(columns),
    }
}

fn draft(columns: &[&str], row: &csv::StringRecord, line: u64) -> Result<Draft, PeopleError> {
    let text =
        |column: &str| columns.iter().position(|known| *known == column).and_then(|at| row.get(at)).unwrap_or_default();
    let kind = Kind::by_label(text("kind")).ok_or_else(|| {
        let labels = Kind::ALL.map(Kind::label).join(", ");
        cell(line, "kind", format!("`{}` is none of {labels}", text("kind")))
    })?;
    let id = match text("id") {
        "" => None,
        id => Some(Uuid::parse_str(id).map_err(|_| cell(line, "id", format!("`{id}` is no UUID")))?),
    };
    let active = match text("active").to_lowercase().as_str() {
        "" | "yes" | "true" | "1" => true,
        "no" | "false" | "0" => false,
        other => return Err(cell(line, "active", format!("`{other}` is neither yes nor no"))),
    };
    let addresses = text("addresses").split(';').map(str::trim).filter(|address| !address.is_empty());
    Ok(Draft {
        id,
        kind: Some(kind),
        name: text("name").to_owned(),
        addresses: addresses.map(str::to_owned).collect(),
        active,
        owner_id: match text("owner") {
            "" => None,
            id => Some(Uuid::parse_str(id).map_err(|_| cell(line, "owner", format!("`{id}` is no UUID")))?),
        },
    })
}

fn cell(line: u64, column: &str, rule: impl Into<String>) -> PeopleError {
    PeopleError::Cell { line, column: column.to_owned(), rule: rule.into() }
}

fn unreadable(error: csv::Error) -> PeopleError {
    let line = error.position().map_or(1, csv::Position::line);
    let why = match error.kind() {
        csv::ErrorKind::Utf8 { .. } => "is not UTF-8".to_owned(),
        csv::ErrorKind::Io(error) => error.to_string(),
        _ => error.to_string(),
    };
    PeopleError::Unreadable { line, why }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        parse(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn reads_people() {
        let text = "\u{feff}Name, Kind, Addresses, Active\n\
                    Ada, user, ada@contoso.example; king@contoso.example,\n\
                    \"Contoso, Ltd.\", account, info@contoso.example, no\n\
                    Support, queue, support@contoso.example\n";
        let drafts = parse(text.as_bytes()).unwrap();
        assert_eq!(drafts.len(), 3);
        assert_eq!(drafts[0].addresses, ["ada@contoso.example", "king@contoso.example"]);
        assert_eq!(
            (drafts[1].name.as_str(), drafts[1].active, drafts[1].kind),
            ("Contoso, Ltd.", false, Some(Kind::Account))
        );
        assert!(drafts[2].active);
    }

    #[test]
    fn errors_name_line_and_column() {
        assert_eq!(error("kind,name\n"), PeopleError::ColumnMissing { column: "addresses" }.to_string());
        assert!(error("kind,nome\n").starts_with("line 1, column 2: `nome` is unknown"));
        assert!(error("kind,kind\n").starts_with("line 1, column 2: `kind` is named twice"));
        let with = |line: &str| error(&format!("kind,name,addresses,id,active\nuser,Ada,ada@x.example\n{line}\n"));
        assert!(with("boss,Bob,bob@x.example").starts_with("line 3, column kind: `boss` is none of user, queue"));
        assert!(with("user,,bob@x.example").starts_with("line 3, column name: is required"));
        assert!(with("user,Bob,bob").starts_with("line 3, column addresses: `bob` is not an email address"));
        assert!(with("user,Bob,").starts_with("line 3, column addresses: is required"));
        assert!(with("user,Bob,bob@x.example,7").starts_with("line 3, column id: `7` is no UUID"));
        assert!(with("user,Bob,bob@x.example,,maybe").starts_with("line 3, column active: `maybe`"));
        assert!(with("user,Bob,bob@x.example,,,more").starts_with("line 3, column 6: `more` has no column"));
        assert_eq!(with("user,Ada,ADA@x.example"), "line 3, column addresses: is the same record as line 2");
    }

    #[test]
    fn what_is_no_utf_8_is_refused() {
        let bytes = b"kind,name,addresses\nuser,\xff,a@x.example\n";
        assert_eq!(parse(bytes.as_slice()).unwrap_err().to_string(), "line 2: is not UTF-8");
        assert_eq!(parse("".as_bytes()).unwrap_err(), PeopleError::ColumnMissing { column: "kind" });
    }
}
