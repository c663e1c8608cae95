//! The control API: plain HTTP and JSON on loopback, for tests in other languages and for people.

mod letter;
mod setting;

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::fault::{Fault, ItemFault};
use crate::options::Impersonates;
use crate::organization::State;
use crate::running::{Delivery, Move};
use letter::Letter;
use setting::{Categories, Fullness, SendAs, Setting};

const LIMIT: usize = 64 << 20;
const HELP: &str = "\
GET    /                            this text
POST   /messages?mailbox=ADDRESS    deliver the message in the body (.eml); also &folder=NAME &received=TIME &fault=JSON
POST   /messages                    the same as application/json, e.g. {\"mailbox\":ADDRESS,\"from\":ADDRESS,\"subject\":\"...\",
                                    \"text\":\"...\"}; also to, cc, html, message_id, in_reply_to, folder, received, fault
GET    /folders/ADDRESS/FOLDER      what a folder holds
PUT    /categories                  {\"mailbox\":ADDRESS,\"item_id\":ID,\"categories\":[NAME,...]}
PUT    /full                        {\"mailbox\":ADDRESS,\"full\":true}: nothing can be created in it until false
PUT    /send-as                     {\"mailbox\":ADDRESS,\"addresses\":[ADDRESS,...]}: whom its owner may send as
GET    /sent                        everything that was submitted, the newest last
GET    /faults                      the faults that are set
POST   /faults                      set a fault, e.g. {\"region\":\"europe\",\"kind\":\"down\"}; answers with its id
DELETE /faults                      remove all faults
DELETE /faults/ID                   remove one
POST   /moves                       {\"mailbox\":ADDRESS,\"region\":NAME,\"elsewhere\":CODE}
PUT    /service-password            the new password as {\"password\":...}
PUT    /impersonates                whom the service account may impersonate: \"all\", \"none\", {\"only\":[ADDRESS,...]}
DELETE /tokens                      make all access tokens issued so far unknown
PUT    /token-refusal               refuse every token: {\"diagnostics\":\"2000002;reason=...\"}, or null to accept them again
GET    /streams                     how many hanging connections and subscriptions there are
DELETE /streams                     break all hanging connections
DELETE /subscriptions               forget all subscriptions; /subscriptions/ADDRESS those of one mailbox
GET    /counters                    how much was asked
GET    /requests                    what was asked, the newest last
";

/// What a request got.
type Outcome = Result<Value, (StatusCode, String)>;

/// Accepts connections until it is dropped.
pub async fn serve(socket: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = socket.accept().await else { continue };
        let state = Arc::clone(&state);
        connections.spawn(async move {
            let handler = service_fn(|request| handle(Arc::clone(&state), request));
            if let Err(error) = http1::Builder::new().serve_connection(TokioIo::new(stream), handler).await {
                tracing::debug!(%error, "a control connection ended early");
            }
        });
    }
}

async fn handle(state: Arc<State>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = match Limited::new(body, LIMIT).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return Ok(respond(StatusCode::BAD_REQUEST, json!({ "error": error.to_string() }).to_string())),
    };
    if parts.method == Method::GET && parts.uri.path() == "/" {
        return Ok(respond(StatusCode::OK, HELP.to_owned()));
    }
    let kind = parts.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let is_json = kind.to_ascii_lowercase().starts_with("application/json");
    let path: Vec<&str> = parts.uri.path().trim_matches('/').split('/').collect();
    let query = parts.uri.query().unwrap_or_default();
    if let (&Method::POST, ["messages"], true) = (&parts.method, path.as_slice(), is_json) {
        return Ok(answer(deliver_letter(&state, &body)));
    }
    Ok(answer(route(&state, &parts.method, &path, query, body)))
}

fn answer(outcome: Outcome) -> Response<Full<Bytes>> {
    match outcome {
        Ok(value) => respond(StatusCode::OK, value.to_string()),
        Err((status, error)) => respond(status, json!({ "error": error }).to_string()),
    }
}

fn route(state: &State, method: &Method, path: &[&str], query: &str, body: Bytes) -> Outcome {
    match (method.as_str(), path) {
        ("POST", ["messages"]) => deliver(state, query, body),
        ("GET", ["folders", mailbox, folder]) => {
            let listing = state.list_folder(&decoded(mailbox), &decoded(folder)).map_err(unknown)?;
            Ok(json!(listing))
        }
        ("PUT", ["categories"]) => set::<Categories>(state, &body),
        ("PUT", ["full"]) => set::<Fullness>(state, &body),
        ("PUT", ["send-as"]) => set::<SendAs>(state, &body),
        ("GET", ["sent"]) => Ok(json!(state.transport.sent())),
        ("GET", ["faults"]) => {
            Ok(state.faults.list().into_iter().map(|(id, fault)| json!({ "id": id, "fault": fault })).collect())
        }
        ("POST", ["faults"]) => Ok(json!({ "id": state.faults.add(parsed::<Fault>(&body)?) })),
        ("DELETE", ["faults"]) => {
            state.faults.clear();
            Ok(json!({}))
        }
        ("DELETE", ["faults", id]) => match id.parse().map(|id| state.faults.remove(id)) {
            Ok(true) => Ok(json!({})),
            _ => Err((StatusCode::NOT_FOUND, format!("there is no fault {id}"))),
        },
        ("POST", ["moves"]) => {
            state.move_mailbox(&parsed::<Move>(&body)?).map_err(unknown)?;
            Ok(json!({}))
        }
        ("PUT", ["service-password"]) => {
            let value: Value = parsed(&body)?;
            let password = value.get("password").and_then(Value::as_str);
            let password =
                password.ok_or_else(|| (StatusCode::BAD_REQUEST, "a field password is missing".to_owned()))?;
            password.clone_into(&mut state.service_account().password);
            Ok(json!({}))
        }
        ("PUT", ["impersonates"]) => {
            state.service_account().impersonates = parsed::<Impersonates>(&body)?;
            Ok(json!({}))
        }
        ("DELETE", ["tokens"]) => {
            state.tokens.revoke();
            Ok(json!({}))
        }
        ("PUT", ["token-refusal"]) => {
            let value: Value = parsed(&body)?;
            state.tokens.refuse(value.get("diagnostics").and_then(Value::as_str).map(str::to_owned));
            Ok(json!({}))
        }
        ("GET", ["streams"]) => {
            let subscriptions = &state.subscriptions;
            let (count, read) = (subscriptions.count(), subscriptions.read());
            Ok(json!({ "streams": subscriptions.streams(), "subscriptions": count, "read": read }))
        }
        ("DELETE", ["streams"]) => {
            state.subscriptions.cut();
            Ok(json!({}))
        }
        ("DELETE", ["subscriptions"]) => Ok(json!({ "forgotten": state.subscriptions.forget(None) })),
        ("DELETE", ["subscriptions", mailbox]) => {
            Ok(json!({ "forgotten": state.subscriptions.forget(Some(&decoded(mailbox))) }))
        }
        ("GET", ["counters"]) => Ok(json!(state.ledger.counters())),
        ("GET", ["requests"]) => Ok(json!(state.ledger.requests())),
        _ => Err((StatusCode::NOT_FOUND, "no such resource; GET / lists them".to_owned())),
    }
}

fn set<T: Setting + serde::de::DeserializeOwned>(state: &State, body: &[u8]) -> Outcome {
    parsed::<T>(body)?.apply(state).map_err(unknown)?;
    Ok(json!({}))
}

fn deliver(state: &State, query: &str, body: Bytes) -> Outcome {
    let parameter = |name: &str| {
        query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| decoded(value))
    };
    let missing = || (StatusCode::BAD_REQUEST, "the parameter mailbox is missing".to_owned());
    let fault = match parameter("fault") {
        Some(text) => Some(parsed::<ItemFault>(text.as_bytes())?),
        None => None,
    };
    let received = match parameter("received") {
        Some(text) => Some(text.parse().map_err(|error: jiff::Error| (StatusCode::BAD_REQUEST, error.to_string()))?),
        None => None,
    };
    let mailbox = parameter("mailbox").ok_or_else(missing)?;
    let delivery = Delivery { mailbox, mime: body, received, folder: parameter("folder"), fault };
    Ok(json!(state.deliver(delivery).map_err(unknown)?))
}

fn deliver_letter(state: &State, body: &[u8]) -> Outcome {
    let letter: Letter = parsed(body)?;
    Ok(json!(state.deliver(letter.into_delivery(Timestamp::now())).map_err(unknown)?))
}

fn parsed<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, (StatusCode, String)> {
    serde_json::from_slice(body).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))
}

fn unknown(error: crate::running::Error) -> (StatusCode, String) {
    (StatusCode::NOT_FOUND, error.to_string())
}

/// Percent-decoding; what is no escape stays.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escape = after.get(..2).filter(|_| *first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        match escape.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(if *first == b'+' { b' ' } else { *first });
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn respond(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::decoded;

    #[test]
    fn escapes_are_decoded_and_the_rest_is_kept() {
        assert_eq!(decoded("ana%40contoso.example"), "ana@contoso.example");
        assert_eq!(decoded("100%25+x%zz%4"), "100% x%zz%4");
    }
}
