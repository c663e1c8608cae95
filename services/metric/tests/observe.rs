//! Dashboards and alert rules use what is told, and all that is told is used. `tests/system` shows that it is told in a real run.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{collections::BTreeSet, path::PathBuf};

use postroad_metric::{Declared, declared};
use serde_json::Value;

/// What Prometheus adds to every name, and what `absent` and histograms do.
const ADDED: [&str; 3] = ["instance", "job", "le"];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../deploy/observe")
}

fn files(folder_name: &str) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(folder().join(folder_name)).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<_> =
        entries.map(|path| (path.display().to_string(), std::fs::read_to_string(path).unwrap())).collect();
    assert!(!files.is_empty());
    files
}

/// The expressions of a dashboard, wherever they stand.
fn expressions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if name == "expr" || name == "query" => found.push(text.clone()),
                    value => expressions(value, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| expressions(value, found)),
        _ => {}
    }
}

/// The names in an expression, each with the labels that it is selected by.
fn names(expression: &str) -> Vec<(String, Vec<String>)> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = Vec::new();
    let mut rest = expression;
    while let Some(start) = rest.find("postroad_").into_iter().chain(rest.find("process_")).min() {
        let (before, word) = rest.split_at(start);
        let end = word.find(|c| !is_part(c)).unwrap_or(word.len());
        let (name, after) = word.split_at(end);
        // A part of a longer word, such as `mailbox_process_`, is none.
        if !before.ends_with(is_part) {
            let selector =
                after.strip_prefix('{').and_then(|inside| inside.split_once('}')).map_or("", |(inside, _)| inside);
            let labels = selector.split(',').filter_map(|one| one.split(['=', '!']).next());
            let labels = labels.map(|label| label.trim().to_owned()).filter(|label| !label.is_empty());
            found.push((name.to_owned(), labels.collect()));
        }
        rest = after;
    }
    found
}

fn of<'a>(name: &str, declared: &'a [Declared]) -> Option<&'a Declared> {
    let exact = declared.iter().find(|one| one.name == name);
    exact.or_else(|| {
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end))?;
        declared.iter().find(|one| one.name == base)
    })
}

#[test]
fn dashboards_and_rules_use_what_is_told_and_all_of_it() {
    let declared = declared();
    let mut used = BTreeSet::new();
    let mut expressions_of = Vec::new();
    for (file, text) in files("dashboards") {
        let mut found = Vec::new();
        expressions(&serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}")), &mut found);
        expressions_of.extend(found.into_iter().map(|expression| (file.clone(), expression)));
    }
    for (file, text) in files("rules") {
        expressions_of.extend(text.lines().map(|line| (file.clone(), line.to_owned())));
    }
    for (file, expression) in &expressions_of {
        for (name, labels) in names(expression) {
            if name.starts_with("process_") {
                continue;
            }
            let Some(known) = of(&name, &declared) else { panic!("{file}: {name} is not told by anything") };
            for label in labels {
                let is_known = known.labels.contains(&label) || ADDED.contains(&label.as_str());
                assert!(is_known, "{file}: {name} has no label {label}; it has {:?}", known.labels);
            }
            used.insert(known.name.clone());
        }
    }
    let unused: Vec<_> = declared.iter().filter(|one| !used.contains(&one.name)).collect();
    assert!(unused.is_empty(), "told and shown nowhere: {unused:?}");
}

#[test]
fn names_and_units_are_by_the_rules() {
    for Declared { name, labels } in declared() {
        assert!(name.starts_with("postroad_"), "{name}");
        let units = ["_milliseconds", "_ms", "_minutes", "_kilobytes", "_percent"];
        assert!(units.iter().all(|unit| !name.contains(unit)), "{name} is not in base units");
        for label in labels {
            let is_bounded = !["mailbox", "address", "profile", "message", "user", "id"].contains(&label.as_str());
            assert!(is_bounded && !label.ends_with("_id"), "{name} by {label} has no bound");
        }
    }
}

#[test]
fn names_are_found_in_expressions() {
    let expression = r#"sum by (role) (rate(postroad_a_total{code=~"A|B",role!="x"}[5m])) / postroad_b"#;
    let found = names(expression);
    assert_eq!(found[0], ("postroad_a_total".to_owned(), vec!["code".to_owned(), "role".to_owned()]));
    assert_eq!(found[1], ("postroad_b".to_owned(), Vec::new()));
}
