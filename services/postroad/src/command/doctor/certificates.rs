//! The certificates of `[tls]` and `[nats]`: whether they can be used, and for how long.

use std::path::Path;

use jiff::Timestamp;
use postroad_core::fault::{Code, Report};
use postroad_rig::{Identity, NOTICE, config::Nats, ends, expiry};

use super::Check;
use crate::failure::Failure;

const NAME: &str = "certificates";
const NATS: &str = "nats certificate";
const NATS_AUTHORITY: &str = "nats authority";

/// What the files of `[tls]` hold.
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
    let good = format!("good until {end}; certificate, key and authority are read again when they change");
    judge(NAME, "the certificate of [tls]", end, now, good)
}

/// What the files of `[nats]` hold; nothing where it names none.
pub fn check_nats(nats: &Nats, now: Timestamp) -> Vec<Check> {
    let read =
        |name: &'static str, setting: &str, file: Option<&Path>, judge: &dyn Fn(&[Timestamp]) -> Option<Check>| {
            let found = file.map(|file| ends(setting, file))?;
            match found {
                Ok(ends) => judge(&ends),
                Err(report) => Some(Check::problem(name, &Failure::from(&report))),
            }
        };
    let own = |ends: &[Timestamp]| {
        let end = *ends.iter().min()?;
        let good = format!("good until {end}; it is read again with each connection");
        Some(judge(NATS, "the certificate of [nats]", end, now, good))
    };
    // While one authority holds, the server's certificate may come from that one.
    let authority = |ends: &[Timestamp]| {
        let end = *ends.iter().max()?;
        let what = if ends.len() > 1 { "the last authority of [nats]" } else { "the authority of [nats]" };
        let good = format!("good until {end}; it is read again with each connection");
        Some(match judge(NATS_AUTHORITY, what, end, now, good) {
            // The roles do not look at it; but no certificate is renewed by it any more.
            _ if end <= now => warning(NATS_AUTHORITY, &expiry(what, end, now)),
            check => check,
        })
    };
    let own = read(NATS, "nats.certificate_file", nats.certificate_file.as_deref(), &own);
    let authority = read(NATS_AUTHORITY, "nats.authority_file", nats.authority_file.as_deref(), &authority);
    own.into_iter().chain(authority).collect()
}

fn judge(name: &str, what: &str, end: Timestamp, now: Timestamp, good: String) -> Check {
    let report = expiry(what, end, now);
    if end <= now {
        return Check::fault(name, Code::CertificateExpires, report.detail);
    }
    if end.duration_since(now) <= NOTICE { warning(name, &report) } else { Check::well(name, good) }
}

fn warning(name: &str, report: &Report) -> Check {
    Check::warning(name, report.detail.clone(), report.code.row().remedy)
}

#[cfg(test)]
mod tests {
    use postroad_rig::config::Tls;
    use stage::{Authority, authority::Files};

    use super::*;
    use crate::command::doctor::State;

    const NOW: &str = "2030-01-01T00:00:00Z";

    fn issued(day: (i32, u8, u8)) -> (tempfile::TempDir, Files) {
        let (authority, folder) = (Authority::new("test").unwrap(), tempfile::tempdir().unwrap());
        let issued = authority.issue_until(&["sync.roles.postroad.internal"], day).unwrap();
        let files = issued.write(folder.path(), &[&authority]).unwrap();
        (folder, files)
    }

    fn of_tls(files: &Files) -> Check {
        let tls = Tls {
            certificate_file: Some(files.certificate.clone()),
            key_file: Some(files.key.clone()),
            authority_file: Some(files.authority.clone()),
            ..Tls::default()
        };
        check(Identity::open(&tls, None).unwrap().as_ref(), NOW.parse().unwrap())
    }

    fn of_nats(certificate: Option<&Path>, authority: Option<&Path>) -> Vec<Check> {
        let nats = Nats {
            certificate_file: certificate.map(Path::to_owned),
            authority_file: authority.map(Path::to_owned),
            ..Nats::default()
        };
        check_nats(&nats, NOW.parse().unwrap())
    }

    #[test]
    fn what_ends_within_fourteen_days_is_told() {
        let cases = [
            ((2030, 1, 21), State::Well, "2030-01-21"),
            ((2030, 1, 14), State::Warning, "ends in 13 days"),
            ((2029, 12, 31), State::Problem, "ended at 2029-12-31"),
        ];
        for (day, state, said) in cases {
            let (_folder, files) = issued(day);
            let tls = of_tls(&files);
            let nats = of_nats(Some(&files.certificate), None).remove(0);
            for (check, section) in [(tls, "[tls]"), (nats, "[nats]")] {
                assert_eq!(check.state, state, "{day:?} {check:?}");
                assert!(check.found.contains(said), "{check:?}");
                let is_renewed = check.remedy.as_deref() == Some(Code::CertificateExpires.row().remedy);
                assert!(state == State::Well || (is_renewed && check.found.contains(section)), "{check:?}");
            }
            let code = of_tls(&files).code;
            assert_eq!(code.as_deref(), (state == State::Problem).then_some("CERTIFICATE_EXPIRES"));
        }
    }

    #[test]
    fn of_several_authorities_the_last_one_counts() {
        let (folder, soon) = issued((2030, 1, 14));
        let (_other, later) = issued((2030, 6, 1));
        let authority = |file: &Path| of_nats(None, Some(file)).remove(0);
        assert_eq!(authority(&soon.certificate).state, State::Warning);
        let both = folder.path().join("both.pem");
        let text = [&soon, &later].map(|files| std::fs::read_to_string(&files.certificate).unwrap()).concat();
        std::fs::write(&both, text).unwrap();
        assert_eq!(authority(&both).state, State::Well);
        // As a chain it ends with its first end.
        assert_eq!(of_nats(Some(&both), None).remove(0).state, State::Warning);
        let (_gone, ended) = issued((2029, 12, 31));
        assert_eq!(authority(&ended.certificate).state, State::Warning, "the roles still work with it");
    }

    #[test]
    fn what_is_not_set_is_not_spoken_of_and_what_cannot_be_read_is_named() {
        assert!(of_nats(None, None).is_empty());
        let (folder, files) = issued((2030, 6, 1));
        let broken = of_nats(Some(&files.key), Some(&folder.path().join("none.pem")));
        assert_eq!(broken.iter().map(|check| check.state).collect::<Vec<_>>(), [State::Problem; 2], "{broken:?}");
        for (check, setting) in broken.iter().zip(["nats.certificate_file", "nats.authority_file"]) {
            assert!(check.found.contains(setting), "{check:?}");
        }
    }
}
