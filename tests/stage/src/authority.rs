//! A certificate authority that issues certificates as files, as cert-manager does.

use std::{
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

/// A certificate authority.
pub struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key, as PEM.
#[derive(Clone)]
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

/// The files that `[tls]` names.
#[derive(Clone, Debug)]
pub struct Files {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The authorities.
    pub authority: PathBuf,
}

impl Authority {
    /// A new authority.
    pub fn new(name: &str) -> Result<Self, rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, name);
        let pem = params.self_signed(&key)?.pem();
        Ok(Self { pem, issuer: Issuer::new(params, key) })
    }

    /// Its own certificate, as PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for servers and clients with these DNS names, addresses or email addresses; the first is its common name.
    pub fn issue(&self, names: &[&str]) -> Result<Issued, rcgen::Error> {
        self.sign(names, |_| ())
    }

    /// The same, with the day on which it ends.
    pub fn issue_until(&self, names: &[&str], (year, month, day): (i32, u8, u8)) -> Result<Issued, rcgen::Error> {
        self.sign(names, |params| params.not_after = rcgen::date_time_ymd(year, month, day))
    }

    /// The same, with the moment at which it ends.
    pub fn issue_ending(&self, names: &[&str], end: SystemTime) -> Result<Issued, rcgen::Error> {
        self.sign(names, |params| params.not_after = end.into())
    }

    fn sign(&self, names: &[&str], end: impl FnOnce(&mut CertificateParams)) -> Result<Issued, rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())?;
        params.distinguished_name.push(DnType::CommonName, *names.first().unwrap_or(&"nobody"));
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        end(&mut params);
        Ok(Issued { certificate: params.signed_by(&key, &self.issuer)?.pem(), key: key.serialize_pem() })
    }
}

impl Issued {
    /// Writes it and the authorities into a folder, under the names that cert-manager gives them.
    pub fn write(&self, folder: &Path, authorities: &[&Authority]) -> std::io::Result<Files> {
        fs::create_dir_all(folder)?;
        let files = Files {
            certificate: folder.join("tls.crt"),
            key: folder.join("tls.key"),
            authority: folder.join("ca.crt"),
        };
        let bundle: String = authorities.iter().map(|authority| authority.pem()).collect();
        replace(&files.certificate, &self.certificate)?;
        replace(&files.key, &self.key)?;
        replace(&files.authority, &bundle)?;
        Ok(files)
    }
}

impl Files {
    /// The section `[tls]` that names them.
    pub fn section(&self) -> String {
        format!(
            "[tls]\ncertificate_file = \"{}\"\nkey_file = \"{}\"\nauthority_file = \"{}\"\n",
            self.certificate.display(),
            self.key.display(),
            self.authority.display()
        )
    }
}

/// Never leaves half a file for somebody to read.
fn replace(file: &Path, text: &str) -> std::io::Result<()> {
    let aside = file.with_extension("new");
    fs::write(&aside, text)?;
    fs::rename(aside, file)
}
