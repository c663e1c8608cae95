//! A deployment in which every connection is mutual TLS, and every role a NATS user of its own.

use std::{path::Path, path::PathBuf};

use postroad_rig::nats::permission;
use stage::{
    Authority,
    authority::Files,
    nats::{self, options},
};

use crate::deployment::{Error, Role};

/// Who administers the deployment, by certificate.
const ADMINISTRATOR: &str = "administrator@contoso.example";

/// The certificates of everybody.
pub struct Secured {
    folder: PathBuf,
}

impl Secured {
    /// An authority, and certificates for NATS, the roles, and those who are none.
    pub fn new(folder: &Path) -> Result<Self, Error> {
        let security = Self { folder: folder.join("certificates") };
        let failed = |error: rcgen::Error| Error::Other(format!("no certificate could be issued: {error}"));
        let authority = Authority::new("stage").map_err(failed)?;
        let issue = |who: &str, name: &str| {
            let issued = authority.issue(&[name]).map_err(failed)?;
            issued.write(&security.folder.join(who), &[&authority])?;
            Ok::<_, Error>(())
        };
        for who in Role::ALL.map(Role::name).into_iter().chain([permission::ALL, permission::PREPARE]) {
            issue(who, &format!("{who}.roles.postroad.internal"))?;
        }
        issue("nats", "127.0.0.1")?;
        issue("administrator", ADMINISTRATOR)?;
        Ok(security)
    }

    /// How NATS knows them.
    pub fn nats(&self) -> nats::Security {
        nats::Security {
            server: self.files("nats"),
            client: self.files(permission::ALL),
            inbox: permission::inbox(permission::ALL),
            authorization: permission::conf(&permission::users("JOURNAL")),
        }
    }

    /// A configuration as one of them has it.
    pub fn configuration(&self, common: &str, who: &str) -> String {
        let files = self.files(who);
        let nats = format!(
            "{}\n[nats]\nauthority_file = \"{}\"\ncertificate_file = \"{}\"\nkey_file = \"{}\"\n",
            files.section(),
            files.authority.display(),
            files.certificate.display(),
            files.key.display()
        );
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
        let connecting = options(Some(&self.files(who)))
            .custom_inbox_prefix(permission::inbox(who))
            .request_timeout(Some(std::time::Duration::from_secs(20)))
            .event_callback(move |event| {
                // Nobody may listen any more.
                let _ = told.send(event.to_string());
                std::future::ready(())
            })
            .connect(nats.url());
        let client = connecting.await.map_err(|error| Error::Other(format!("{who} cannot connect: {error}")))?;
        Ok((client, heard))
    }
}

/// What a connection is told.
pub type Told = tokio::sync::mpsc::UnboundedReceiver<String>;
