//! Colours and weights; without colours, weights alone carry the meaning.

use ratatui::style::{Color, Modifier, Style};

use crate::output::paint::Tone;

/// How things look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Palette {
    is_coloured: bool,
}

impl Palette {
    /// As standard output wants it: no colours where `NO_COLOR` is set or the terminal has none.
    pub fn standard() -> Self {
        let choice = anstream::AutoStream::choice(&std::io::stdout());
        Self { is_coloured: choice != anstream::ColorChoice::Never }
    }

    /// Without colours.
    pub const fn plain() -> Self {
        Self { is_coloured: false }
    }

    const fn painted(self, style: Style, colour: Color) -> Style {
        if self.is_coloured { style.fg(colour) } else { style }
    }

    /// A word as it is meant.
    pub const fn of(self, tone: Tone) -> Style {
        match tone {
            Tone::Plain => Style::new(),
            Tone::Good => self.painted(Style::new(), Color::Green),
            Tone::Wary => self.painted(Style::new(), Color::Yellow),
            Tone::Bad => self.painted(Style::new().add_modifier(Modifier::BOLD), Color::Red),
        }
    }

    /// What is looked for first.
    pub const fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// What is looked at last.
    pub const fn faint(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// Names, titles and charts.
    pub const fn accent(self) -> Style {
        self.painted(Style::new(), Color::Cyan)
    }

    /// What is picked.
    pub const fn picked(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }
}
