use axum::{Extension, Router, body::Body, routing::post};
use secrecy::ExposeSecret as _;
use tempfile::TempDir;
use tonic::codegen::http;
use tower::ServiceExt as _;

use super::*;
use crate::caller::Scope;

const GET_PROFILE: &str = "/postroad.profile.v1.ProfileService/GetProfile";
const CREATE_PROFILE: &str = "/postroad.profile.v1.ProfileService/CreateProfile";
const PROMOTE: &str = "/postroad.crm.v1.CrmService/PromoteEmail";
const HEALTH: &str = "/grpc.health.v1.Health/Check";
const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

struct Door {
    gate: Arc<Gate>,
    token: String,
    _folder: TempDir,
}

fn door() -> Door {
    let folder = tempfile::tempdir().unwrap();
    let local = TokenFile::open_or_make("access.token_file", &folder.path().join("token")).unwrap();
    let token = local.token().expose_secret().to_owned();
    let certificates = Certificates { operators: vec!["ben@contoso.example".into()], ..Certificates::default() };
    let gate = Gate { local: Some(Arc::new(local)), oidc: None, certificates, audit: Audit::new() };
    Door { gate: Arc::new(gate), token, _folder: folder }
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, value.parse().unwrap());
    }
    headers
}

fn peer(names: Names) -> Peer {
    Peer { address: ([127, 0, 0, 1], 7).into(), names: Some(Arc::new(names)) }
}

fn role(name: &str) -> Peer {
    peer(Names { dns: vec![format!("{name}.roles.postroad.internal")], ..Names::default() })
}

fn person(email: &str) -> Peer {
    peer(Names { email: vec![email.to_owned()], common: Some("Somebody".into()), ..Names::default() })
}

async fn code(door: &Door, path: &str, headers: &HeaderMap, peer: Option<&Peer>) -> Code {
    door.gate.judge(path, headers, peer).await.map(|caller| panic!("{caller:?}")).unwrap_err().report.code
}

#[tokio::test]
async fn the_local_token_opens_everything_and_says_for_whom() {
    let door = door();
    let bearer = format!("Bearer {}", door.token);
    for (said, actor) in [
        (Some("admin ada"), "admin ada"),
        (None, "local token"),
        // Whoever holds it cannot pass for somebody who proved who he is.
        (Some("ada@contoso.example (OIDC)"), "ada@contoso.example OIDC"),
    ] {
        let mut headers = headers(&[("authorization", &bearer)]);
        if let Some(said) = said {
            headers.insert(ACTOR, said.parse().unwrap());
        }
        for path in [CREATE_PROFILE, PROMOTE, REFLECTION] {
            let caller = door.gate.judge(path, &headers, None).await.map_err(|refused| refused.report).unwrap();
            assert_eq!((caller.actor().as_str(), caller.reaches_all()), (actor, true));
        }
    }
}

#[tokio::test]
async fn a_token_that_does_not_hold_is_refused_whatever_else_is_shown() {
    let door = door();
    let ben = person("ben@contoso.example");
    let (good, longest) = (format!("Bearer {}", door.token), format!("Bearer {}", "x".repeat(100_000)));
    let cut = &good[..good.len() - 1];
    for wrong in [cut, "Bearer ", "Bearer", "Basic YWRhOmFkYQ==", &door.token, "Bearer a.b.c", &longest] {
        let headers = headers(&[("authorization", wrong)]);
        assert_eq!(code(&door, GET_PROFILE, &headers, Some(&ben)).await, Code::AccessTokenRefused, "{wrong}");
    }
    let twice = headers(&[("authorization", &good), ("authorization", "Bearer other")]);
    assert_eq!(code(&door, GET_PROFILE, &twice, None).await, Code::AccessTokenRefused);
    // Whoever watches over the process may send what he likes.
    assert!(door.gate.judge(HEALTH, &headers(&[("authorization", "nonsense")]), None).await.is_ok());
}

