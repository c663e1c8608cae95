//! Rows under titles, aligned: the least important columns give way where the terminal is narrow.

use ratatui::{
    Frame,
    layout::Rect,
    style::Style,
    text::{Line, Span},
    widgets::Paragraph,
};
use unicode_width::UnicodeWidthStr as _;

use super::words::cut;
use crate::command::top::palette::Palette;

/// Columns between columns.
const GAP: usize = 2;

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    title: &'static str,
    is_right: bool,
    /// Gives way the earlier the larger; 0 stays.
    weight: u8,
    /// Takes what is left, but no less than this.
    least: Option<usize>,
}

impl Column {
    /// As wide as its widest cell; gives way the earlier the larger its weight is, 0 stays.
    pub const fn text(title: &'static str, weight: u8) -> Self {
        Self { title, is_right: false, weight, least: None }
    }

    /// The same, for numbers.
    pub const fn number(title: &'static str, weight: u8) -> Self {
        Self { title, is_right: true, weight, least: None }
    }

    /// Takes what the others leave, at least so much, and is cut if that is too little.
    pub const fn rest(title: &'static str, least: usize) -> Self {
        Self { title, is_right: false, weight: 0, least: Some(least) }
    }
}

/// A cell.
pub type Cell = (String, Style);

/// Rows under the titles of their columns.
pub struct Grid<'a> {
    /// The columns.
    pub columns: &'a [Column],
    /// A cell for each column.
    pub rows: Vec<Vec<Cell>>,
    /// The picked row, where one can be picked.
    pub picked: Option<usize>,
}

impl Grid<'_> {
    /// The widths of the columns; 0 where one gives way.
    fn widths(&self, width: usize) -> Vec<usize> {
        let wanted: Vec<usize> = self
            .columns
            .iter()
            .enumerate()
            .map(|(at, column)| {
                let cells = self.rows.iter().filter_map(|row| row.get(at)).map(|(text, _)| text.width());
                cells.chain([column.title.width()]).max().unwrap_or_default()
            })
            .collect();
        let mut shown: Vec<bool> = vec![true; self.columns.len()];
        loop {
            let each = self.columns.iter().zip(&wanted).zip(&shown).filter(|(_, shown)| **shown);
            let needed: usize =
                each.clone().map(|((column, wanted), _)| column.least.unwrap_or(*wanted).min(*wanted) + GAP).sum();
            if needed.saturating_sub(GAP) <= width {
                break;
            }
            let heaviest = self.columns.iter().enumerate().filter(|(at, _)| shown.get(*at) == Some(&true));
            let Some((at, _)) =
                heaviest.filter(|(_, column)| column.weight > 0).max_by_key(|(_, column)| column.weight)
            else {
                break;
            };
            if let Some(one) = shown.get_mut(at) {
                *one = false;
            }
        }
        let is_fixed = |column: &Column| column.least.is_none();
        let each = || self.columns.iter().zip(&wanted).zip(&shown);
        let fixed: usize = each()
            .filter(|((column, _), shown)| **shown && is_fixed(column))
            .map(|((_, wanted), _)| wanted + GAP)
            .sum();
        let rest = width.saturating_sub(fixed);
        each()
            .map(|((column, wanted), shown)| match column.least {
                _ if !shown => 0,
                Some(_) => (*wanted).min(rest),
                None => *wanted,
            })
            .collect()
    }

    fn line(&self, cells: &[Cell], widths: &[usize], total: usize) -> Line<'static> {
        let mut spans = Vec::new();
        let mut used = 0;
        for ((column, (text, style)), width) in self.columns.iter().zip(cells).zip(widths) {
            if *width == 0 {
                continue;
            }
            if used > 0 {
                spans.push(Span::raw(" ".repeat(GAP)));
                used += GAP;
            }
            let text = cut(text, *width);
            let space = " ".repeat(width.saturating_sub(text.width()));
            let text = if column.is_right { format!("{space}{text}") } else { format!("{text}{space}") };
            spans.push(Span::styled(text, *style));
            used += width;
        }
        spans.push(Span::raw(" ".repeat(total.saturating_sub(used))));
        Line::from(spans)
    }

    /// Draws it; the picked row is always seen.
    pub fn draw(self, frame: &mut Frame<'_>, area: Rect, palette: Palette) {
        let width = usize::from(area.width);
        let widths = self.widths(width);
        let titles: Vec<Cell> = self.columns.iter().map(|column| (column.title.to_owned(), palette.faint())).collect();
        let mut lines = vec![self.line(&titles, &widths, width)];
        let height = usize::from(area.height.saturating_sub(1));
        let first = first_row(self.picked.unwrap_or_default(), self.rows.len(), height);
        for (at, row) in self.rows.iter().enumerate().skip(first).take(height) {
            let line = self.line(row, &widths, width);
            lines.push(if self.picked == Some(at) { line.patch_style(palette.picked()) } else { line });
        }
        frame.render_widget(Paragraph::new(lines), area);
    }
}

/// The first row that is seen, so that the picked one is in the middle where there are others around it.
pub fn first_row(picked: usize, rows: usize, height: usize) -> usize {
    picked.saturating_sub(height / 2).min(rows.saturating_sub(height))
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 4] =
        [Column::text("NAME", 0), Column::number("LOAD", 2), Column::number("REST", 1), Column::rest("TEXT", 8)];

    fn shown(width: usize) -> Vec<String> {
        let cells = |name: &str, text: &str| {
            vec![
                (name.to_owned(), Style::new()),
                ("1/4".to_owned(), Style::new()),
                ("12".to_owned(), Style::new()),
                (text.to_owned(), Style::new()),
            ]
        };
        let grid = Grid {
            columns: &COLUMNS,
            rows: vec![cells("one", "short"), cells("another", "a rather long text")],
            picked: None,
        };
        let widths = grid.widths(width);
        grid.rows.iter().map(|row| grid.line(row, &widths, width).to_string()).collect()
    }

    #[test]
    fn the_last_column_is_cut_then_others_give_way() {
        assert_eq!(
            shown(42),
            ["one       1/4    12  short                ", "another   1/4    12  a rather long text   "]
        );
        assert_eq!(shown(31), ["one       1/4    12  short     ", "another   1/4    12  a rather …"]);
        assert_eq!(shown(24), ["one        12  short    ", "another    12  a rather…"]);
        assert_eq!(shown(18), ["one      short    ", "another  a rather…"]);
    }

    #[test]
    fn the_picked_row_is_seen() {
        assert_eq!([first_row(0, 50, 10), first_row(20, 50, 10), first_row(49, 50, 10)], [0, 15, 40]);
        assert_eq!(first_row(3, 5, 10), 0);
    }
}
