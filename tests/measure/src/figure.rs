//! What is printed: figures, their baselines of the same run, and what they are aimed at.

use comfy_table::{Table, presets};
use serde::Serialize;

/// One figure.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// In what.
    pub unit: &'static str,
    /// Postroad's.
    pub value: f64,
    /// What it is compared with, of the same run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Baseline>,
    /// What it should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// Whether it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_met: Option<bool>,
}

/// What a figure is compared with.
#[derive(Clone, Debug, Serialize)]
pub struct Baseline {
    /// What it is.
    pub name: &'static str,
    /// Its figure.
    pub value: f64,
    /// The figure by it.
    pub ratio: f64,
}

/// What a figure is aimed at.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The value, at most.
    AtMost(f64),
    /// The ratio to the baseline, at least.
    RatioAtLeast(f64),
    /// The ratio to the baseline, at most.
    RatioAtMost(f64),
}

impl Figure {
    /// A figure that stands alone.
    pub fn new(name: impl Into<String>, unit: &'static str, value: f64) -> Self {
        Self { name: name.into(), unit, value, baseline: None, target: None, is_met: None }
    }

    /// The same beside its baseline.
    pub fn beside(self, name: &'static str, value: f64) -> Self {
        Self { baseline: Some(Baseline { name, value, ratio: self.value / value }), ..self }
    }

    /// The same with its target.
    pub fn aimed(self, target: Target) -> Self {
        let ratio = self.baseline.as_ref().map(|baseline| baseline.ratio);
        let is_met = match target {
            Target::AtMost(most) => Some(self.value <= most),
            Target::RatioAtLeast(least) => ratio.map(|ratio| ratio >= least),
            Target::RatioAtMost(most) => ratio.map(|ratio| ratio <= most),
        };
        Self { target: Some(target), is_met, ..self }
    }
}

/// The figures as a table.
pub fn table(figures: &[Figure]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["FIGURE", "VALUE", "UNIT", "BASELINE", "RATIO", "TARGET"]);
    for figure in figures {
        let baseline = figure.baseline.as_ref();
        table.add_row([
            figure.name.clone(),
            number(figure.value),
            figure.unit.to_owned(),
            baseline.map(|baseline| format!("{} {}", number(baseline.value), baseline.name)).unwrap_or_default(),
            baseline.map(|baseline| format!("{:.2}", baseline.ratio)).unwrap_or_default(),
            target(figure),
        ]);
    }
    table
}

fn target(figure: &Figure) -> String {
    let aim = match figure.target {
        None => return String::new(),
        Some(Target::AtMost(most)) => format!("≤ {}", number(most)),
        Some(Target::RatioAtLeast(least)) => format!("ratio ≥ {least:.2}"),
        Some(Target::RatioAtMost(most)) => format!("ratio ≤ {most:.2}"),
    };
    let verdict = if figure.is_met == Some(true) { "met" } else { "MISSED" };
    format!("{aim} {verdict}")
}

/// Three digits that say something.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_met_or_not() {
        let figure = |value: f64| Figure::new("x", "y", value).beside("bare", 10.0);
        assert_eq!(figure(5.0).aimed(Target::RatioAtLeast(0.5)).is_met, Some(true));
        assert_eq!(figure(4.9).aimed(Target::RatioAtLeast(0.5)).is_met, Some(false));
        assert_eq!(figure(9.0).aimed(Target::AtMost(8.0)).is_met, Some(false));
        assert_eq!(figure(12.0).aimed(Target::RatioAtMost(1.2)).is_met, Some(true));
        assert_eq!(Figure::new("x", "y", 1.0).aimed(Target::RatioAtLeast(0.5)).is_met, None, "there is no ratio");
    }

    #[test]
    fn a_missed_target_is_said() {
        let figure = Figure::new("memory", "KiB", 9.5).aimed(Target::AtMost(8.0));
        let printed = table(&[figure]).to_string();
        assert!(printed.contains("9.50") && printed.contains("≤ 8.00 MISSED"), "{printed}");
    }
}
