//! The way to the server, before anything is said with credentials.

use std::{net::SocketAddr, time::Duration};

use jiff::Timestamp;
use postroad_core::fault::{Code, Report};
use postroad_ews::{
    AuthenticationScheme, Endpoint, Greeting, NamesError, ReachError, Refusal, Tls, greet,
    inspection::{self, Certificate, Connected},
};

use super::{
    failed,
    step::{Ended, Failed},
};
use crate::access::Access;

/// The longest time for a connection and for its TLS.
const CONNECT: Duration = Duration::from_secs(20);
/// From so many days on, a certificate's end is worth a word.
const RENEWAL: i64 = 30;
/// Clocks that differ more than this make tokens and the order of mail doubtful.
const SKEW: i64 = 120;

/// Resolves the server's name as the synchronization does.
pub async fn resolve(access: &Access, endpoint: &Endpoint) -> Result<(Ended, Vec<SocketAddr>), Failed> {
    let (host, port) = (endpoint.host(), endpoint.port());
    let options = access.transport.options();
    if let Some(address) = options.hosts.get(host) {
        let address = SocketAddr::new(address.ip(), endpoint.url().port().unwrap_or_else(|| address.port()));
        return Ok((Ended::Passed(format!("{host} is {} (network.hosts)", address.ip())), vec![address]));
    }
    if let Some(address) = endpoint.address() {
        if !options.reach.allows(address) {
            let range = postroad_core::network::Range::of(address).name();
            return Err(silent(Code::AddressRefused, format!("{address} is {range}")));
        }
        return Ok((Ended::Passed(format!("{address} is an address itself")), vec![SocketAddr::new(address, port)]));
    }
    match access.transport.names().reachable(host, options.reach).await {
        Ok(addresses) => {
            let list: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            let sockets = addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect();
            Ok((Ended::Passed(format!("{host} is {}", list.join(", "))), sockets))
        }
        Err(ReachError::Refused(refused)) => Err(silent(Code::AddressRefused, refused.to_string())),
        Err(ReachError::Names(error @ NamesError::Missing(_))) => Err(silent(Code::DnsFailed, error.to_string())),
        Err(ReachError::Names(error)) => Err(silent(Code::DnsFailed, error.to_string())),
    }
}

/// Connects.
pub async fn connect(access: &Access, addresses: &[SocketAddr]) -> Result<(Ended, Connected), Failed> {
    match inspection::connect(addresses, access.timeout.min(CONNECT)).await {
        Ok(connected) => {
            let found = format!("{} answers", connected.address);
            let ended = match connected.failed.len() {
                0 => Ended::Passed(found),
                // Each request may meet one of them.
                count => Ended::Warning(format!("{found}, but {count} of {} addresses do not", addresses.len())),
            };
            Ok((ended, connected))
        }
        Err(unreached) => {
            let tried: Vec<String> =
                unreached.attempts.iter().map(|attempt| format!("{}: {}", attempt.address, attempt.failure)).collect();
            Err(silent(postroad_ews::Kind::Connect(unreached.failure()).fault(), tried.join("; ")))
        }
    }
}

/// Agrees on TLS with the trust of the synchronization, and looks at the certificate.
pub async fn secure(access: &Access, endpoint: &Endpoint, connected: Connected) -> Result<(Ended, ()), Failed> {
    let host = endpoint.host();
    let timeout = access.timeout.min(CONNECT);
    if access.transport.options().tls == Tls::System {
        let reached = access.transport.reach(endpoint, timeout).await.map_err(|error| failed(&error, endpoint))?;
        return Ok((Ended::Passed(format!("the system's TLS trusts {host} (HTTP {reached})")), ()));
    }
    let anchors = &access.transport.options().trust_anchors;
    match inspection::handshake(connected.stream, host, anchors, timeout).await {
        Ok(secured) => {
            let found = format!("{}, {}", secured.protocol, secured.cipher);
            let Some(leaf) = secured.certificates.first() else { return Ok((Ended::Passed(found), ())) };
            let found = format!("{found}; {}", described(leaf));
            let ended = match inspection::expires_within(leaf, postroad_rig::clock::now(), RENEWAL) {
                Some(days) => Ended::Warning(format!("the certificate expires in {days} days; {found}")),
                None => Ended::Passed(found),
            };
            Ok((ended, ()))
        }
        Err(refused) => {
            let mut told = vec![format!("{host}: {}", refused.failure)];
            if let Some(leaf) = refused.certificates.first() {
                let missing = inspection::missing_names(leaf, &[host]);
                told.extend(missing.iter().map(|name| format!("the certificate lacks the name {name}")));
                if refused.fault() == Code::TlsUntrusted && inspection::incomplete_chain(&refused.certificates) {
                    told.push("the server does not send its intermediate certificates".to_owned());
                }
                told.push(described(leaf));
            }
            let chain: Vec<String> = refused.certificates.iter().enumerate().map(chained).collect();
            Err(Failed(Report::new(refused.fault(), told.join("; ")), chain.join("\n")))
        }
    }
}

