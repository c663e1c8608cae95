//! What the audience sees. With `--json` the story goes to standard error, so that standard output holds the figures only.

use std::{fmt::Display, time::Instant};

use anstyle::{AnsiColor, Style};

const TITLE: Style = AnsiColor::Cyan.on_default().bold();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const FAINT: Style = Style::new().dimmed();

/// The screen.
#[derive(Clone, Copy)]
pub struct Screen {
    began: Instant,
    to_stderr: bool,
}

impl Screen {
    /// An empty screen.
    pub fn new(json: bool) -> Self {
        Self { began: Instant::now(), to_stderr: json }
    }

    /// A new act begins.
    pub fn act(&self, title: impl Display) {
        self.line(format_args!("\n{TITLE}{title}{TITLE:#}"));
    }

    /// Something happened.
    pub fn say(&self, text: impl Display) {
        let seconds = self.began.elapsed().as_secs_f32();
        self.line(format_args!("{FAINT}{seconds:7.2} s{FAINT:#}  {text}"));
    }

    /// Something went well.
    pub fn good(&self, text: impl Display) {
        self.say(format_args!("{GOOD}✓{GOOD:#} {text}"));
    }

    /// Something went wrong.
    pub fn bad(&self, text: impl Display) {
        self.say(format_args!("{BAD}✗{BAD:#} {text}"));
    }

    /// A text that is shown as it is, indented.
    pub fn quote(&self, text: &str) {
        for line in text.lines() {
            self.line(format_args!("           {FAINT}│{FAINT:#} {line}"));
        }
    }

    fn line(&self, line: impl Display) {
        if self.to_stderr {
            anstream::eprintln!("{line}");
        } else {
            anstream::println!("{line}");
        }
    }
}
