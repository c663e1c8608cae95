//! What a connection test says of each cause: produced by mockex over real sockets, told with its row of the fault table.
//! The causes are those of the setup guide's troubleshooting table and of spec §7.5's transport and authentication rows.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod bench;

use bench::{ADA, Bench, Tested};
use mockex::{BusyForm, Challenge, Fault, FaultKind, Impersonates, Options, Region, ServerVersion};
use postroad_core::fault::Code;
use rstest::rstest;

fn organization() -> Options {
    Options::contoso(vec![Region::new("europe", ServerVersion::Exchange2016, [ADA])])
}

/// The fault is told at this step, with the row's remedy, and what comes after it is not attempted.
fn told(tested: &Tested, step: &str, code: Code) {
    assert_eq!((tested.failed_step.as_str(), tested.code()), (step, Some(code)), "{:?}", tested.outcome.incoming);
    let row = code.row();
    assert!(!row.cause.is_empty() && !row.remedy.is_empty());
    let after = tested.steps.iter().skip_while(|(name, _)| name != step).skip(1);
    assert!(after.clone().all(|(_, ended)| *ended == "not attempted"), "{:?}", tested.steps);
    assert!(after.count() > 0, "{:?}", tested.steps);
}

#[tokio::test]
async fn what_works_is_told_step_by_step() {
    let bench = Bench::open(organization()).await;
    let tested = bench.test().await;
    assert_eq!(tested.code(), None, "{tested:?}");
    let names: Vec<&str> = tested.steps.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "location",
            "dns",
            "tcp",
            "tls",
            "http",
            "clock",
            "authentication",
            "credentials",
            "version",
            "throttling",
            "impersonation",
            "inbox",
            "rights"
        ]
    );
    assert!(tested.steps.iter().all(|(_, ended)| *ended == "passed"), "{tested:?}");
    assert!(bench.exchange.list_folder(ADA, "inbox").unwrap().items.is_empty(), "nothing is left in the mailbox");
}

/// Setup guide, Troubleshooting: "WWW-Authenticate" in the failure details.
#[rstest]
#[case(Challenge::WithoutBasic, Code::BasicNotOffered)]
#[case(Challenge::Silent, Code::ChallengeMissing)]
#[tokio::test]
async fn authentication_that_is_not_offered(#[case] challenge: Challenge, #[case] code: Code) {
    let bench = Bench::open(Options { challenge, ..organization() }).await;
    let tested = bench.test().await;
    told(&tested, "authentication", code);
    assert!(tested.evidence.contains("401"), "{}", tested.evidence);
    assert!(bench.exchange.requests().iter().all(|request| !request.with_credentials), "no password was sent");
}

#[tokio::test]
async fn a_wrong_password_is_told_and_is_not_in_the_evidence() {
    let bench = Bench::open(organization()).await;
    let tested = bench.with_password("Wr0ng-password").test().await;
    told(&tested, "credentials", Code::CredentialsRejected);
    assert!(tested.evidence.contains("authorization: [hidden]"), "{}", tested.evidence);
    assert!(!format!("{tested:?}").contains("Wr0ng"), "{tested:?}");
}

#[rstest]
#[case::forbidden(403, "http", Code::HttpForbidden)]
#[case::not_published(404, "http", Code::HttpNotFound)]
#[case::unavailable(503, "http", Code::HttpUnavailable)]
#[case::gateway(502, "http", Code::HttpUnavailable)]
#[case::failed(500, "http", Code::HttpServerError)]
#[case::log_on_page(440, "http", Code::NotExchange)]
#[tokio::test]
async fn statuses_of_the_publishing_in_front(#[case] status: u16, #[case] step: &str, #[case] code: Code) {
    let bench = Bench::open(organization()).await;
    bench.exchange.set_fault(Fault::new(FaultKind::HttpStatus { status, retry_after: None, location: None }));
    told(&bench.test().await, step, code);
}

#[tokio::test]
async fn a_page_to_log_on_in_front_of_exchange() {
    let bench = Bench::open(organization()).await;
    let location = Some("https://mail.contoso.example/CookieAuth.dll?GetLogon".to_owned());
    bench.exchange.set_fault(Fault::new(FaultKind::HttpStatus { status: 302, retry_after: None, location }));
    told(&bench.test().await, "http", Code::HttpRedirected);
    bench.exchange.clear_faults();
    bench.exchange.set_fault(Fault::new(FaultKind::HtmlPage));
    told(&bench.test().await, "http", Code::NotExchange);
}

#[rstest]
#[case::locked(456, Code::AccountLocked)]
#[case::forbidden(403, Code::HttpForbidden)]
#[tokio::test]
async fn statuses_that_answer_the_credentials(#[case] status: u16, #[case] code: Code) {
    let bench = Bench::open(organization()).await;
    let kind = FaultKind::HttpStatus { status, retry_after: None, location: None };
    bench.exchange.set_fault(Fault::new(kind).operation("ConvertId"));
    told(&bench.test().await, "credentials", code);
}