fn described(leaf: &Certificate) -> String {
    let names = if leaf.names.is_empty() { leaf.subject.clone() } else { leaf.names.join(", ") };
    let days = leaf.not_after.strftime("%Y-%m-%d");
    format!("a certificate for {names}, by {}, until {days}", leaf.issuer)
}

fn chained((number, certificate): (usize, &Certificate)) -> String {
    format!(
        "certificate {}: {}\n  issued by {}\n  for {}\n  from {} until {}\n  {} {}, signed with {}\n  SHA-256 {}",
        number + 1,
        certificate.subject,
        certificate.issuer,
        certificate.names.join(", "),
        certificate.not_before,
        certificate.not_after,
        certificate.key_algorithm,
        certificate.key_bits.map_or_else(String::new, |bits| format!("{bits} bits")),
        certificate.signature_algorithm,
        certificate.fingerprint,
    )
}

/// Looks who answers.
pub async fn look(access: &Access, endpoint: &Endpoint) -> Result<(Ended, Greeting), Failed> {
    let greeting =
        greet(&access.transport, endpoint, access.timeout).await.map_err(|error| failed(&error, endpoint))?;
    let server = greeting.server.as_deref().unwrap_or("an unnamed server");
    let found = match &greeting.front_end {
        Some(front_end) => format!("Exchange's front end {front_end} ({server})"),
        None => format!("{server}, which is not seen to be Exchange: a reverse proxy may answer"),
    };
    Ok((Ended::Passed(found), greeting))
}

/// Compares the clocks. Tokens and `process email from` go by them.
pub fn clock(greeting: &Greeting, now: Timestamp) -> Ended {
    let Some(date) = greeting.date else { return Ended::Passed("the server does not tell its time".to_owned()) };
    let skew = date.duration_since(now).as_secs();
    let way = if skew < 0 { "behind" } else { "ahead" };
    match skew.abs() {
        0..=2 => Ended::Passed("they agree".to_owned()),
        seconds @ 3..=SKEW => Ended::Passed(format!("the server's is {seconds} s {way}")),
        seconds => Ended::Warning(format!("the server's clock is {seconds} s {way}: set it, or Postroad's, right")),
    }
}

/// Looks whether the account's kind of credentials is accepted at all: a password that is refused says less.
pub fn authentication(
    scheme: AuthenticationScheme,
    greeting: &Greeting,
    endpoint: &Endpoint,
) -> Result<(Ended, ()), Failed> {
    let passed = || Ok((Ended::Passed(greeting.challenge.to_string()), ()));
    let code = match (scheme, greeting.challenge.refusal()) {
        (_, Refusal::NotExchange) => Code::ChallengeMissing,
        (AuthenticationScheme::Bearer, _) if greeting.challenge.scheme("bearer").is_some() => return passed(),
        (AuthenticationScheme::Bearer, _) => Code::BearerNotOffered,
        (AuthenticationScheme::Basic, Refusal::BasicNotOffered) => Code::BasicNotOffered,
        (AuthenticationScheme::Basic, Refusal::TokenRequired) => Code::BearerRequired,
        (AuthenticationScheme::Basic, _) => return passed(),
    };
    let detail = format!("{}: {}", endpoint.host(), greeting.challenge);
    Err(Failed(Report::new(code, detail), greeting.exchange.to_string()))
}

fn silent(code: Code, detail: String) -> Failed {
    Failed(Report::new(code, detail), String::new())
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn clocks_that_differ_are_told() {
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1);
        let clock = |seconds: i64| {
            let date = Some(now + SignedDuration::from_secs(seconds));
            let exchange = postroad_ews::Exchange::default();
            let challenge = postroad_ews::Challenge::default();
            clock(&Greeting { challenge, server: None, front_end: None, date, exchange }, now)
        };
        assert!(matches!(clock(1), Ended::Passed(text) if text == "they agree"));
        assert!(matches!(clock(-60), Ended::Passed(text) if text.contains("60 s behind")));
        assert!(matches!(clock(300), Ended::Warning(text) if text.contains("300 s ahead")));
    }
}
