//! The mailboxes that are looked for.

use postroad_proto::mailbox::v1::Mailbox;
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::Style,
    text::{Line, Span},
    widgets::Paragraph,
};

use super::{
    grid::{Cell, Column, Grid},
    number, pane, words,
};
use crate::command::{
    mailbox::view::condition,
    top::{
        model::{Model, Tab},
        palette::Palette,
    },
};

const COLUMNS: [Column; 8] = [
    Column::rest("ADDRESS", 20),
    Column::text("PROFILE", 3),
    Column::text("STATE", 0),
    Column::text("FAULT", 0),
    Column::number("FAILURES", 5),
    Column::number("LAST SUCCESS", 1),
    Column::number("NEXT TRY", 2),
    Column::number("DECIDED", 4),
];

pub fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model, palette: Palette) {
    let block = pane("Mailboxes", palette);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let [above, below] = Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).areas(inner);
    frame.render_widget(filter_line(model, palette), above);
    match &model.mailboxes {
        None => {}
        Some((mailboxes, _)) if mailboxes.is_empty() => {
            let is_all = model.wanted == super::super::question::Wanted::default();
            let text = if is_all {
                "no mailboxes; create one with: postroad mailbox create ADDRESS"
            } else {
                "no such mailboxes"
            };
            frame.render_widget(Paragraph::new(Span::styled(text, palette.faint())), below);
        }
        Some((mailboxes, _)) => {
            let rows = mailboxes.iter().map(|mailbox| row(mailbox, model, palette)).collect();
            let picked = Some(model.picked(Tab::Mailboxes));
            Grid { columns: &COLUMNS, rows, picked }.draw(frame, below, palette);
        }
    }
}

fn filter_line(model: &Model, palette: Palette) -> Line<'static> {
    let wanted = &model.wanted;
    let mut spans = Vec::new();
    let mut part = |label: &str, text: String| {
        spans.push(Span::styled(format!("{label} "), palette.faint()));
        spans.push(Span::styled(format!("{text}  "), palette.strong()));
    };
    part("state", wanted.condition.map_or("all", |one| condition(one).1).to_owned());
    if !wanted.fault.is_empty() {
        part("fault", wanted.fault.clone());
    }
    if model.is_searching {
        part("search", format!("{}▏", wanted.search));
    } else if !wanted.search.is_empty() {
        part("search", wanted.search.clone());
    }
    let shown = model.mailboxes.as_ref().map_or_else(String::new, |(mailboxes, has_more)| match has_more {
        true => format!("the first {}; / searches", number(mailboxes.len() as u64)),
        false => words::count(mailboxes.len() as u64, "mailbox", "mailboxes"),
    });
    spans.push(Span::styled(shown, palette.faint()));
    Line::from(spans)
}

fn row(mailbox: &Mailbox, model: &Model, palette: Palette) -> Vec<Cell> {
    let (tone, state) = condition(mailbox.condition());
    let fault = mailbox.fault.as_ref().map_or_else(String::new, |fault| fault.code.clone());
    let address = mailbox.settings.as_ref().map_or_else(String::new, |settings| settings.email_address.clone());
    let plain = |text: String| (text, Style::new());
    vec![
        plain(address),
        plain(mailbox.profile_name.clone()),
        (state.to_owned(), palette.of(tone)),
        (fault, palette.of(tone)),
        plain(number(mailbox.failures)),
        plain(words::ago(model.now, mailbox.last_success_at.as_ref())),
        plain(words::ago(model.now, mailbox.next_attempt_at.as_ref())),
        plain(number(mailbox.processed)),
    ]
}
