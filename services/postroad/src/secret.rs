//! Passwords: from a prompt, a file or standard input, never from a flag's value, which every process list shows.

use std::{
    io::{self, BufRead, IsTerminal as _},
    path::{Path, PathBuf},
};

use clap::{Args, ValueHint};
use postroad_core::fault::Code;
use secrecy::{ExposeSecret as _, SecretString};

use crate::failure::Failure;

/// Where the password comes from.
#[derive(Args, Debug, Default)]
#[group(multiple = false)]
pub struct PasswordSource {
    /// Read the password from the first line of a file, or a private key from the whole of it
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    password_file: Option<PathBuf>,
    /// Read the password from the first line of standard input
    #[arg(long)]
    password_stdin: bool,
    /// Ask for the password on the terminal
    #[arg(long)]
    password_prompt: bool,
}

/// Whether a command can do without a password.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// It is asked for on the terminal if no source was named.
    Required,
    /// It stays as it is if no source was named.
    Optional,
}

/// The terminal and standard input, so that tests can take their place.
pub trait Keyboard {
    /// Whether somebody is there to answer a prompt.
    fn is_attended(&self) -> bool;
    /// The first line of standard input.
    fn line(&mut self) -> io::Result<String>;
    /// What is typed after a prompt, without echo.
    fn prompt(&mut self, question: &str) -> io::Result<String>;
}

/// The process's own.
pub struct Standard;

impl Keyboard for Standard {
    fn is_attended(&self) -> bool {
        io::stdin().is_terminal()
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line)?;
        Ok(line)
    }

    fn prompt(&mut self, question: &str) -> io::Result<String> {
        rpassword::prompt_password(question)
    }
}

impl PasswordSource {
    /// Reads the password; `None` where none was offered and none is needed.
    pub fn read(
        &self,
        need: Need,
        question: &str,
        keyboard: &mut dyn Keyboard,
    ) -> Result<Option<SecretString>, Failure> {
        let text = if let Some(file) = &self.password_file {
            first_line(file)?
        } else if self.password_stdin {
            keyboard.line().map_err(|error| unreadable("standard input", &error))?
        } else if self.password_prompt || (need == Need::Required && keyboard.is_attended()) {
            keyboard.prompt(question).map_err(|error| unreadable("the terminal", &error))?
        } else if need == Need::Required {
            let rule = "is required; name its source with --password-file FILE or --password-stdin";
            return Err(Failure::refused(Code::FieldRequired, "password", rule));
        } else {
            return Ok(None);
        };
        let secret = SecretString::from(text.trim_end_matches(['\r', '\n']));
        if secret.expose_secret().is_empty() {
            return Err(Failure::refused(Code::FieldRequired, "password", "is empty"));
        }
        Ok(Some(secret))
    }
}

fn first_line(file: &Path) -> Result<String, Failure> {
    let read = std::fs::read_to_string(file);
    let text = read.map_err(|error| Failure::file("--password-file", file, "read", &error))?;
    // A private key is a secret of many lines.
    if text.trim_start().starts_with("-----BEGIN ") {
        return Ok(text.trim_start().to_owned());
    }
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

fn unreadable(place: &str, error: &io::Error) -> Failure {
    Failure::refused(Code::FileUnusable, "password", format!("cannot be read from {place}: {error}"))
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::failure::Exit;

    /// A keyboard that a test types on.
    #[derive(Default)]
    pub struct Typed {
        /// Whether it has a person.
        pub attended: bool,
        /// What is typed.
        pub text: &'static str,
    }

    impl Keyboard for Typed {
        fn is_attended(&self) -> bool {
            self.attended
        }

        fn line(&mut self) -> io::Result<String> {
            Ok(self.text.to_owned())
        }

        fn prompt(&mut self, _question: &str) -> io::Result<String> {
            Ok(format!("prompted {}", self.text))
        }
    }

    fn read(source: &PasswordSource, need: Need, mut keyboard: Typed) -> Result<Option<String>, Failure> {
        let secret = source.read(need, "Password: ", &mut keyboard)?;
        Ok(secret.map(|secret| secret.expose_secret().to_owned()))
    }

    #[test]
    fn a_file_gives_its_first_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "s3cret with spaces \r\nnot this\n").unwrap();
        let source = PasswordSource { password_file: Some(file.path().to_owned()), ..Default::default() };
        assert_eq!(read(&source, Need::Optional, Typed::default()).unwrap().unwrap(), "s3cret with spaces ");
    }

    #[test]
    fn standard_input_and_prompt_are_read() {
        let typed = || Typed { attended: true, text: "s3cret\n" };
        let stdin = PasswordSource { password_stdin: true, ..Default::default() };
        assert_eq!(read(&stdin, Need::Optional, typed()).unwrap().unwrap(), "s3cret");
        let prompt = PasswordSource { password_prompt: true, ..Default::default() };
        assert_eq!(read(&prompt, Need::Optional, typed()).unwrap().unwrap(), "prompted s3cret");
        assert_eq!(read(&PasswordSource::default(), Need::Required, typed()).unwrap().unwrap(), "prompted s3cret");
        assert_eq!(read(&PasswordSource::default(), Need::Optional, typed()).unwrap(), None);
    }

    #[test]
    fn without_a_person_the_sources_are_named() {
        let failure = read(&PasswordSource::default(), Need::Required, Typed::default()).unwrap_err();
        assert_eq!(failure.exit(), Exit::Refused);
        assert!(failure.to_string().contains("--password-file FILE or --password-stdin"));
    }

    #[test]
    fn an_empty_or_missing_one_is_refused() {
        let stdin = PasswordSource { password_stdin: true, ..Default::default() };
        assert_eq!(
            read(&stdin, Need::Optional, Typed { text: "\n", ..Default::default() }).unwrap_err().exit(),
            Exit::Refused
        );
        let missing = PasswordSource { password_file: Some("no/such/file".into()), ..Default::default() };
        let failure = read(&missing, Need::Optional, Typed::default()).unwrap_err();
        assert!(failure.to_string().starts_with("--password-file: no/such/file cannot be read"), "{failure}");
        assert_eq!((failure.exit(), &failure.json()["error"]["code"]), (Exit::Refused, &"FILE_UNUSABLE".into()));
    }
}
