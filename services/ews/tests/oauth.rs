//! Access tokens, over real sockets and real TLS.
#![expect(clippy::unwrap_used, reason = "in a test, what cannot happen may panic")]

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use mockex::{
    Application, Challenge, Fault, FaultKind, Options, Organization, Region, Running, ServerVersion, Service,
};
use postroad_core::fault::Code;
use postroad_ews::{
    Access, Class, Client, ConvertId, Credentials, Endpoint, Error, FolderRef, GetFolder, Kind, Proof, Refusal,
    TokenFailure, TokenOptions, TokenSource, TokenSources, Transport, TransportOptions,
    autodiscover::{self, Outcome},
};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use secrecy::SecretString;

const ADA: &str = "ada@contoso.example";
const CLIENT_ID: &str = "7d2f0c61-0000-4000-8000-000000000001";
const SECRET: &str = "Geheim~1+&=%";

/// An organisation with an application, and the application's access to it.
struct Stand {
    exchange: Running,
    transport: Transport,
}

// === impl Stand ===

impl Stand {
    async fn start() -> Self {
        Self::of(Challenge::Bearer, application()).await
    }

    async fn of(challenge: Challenge, application: Application) -> Self {
        let region = Region::new("europe", ServerVersion::Exchange2016, [ADA]);
        let options = Options { challenge, application: Some(application), ..Options::contoso(vec![region]) };
        let exchange = Organization::start(options).await.unwrap();
        let trust_anchors = vec![exchange.ca_pem().to_owned()];
        let connect_timeout = Duration::from_secs(5);
        let options = TransportOptions { trust_anchors, connect_timeout, ..TransportOptions::default() };
        Self { exchange, transport: Transport::new(options).unwrap() }
    }

    fn options(&self, proof: Proof) -> TokenOptions {
        TokenOptions {
            endpoint: Endpoint::parse(&self.exchange.token_url().unwrap()).unwrap(),
            client_id: CLIENT_ID.to_owned(),
            scope: "https://outlook.office365.com/.default".to_owned(),
            proof,
        }
    }

    fn client_with(&self, options: &TokenOptions) -> Client {
        self.client_for(Credentials::oauth(Arc::new(TokenSource::new(&self.transport, options).unwrap())))
    }

    fn client_for(&self, credentials: Credentials) -> Client {
        let endpoint = Endpoint::parse(&self.exchange.region_url("europe").unwrap()).unwrap();
        Client::new(&self.transport, Access::impersonating(endpoint, credentials, ADA))
    }

    fn client(&self) -> Client {
        self.client_with(&self.options(secret(SECRET)))
    }

    /// Requests for tokens, and requests to EWS.
    fn asked(&self) -> (u64, usize) {
        let ews = self.exchange.requests().iter().filter(|request| request.service == Service::Ews).count();
        (self.exchange.token_requests(), ews)
    }
}

fn application() -> Application {
    Application { secret: Some(SECRET.to_owned()), ..Application::new(CLIENT_ID) }
}

fn secret(text: &str) -> Proof {
    Proof::Secret(SecretString::from(text))
}

async fn ask(client: &Client) -> Result<(), Error> {
    let folders = client.ask(&GetFolder::one(FolderRef::INBOX)).await?;
    assert!(folders.first().is_some_and(Result::is_ok));
    Ok(())
}

/// Lets time pass for the client; sockets go on in real time.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

async fn refused(client: &Client) -> Error {
    let error = ask(client).await.unwrap_err();
    for printed in [format!("{error:?}"), error.to_string(), error.exchange().to_string(), format!("{client:?}")] {
        assert!(!printed.contains("Geheim") && !printed.contains("PRIVATE KEY"), "{printed}");
    }
    error
}

#[tokio::test]
async fn a_secret_gets_one_token_for_ews_and_autodiscover() {
    for challenge in [Challenge::Bearer, Challenge::Both] {
        let stand = Stand::of(challenge, application()).await;
        let client = stand.client();
        ask(&client).await.unwrap();
        ask(&client.for_identity(client.access().identity.clone())).await.unwrap();
        let soap = Endpoint::parse(&stand.exchange.autodiscover_url()).unwrap();
        let credentials = &client.access().credentials;
        assert_eq!(credentials.user(), CLIENT_ID);
        let service = autodiscover::Service::Soap;
        let outcome =
            autodiscover::ask(&stand.transport, service, &soap, credentials, ADA, Duration::from_secs(10)).await;
        assert!(matches!(outcome.unwrap(), Outcome::Settings(_)));
        assert_eq!(stand.asked(), (1, 2), "one token for all");
    }
}

