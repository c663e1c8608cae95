//! The executables under test, built as they are now.

use std::{path::PathBuf, process::Command, sync::OnceLock};

/// Where the executables are.
#[derive(Clone, Debug)]
pub struct Binaries {
    /// All roles and the command line.
    pub postroad: PathBuf,
    /// The fake Exchange.
    pub mockex: PathBuf,
}

/// Builds the executables with the profile of the running one, once per process.
pub fn binaries() -> Result<Binaries, String> {
    static BUILT: OnceLock<Result<Binaries, String>> = OnceLock::new();
    BUILT.get_or_init(build).clone()
}

fn build() -> Result<Binaries, String> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let release = !cfg!(debug_assertions);
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "-p", "postroad", "-p", "mockex"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    if release {
        command.arg("--release");
    }
    let status =
        command.status().map_err(|error| format!("cargo cannot be run to build postroad and mockex: {error}"))?;
    if !status.success() {
        return Err(format!("building postroad and mockex failed: {status}"));
    }
    let folder = crate::target_folder().join(if release { "release" } else { "debug" });
    let found = Binaries { postroad: folder.join("postroad"), mockex: folder.join("mockex") };
    for path in [&found.postroad, &found.mockex] {
        if !path.exists() {
            return Err(format!("{} was built elsewhere than expected", path.display()));
        }
    }
    Ok(found)
}
