//! One mailbox: how it does, what to do about it, and its event log with remedies, the newest first.

use jiff::Timestamp;
use postroad_proto::{
    fault::v1::Fault,
    mailbox::v1::{Mailbox, TimelineEntry},
};
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    text::{Line, Span},
    widgets::Paragraph,
};

use super::{
    faults::labelled,
    number, pane,
    words::{self, wrapped},
};
use crate::{
    command::{
        mailbox::view::condition,
        top::{model::Opened, palette::Palette},
    },
    output::{paint::Tone, time},
};

pub fn draw(frame: &mut Frame<'_>, area: Rect, opened: &Opened, now: Timestamp, palette: Palette) {
    let width = usize::from(area.width.saturating_sub(4));
    let is_low = area.height < 26;
    let facts = match (&opened.trouble, &opened.mailbox) {
        (Some(trouble), _) => vec![Line::from(Span::styled(trouble.clone(), palette.of(Tone::Bad)))],
        (None, Some(mailbox)) => facts(mailbox, now, (width, is_low), palette),
        (None, None) => Vec::new(),
    };
    let height = u16::try_from(facts.len()).unwrap_or_default().saturating_add(2);
    let [above, below] = Layout::vertical([Constraint::Length(height), Constraint::Fill(1)]).areas(area);
    frame.render_widget(Paragraph::new(facts).block(pane(&opened.address, palette)), above);
    let title = match opened.scroll {
        0 => "Timeline, the newest first".to_owned(),
        scroll => format!("Timeline, from the {} newest on", number(scroll as u64 + 1)),
    };
    let block = pane(&title, palette);
    let inner = block.inner(below);
    frame.render_widget(block, below);
    let lines = if opened.is_read && opened.entries.is_empty() {
        vec![Line::from(Span::styled("no events", palette.faint()))]
    } else {
        timeline(opened, now, usize::from(inner.width), usize::from(inner.height), palette)
    };
    frame.render_widget(Paragraph::new(lines), inner);
}

/// How it does; where there is little room, without what `postroad fault show` tells.
fn facts(mailbox: &Mailbox, now: Timestamp, (width, is_low): (usize, bool), palette: Palette) -> Vec<Line<'static>> {
    let (tone, word) = condition(mailbox.condition());
    let since = match words::ago(now, mailbox.last_success_at.as_ref()) {
        ago if ago.is_empty() => "never succeeded".to_owned(),
        ago => format!("last success {ago}"),
    };
    let mut parts = vec![word.to_owned(), since];
    if !mailbox.profile_name.is_empty() {
        parts.push(format!("profile {}", mailbox.profile_name));
    }
    let decided = words::count(mailbox.processed, "message decided", "messages decided");
    let counts = format!("{decided}, {} tried again", number(mailbox.deferred));
    let fault = mailbox.fault.clone().unwrap_or_default();
    let what = if fault.detail.is_empty() { fault.what.clone() } else { format!("{} ({})", fault.what, fault.detail) };
    let next = match (&mailbox.fault, words::ago(now, mailbox.next_attempt_at.as_ref())) {
        (None, _) => String::new(),
        (Some(_), next) if next.is_empty() => "when the mailbox or its profile changes".to_owned(),
        (Some(_), next) => {
            format!("{next}, after {}", words::count(u64::from(mailbox.failures), "failure", "failures in a row"))
        }
    };
    let cause = if is_low { String::new() } else { fault.cause };
    let code = if fault.code.is_empty() { String::new() } else { format!("postroad fault show {}", fault.code) };
    let facts = [
        ("state", parts.join(", "), tone),
        ("mail", counts, Tone::Plain),
        ("fault", what, Tone::Bad),
        ("cause", cause, Tone::Plain),
        ("remedy", fault.remedy, Tone::Plain),
        ("who", fault.who, Tone::Plain),
        ("next try", next, Tone::Plain),
        ("more", code, Tone::Plain),
    ];
    labelled(facts, width, palette)
}

/// The columns of time and age.
const INDENT: usize = 22;

/// As many lines as there is room for, from the entry that was scrolled to.
fn timeline(opened: &Opened, now: Timestamp, width: usize, height: usize, palette: Palette) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    let mut told = None;
    for entry in opened.entries.iter().skip(opened.scroll) {
        // What to do about a fault is told once for a row of the same.
        let code = entry.fault.as_ref().map(|fault| fault.code.as_str());
        let is_new = code.is_some() && told != code;
        told = code.or(told);
        lines.extend(entry_lines(entry, now, width, is_new, palette));
        if lines.len() >= height {
            break;
        }
    }
    lines.truncate(height);
    lines
}

fn entry_lines(
    entry: &TimelineEntry,
    now: Timestamp,
    width: usize,
    with_remedy: bool,
    palette: Palette,
) -> Vec<Line<'static>> {
    let at = time::of(entry.at.as_ref());
    let when = at.map_or_else(String::new, |at| at.strftime("%m-%d %H:%M:%S").to_string());
    let ago = at.map_or_else(String::new, |at| time::distance(now, at).trim_end_matches(" ago").to_owned());
    let mut texts: Vec<(String, Tone)> = Vec::new();
    let tone = if entry.fault.is_some() { Tone::Wary } else { Tone::Plain };
    texts.extend(entry.sentences.iter().map(|sentence| (sentence.clone(), tone)));
    let is_told = |fault: &Fault| entry.sentences.iter().any(|sentence| sentence.contains(&fault.remedy));
    if let Some(fault) = entry.fault.as_ref().filter(|fault| with_remedy && !is_told(fault)) {
        texts.push((format!("→ {} ({}; {})", fault.remedy, fault.who, fault.code), Tone::Plain));
    }
    let mut lines = Vec::new();
    for (text, tone) in texts {
        for line in wrapped(&text, width.saturating_sub(INDENT)) {
            let margin = if lines.is_empty() { format!("{when} {ago:>6}") } else { String::new() };
            let margin = Span::styled(format!("{margin:<INDENT$}"), palette.faint());
            lines.push(Line::from(vec![margin, Span::styled(line, palette.of(tone))]));
        }
    }
    lines
}