#[tokio::test]
async fn a_certificate_proves_the_application() {
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let certificate = CertificateParams::default().self_signed(&key).unwrap().pem();
    let private_key = SecretString::from(key.serialize_pem());
    let application = Application { certificate: Some(certificate.clone()), ..Application::new(CLIENT_ID) };
    let stand = Stand::of(Challenge::Bearer, application).await;
    let client = stand.client_with(&stand.options(Proof::Certificate { certificate, private_key }));
    ask(&client).await.unwrap();
    stand.exchange.revoke_tokens();
    ask(&client).await.unwrap();
    assert_eq!(stand.exchange.token_requests(), 2, "each request has an assertion of its own");

    let other = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let certificate = CertificateParams::default().self_signed(&other).unwrap().pem();
    let private_key = SecretString::from(other.serialize_pem());
    let stranger = stand.client_with(&stand.options(Proof::Certificate { certificate, private_key }));
    assert_eq!(refused(&stranger).await.fault(), Code::ClientCredentialsRejected);
}

#[tokio::test]
async fn a_wrong_secret_is_told_and_not_tried_again_and_again() {
    let stand = Stand::start().await;
    let client = stand.client_with(&stand.options(secret("Geheim~2")));
    for _ in 0..3 {
        let error = refused(&client).await;
        assert_eq!((error.fault(), error.class()), (Code::ClientCredentialsRejected, Class::Auth));
        let Kind::Token(TokenFailure::Rejected(told)) = error.kind() else { panic!("{error}") };
        assert_eq!((told.error.as_str(), told.codes.as_slice()), ("invalid_client", &[7_000_215][..]));
        assert!(!told.description.contains("Trace ID"), "{told}");
        assert!(error.exchange().response_body.contains("Correlation ID"), "the evidence keeps the ids");
        assert!(autodiscover::is_credentials(&error));
    }
    assert_eq!(stand.asked(), (1, 0));
}

#[tokio::test]
async fn what_the_token_service_does_not_know_is_refused() {
    let stand = Stand::start().await;
    let right = stand.options(secret(SECRET));
    let elsewhere = right.endpoint.as_str().replace("contoso.example/oauth2", "fabrikam.example/oauth2");
    for wrong in [
        TokenOptions { client_id: "other".to_owned(), ..right.clone() },
        TokenOptions { scope: "https://outlook.office365.com/EWS.AccessAsUser.All".to_owned(), ..right.clone() },
        TokenOptions { endpoint: Endpoint::parse(&elsewhere).unwrap(), ..right.clone() },
    ] {
        let error = refused(&stand.client_with(&wrong)).await;
        assert_eq!(error.fault(), Code::TokenRequestRefused, "{error}");
    }
}

#[tokio::test]
async fn a_token_that_expired_or_was_revoked_is_fetched_anew_once() {
    for is_revoked in [false, true] {
        let stand = Stand::start().await;
        let client = stand.client();
        ask(&client).await.unwrap();
        if is_revoked {
            stand.exchange.revoke_tokens()
        } else {
            stand.exchange.expire_tokens()
        }
        ask(&client).await.unwrap();
        assert_eq!(stand.asked(), (2, 3), "refused once, then accepted");
        ask(&client).await.unwrap();
        assert_eq!(stand.asked(), (2, 4));
    }
}

#[tokio::test]
async fn a_token_that_is_refused_twice_is_refused() {
    let stand = Stand::start().await;
    let client = stand.client();
    ask(&client).await.unwrap();
    stand.exchange.refuse_tokens(Some(
        "2000000;reason=\"The token has an invalid signature.\";error_category=\"invalid_signature\"",
    ));
    let error = refused(&client).await;
    assert_eq!((error.fault(), error.class()), (Code::TokenRefused, Class::Auth));
    assert!(error.to_string().contains("The token has an invalid signature."), "{error}");
    assert_eq!(stand.asked(), (2, 3));
    refused(&client).await;
    assert_eq!(stand.asked(), (2, 4), "the token service is left alone for a while");
    stand.exchange.refuse_tokens(None);
    ask(&client).await.unwrap();
}

#[tokio::test]
async fn audience_and_permission_are_told_without_fetching_again() {
    let stand = Stand::start().await;
    let client = stand.client();
    for (diagnostics, refusal, row) in [
        (
            "2000003;reason=\"The audience claim value is invalid\";error_category=\"invalid_resource\"",
            Refusal::TokenRefused,
            Code::TokenRefused,
        ),
        (
            "2000008;reason=\"The token contains not enough scope to make this call.\";error_category=\"invalid_grant\"",
            Refusal::TokenPermissionMissing,
            Code::TokenPermissionMissing,
        ),
    ] {
        stand.exchange.refuse_tokens(Some(diagnostics));
        let error = refused(&client).await;
        assert!(matches!(error.kind(), Kind::Unauthorized(challenge) if challenge.refusal() == refusal));
        assert_eq!(error.fault(), row);
    }
    assert_eq!(stand.asked(), (1, 2), "a new token would be the same");
}

