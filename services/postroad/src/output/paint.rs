//! Colours. Text is always painted; the writer strips what its terminal, file or `NO_COLOR` does not want.

use std::fmt::Display;

use anstyle::{AnsiColor, Style};
use comfy_table::{Cell, Color};

fn painted(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// How a word is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Neither good nor bad.
    Plain,
    /// It is well.
    Good,
    /// To be minded.
    Wary,
    /// It is wrong.
    Bad,
}

/// What went well.
pub fn good(text: impl Display) -> String {
    painted(AnsiColor::Green.on_default(), text)
}

/// What went wrong.
pub fn bad(text: impl Display) -> String {
    painted(AnsiColor::Red.on_default().bold(), text)
}

/// What to mind.
pub fn wary(text: impl Display) -> String {
    painted(AnsiColor::Yellow.on_default(), text)
}

/// What is looked for first.
pub fn strong(text: impl Display) -> String {
    painted(Style::new().bold(), text)
}

/// What is looked at last.
pub fn faint(text: impl Display) -> String {
    painted(Style::new().dimmed(), text)
}

/// A plain cell of a table.
pub fn cell(text: impl ToString) -> Cell {
    Cell::new(text.to_string())
}

/// A cell for a word as it is meant.
pub fn toned_cell(tone: Tone, text: impl ToString) -> Cell {
    match tone {
        Tone::Plain => cell(text),
        Tone::Good => good_cell(text),
        Tone::Wary => wary_cell(text),
        Tone::Bad => bad_cell(text),
    }
}

/// A cell for what went well.
pub fn good_cell(text: impl ToString) -> Cell {
    cell(text).fg(Color::Green)
}

/// A cell for what went wrong.
pub fn bad_cell(text: impl ToString) -> Cell {
    cell(text).fg(Color::Red)
}

/// A cell for what to mind.
pub fn wary_cell(text: impl ToString) -> Cell {
    cell(text).fg(Color::Yellow)
}