#[tokio::test]
async fn certificates_say_roles_and_people() {
    let door = door();
    let none = HeaderMap::new();
    let said = headers(&[(ACTOR, "ada@contoso.example (OIDC)")]);
    let sync = door.gate.judge(PROMOTE, &none, Some(&role("sync"))).await.map_err(|refused| refused.report).unwrap();
    assert_eq!(sync.actor().as_str(), "role sync");
    assert_eq!(code(&door, PROMOTE, &none, Some(&role("alert"))).await, Code::AccessDenied);
    assert_eq!(code(&door, CREATE_PROFILE, &none, Some(&role("sync"))).await, Code::AccessDenied);
    // An operator, whatever he says of himself.
    let ben = person("Ben@contoso.example");
    let caller = door.gate.judge(GET_PROFILE, &said, Some(&ben)).await.map_err(|refused| refused.report).unwrap();
    assert_eq!((caller.actor().as_str(), caller.reaches_all()), ("Ben@contoso.example (certificate)", true));
    assert_eq!(code(&door, CREATE_PROFILE, &none, Some(&ben)).await, Code::AccessDenied);
    // Somebody who owns what is his.
    let cleo = person("cleo@contoso.example");
    let caller = door.gate.judge(GET_PROFILE, &none, Some(&cleo)).await.map_err(|refused| refused.report).unwrap();
    assert!(matches!(&caller.scope, Scope::Own(own) if own[0].as_str() == "cleo@contoso.example"));
    // A common name is no address and no role.
    let impostor = Names { common: Some("sync.roles.postroad.internal".into()), ..Names::default() };
    assert_eq!(code(&door, PROMOTE, &none, Some(&peer(impostor))).await, Code::AccessDenied);
}

#[tokio::test]
async fn a_certificate_counts_until_it_ends() {
    let (door, none) = (door(), HeaderMap::new());
    let ending = |name: &str, seconds| {
        let ends = Some(clock::now() + jiff::SignedDuration::from_secs(seconds));
        peer(Names { email: vec![name.to_owned()], ends, ..Names::default() })
    };
    let ben = ending("ben@contoso.example", 60);
    let caller = door.gate.judge(GET_PROFILE, &none, Some(&ben)).await.map_err(|refused| refused.report).unwrap();
    assert_eq!(caller.ends.map(|(ends, _)| ends), ben.names.unwrap().ends);
    let ended = ending("ben@contoso.example", -1);
    assert_eq!(code(&door, GET_PROFILE, &none, Some(&ended)).await, Code::CertificateExpires);
}

#[tokio::test]
async fn nobody_sees_health_and_nothing_else() {
    let door = door();
    let none = HeaderMap::new();
    assert!(door.gate.judge(HEALTH, &none, None).await.is_ok());
    for path in [GET_PROFILE, PROMOTE, REFLECTION] {
        assert_eq!(code(&door, path, &none, None).await, Code::CallerUnknown, "{path}");
    }
    for path in ["/", "/postroad.profile.v1.ProfileService/Nothing", "/postroad.profile.v1.ProfileService"] {
        assert_eq!(code(&door, path, &none, None).await, Code::CallUnknown, "{path}");
    }
}

async fn answer(gate: &Arc<Gate>, path: &str, peer: Peer) -> (Option<tonic::Code>, String) {
    let asks = async |Extension(caller): Extension<Caller>| {
        caller.reaches_all();
        "told".to_owned()
    };
    let forgets = async |Extension(_): Extension<Caller>| "told".to_owned();
    let refuses =
        async |Extension(caller): Extension<Caller>| -> Response { caller.denied("mailbox", "x").into_http() };
    let router = Router::new()
        .route("/postroad.mailbox.v1.MailboxService/GetMailbox", post(asks))
        .route("/postroad.mailbox.v1.MailboxService/ListMailboxes", post(forgets))
        .route("/postroad.mailbox.v1.MailboxService/ListTimeline", post(refuses))
        .layer(axum::middleware::from_fn_with_state(Arc::clone(gate), admit));
    let request = http::Request::post(format!("/postroad.mailbox.v1.MailboxService/{path}"));
    let response = router.oneshot(request.extension(peer).body(Body::empty()).unwrap()).await.unwrap();
    let status = grpc_status(&response);
    let body = axum::body::to_bytes(response.into_body(), 1000).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn a_handler_that_forgets_to_ask_whose_it_is_tells_owners_nothing() {
    let gate = door().gate;
    let cleo = || person("cleo@contoso.example");
    assert_eq!(answer(&gate, "GetMailbox", cleo()).await, (None, "told".to_owned()));
    assert_eq!(answer(&gate, "ListMailboxes", person("ben@contoso.example")).await, (None, "told".to_owned()));
    assert_eq!(gate.audit.total(), 0);
    let denied = (Some(tonic::Code::PermissionDenied), String::new());
    assert_eq!(answer(&gate, "ListMailboxes", cleo()).await, denied);
    // What handlers deny is audited like what the gate denies.
    assert_eq!(answer(&gate, "ListTimeline", cleo()).await, denied);
    assert_eq!(gate.audit.total(), 2);
}
