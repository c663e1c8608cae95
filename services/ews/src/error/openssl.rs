//! Failures of the system's TLS library: OpenSSL tells them apart by text only.

use super::TlsFailure;

/// Makes a failure of the reason.
type Meaning = fn(String) -> TlsFailure;

/// Parts of OpenSSL's texts, versions 1.1 to 3, and what they mean. The first that occurs counts.
const TEXTS: &[(&str, Meaning)] = &[
    ("hostname mismatch", |_| TlsFailure::NameMismatch { presented: Vec::new() }),
    ("ip address mismatch", |_| TlsFailure::NameMismatch { presented: Vec::new() }),
    ("certificate has expired", |_| TlsFailure::Expired),
    ("certificate is not yet valid", |_| TlsFailure::NotYetValid),
    ("unable to get local issuer", |_| TlsFailure::UntrustedIssuer),
    ("unable to get issuer", |_| TlsFailure::UntrustedIssuer),
    ("unable to verify the first certificate", |_| TlsFailure::UntrustedIssuer),
    ("self-signed certificate", |_| TlsFailure::UntrustedIssuer),
    ("self signed certificate", |_| TlsFailure::UntrustedIssuer),
    ("certificate not trusted", |_| TlsFailure::UntrustedIssuer),
    ("certificate verify failed", TlsFailure::Certificate),
    ("ca md too weak", TlsFailure::Certificate),
    ("ee key too small", TlsFailure::Certificate),
    ("wrong version number", |_| TlsFailure::NotTls),
    ("http request", |_| TlsFailure::NotTls),
    ("packet length too long", |_| TlsFailure::NotTls),
    ("alert handshake failure", TlsFailure::Obsolete),
    ("alert protocol version", TlsFailure::Obsolete),
    ("alert insufficient security", TlsFailure::Obsolete),
    ("unsupported protocol", TlsFailure::Obsolete),
    ("version too low", TlsFailure::Obsolete),
    ("no protocols available", TlsFailure::Obsolete),
    ("no ciphers available", TlsFailure::Obsolete),
    ("wrong cipher returned", TlsFailure::Obsolete),
    ("dh key too small", TlsFailure::Obsolete),
    ("legacy sigalg disallowed", TlsFailure::Obsolete),
    ("unsafe legacy renegotiation disabled", TlsFailure::Obsolete),
];

/// What a text of OpenSSL means; `None` if it is none, or says only that the connection ended.
pub(super) fn failure(text: &str) -> Option<TlsFailure> {
    if !(text.starts_with("error:") && text.contains(" routines:")) || is_dropped(text) {
        return None;
    }
    let lower = text.to_ascii_lowercase();
    let known = TEXTS.iter().find(|(part, _)| lower.contains(part));
    Some(known.map_or_else(|| TlsFailure::Handshake(short(text)), |(_, meaning)| meaning(short(text))))
}

/// Whether the connection ended within the handshake.
pub(super) fn is_dropped(text: &str) -> bool {
    text.contains("unexpected eof") || text.contains("unexpected EOF")
}

/// `error:0A000410:SSL routines:ssl3_read_bytes:REASON:../ssl/record/rec_layer_s3.c:1605:ADDITION` as the reason and
/// what is added.
fn short(text: &str) -> String {
    let mut parts = text.splitn(5, ':').skip(4);
    let rest = parts.next().unwrap_or(text);
    let reason = rest.split(':').next().unwrap_or(rest);
    let addition = rest.rsplit_once(" (").map(|(_, addition)| format!(" ({addition}")).unwrap_or_default();
    format!("{reason}{addition}").chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn verify(reason: &str) -> String {
        let place = "tls_post_process_server_certificate:certificate verify failed:../ssl/statem/statem_clnt.c:1889:";
        format!("error:0A000086:SSL routines:{place} ({reason})")
    }

    fn library(reason: &str) -> String {
        format!(
            "error:0A000410:SSL routines:ssl3_read_bytes:{reason}:../ssl/record/rec_layer_s3.c:1605:SSL alert number 40"
        )
    }

    #[rstest]
    #[case(verify("hostname mismatch"), TlsFailure::NameMismatch { presented: Vec::new() })]
    #[case(verify("IP address mismatch"), TlsFailure::NameMismatch { presented: Vec::new() })]
    #[case(verify("certificate has expired"), TlsFailure::Expired)]
    #[case(verify("certificate is not yet valid"), TlsFailure::NotYetValid)]
    #[case(verify("unable to get local issuer certificate"), TlsFailure::UntrustedIssuer)]
    #[case(verify("self-signed certificate in certificate chain"), TlsFailure::UntrustedIssuer)]
    #[case(
        verify("unsuitable certificate purpose"),
        TlsFailure::Certificate("certificate verify failed (unsuitable certificate purpose)".to_owned())
    )]
    #[case(library("wrong version number"), TlsFailure::NotTls)]
    #[case(
        library("sslv3 alert handshake failure"),
        TlsFailure::Obsolete("sslv3 alert handshake failure".to_owned())
    )]
    #[case(library("unsupported protocol"), TlsFailure::Obsolete("unsupported protocol".to_owned()))]
    #[case(library("tlsv1 unrecognized name"), TlsFailure::Handshake("tlsv1 unrecognized name".to_owned()))]
    fn a_text_is_a_failure(#[case] text: String, #[case] failure: TlsFailure) {
        assert_eq!(super::failure(&text), Some(failure));
    }

    #[test]
    fn other_texts_are_none() {
        assert_eq!(failure("connection reset by peer"), None);
        assert_eq!(failure(&library("unexpected eof while reading")), None);
    }
}
