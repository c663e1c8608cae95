//! Child processes that leave nothing behind.

use std::{
    ffi::OsStr,
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

/// A child process. Its standard input is a pipe that closes when this process ends, however it ends; `postroad` and
/// `mockex` then stop by themselves (`POSTROAD_EXIT_WITH_STDIN`).
#[derive(Debug)]
pub struct Process {
    program: PathBuf,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    log: PathBuf,
    child: Child,
    kills: u32,
}

impl Process {
    /// Starts a program; both outputs are appended to `log`.
    pub fn start<S: AsRef<OsStr>>(
        program: &Path,
        arguments: &[S],
        variables: &[(&str, &str)],
        log: &Path,
    ) -> std::io::Result<Self> {
        let arguments: Vec<_> =
            arguments.iter().map(|argument| argument.as_ref().to_string_lossy().into_owned()).collect();
        let variables: Vec<_> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let child = spawn(program, &arguments, &variables, log, false)?;
        Ok(Self { program: program.to_owned(), arguments, variables, log: log.to_owned(), child, kills: 0 })
    }

    /// Starts a program and waits for the first line of its standard output.
    pub async fn start_and_read_line<S: AsRef<OsStr>>(
        program: &Path,
        arguments: &[S],
        variables: &[(&str, &str)],
        log: &Path,
        deadline: Duration,
    ) -> std::io::Result<(Self, String)> {
        let arguments: Vec<_> =
            arguments.iter().map(|argument| argument.as_ref().to_string_lossy().into_owned()).collect();
        let variables: Vec<_> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut child = spawn(program, &arguments, &variables, log, true)?;
        let stdout = child.stdout.take().ok_or_else(|| std::io::Error::other("no standard output"))?;
        let mut lines = BufReader::new(stdout).lines();
        let line = tokio::time::timeout(deadline, lines.next_line()).await.map_err(|_| {
            std::io::Error::other(format!("{} printed nothing in time; its log: {}", program.display(), log.display()))
        })??;
        let line =
            line.ok_or_else(|| std::io::Error::other(format!("{} ended at once:\n{}", program.display(), tail(log))))?;
        // What it prints later is read on, or the pipe would fill and stop it.
        tokio::spawn(async move { while lines.next_line().await.is_ok_and(|line| line.is_some()) {} });
        let process = Self { program: program.to_owned(), arguments, variables, log: log.to_owned(), child, kills: 0 };
        Ok((process, line))
    }

    /// The process id; `None` once it ended.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until it ends; gives its exit code.
    pub async fn wait(&mut self) -> std::io::Result<Option<i32>> {
        self.child.wait().await.map(|status| status.code())
    }

    /// Kills it by SIGKILL and waits until it is gone.
    pub async fn kill(&mut self) -> std::io::Result<()> {
        self.kills += 1;
        self.child.kill().await
    }

    /// How often it was killed.
    pub const fn kills(&self) -> u32 {
        self.kills
    }

    /// Sends it a signal, such as `STOP` and `CONT`.
    pub async fn signal(&self, name: &str) -> std::io::Result<()> {
        if let Some(id) = self.child.id() {
            Command::new("kill").args(["-s", name, "--"]).arg(id.to_string()).status().await?;
        }
        Ok(())
    }

    /// Starts it again with the same arguments; kills it first if it still runs.
    pub async fn restart(&mut self) -> std::io::Result<()> {
        if self.is_running() {
            self.child.kill().await?;
        }
        self.child = spawn(&self.program, &self.arguments, &self.variables, &self.log, false)?;
        Ok(())
    }

    /// Asks it to stop by SIGTERM and waits; kills it at the deadline. Gives whether it stopped by itself.
    pub async fn stop(&mut self, deadline: Duration) -> std::io::Result<bool> {
        let _ = self.signal("TERM").await;
        match tokio::time::timeout(deadline, self.child.wait()).await {
            Ok(_) => Ok(true),
            Err(_) => self.child.kill().await.map(|()| false),
        }
    }

    /// The end of its log.
    pub fn log(&self) -> String {
        tail(&self.log)
    }
}

fn spawn(
    program: &Path,
    arguments: &[String],
    variables: &[(String, String)],
    log: &Path,
    piped: bool,
) -> std::io::Result<Child> {
    let file = File::options().create(true).append(true).open(log)?;
    let stdout = if piped { Stdio::piped() } else { Stdio::from(file.try_clone()?) };
    Command::new(program)
        .args(arguments)
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .env("POSTROAD_EXIT_WITH_STDIN", "1")
        .stdin(Stdio::piped())
        .stdout(stdout)
        .stderr(Stdio::from(file))
        // A Ctrl-C on the terminal is for the one who started the play; it stops the others.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| std::io::Error::other(format!("{} cannot be started: {error}", program.display())))
}

fn tail(log: &Path) -> String {
    let text = std::fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines.get(lines.len().saturating_sub(40)..).unwrap_or_default().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_process_is_killed_and_started_again() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut cat = Process::start(Path::new("cat"), &[] as &[&str], &[], &log).unwrap();
        assert!(cat.is_running());
        cat.kill().await.unwrap();
        assert!(!cat.is_running());
        cat.restart().await.unwrap();
        assert!(cat.stop(Duration::from_secs(10)).await.unwrap());
    }

    #[tokio::test]
    async fn the_first_line_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let arguments = ["-c", "echo ready; cat"];
        let log = folder.path().join("log");
        let start = Process::start_and_read_line(Path::new("sh"), &arguments, &[], &log, Duration::from_secs(10));
        assert_eq!(start.await.unwrap().1, "ready");
    }
}
