//! Of everything something.

use postroad_proto::mailbox::v1::Condition;
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::Style,
    text::{Line, Span},
    widgets::{Paragraph, Sparkline},
};

use super::{
    faults, number, pane, servers,
    words::{self, grouped, rate, took},
    workers,
};
use crate::command::{
    mailbox::view::condition,
    top::{
        model::{Model, Tab},
        palette::Palette,
    },
};

/// In their order, whether there are any or not: what is looked for is always at its place.
const CONDITIONS: [Condition; 6] = [
    Condition::Well,
    Condition::Retrying,
    Condition::Throttled,
    Condition::Disabled,
    Condition::NotEnabled,
    Condition::Inactive,
];

pub fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model, palette: Palette) {
    let length = |rows: usize, most: u16| u16::try_from(rows).unwrap_or(most).saturating_add(3).clamp(4, most);
    let servers = length(model.servers.as_ref().map_or(0, Vec::len), 3 + area.height / 6);
    let workers = length(model.workers.as_ref().map_or(0, |fleet| fleet.workers.len()), 3 + area.height / 6);
    // Where there is room, the workers are seen as well.
    let has_room = area.height >= 9 + servers + workers + 7;
    let workers = if has_room { workers } else { 0 };
    let rows = [9, servers, workers].map(Constraint::Length);
    let [top, middle, lower, rest] = Layout::vertical(rows.into_iter().chain([Constraint::Fill(1)])).areas(area);
    let [left, right] =
        Layout::horizontal([Constraint::Length((area.width * 38 / 100).clamp(30, 60)), Constraint::Fill(1)]).areas(top);
    mailboxes(frame, left, model, palette);
    messages(frame, right, model, palette);
    servers::table(frame, middle, model, None, palette);
    if has_room {
        workers::table(frame, lower, model, None, palette);
    }
    faults::table(frame, rest, model, Some(model.picked(Tab::Overview)), palette);
}

fn mailboxes(frame: &mut Frame<'_>, area: Rect, model: &Model, palette: Palette) {
    let block = pane("Mailboxes", palette);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let Some(summary) = &model.summary else { return };
    let of = |wanted: Condition| {
        summary.conditions.iter().find(|count| count.condition() == wanted).map_or(0, |count| count.mailboxes)
    };
    let wide = grouped(summary.total.into()).len().max(3);
    let room = usize::from(inner.width).saturating_sub(12 + wide + 1);
    let mut lines: Vec<Line<'_>> = CONDITIONS
        .into_iter()
        .map(|one| {
            let count = of(one);
            let (tone, word) = condition(one);
            let style = if count == 0 { palette.faint() } else { palette.of(tone) };
            Line::from(vec![
                Span::styled(format!("{word:<11}"), style),
                Span::styled(
                    format!(" {:>wide$} ", number(count)),
                    if count == 0 { palette.faint() } else { palette.strong() },
                ),
                Span::styled(bar(count, summary.total, room), style),
            ])
        })
        .collect();
    lines.push(Line::from(vec![
        Span::styled(format!("{:<11}", "all"), palette.faint()),
        Span::styled(format!(" {:>wide$} ", number(summary.total)), palette.strong()),
        Span::styled(undelivered(summary.deferred, summary.undeliverable, room), palette.faint()),
    ]));
    frame.render_widget(Paragraph::new(lines), inner);
}

/// What happened to single messages, where there is room for it.
fn undelivered(deferred: u64, undeliverable: u64, room: usize) -> String {
    let text = match (deferred, undeliverable) {
        (0, 0) => String::new(),
        (waiting, 0) => format!("{} tried again", words::count(waiting, "message", "messages")),
        (_, given_up) => format!("{} undeliverable", words::count(given_up, "message", "messages")),
    };
    if text.len() <= room { text } else { String::new() }
}

/// A bar of eighths of a character; what is there at all is seen.
fn bar(count: u32, total: u32, room: usize) -> String {
    let eighths = (room * 8 * count as usize).div_ceil(total.max(1) as usize);
    let last = match eighths % 8 {
        0 => "",
        1 => "▏",
        2 => "▎",
        3 => "▍",
        4 => "▌",
        5 => "▋",
        6 => "▊",
        _ => "▉",
    };
    format!("{}{last}", "█".repeat(eighths / 8))
}

fn messages(frame: &mut Frame<'_>, area: Rect, model: &Model, palette: Palette) {
    let block = pane("Messages", palette);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    if model.workers.is_none() {
        return;
    }
    let traffic = &model.traffic;
    let [received, in_chart, sent, out_chart, to_crm] =
        Layout::vertical([1, 2, 1, 2, 1].map(Constraint::Length)).areas(inner);
    let decided = format!("{} decided, {} tracked", grouped(traffic.decided), grouped(traffic.tracked));
    frame.render_widget(flow("in", traffic.decided_rate, decided, palette), received);
    frame.render_widget(flow("out", traffic.sent_rate, format!("{} sent", grouped(traffic.sent)), palette), sent);
    chart(frame, in_chart, model.rates.iter().map(|(decided, _)| *decided), palette);
    chart(frame, out_chart, model.rates.iter().map(|(_, sent)| *sent), palette);
    let latency = match (traffic.quantile(0.5), traffic.quantile(0.99)) {
        (Some(half), Some(most)) => vec![
            Span::styled("to CRM ", palette.faint()),
            Span::styled("p50 ", palette.faint()),
            Span::styled(took(half), palette.strong()),
            Span::styled("  p99 ", palette.faint()),
            Span::styled(took(most), palette.strong()),
            Span::styled(format!("  {} in 60 s", grouped(traffic.arrivals.total())), palette.faint()),
        ],
        _ => vec![Span::styled("to CRM no mail in 60 s", palette.faint())],
    };
    frame.render_widget(Line::from(latency), to_crm);
}

fn flow(name: &str, a_second: f64, total: String, palette: Palette) -> Line<'static> {
    Line::from(vec![
        Span::styled(format!("{name:<4}"), palette.faint()),
        Span::styled(format!("{:<9}", rate(a_second)), palette.strong()),
        Span::styled(total, palette.faint()),
    ])
}

/// The newest rates, the last at the right.
fn chart(frame: &mut Frame<'_>, area: Rect, rates: impl DoubleEndedIterator<Item = f64>, palette: Palette) {
    let mut newest: Vec<u64> = rates.rev().take(usize::from(area.width)).map(|rate| (rate * 1000.0) as u64).collect();
    newest.resize(usize::from(area.width), 0);
    newest.reverse();
    // A trickle is drawn as one: the chart is full at one a second, or above.
    let most = newest.iter().copied().max().unwrap_or_default().max(1000);
    let style: Style = palette.accent();
    frame.render_widget(Sparkline::default().data(&newest).max(most).style(style), area);
}

#[cfg(test)]
mod tests {
    use super::bar;

    #[test]
    fn what_is_there_at_all_is_seen() {
        assert_eq!(bar(0, 50_000, 10), "");
        assert_eq!(bar(1, 50_000, 10), "▏");
        assert_eq!(bar(50_000, 50_000, 3), "███");
        assert_eq!(bar(0, 0, 10), "");
    }
}
