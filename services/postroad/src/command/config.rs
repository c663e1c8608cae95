//! `postroad config`: the configuration file.

use clap::{Args, Subcommand};

use crate::{
    failure::{Exit, Failure},
    output::Output,
    session::Global,
};

/// The configuration with every setting at its default, and what it means.
const EXAMPLE: &str = include_str!("config/example.toml");

/// The configuration file
#[derive(Args, Debug)]
pub struct Group {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Print a commented configuration: every setting with its default
    #[command(after_help = "Example:\n  postroad config example > postroad.toml")]
    Example,
    /// Check a configuration file without starting anything
    #[command(after_help = "Example:\n  postroad config check --config postroad.toml")]
    Check,
}

impl Command {
    /// Runs it.
    pub fn run(self, global: &Global) -> Result<Exit, Failure> {
        let mut output = Output::standard(global.json);
        match self {
            Self::Example => output.bytes(EXAMPLE.as_bytes())?,
            Self::Check => {
                let config = global.configuration()?;
                if output.is_json() {
                    output.json(&config)?;
                } else {
                    let file = global
                        .config
                        .as_ref()
                        .map_or_else(|| "no file: the defaults".into(), |file| file.display().to_string());
                    output.line(format!("valid ({file})"))?;
                    if let Some((found, remedy)) = config.exposed_nats() {
                        output.line(format!("warning: {found}; {remedy}"))?;
                    }
                }
            }
        }
        Ok(Exit::Success)
    }
}

#[cfg(test)]
mod tests {
    use postroad_rig::Config;

    use super::*;

    /// Settings are commented as `#name = value`, prose as `# text`.
    fn with_every_setting() -> String {
        EXAMPLE
            .lines()
            .map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line))
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn the_example_is_the_defaults() {
        let text = |config: &Config| toml::to_string(config).unwrap();
        let example = Config::parse(EXAMPLE).unwrap();
        assert_eq!(text(&example), text(&Config::default()));
    }

    #[test]
    fn every_setting_of_the_example_exists() {
        toml::from_str::<Config>(&with_every_setting()).unwrap();
        // Keys are set in one way.
        let text: Vec<_> = with_every_setting()
            .lines()
            .filter(|line| !line.starts_with("keys_directory"))
            .map(str::to_owned)
            .collect();
        Config::parse(&text.join("\n")).unwrap();
    }

    #[test]
    fn every_setting_is_in_the_example() {
        let example: toml::Table = with_every_setting().parse().unwrap();
        let defaults: toml::Table = toml::to_string(&Config::default()).unwrap().parse().unwrap();
        let missing = missing("", &defaults, &example);
        assert!(missing.is_empty(), "config/example.toml lacks {missing:?}");
    }

    fn missing(prefix: &str, defaults: &toml::Table, example: &toml::Table) -> Vec<String> {
        let mut names = Vec::new();
        for (name, value) in defaults {
            match (value, example.get(name)) {
                (_, None) => names.push(format!("{prefix}{name}")),
                (toml::Value::Table(defaults), Some(toml::Value::Table(example))) => {
                    names.extend(missing(&format!("{prefix}{name}."), defaults, example));
                }
                // A list that is empty by default is shown with examples.
                (toml::Value::Array(list), Some(_)) if list.is_empty() => {}
                (value, Some(shown)) if value == shown => {}
                (value, Some(shown)) => names.push(format!("{prefix}{name} = {value} instead of {shown}")),
            }
        }
        names
    }
}
