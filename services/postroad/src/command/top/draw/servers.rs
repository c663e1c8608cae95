//! The mail servers, and what the picked one taught.

use postroad_proto::sync::v1::Budget;
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::Style,
    text::{Line, Span},
    widgets::Paragraph,
};

use super::{
    faults::labelled,
    grid::{Cell, Column, Grid},
    number, pane,
    words::{rate, took},
};
use crate::{
    command::{
        sync::short,
        top::{
            fleet::Server,
            model::{Model, Tab},
            palette::Palette,
        },
    },
    output::paint::Tone,
};

const COLUMNS: [Column; 9] = [
    Column::rest("SERVER", 30),
    Column::text("STATE", 0),
    Column::number("REQUESTS", 0),
    Column::number("IN USE", 0),
    Column::number("ALLOWED", 1),
    Column::number("LIMIT", 4),
    Column::number("REST", 2),
    Column::number("THROTTLED", 3),
    Column::number("ACCOUNTS", 5),
];

pub fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model, palette: Palette) {
    let servers = model.servers.as_deref().unwrap_or_default();
    let picked = model.picked(Tab::Servers);
    let rows = u16::try_from(servers.len()).unwrap_or(u16::MAX).saturating_add(3);
    let [above, below] =
        Layout::vertical([Constraint::Length(rows.min(area.height / 2).max(5)), Constraint::Fill(1)]).areas(area);
    table(frame, above, model, Some(picked), palette);
    let Some(server) = servers.get(picked) else {
        frame.render_widget(pane("", palette), below);
        return;
    };
    let block = pane(&server.name, palette);
    let inner = block.inner(below);
    frame.render_widget(block, below);
    detail(frame, inner, server, palette);
}

/// The servers, one in a row.
pub fn table(frame: &mut Frame<'_>, area: Rect, model: &Model, picked: Option<usize>, palette: Palette) {
    let block = pane("Servers", palette);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    match model.servers.as_deref() {
        None => {}
        Some([]) => {
            let text = "no server was asked yet: mailboxes are tested and enabled first (postroad mailbox test)";
            frame.render_widget(Paragraph::new(Span::styled(text, palette.faint())), inner);
        }
        Some(servers) => {
            let rows = servers.iter().map(|server| row(server, palette)).collect();
            Grid { columns: &COLUMNS, rows, picked }.draw(frame, inner, palette);
        }
    }
}

fn row(server: &Server, palette: Palette) -> Vec<Cell> {
    let state = match server.down {
        0 => ("answers".to_owned(), palette.of(Tone::Good)),
        down if down == server.seen.len() => ("down".to_owned(), palette.of(Tone::Bad)),
        down => (format!("down for {down} of {}", server.seen.len()), palette.of(Tone::Bad)),
    };
    let mut cells = vec![(server.name.clone(), palette.strong()), state, (rate(server.rate), Style::new())];
    cells.extend(budget(&server.budget, palette));
    cells.push((number(server.accounts as u64), Style::new()));
    cells
}

fn budget(budget: &Budget, palette: Palette) -> [Cell; 5] {
    let wary = |is_so: bool| if is_so { palette.of(Tone::Wary) } else { Style::new() };
    let limit = if budget.rate_limit > 0.0 { rate(budget.rate_limit) } else { "-".to_owned() };
    let rest = match budget.back_off_ms {
        0 => "-".to_owned(),
        left => took(std::time::Duration::from_secs(left.div_ceil(1000))),
    };
    [
        (number(budget.used), Style::new()),
        (format!("{}/{}", budget.allowed, budget.ceiling), wary(budget.allowed < budget.ceiling)),
        (limit, wary(budget.rate_limit > 0.0)),
        (rest, wary(budget.back_off_ms > 0)),
        (number(budget.throttled), Style::new()),
    ]
}

const PARTS: [Column; 7] = [
    Column::rest("WORKER, ACCOUNT", 16),
    Column::number("REQUESTS", 0),
    Column::number("IN USE", 0),
    Column::number("ALLOWED", 0),
    Column::number("LIMIT", 2),
    Column::number("REST", 0),
    Column::number("THROTTLED", 1),
];

fn detail(frame: &mut Frame<'_>, area: Rect, server: &Server, palette: Palette) {
    let mut lines = Vec::new();
    if let Some(fault) = &server.fault {
        let what =
            if fault.detail.is_empty() { fault.what.clone() } else { format!("{} ({})", fault.what, fault.detail) };
        let (remedy, who) = (fault.remedy.clone(), fault.who.clone());
        let facts = [("fault", what, Tone::Bad), ("remedy", remedy, Tone::Plain), ("who", who, Tone::Plain)];
        lines.extend(labelled(facts, usize::from(area.width), palette));
        lines.push(Line::default());
    }
    let height = u16::try_from(lines.len()).unwrap_or_default();
    let [above, below] = Layout::vertical([Constraint::Length(height), Constraint::Fill(1)]).areas(area);
    frame.render_widget(Paragraph::new(lines), above);
    let mut rows = Vec::new();
    for one in &server.seen {
        let whole = one.budget.unwrap_or_default();
        rows.push(part(format!("worker {}", short(&one.worker)), &whole, palette.strong(), palette));
        for account in &one.accounts {
            rows.push(part(format!("  {}", account.name), &account.budget.unwrap_or_default(), Style::new(), palette));
        }
    }
    Grid { columns: &PARTS, rows, picked: None }.draw(frame, below, palette);
}

fn part(name: String, own: &Budget, style: Style, palette: Palette) -> Vec<Cell> {
    let mut cells = vec![(name, style), (number(own.requests), Style::new())];
    cells.extend(budget(own, palette));
    cells
}
