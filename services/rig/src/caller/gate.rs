//! What every request passes before any handler: who calls, and whether he may.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    body::Body,
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use postroad_core::{
    EmailAddress,
    fault::{Code, Report},
};
use tonic::codegen::http::{HeaderMap, header::AUTHORIZATION};

use super::{
    ACTOR, Caller, TokenFile,
    audit::{Audit, Denied, WINDOW},
    decision::{Denial, Identity, Means, Person, decide},
    expiry::Expiring,
    oidc::Oidc,
    table, token,
};
use crate::{
    Config, Error, Role, clock,
    config::Certificates,
    peer::{Names, Peer},
    status,
};

/// The gate of a listener.
#[derive(Debug)]
pub struct Gate {
    local: Option<Arc<TokenFile>>,
    oidc: Option<Oidc>,
    certificates: Certificates,
    audit: Audit,
}

/// What is refused before it is known which call it is, or who calls.
struct Refused {
    who: String,
    report: Report,
}

impl Gate {
    /// The gate that the configuration describes, with the local token where there is one.
    ///
    /// # Errors
    /// A file that it names is not usable.
    pub fn open(config: &Config, local: Option<Arc<TokenFile>>) -> Result<Self, Error> {
        let oidc = config.access.oidc.as_ref().map(Oidc::open).transpose()?;
        Ok(Self { local, oidc, certificates: config.access.certificates.clone(), audit: Audit::new() })
    }

    /// Tells about the last denials that were held back, when nothing is served any more.
    pub fn end(&self) {
        self.audit.end();
    }

    /// Tells about denials that were held back; until shutdown.
    ///
    /// # Errors
    /// None.
    pub async fn summarize(
        self: Arc<Self>,
        shutdown: tokio_util::sync::CancellationToken,
    ) -> Result<(), std::convert::Infallible> {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = tokio::time::sleep(WINDOW) => self.audit.summarize(),
            }
        }
    }

    async fn judge(&self, path: &str, headers: &HeaderMap, peer: Option<&Peer>) -> Result<Caller, Refused> {
        let nobody = |report| Refused { who: "unknown".to_owned(), report };
        // A path that is none of ours is refused as a server without that service would.
        let rule = table::rule(path).ok_or_else(|| nobody(Report::new(Code::CallUnknown, path_of(path))))?;
        let identity =
            if rule.anyone { Identity::Nobody } else { self.identify(headers, peer).await.map_err(nobody)? };
        let actor = identity.actor();
        match decide(&identity, &rule) {
            Ok(scope) => Ok(Caller::new(actor, scope).until(identity.ends())),
            Err(Denial::Unknown) => Err(nobody(Report::new(Code::CallerUnknown, path_of(path)))),
            Err(Denial::Lacks(why)) => {
                let report = Report::new(Code::AccessDenied, format!("{}: {why}", path_of(path)));
                Err(Refused { who: actor.to_string(), report })
            }
        }
    }

    /// A token counts before a certificate: whoever shows one means to be that. One that does not hold is an error, whatever
    /// else is shown.
    async fn identify(&self, headers: &HeaderMap, peer: Option<&Peer>) -> Result<Identity, Report> {
        let said = || headers.get(ACTOR).and_then(|value| value.to_str().ok()).and_then(name);
        let mut shown = headers.get_all(AUTHORIZATION).iter();
        if let Some(first) = shown.next() {
            let refused = |why: &str| Report::new(Code::AccessTokenRefused, why);
            let text = first.to_str().map_err(|_| refused("it is not text"))?;
            let token = bearer(text).filter(|_| shown.next().is_none());
            let token = token.ok_or_else(|| refused("one token of the kind Bearer is expected"))?;
            if token.len() <= token::LONGEST && self.local.as_ref().is_some_and(|local| local.is(token)) {
                return Ok(Identity::Local(said()));
            }
            let Some(oidc) = &self.oidc else {
                return Err(refused("it is not the local token, and no issuer is configured"));
            };
            return oidc.identify(token).await.map(Identity::Person);
        }
        let Some(names) = peer.and_then(|peer| peer.names.as_deref()) else { return Ok(Identity::Nobody) };
        // Its connection is about to be cut, but a call may come just before.
        if let Some(ends) = names.ends.filter(|ends| *ends <= clock::now()) {
            return Err(Report::new(Code::CertificateExpires, format!("the caller's certificate ended at {ends}")));
        }
        let roles: Vec<Role> = Role::ALL.into_iter().filter(|role| names.is_role(*role)).collect();
        if roles.is_empty() { Ok(Identity::Person(self.certified(names))) } else { Ok(Identity::Roles(roles, said())) }
    }

    /// Whom a certificate of our authority describes.
    fn certified(&self, names: &Names) -> Person {
        let all: Vec<&str> = names.all().collect();
        let addresses: Vec<_> = names.email.iter().filter_map(|text| EmailAddress::parse("email", text).ok()).collect();
        let first = addresses.first().map(|address| address.as_str().to_owned());
        let named = || names.common.as_deref().or_else(|| all.first().copied()).and_then(name);
        Person {
            name: first.or_else(named).unwrap_or_else(|| "a certificate without a name".to_owned()),
            means: Means::Certificate,
            level: self.certificates.level(all.iter().copied()),
            addresses,
            ends: names.ends,
        }
    }

    fn audit(&self, path: &str, who: &str, report: &Report, from: Option<SocketAddr>) {
        let from = from.map_or_else(String::new, |from| from.to_string());
        let (rpc, reason) = (path_of(path), report.detail.as_str());
        self.audit.denied(&Denied { caller: who, rpc: &rpc, code: report.code, reason, from: &from });
    }
}

