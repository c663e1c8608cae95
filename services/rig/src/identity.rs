//! The certificate by which this process is known, and the authorities that it trusts; read again when the files change.
//!
//! `material` makes TLS configurations of what was read; this file decides when it is read.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use jiff::{SignedDuration, Timestamp};
use postroad_core::fault::{Code, Report};
use rustls::pki_types::ServerName;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_util::sync::CancellationToken;

use crate::{Error, Role, clock, config::Tls, peer};

mod material;

use material::Material;

/// How often the files are looked at. A Kubernetes volume changes by a symbolic link that is swapped, so their inodes tell.
const LOOK: Duration = Duration::from_secs(2);

/// How long before its end a certificate that was not renewed is spoken of.
pub const NOTICE: SignedDuration = SignedDuration::from_hours(14 * 24);

/// The certificate, key and authorities of `[tls]`, always as the files have them.
#[derive(Clone)]
pub struct Identity(Arc<Shared>);

struct Shared {
    tls: Tls,
    /// The role whose name the certificate must carry.
    role: Option<Role>,
    current: RwLock<Arc<Material>>,
    /// What is behind the files that `current` was read from.
    seen: Mutex<Stamp>,
}

/// What is behind the files, as far as it tells whether they changed.
#[derive(Clone, PartialEq, Eq, Default)]
struct Stamp(Vec<Option<(u64, u64, SystemTime)>>);

impl Identity {
    /// Reads the files; `None` where `[tls]` is not set. A role needs its name in the certificate.
    pub fn open(tls: &Tls, role: Option<Role>) -> Result<Option<Self>, Error> {
        if !tls.is_on() {
            return Ok(None);
        }
        if let (Some(role), false) = (role, tls.serves()) {
            let rule = "the roles need certificate_file, key_file and authority_file";
            return Err(Error::Configuration(format!("tls: {rule} (role {})", role.name())));
        }
        let seen = stamp(tls);
        let current = Material::read(tls, role).map_err(Error::Fault)?;
        Ok(Some(Self(Arc::new(Shared {
            tls: tls.clone(),
            role,
            current: RwLock::new(Arc::new(current)),
            seen: Mutex::new(seen),
        }))))
    }

    /// What accepts a connection; `None` without a certificate of one's own.
    pub fn acceptor(&self) -> Option<TlsAcceptor> {
        self.current().server.clone().map(TlsAcceptor::from)
    }

    /// What opens a connection to a role, and the name that its certificate has to carry, whatever host is dialled.
    pub fn connector(
        &self,
        role: Role,
    ) -> Result<(TlsConnector, ServerName<'static>), rustls::pki_types::InvalidDnsNameError> {
        let name = ServerName::try_from(peer::name_of(role))?;
        Ok((TlsConnector::from(Arc::clone(&self.current().client)), name))
    }

    /// The settings that it was read by.
    pub fn settings(&self) -> &Tls {
        &self.0.tls
    }

    /// When the first certificate of one's own chain ends.
    pub fn expires(&self) -> Option<Timestamp> {
        self.current().expires
    }

    /// Reads the files again whenever they change, and speaks of certificates that are about to end, until shutdown. New
    /// connections use what was read; a file that is not usable leaves everything as it was.
    pub async fn watch(self, shutdown: CancellationToken) -> Result<(), Error> {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut complaint, mut noticed) = (None, None);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                _ = look.tick() => {}
            }
            let identity = self.clone();
            match looked(tokio::task::spawn_blocking(move || identity.look()).await)? {
                Some(looked) => self.tell(looked, &mut complaint),
                None => return Ok(()),
            }
            self.tell_expiry(&mut noticed);
        }
    }

    /// Reads the files if they changed; gives whether there is something new. What is not usable changes nothing.
    pub fn look(&self) -> Result<bool, Report> {
        let Shared { tls, role, current, seen } = &*self.0;
        let now = stamp(tls);
        if *seen.lock().unwrap_or_else(PoisonError::into_inner) == now {
            return Ok(false);
        }
        let material = Material::read(tls, *role)?;
        *current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(material);
        *seen.lock().unwrap_or_else(PoisonError::into_inner) = now;
        Ok(true)
    }

    fn tell(&self, looked: Result<bool, Report>, complaint: &mut Option<Report>) {
        match looked {
            Ok(false) => *complaint = None,
            Ok(true) => {
                *complaint = None;
                let expires = self.expires().map(|at| at.to_string()).unwrap_or_default();
                tracing::info!(expires, "the certificates were read anew; new connections use them");
            }
            Err(report) if complaint.as_ref() != Some(&report) => {
                // Certificate and key are rarely written in the same instant; the next look reads both anew.
                tracing::warn!(fault = %report.code, "{}; the former certificates stay in use. {}", report.sentence(), report.code.row().remedy);
                *complaint = Some(report);
            }
            Err(_) => {}
        }
    }

    fn tell_expiry(&self, noticed: &mut Option<Timestamp>) {
        let (now, Some(expires)) = (clock::now(), self.expires()) else { return };
        let told_today = noticed.is_some_and(|at| now.duration_since(at).abs() < SignedDuration::from_hours(24));
        if expires.duration_since(now) > NOTICE || told_today {
            return;
        }
        *noticed = Some(now);
        let report = expiry("the certificate of [tls]", expires, now);
        tracing::warn!(fault = %report.code, "{}. {}", report.sentence(), report.code.row().remedy);
    }

    fn current(&self) -> Arc<Material> {
        Arc::clone(&self.0.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What a look came to; `None` where the process ends before it. One that panicked fails the task: the next would hardly do better, and
/// certificates that are never read again end one day.
fn looked<T>(looked: Result<T, tokio::task::JoinError>) -> Result<Option<T>, Error> {
    match looked {
        Ok(looked) => Ok(Some(looked)),
        Err(error) if error.is_cancelled() => Ok(None),
        Err(error) => {
            Err(Error::Fault(Report::new(Code::Internal, format!("the look at the files of [tls]: {error}"))))
        }
    }
}

/// When the certificates of a PEM file end, in their order; `setting` names the file where it is not usable.
pub fn ends(setting: &str, file: &Path) -> Result<Vec<Timestamp>, Report> {
    material::ends(setting, file)
}

/// What is said of a certificate that ends soon, or has ended; `what` says which.
pub fn expiry(what: &str, expires: Timestamp, now: Timestamp) -> Report {
    let left = expires.duration_since(now);
    let days = left.as_hours() / 24;
    let detail = if left.is_negative() {
        format!("{what} ended at {expires}")
    } else {
        format!("{what} ends in {days} days, at {expires}")
    };
    Report::new(Code::CertificateExpires, detail)
}

fn stamp(tls: &Tls) -> Stamp {
    let files = [&tls.certificate_file, &tls.key_file, &tls.authority_file];
    Stamp(files.into_iter().map(|file| file.as_deref().and_then(look_at)).collect())
}

fn look_at(file: &Path) -> Option<(u64, u64, SystemTime)> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = std::fs::metadata(file).ok()?;
    Some((metadata.ino(), metadata.len(), metadata.modified().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_look_that_panics_ends_the_watch_with_an_error() {
        assert_eq!(looked(tokio::task::spawn_blocking(|| 7).await).unwrap(), Some(7));
        let panicked = tokio::task::spawn_blocking(|| -> u32 { panic!("no luck") }).await;
        let error = looked(panicked).unwrap_err().to_string();
        assert!(error.contains("no luck"), "{error}");
    }
}
