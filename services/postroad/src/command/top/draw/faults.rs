//! What is and was wrong lately, and what to do about the picked one.

use postroad_proto::alert::v1::Alert;
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::Style,
    text::{Line, Span},
    widgets::Paragraph,
};

use super::{
    grid::{Cell, Column, Grid},
    last, level, number, pane,
    words::{self, wrapped},
};
use crate::{
    command::top::{
        model::{Model, Tab},
        palette::Palette,
    },
    output::paint::Tone,
};

const COLUMNS: [Column; 6] = [
    Column::text("LEVEL", 0),
    Column::number("LAST", 0),
    Column::text("ABOUT", 0),
    Column::number("TIMES", 2),
    Column::number("MAILBOXES", 1),
    Column::rest("WHAT", 33),
];

pub fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model, palette: Palette) {
    let picked = model.picked(Tab::Faults);
    let counts = model.summary.iter().flat_map(|summary| &summary.faults).count();
    let counted = if counts == 0 {
        0
    } else {
        u16::try_from(counts).unwrap_or(u16::MAX).saturating_add(2).min(2 + area.height / 6)
    };
    let rows = [Constraint::Length(counted), Constraint::Fill(1), Constraint::Length(10.min(area.height / 2))];
    let [first, above, below] = Layout::vertical(rows).areas(area);
    if counted > 0 {
        failing(frame, first, model, palette);
    }
    table(frame, above, model, Some(picked), palette);
    let block = pane("What to do", palette);
    let inner = block.inner(below);
    frame.render_widget(block, below);
    if let Some(alert) = model.alerts.as_ref().and_then(|alerts| alerts.get(picked)) {
        frame.render_widget(Paragraph::new(detail(alert, model, usize::from(inner.width), palette)), inner);
    }
}

/// How many mailboxes fail with what, the commonest first.
fn failing(frame: &mut Frame<'_>, area: Rect, model: &Model, palette: Palette) {
    let block = pane("Failing mailboxes", palette);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let counts: Vec<_> = model.summary.iter().flat_map(|summary| &summary.faults).collect();
    let wide = counts.iter().filter_map(|count| count.fault.as_ref()).map(|fault| fault.code.len()).max();
    let wide = wide.unwrap_or_default();
    let line = |count: &&postroad_proto::mailbox::v1::FaultCount| {
        let fault = count.fault.clone().unwrap_or_default();
        let what = words::cut(&fault.what, usize::from(inner.width).saturating_sub(wide + 10));
        Line::from(vec![
            Span::styled(format!("{:>6}  ", number(count.mailboxes)), palette.strong()),
            Span::styled(format!("{:<wide$}  ", fault.code), palette.of(Tone::Wary)),
            Span::raw(what),
        ])
    };
    frame.render_widget(Paragraph::new(counts.iter().map(line).collect::<Vec<_>>()), inner);
}

/// The alerts, one in a row.
pub fn table(frame: &mut Frame<'_>, area: Rect, model: &Model, picked: Option<usize>, palette: Palette) {
    let block = pane("Recent faults", palette);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    match model.alerts.as_deref() {
        None => {}
        Some([]) => {
            frame
                .render_widget(Paragraph::new(Span::styled("nothing was wrong lately", palette.of(Tone::Good))), inner);
        }
        Some(alerts) => {
            let rows = alerts.iter().map(|alert| row(alert, model, palette)).collect();
            Grid { columns: &COLUMNS, rows, picked }.draw(frame, inner, palette);
        }
    }
}

fn row(alert: &Alert, model: &Model, palette: Palette) -> Vec<Cell> {
    let (tone, word) = level(alert);
    let body = if alert.resolved_at.is_some() { palette.faint() } else { Style::new() };
    let mailboxes = if alert.mailboxes > 0 { number(alert.mailboxes) } else { "-".to_owned() };
    vec![
        (word.to_owned(), palette.of(tone)),
        (last(alert, model.now), body),
        (alert.regarding_name.clone(), body),
        (number(alert.count), body),
        (mailboxes, body),
        (alert.text.clone(), body),
    ]
}

fn detail(alert: &Alert, model: &Model, width: usize, palette: Palette) -> Vec<Line<'static>> {
    let fault = alert.fault.clone().unwrap_or_default();
    let times = format!(
        "{}, first {}, last {}",
        words::count(alert.count, "time", "times"),
        words::ago(model.now, alert.first_at.as_ref()),
        words::ago(model.now, alert.last_at.as_ref()),
    );
    let facts = [
        ("what", alert.text.clone(), level(alert).0),
        ("remedy", fault.remedy, Tone::Plain),
        ("who", fault.who, Tone::Plain),
        ("code", fault.code, Tone::Plain),
        ("seen", times, Tone::Plain),
        ("cause", fault.cause, Tone::Plain),
    ];
    labelled(facts, width, palette)
}

/// Labels and texts, one below the other; empty ones are left out.
pub fn labelled<const N: usize>(
    facts: [(&'static str, String, Tone); N],
    width: usize,
    palette: Palette,
) -> Vec<Line<'static>> {
    let indent = facts.iter().map(|(label, _, _)| label.len()).max().unwrap_or_default() + 2;
    let mut lines = Vec::new();
    for (label, text, tone) in facts.into_iter().filter(|(_, text, _)| !text.is_empty()) {
        for (at, line) in wrapped(&text, width.saturating_sub(indent)).into_iter().enumerate() {
            let label = if at == 0 { label } else { "" };
            let label = Span::styled(format!("{label:<indent$}"), palette.faint());
            lines.push(Line::from(vec![label, Span::styled(line, palette.of(tone))]));
        }
    }
    lines
}