#[rstest]
#[case("ErrorNonExistentMailbox", Code::MailboxNotFound)]
#[case("ErrorMailboxStoreUnavailable", Code::StoreUnavailable)]
#[case("ErrorInternalServerTransientError", Code::ExchangeTransient)]
#[case("ErrorExceededConnectionCount", Code::ConnectionsExceeded)]
#[case("ErrorAccountDisabled", Code::AccountDisabled)]
#[case("ErrorPasswordExpired", Code::PasswordExpired)]
#[case("ErrorQuotaExceeded", Code::QuotaExceeded)]
#[case("ErrorAccessDenied", Code::MailboxAccessDenied)]
#[case("ErrorNonPrimarySmtpAddress", Code::AddressNotPrimary)]
#[case("ErrorCrossSiteRequest", Code::MailboxMoving)]
#[case("ErrorInvalidServerVersion", Code::VersionRefused)]
#[tokio::test]
async fn exchanges_own_codes(#[case] name: &str, #[case] code: Code) {
    let bench = Bench::open(organization()).await;
    bench.exchange.set_fault(Fault::new(FaultKind::SoapFault { code: name.to_owned() }).operation("GetFolder"));
    told(&bench.test().await, "inbox", code);
}

#[tokio::test]
async fn a_licence_that_is_missing_hides_in_an_internal_error() {
    let bench = Bench::open(organization()).await;
    let kind = FaultKind::InnerError { code: "ErrorInvalidLicense".to_owned() };
    bench.exchange.set_fault(Fault::new(kind).operation("GetFolder"));
    told(&bench.test().await, "inbox", Code::MailboxWithoutLicense);
}

#[rstest]
#[case(BusyForm::FaultTypes)]
#[case(BusyForm::FaultErrors)]
#[case(BusyForm::Response)]
#[case(BusyForm::Inner)]
#[tokio::test]
async fn throttling_in_every_form(#[case] form: BusyForm) {
    let bench = Bench::open(organization()).await;
    let kind = FaultKind::Busy { back_off_milliseconds: 0, form };
    bench.exchange.set_fault(Fault::new(kind).operation("GetFolder"));
    told(&bench.test().await, "inbox", Code::ServerBusy);
}

#[tokio::test]
async fn impersonation_that_is_not_granted() {
    let bench = Bench::open(organization()).await;
    bench.exchange.set_impersonates(Impersonates::None);
    told(&bench.test().await, "impersonation", Code::ImpersonationDenied);
}

#[tokio::test]
async fn an_authority_that_is_not_trusted_shows_its_chain() {
    let bench = Bench::open(organization()).await;
    let tested = bench.without_anchors().test().await;
    told(&tested, "tls", Code::TlsUntrusted);
    assert!(tested.evidence.contains("certificate 1:") && tested.evidence.contains("SHA-256"), "{}", tested.evidence);
    assert_eq!(bench.exchange.counters().requests, 0, "nothing was said to the stranger");
}

#[tokio::test]
async fn the_name_that_a_certificate_lacks_is_named() {
    let bench = Bench::open(organization()).await;
    let tested = bench.at("https://other.contoso.example/EWS/Exchange.asmx").test().await;
    told(&tested, "tls", Code::TlsNameMismatch);
    let detail = tested.outcome.incoming.unwrap().detail;
    assert!(detail.contains("lacks the name other.contoso.example"), "{detail}");
    assert!(detail.contains("mail.contoso.example"), "{detail}");
}

#[tokio::test]
async fn ways_that_do_not_lead_to_a_server() {
    let bench = Bench::open(organization()).await;
    let missing = bench.at("https://no-such-host.invalid/EWS/Exchange.asmx").test().await;
    told(&missing, "dns", Code::DnsFailed);
    let closed = bench.at("https://127.0.0.1:1/EWS/Exchange.asmx").test().await;
    told(&closed, "tcp", Code::ConnectRefused);
    let metadata = bench.at("https://169.254.169.254/EWS/Exchange.asmx").test().await;
    told(&metadata, "dns", Code::AddressRefused);
}

#[tokio::test]
async fn a_server_that_drops_or_is_silent() {
    let bench = Bench::open(organization()).await;
    bench.exchange.set_fault(Fault::new(FaultKind::Down).region("europe"));
    told(&bench.test().await, "tls", Code::TlsHandshake);
    bench.exchange.clear_faults();
    bench.exchange.set_fault(Fault::new(FaultKind::Slow { milliseconds: 60_000 }).operation("GetFolder"));
    told(&bench.impatient().test().await, "inbox", Code::ResponseTimeout);
}

#[tokio::test]
async fn an_old_server_warns_of_its_connections_and_passes() {
    let old = Options::contoso(vec![Region::new("europe", ServerVersion::Exchange2010Sp3, [ADA])]);
    let tested = Bench::open(old).await.test().await;
    assert_eq!(tested.code(), None, "{tested:?}");
    assert!(tested.steps.contains(&("throttling".to_owned(), "warning")), "{:?}", tested.steps);
}

/// Setup guide, Troubleshooting: Autodiscover is in use, and some Exchange servers are not accessible.
#[tokio::test]
async fn autodiscover_leads_to_a_server_that_cannot_be_reached() {
    let bench = Bench::open(organization()).await;
    bench.exchange.set_fault(Fault::new(FaultKind::Down).region("europe"));
    let tested = bench.autodiscovered().test().await;
    told(&tested, "tls", Code::TlsHandshake);
    assert!(tested.outcome.incoming.unwrap().detail.contains("mail.contoso.example"));
}

#[tokio::test]
async fn basic_switched_off_for_autodiscover_is_told() {
    let bench = Bench::open(Options { challenge: Challenge::WithoutBasic, ..organization() }).await;
    told(&bench.autodiscovered().test().await, "location", Code::BasicNotOffered);
}