/// Lets a request through to its handler, or answers why not.
pub async fn admit(State(gate): State<Arc<Gate>>, mut request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let peer = request.extensions().get::<Peer>().cloned();
    let from = peer.as_ref().map(|peer| peer.address);
    let caller = match gate.judge(&path, request.headers(), peer.as_ref()).await {
        Ok(caller) => caller,
        Err(Refused { who, report }) => {
            gate.audit(&path, &who, &report, from);
            return status::failed(&report).into_http();
        }
    };
    // Nobody behind the gate has any use for it.
    request.headers_mut().remove(AUTHORIZATION);
    request.extensions_mut().insert(caller.clone());
    let response = next.run(request).await;
    let who = caller.actor().to_string();
    if caller.went_unasked() && is_well(&response) {
        let report = Report::new(Code::AccessDenied, format!("{}: whose it is was not asked", path_of(&path)));
        tracing::error!(rpc = path, "a handler does not ask whose something is; its answer is withheld");
        gate.audit(&path, &who, &report, from);
        return status::failed(&report).into_http();
    }
    if grpc_status(&response) == Some(tonic::Code::PermissionDenied) {
        gate.audit(&path, &who, &Report::new(Code::AccessDenied, "it is not the caller's"), from);
    }
    let Some((ends, code)) = caller.ends else { return response };
    let why = Report::new(code, format!("what opened the call ended at {ends}"));
    response.map(|body| Body::new(Expiring::new(body, clock::until(ends), why)))
}

/// Whether a handler has not refused.
fn is_well(response: &Response) -> bool {
    grpc_status(response).is_none_or(|code| code == tonic::Code::Ok)
}

/// The status of an answer that is nothing but a status.
fn grpc_status(response: &Response) -> Option<tonic::Code> {
    response.headers().get("grpc-status").map(|value| tonic::Code::from_bytes(value.as_bytes()))
}

fn bearer(text: &str) -> Option<&str> {
    let (kind, token) = text.split_once(' ')?;
    kind.eq_ignore_ascii_case("bearer").then(|| token.trim()).filter(|token| !token.is_empty())
}

/// A name that somebody gives, made fit for logs and the journal. Brackets are ours: they say how somebody proved who he is.
fn name(text: &str) -> Option<String> {
    let text: String = text.chars().filter(|c| !c.is_control() && !matches!(c, '(' | ')')).take(100).collect();
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// A path for people.
fn path_of(path: &str) -> String {
    path.trim_start_matches('/').chars().filter(|c| !c.is_control()).take(100).collect()
}

#[cfg(test)]
mod tests;
