//! What a key does.

use super::model::{Model, Tab};

/// A key that means something here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// A character.
    Char(char),
    /// Enter.
    Enter,
    /// Escape.
    Escape,
    /// Backspace.
    Backspace,
    /// To the next view.
    Next,
    /// To the view before.
    Previous,
    /// Up.
    Up,
    /// Down.
    Down,
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
    /// To the first row.
    Home,
    /// To the last row.
    End,
    /// Ctrl-C.
    Interrupt,
}

/// Rows of a page.
const PAGE: isize = 10;
/// More rows than any list has.
const ALL: isize = isize::MAX / 2;
/// Characters of a search.
const LONGEST: usize = 100;

/// The model after a key.
pub fn press(mut model: Model, key: Key) -> Model {
    match key {
        Key::Interrupt => model.is_over = true,
        _ if model.is_helping => model.is_helping = false,
        _ if model.is_searching => search(&mut model, key),
        Key::Char('q') => model.is_over = true,
        Key::Char('?') => model.is_helping = true,
        Key::Escape | Key::Backspace => back(&mut model),
        Key::Next => model.show(model.tab.next()),
        Key::Previous => model.show(model.tab.previous()),
        Key::Char(digit @ '1'..='5') => {
            let at = digit.to_digit(10).and_then(|digit| usize::try_from(digit).ok()).unwrap_or(1);
            model.show(Tab::ALL.get(at - 1).copied().unwrap_or(Tab::Overview));
        }
        Key::Up | Key::Char('k') => go(&mut model, -1),
        Key::Down | Key::Char('j') => go(&mut model, 1),
        Key::PageUp => go(&mut model, -PAGE),
        Key::PageDown | Key::Char(' ') => go(&mut model, PAGE),
        Key::Home | Key::Char('g') => go(&mut model, -ALL),
        Key::End | Key::Char('G') => go(&mut model, ALL),
        Key::Enter => model.open(),
        Key::Char('/') => {
            model.show(Tab::Mailboxes);
            model.is_searching = true;
        }
        Key::Char('f') if model.tab == Tab::Mailboxes && model.opened.is_none() => model.filter_next(),
        Key::Char(_) => {}
    }
    model
}

fn search(model: &mut Model, key: Key) {
    match key {
        Key::Enter => model.is_searching = false,
        Key::Escape => {
            model.is_searching = false;
            model.search(String::new());
        }
        Key::Backspace => {
            let mut text = model.wanted.search.clone();
            text.pop();
            model.search(text);
        }
        Key::Char(character) if model.wanted.search.chars().count() < LONGEST => {
            model.search(format!("{}{character}", model.wanted.search));
        }
        Key::Up => go(model, -1),
        Key::Down => go(model, 1),
        _ => {}
    }
}

/// Out of what is open, then out of what is filtered.
fn back(model: &mut Model) {
    if model.opened.take().is_none() && model.tab == Tab::Mailboxes {
        model.filter_none();
    }
}

fn go(model: &mut Model, rows: isize) {
    match &mut model.opened {
        Some(opened) => {
            opened.scroll = opened.scroll.saturating_add_signed(rows).min(opened.entries.len().saturating_sub(1))
        }
        None => {
            let keys = model.keys(model.tab);
            model.picked.entry(model.tab).or_default().go(rows, &keys);
        }
    }
}