#[tokio::test]
async fn whoever_comes_while_a_token_is_fetched_shares_it() {
    let stand = Stand::start().await;
    let sources = TokenSources::default();
    let client = || {
        let source = sources.get(&stand.transport, &stand.options(secret(SECRET))).unwrap();
        stand.client_for(Credentials::oauth(source))
    };
    let all = |clients: Vec<Client>| async move {
        join_all(clients.iter().map(ask)).await.into_iter().collect::<Result<Vec<()>, Error>>().unwrap()
    };
    all((0..50).map(|_| client()).collect()).await;
    assert_eq!(stand.asked(), (1, 50));
    stand.exchange.revoke_tokens();
    all((0..50).map(|_| client()).collect()).await;
    assert_eq!(stand.exchange.token_requests(), 2, "and so it is when all are refused at once");
}

#[tokio::test]
async fn a_token_service_that_is_down_is_left_alone_for_a_while() {
    let stand = Stand::start().await;
    for kind in [
        FaultKind::Down,
        FaultKind::HtmlPage,
        FaultKind::HttpStatus { status: 503, retry_after: Some(7), location: None },
        FaultKind::HttpStatus { status: 404, retry_after: None, location: None },
        FaultKind::HttpStatus { status: 302, retry_after: None, location: Some("https://evil.example/".to_owned()) },
    ] {
        let client = stand.client();
        stand.exchange.set_fault(Fault::new(kind.clone()).service(Service::Token).times(1));
        let error = refused(&client).await;
        assert_eq!((error.fault(), error.is_retryable()), (Code::TokenServiceUnavailable, true), "{kind:?}: {error}");
        assert!(!error.doubts_location());
        let asked = stand.exchange.token_requests();
        refused(&client).await;
        assert_eq!(stand.exchange.token_requests(), asked, "a failure counts for a while");
        pass(Duration::from_secs(31)).await;
        ask(&client).await.unwrap();
    }
}

#[tokio::test]
async fn a_token_is_renewed_before_it_expires_and_used_until_then() {
    let stand = Stand::start().await;
    let client = stand.client();
    ask(&client).await.unwrap();
    pass(Duration::from_secs(3250)).await;
    ask(&client).await.unwrap();
    assert_eq!(stand.exchange.token_requests(), 1);

    let down = stand.exchange.set_fault(Fault::new(FaultKind::Down).service(Service::Token));
    pass(Duration::from_secs(100)).await;
    ask(&client).await.unwrap();
    ask(&client).await.unwrap();
    assert_eq!(stand.exchange.token_requests(), 2, "what is due for renewal still counts");
    pass(Duration::from_secs(300)).await;
    assert_eq!(refused(&client).await.fault(), Code::TokenServiceUnavailable);
    assert!(stand.exchange.clear_fault(down));
    pass(Duration::from_secs(31)).await;
    ask(&client).await.unwrap();
    assert_eq!(stand.exchange.token_requests(), 4);
}

#[tokio::test]
async fn a_token_that_does_not_live_is_asked_for_twice_at_most() {
    let stand = Stand::of(Challenge::Bearer, Application { token_seconds: 0, ..application() }).await;
    assert_eq!(refused(&stand.client()).await.fault(), Code::TokenRefused);
    assert_eq!(stand.asked(), (2, 2));
}

#[tokio::test]
async fn a_server_without_tokens_is_told_from_one_that_refuses_them() {
    for (challenge, row) in [
        (Challenge::Basic, Code::BearerNotOffered),
        (Challenge::WithoutBasic, Code::BearerNotOffered),
        (Challenge::Silent, Code::ChallengeMissing),
    ] {
        let stand = Stand::of(challenge, application()).await;
        assert_eq!(refused(&stand.client()).await.fault(), row, "{challenge:?}");
        assert_eq!(stand.asked(), (1, 1), "another token would not help");
    }
    let stand = Stand::start().await;
    let basic = stand.client_for(Credentials::basic("crm@contoso.example", SecretString::from("Pass-word1")));
    let error = basic.ask(&ConvertId::probe(ADA)).await.unwrap_err();
    assert_eq!(error.fault(), Code::BearerRequired);
    assert_eq!(stand.asked(), (0, 1), "a password is sent once");
}
