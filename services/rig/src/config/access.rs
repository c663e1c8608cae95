//! The settings of who may call.
#![expect(clippy::disallowed_methods, reason = "the default place of the local token depends on whose home this is")]

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Config;
use crate::{Error, caller::Level};

/// Who may call.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Access {
    /// The file of the local token, which the first role makes; who can read it may do everything. Unset:
    /// `~/.local/state/postroad/token` where roles speak without TLS, none where `[tls]` is set.
    pub token_file: Option<PathBuf>,
    /// The issuer of people's access tokens.
    pub oidc: Option<Oidc>,
    /// What people's client certificates are granted.
    pub certificates: Certificates,
}

/// An issuer of access tokens (OpenID Connect), and what its tokens grant.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Oidc {
    /// Its URL, exactly as its tokens name it. `/.well-known/openid-configuration` below it says where its keys are.
    pub issuer: String,
    /// Whom tokens must be made for.
    pub audience: String,
    /// The authorities (PEM) of the issuer's certificate, besides the public ones.
    #[serde(default)]
    pub authority_file: Option<PathBuf>,
    /// The claim that says what a token grants: its name, or a JSON pointer such as `/realm_access/roles`. A list of
    /// texts, or one text of several words.
    #[serde(default = "roles")]
    pub claim: String,
    /// Its values that make an administrator,
    #[serde(default)]
    pub administrators: Vec<String>,
    /// an operator,
    #[serde(default)]
    pub operators: Vec<String>,
    /// and a reader.
    #[serde(default)]
    pub readers: Vec<String>,
}

/// What people's client certificates are granted, by any of their names: DNS, email, URI, or common name.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Certificates {
    /// Names of administrators,
    pub administrators: Vec<String>,
    /// operators,
    pub operators: Vec<String>,
    /// and readers.
    pub readers: Vec<String>,
}

fn roles() -> String {
    "roles".to_owned()
}

impl Access {
    /// Where the local token is; `None` if there is none.
    pub(super) fn token_file(&self, is_encrypted: bool) -> Option<PathBuf> {
        if self.token_file.is_some() || is_encrypted {
            return self.token_file.clone();
        }
        let folder = |variable: &str| std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
        let state = folder("XDG_STATE_HOME").or_else(|| Some(folder("HOME")?.join(".local/state")))?;
        Some(state.join("postroad/token"))
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        let wrong = |setting: &str, rule: &str| Err(Error::Configuration(format!("access.{setting}: {rule}")));
        if self.token_file.as_deref() == Some(Path::new("")) {
            return wrong("token_file", "must not be empty; leave it out for the default");
        }
        let lists = |lists: [&Vec<String>; 3]| lists.into_iter().flatten().any(|value| value.trim().is_empty());
        let Certificates { administrators, operators, readers } = &self.certificates;
        if lists([administrators, operators, readers]) {
            return wrong("certificates", "a name must not be empty");
        }
        let Some(oidc) = &self.oidc else { return Ok(()) };
        if !oidc.issuer.starts_with("https://") {
            return wrong("oidc.issuer", "must be a URL that starts with https://");
        }
        if oidc.audience.trim().is_empty() {
            return wrong(
                "oidc.audience",
                "is required: a token that was made for somebody else must not open this door",
            );
        }
        if oidc.claim.trim().is_empty() {
            return wrong("oidc.claim", "must be the name of a claim, or a JSON pointer such as /realm_access/roles");
        }
        if lists([&oidc.administrators, &oidc.operators, &oidc.readers]) {
            return wrong("oidc", "a value that makes somebody administrator, operator or reader must not be empty");
        }
        Ok(())
    }
}

impl Config {
    /// Where the local token is; `None` if there is none.
    pub fn local_token_file(&self) -> Option<PathBuf> {
        self.access.token_file(self.tls.is_on())
    }
}

impl Oidc {
    /// What the values of the claim grant: the highest.
    pub fn level(&self, values: &[&str]) -> Option<Level> {
        highest([&self.administrators, &self.operators, &self.readers], |wanted| values.contains(&wanted))
    }
}

impl Certificates {
    /// What the names of a certificate grant: the highest. Names of hosts and addresses are the same in capitals.
    pub fn level<'a>(&self, names: impl Iterator<Item = &'a str> + Clone) -> Option<Level> {
        highest([&self.administrators, &self.operators, &self.readers], |wanted| {
            names.clone().any(|name| name.eq_ignore_ascii_case(wanted))
        })
    }
}

fn highest(lists: [&Vec<String>; 3], has: impl Fn(&str) -> bool) -> Option<Level> {
    let levels = [Level::Administrator, Level::Operator, Level::Reader];
    levels.into_iter().zip(lists).find(|(_, list)| list.iter().any(|wanted| has(wanted))).map(|(level, _)| level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_would_open_the_door_are_refused() {
        let oidc = |text: &str| format!("[access.oidc]\nissuer = \"https://login.contoso.example\"\n{text}");
        for (text, setting) in [
            (oidc("audience = \"\""), "access.oidc.audience"),
            (oidc("audience = \"p\"\nadministrators = [\"\"]"), "access.oidc"),
            (oidc("audience = \"p\"\nclaim = \" \""), "access.oidc.claim"),
            ("[access.oidc]\nissuer = \"http://login\"\naudience = \"p\"".to_owned(), "access.oidc.issuer"),
            ("[access.certificates]\nreaders = [\" \"]".to_owned(), "access.certificates"),
            ("[access]\ntoken_file = \"\"".to_owned(), "access.token_file"),
        ] {
            let error = Config::parse(&text).unwrap_err().to_string();
            assert!(error.starts_with(setting), "{text}: {error}");
        }
        assert!(Config::parse("[access.oidc]\nissuer = \"https://x\"").unwrap_err().to_string().contains("audience"));
    }

    #[test]
    fn the_highest_grant_counts() {
        let certificates = Certificates {
            administrators: vec!["ada@contoso.example".into()],
            operators: vec!["ops.contoso.example".into()],
            readers: vec!["ada@contoso.example".into(), "Bob".into()],
        };
        let level = |names: &[&str]| certificates.level(names.iter().copied());
        assert_eq!(level(&["x", "ADA@contoso.example"]), Some(Level::Administrator));
        assert_eq!(level(&["ops.contoso.example"]), Some(Level::Operator));
        assert_eq!((level(&["Bob"]), level(&["Bobby"]), level(&[])), (Some(Level::Reader), None, None));
    }

    #[test]
    fn with_tls_there_is_a_local_token_only_where_it_is_asked_for() {
        let access = Access { token_file: Some("token".into()), ..Access::default() };
        assert_eq!(access.token_file(true), Some("token".into()));
        assert_eq!(Access::default().token_file(true), None);
    }
}
