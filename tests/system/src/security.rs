//! A deployment in which every connection is mutual TLS, and every role has a NATS account of its own.

use std::{
    fs,
    path::{Path, PathBuf},
};

use postroad_rig::nats::permission;
use stage::{
    Authority,
    authority::Files,
    nats::{self, options},
};

use crate::deployment::{Error, Role};

/// Who administers the deployment, by certificate.
const ADMINISTRATOR: &str = "administrator@contoso.example";

/// The certificates of everybody, and the passwords of NATS's users where it knows them by that.
pub struct Secured {
    folder: PathBuf,
    by_passwords: bool,
}

impl Secured {
    /// An authority, and certificates for NATS, the roles, and those who are none.
    pub fn new(folder: &Path, by_passwords: bool) -> Result<Self, Error> {
        let security = Self { folder: folder.join("certificates"), by_passwords };
        security.issue()?;
        if by_passwords {
            security.change_passwords()?;
        }
        Ok(security)
    }

    /// Those who have certificates.
    pub fn everybody() -> impl Iterator<Item = &'static str> {
        users().chain(["nats", "administrator"])
    }

    /// Issues the certificates, by an authority that nobody has known before.
    pub fn issue(&self) -> Result<(), Error> {
        let failed = |error: rcgen::Error| Error::Other(format!("no certificate could be issued: {error}"));
        let authority = Authority::new("stage").map_err(failed)?;
        for who in Self::everybody() {
            let name = match who {
                "nats" => "127.0.0.1".to_owned(),
                "administrator" => ADMINISTRATOR.to_owned(),
                who => user(who),
            };
            let issued = authority.issue(&[&name]).map_err(failed)?;
            issued.write(&self.folder.join(who), &[&authority])?;
        }
        Ok(())
    }

    /// Gives each user of NATS another password.
    pub fn change_passwords(&self) -> Result<(), Error> {
        for who in users() {
            fs::write(self.password_file(who), format!("n4ts-{who}-{:032x}\n", rand::random::<u128>()))?;
        }
        Ok(())
    }

    /// The password of a user of NATS, where it has one.
    pub fn password(&self, who: &str) -> Option<String> {
        let text = fs::read_to_string(self.password_file(who)).ok()?;
        Some(text.trim_end().to_owned())
    }

    /// Where it is.
    pub fn password_file(&self, who: &str) -> PathBuf {
        self.folder.join(who).join("nats.password")
    }

    /// The folder with all of that.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// How NATS knows them.
    pub fn nats(&self) -> Result<nats::Security, Error> {
        let mut authorization = permission::conf(&permission::accounts("JOURNAL"));
        let mut password = None;
        if self.by_passwords {
            for who in users() {
                let known = fs::read_to_string(self.password_file(who))?;
                let named = format!("user: \"{}\"\n", user(who));
                authorization = authorization.replace(&named, &format!("{named}password: \"{}\"\n", known.trim_end()));
            }
            password = self.password(permission::ALL).map(|password| (user(permission::ALL), password));
        }
        Ok(nats::Security {
            server: self.files("nats"),
            client: self.files(permission::ALL),
            inbox: permission::inbox(permission::ALL),
            password,
            authorization,
        })
    }

    /// A configuration as one of them has it.
    pub fn configuration(&self, common: &str, who: &str) -> String {
        let files = self.files(who);
        let mut nats = format!(
            "{}\n[nats]\nauthority_file = \"{}\"\ncertificate_file = \"{}\"\nkey_file = \"{}\"\n",
            files.section(),
            files.authority.display(),
            files.certificate.display(),
            files.key.display()
        );
        if self.by_passwords && users().any(|user| user == who) {
            let file = self.password_file(who);
            nats.push_str(&format!("user_name = \"{}\"\npassword_file = \"{}\"\n", user(who), file.display()));
        }
        let access = format!("\n[access.certificates]\nadministrators = [\"{ADMINISTRATOR}\"]\n");
        common.replacen("[nats]\n", &nats, 1) + &access
    }

    /// The files of one of them.
    pub fn files(&self, who: &str) -> Files {
        let folder = self.folder.join(who);
        Files { certificate: folder.join("tls.crt"), key: folder.join("tls.key"), authority: folder.join("ca.crt") }
    }

    /// A connection to NATS as one of them, and what it is told there.
    pub async fn connect(&self, nats: &stage::Nats, who: &str) -> Result<(async_nats::Client, Told), Error> {
        let (told, heard) = tokio::sync::mpsc::unbounded_channel();
        let mut connecting = options(Some(&self.files(who)))
            .custom_inbox_prefix(permission::inbox(who))
            .request_timeout(Some(std::time::Duration::from_secs(20)))
            .event_callback(move |event| {
                // Nobody may listen any more.
                let _ = told.send(event.to_string());
                std::future::ready(())
            });
        if let Some(password) = self.password(who) {
            connecting = connecting.user_and_password(user(who), password);
        }
        let connecting = connecting.connect(nats.url());
        let client = connecting.await.map_err(|error| Error::Other(format!("{who} cannot connect: {error}")))?;
        Ok((client, heard))
    }
}

/// The users of NATS.
fn users() -> impl Iterator<Item = &'static str> {
    Role::ALL.map(Role::name).into_iter().chain([permission::ALL, permission::PREPARE])
}

/// What NATS calls a user.
fn user(who: &str) -> String {
    format!("{who}.roles.postroad.internal")
}

/// What a connection is told.
pub type Told = tokio::sync::mpsc::UnboundedReceiver<String>;
