//! The protocol reference beside the workspace (`../shared/ews`), for tests. Where it is absent, tests that need it say so and
//! pass.

use std::path::{Path, PathBuf};

/// The path of a file of the reference, if it is there.
pub(crate) fn path(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/ews").join(name);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: the reference file {name} is not beside the workspace");
    None
}

/// A file of the reference as text.
pub(crate) fn text(name: &str) -> Option<String> {
    path(name).map(|path| std::fs::read_to_string(path).unwrap())
}

/// A wire sample, filtered as the client filters it.
pub(crate) fn sample(name: &str) -> Option<String> {
    path(&format!("samples/{name}")).map(|path| crate::xml::Filter::apply(&std::fs::read(path).unwrap()))
}

/// Answers and error texts of the reference: what readers are fed with when their robustness is tested.
pub(crate) fn samples() -> Vec<(String, Vec<u8>)> {
    let Some(folder) = path("samples") else { return Vec::new() };
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut answers: Vec<PathBuf> = entries.filter(|path| path.to_string_lossy().contains(".resp.")).collect();
    answers.sort();
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    answers.iter().map(|path| (name(path), std::fs::read(path).unwrap())).collect()
}
