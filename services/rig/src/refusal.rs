//! What a TLS error means to an operator: which certificate or setting, on which side.

use std::path::Path;

use postroad_core::fault::{Code, Report};
use rustls::{AlertDescription, CertificateError, Error};

/// Who wanted to agree on TLS, in words that name the settings.
pub struct Sides<'a> {
    /// What answers, and where.
    pub there: &'a str,
    /// The setting of the authorities that its certificate is checked against.
    pub authority: &'a str,
    /// The setting of the certificate that it is shown.
    pub own: &'a str,
    /// The name that its certificate has to carry.
    pub name: &'a str,
}

/// A setting of a file, as it is set.
pub fn setting(name: &str, file: Option<&Path>) -> String {
    file.map_or_else(|| format!("{name} is not set"), |file| format!("{name} = \"{}\"", file.display()))
}

/// The TLS error among the causes of an error.
pub fn found<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        // An error of input and output keeps what it is made of to itself, and passes over it as its own source.
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let inner = inner.map(|inner| inner as &(dyn std::error::Error + 'static));
        if let Some(found) = [Some(error), inner].into_iter().flatten().find_map(|one| one.downcast_ref()) {
            return Some(found);
        }
        next = inner.or_else(|| error.source());
    }
    None
}

/// What is wrong, and on which side.
pub fn explain(error: &Error, Sides { there, authority, own, name }: &Sides<'_>) -> Report {
    use CertificateError as Of;
    let (code, detail) = match error {
        Error::InvalidCertificate(Of::Expired | Of::ExpiredContext { .. }) => {
            (Code::CertificateExpires, format!("the certificate of {there} has ended"))
        }
        Error::InvalidCertificate(Of::NotValidForName | Of::NotValidForNameContext { .. }) => (
            Code::CertificateUnusable,
            format!(
                "the certificate of {there} does not carry the name {name}: it is another's, or the address is wrong"
            ),
        ),
        Error::InvalidCertificate(Of::UnknownIssuer) => {
            (Code::CertificateUnusable, format!("{authority}: the certificate of {there} comes from another authority"))
        }
        Error::InvalidCertificate(why) => {
            (Code::CertificateUnusable, format!("the certificate of {there} does not hold: {why}"))
        }
        Error::AlertReceived(AlertDescription::CertificateExpired) => {
            (Code::CertificateExpires, format!("{own}: the certificate has ended, and is refused by {there}"))
        }
        Error::AlertReceived(AlertDescription::CertificateRequired) => {
            (Code::CertificateUnusable, format!("{own}: a certificate is demanded by {there}"))
        }
        Error::AlertReceived(
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::DecryptError
            | AlertDescription::AccessDenied,
        ) => (
            Code::CertificateUnusable,
            format!(
                "{own}: the certificate is refused by {there}: it has ended, or comes from an authority that is not trusted there"
            ),
        ),
        Error::InvalidMessage(_) => (
            Code::ConfigurationInvalid,
            format!("TLS is spoken from here ({authority}), and {there} speaks without TLS, or something else"),
        ),
        error => {
            (Code::ConfigurationInvalid, format!("no TLS can be agreed with {there} ({authority}; {own}): {error}"))
        }
    };
    Report::new(code, detail)
}
