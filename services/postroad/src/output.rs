//! What commands print: tables and sentences for people, JSON for machines.

use std::io::{IsTerminal as _, Write};

use comfy_table::{Cell, ContentArrangement, Table, presets};
use serde::Serialize;

use crate::{
    contract::{Described, Extent, Written},
    failure::Failure,
};

pub mod paint;
pub mod time;

/// Where a command's answer goes, and in which form.
pub struct Output {
    json: bool,
    /// Columns of the terminal; `None` where the answer goes to a file or another program, which gets whole lines.
    width: Option<u16>,
    terminal: bool,
    writer: Box<dyn Write + Send>,
}

impl Output {
    /// Standard output. Colours are kept on a terminal only, and not where `NO_COLOR` is set.
    pub fn standard(json: bool) -> Self {
        let terminal = std::io::stdout().is_terminal();
        let width = if terminal { Table::new().width() } else { None };
        Self { json, width, terminal, writer: Box::new(anstream::stdout()) }
    }

    /// Whether JSON is wanted.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Whether a person reads along.
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// One line.
    pub fn line(&mut self, text: impl AsRef<str>) -> Result<(), Failure> {
        Ok(writeln!(self.writer, "{}", text.as_ref())?)
    }

    /// Raw content.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.writer.write_all(bytes)?;
        Ok(self.writer.flush()?)
    }

    /// A table that fits the terminal.
    pub fn table(&mut self, header: &[&str], rows: Vec<Vec<Cell>>) -> Result<(), Failure> {
        let text = table(header, rows, self.width);
        self.line(text)
    }

    /// Labels and values, one below the other; empty values are left out.
    pub fn facts(&mut self, facts: Vec<(&str, String)>) -> Result<(), Failure> {
        let wide = facts.iter().map(|(label, _)| label.chars().count()).max().unwrap_or_default();
        for (label, value) in facts.into_iter().filter(|(_, value)| !value.is_empty()) {
            let label = paint::faint(format!("{label:<wide$}"));
            let value = value.trim_end().replace('\n', &format!("\n{:indent$}", "", indent = wide + 2));
            self.line(format!("{label}  {value}"))?;
        }
        Ok(())
    }

    /// Any value as indented JSON.
    pub fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value).map_err(std::io::Error::from)?;
        self.line(text)
    }

    /// Any value as one line of JSON: one report of a stream.
    pub fn event(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(value).map_err(std::io::Error::from)?;
        self.line(text)?;
        Ok(self.writer.flush()?)
    }

    /// A message of a contract as indented JSON.
    pub fn message<M: Described>(&mut self, message: &M) -> Result<(), Failure> {
        self.json(&Written::new(message, Extent::All)?)
    }

    /// Messages of a contract as a JSON array.
    pub fn messages<M: Described>(&mut self, messages: &[M]) -> Result<(), Failure> {
        let written: Result<Vec<_>, _> = messages.iter().map(|message| Written::new(message, Extent::All)).collect();
        self.json(&written?)
    }

    /// A message of a contract as one line of JSON.
    pub fn message_event<M: Described>(&mut self, message: &M) -> Result<(), Failure> {
        self.event(&Written::new(message, Extent::All)?)
    }
}

/// Lays out a table. Without a width, no cell is wrapped.
fn table(header: &[&str], rows: Vec<Vec<Cell>>, width: Option<u16>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    // The writer strips colours where they are not wanted; the table must not decide by itself.
    table.enforce_styling();
    match width {
        Some(width) => table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width),
        None => table.set_content_arrangement(ContentArrangement::Disabled),
    };
    table.set_header(header.iter().map(|title| Cell::new(title).add_attribute(comfy_table::Attribute::Dim)));
    table.add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

#[cfg(test)]
pub mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// What was written to an [`Output`] of a test.
    #[derive(Clone, Default)]
    pub struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Captured {
        /// The text, without colours.
        pub fn text(&self) -> String {
            let bytes = self.0.lock().unwrap().clone();
            anstream::adapter::strip_str(&String::from_utf8(bytes).unwrap()).to_string()
        }
    }

    /// An output whose text a test reads.
    pub fn captured(json: bool) -> (Output, Captured) {
        let captured = Captured::default();
        (Output { json, width: Some(100), terminal: false, writer: Box::new(captured.clone()) }, captured)
    }

    fn rows() -> Vec<Vec<Cell>> {
        let address = "a.very.long.address.of.somebody@subdivision.contoso.example";
        vec![vec![
            Cell::new(address),
            Cell::new("the server refused the connection, and it will be tried again in a while"),
        ]]
    }

    #[test]
    fn tables_fit_the_terminal() {
        for width in [40, 60, 80] {
            let text = table(&["ADDRESS", "STATE"], rows(), Some(width));
            let plain = anstream::adapter::strip_str(&text).to_string();
            let widest = plain.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= usize::from(width), "{widest} > {width}:\n{plain}");
        }
    }

    #[test]
    fn a_pipe_gets_one_line_for_each_row() {
        assert_eq!(table(&["ADDRESS", "STATE"], rows(), None).lines().count(), 2);
    }

    #[test]
    fn facts_are_aligned_and_empty_ones_left_out() {
        let (mut output, captured) = captured(false);
        output
            .facts(vec![("name", "Contoso".into()), ("description", String::new()), ("notes", "one\ntwo".into())])
            .unwrap();
        assert_eq!(captured.text(), "name         Contoso\nnotes        one\n             two\n");
    }

    #[test]
    fn an_empty_list_is_an_empty_array() {
        let (mut output, captured) = captured(true);
        output.messages::<postroad_proto::profile::v1::Profile>(&[]).unwrap();
        assert_eq!(captured.text(), "[]\n");
    }
}
