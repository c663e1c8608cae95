//! The certificates of `[tls]`: whether they can be used, and for how long.

use jiff::Timestamp;
use postroad_core::fault::Code;
use postroad_rig::{Identity, NOTICE, expiry};

use super::Check;

const NAME: &str = "certificates";

/// What the files hold.
pub fn check(identity: Option<&Identity>, now: Timestamp) -> Check {
    let Some(identity) = identity else {
        return Check::not_checked(
            NAME,
            "[tls] is not set: the roles speak plaintext, on loopback or where something else encrypts",
        );
    };
    let Some(end) = identity.expires() else {
        return Check::not_checked(NAME, "[tls] names no certificate of one's own; the roles' authority is known");
    };
    let report = expiry(end, now);
    if end <= now {
        return Check::fault(NAME, Code::CertificateExpires, report.detail);
    }
    if end.duration_since(now) <= NOTICE {
        return Check::warning(NAME, report.detail, report.code.row().remedy);
    }
    Check::well(NAME, format!("good until {end}; certificate, key and authority are read again when they change"))
}
