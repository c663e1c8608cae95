//! The workers, and what the picked one has to say.

use postroad_proto::sync::v1::WorkerStatus;
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::Style,
    text::{Line, Span},
    widgets::{Paragraph, Wrap},
};

use super::{
    grid::{Cell, Column, Grid},
    number, pane,
    words::{self, rate, took},
};
use crate::{
    command::{
        sync::{lag, remarks, short, state},
        top::{
            fleet::traffic,
            model::{Model, Tab},
            palette::Palette,
        },
    },
    output::paint::Tone,
};

const COLUMNS: [Column; 12] = [
    Column::rest("WORKER", 9),
    Column::text("STATE", 0),
    Column::text("UP", 6),
    Column::number("PARTITIONS", 5),
    Column::number("MAILBOXES", 0),
    Column::number("NOTIFIED", 4),
    Column::number("LOAD", 1),
    Column::number("WAITING", 3),
    Column::number("LAG", 0),
    Column::number("IN", 0),
    Column::number("OUT", 2),
    Column::number("P99", 0),
];

pub fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model, palette: Palette) {
    let workers = model.workers.as_ref().map(|fleet| fleet.workers.as_slice()).unwrap_or_default();
    let picked = model.picked(Tab::Workers);
    let [above, below] = Layout::vertical([Constraint::Fill(1), Constraint::Length(9)]).areas(area);
    table(frame, above, model, Some(picked), palette);
    let Some(worker) = workers.get(picked) else {
        frame.render_widget(pane("", palette), below);
        return;
    };
    let free = model.workers.as_ref().map_or(0, |fleet| fleet.free_partitions);
    let lines = detail(worker, free, palette);
    let block = pane(&worker.worker, palette);
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }).block(block), below);
}

/// The workers, one in a row.
pub fn table(frame: &mut Frame<'_>, area: Rect, model: &Model, picked: Option<usize>, palette: Palette) {
    let block = pane("Workers", palette);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    if let Some(fleet) = &model.workers {
        let rows = fleet.workers.iter().map(|worker| row(worker, model, palette)).collect();
        Grid { columns: &COLUMNS, rows, picked }.draw(frame, inner, palette);
    }
}

fn row(worker: &WorkerStatus, model: &Model, palette: Palette) -> Vec<Cell> {
    let (tone, state) = state(worker);
    let plain = |text: String| (text, Style::new());
    let mut cells = vec![(short(&worker.worker), palette.strong()), (state.to_owned(), palette.of(tone))];
    if !worker.answers {
        cells.resize(COLUMNS.len(), plain(String::new()));
        return cells;
    }
    let traffic = traffic([worker]);
    let up = words::ago(model.now, worker.started_at.as_ref());
    cells.extend([
        plain(up.trim_end_matches(" ago").to_owned()),
        plain(number(worker.partitions)),
        plain(number(worker.mailboxes)),
        plain(number(worker.notified)),
        plain(format!("{}/{}", worker.running, worker.concurrency)),
        plain(number(worker.waiting)),
        (lag(worker.lag_ms), if worker.lag_ms >= 60_000 { palette.of(Tone::Wary) } else { Style::new() }),
        plain(rate(traffic.decided_rate)),
        plain(rate(traffic.sent_rate)),
        plain(traffic.quantile(0.99).map_or_else(|| "-".to_owned(), took)),
    ]);
    cells
}

fn detail(worker: &WorkerStatus, free: u32, palette: Palette) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    let fact = |label: &str, text: String| {
        Line::from(vec![Span::styled(format!("{label:<13}"), palette.faint()), Span::raw(text)])
    };
    if worker.answers {
        let sum = traffic([worker]);
        let decided = words::count(sum.decided, "message decided", "messages decided");
        let sent = words::count(sum.sent, "email sent", "emails sent");
        lines.push(fact("since start", format!("{decided}, {} tracked, {sent}", number(sum.tracked))));
        let half = sum.quantile(0.5).map_or_else(
            || "none in the last minute".to_owned(),
            |half| {
                let most = sum.quantile(0.99).unwrap_or(half);
                format!(
                    "p50 {}, p99 {}, of {} in the last minute",
                    took(half),
                    took(most),
                    number(sum.arrivals.total())
                )
            },
        );
        lines.push(fact("to CRM", half));
        lines.push(fact(
            "listens",
            words::count(u64::from(worker.streams), "connection for notifications", "connections for notifications"),
        ));
    }
    lines.extend(remarks(worker).into_iter().map(|remark| {
        let remark = anstream::adapter::strip_str(&remark).to_string();
        Line::from(Span::styled(format!("! {remark}"), palette.of(Tone::Wary)))
    }));
    if free > 0 {
        let text = format!("! {free} of 256 partitions are held by nobody; their mailboxes wait");
        lines.push(Line::from(Span::styled(text, palette.of(Tone::Wary))));
    }
    lines
}
