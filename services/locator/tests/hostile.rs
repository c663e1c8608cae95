//! Autodiscover over real sockets against hosts that want the service account (INV-5): no credential leaves for a host that
//! was not released, whatever is answered; and every row of AUTODISCOVER.md §9 that needs a network.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use mockex::hostile::{Act, Certificate, Part, Record, Seen, Theatre, always, answers, autodiscover};
use postroad_core::{
    autodiscover::{Entry, Failure, Found, Pattern, Service},
    fault::Code,
};
use postroad_journal::sealing::Keyring;
use postroad_locator::{
    Domain, Opener,
    discovery::{self, Ended},
};
use postroad_proto::locator::v1::{Access as WireAccess, SealedPassword};
use postroad_rig::{config::Network, wire};
use rstest::rstest;
use secrecy::SecretString;

const DOMAIN: &str = "contoso.com";
const EWS: &str = "https://mail.contoso.com/EWS/Exchange.asmx";

/// A theatre and what the profile says.
struct Play {
    theatre: Theatre,
    released: Vec<&'static str>,
    internal: bool,
    known: Domain,
    address: &'static str,
    timeout: Duration,
    by_dns: bool,
}

impl Play {
    async fn open() -> Self {
        Self {
            theatre: Theatre::open().await.unwrap(),
            released: Vec::new(),
            internal: false,
            known: Domain::default(),
            address: "ada@contoso.com",
            timeout: Duration::from_secs(10),
            by_dns: false,
        }
    }

    async fn host(&mut self, name: &str, part: Part) {
        self.theatre.host(name, Certificate::Right, part).await.unwrap();
    }

    async fn discover(&self) -> Ended {
        let pattern = |text: &&str| Pattern::parse("released_hosts", text).unwrap();
        let hosts: BTreeMap<String, SocketAddr> =
            if self.by_dns { BTreeMap::new() } else { self.theatre.addresses().clone() };
        let network = Network {
            hosts,
            resolvers: vec![self.theatre.dns()],
            released_hosts: self.released.iter().map(pattern).collect(),
            ..Network::default()
        };
        let keyring = Keyring::load([("1".to_owned(), Keyring::new_key().into())]).unwrap();
        let sealed = keyring.seal(&SecretString::from("Pass-word1")).unwrap();
        let access = WireAccess {
            user_name: "crm@contoso.com".to_owned(),
            password: Some(SealedPassword {
                key_id: sealed.key_id,
                wrapped_key: sealed.wrapped_key,
                ciphertext: sealed.ciphertext,
            }),
            impersonate: true,
            trust_anchors: vec![self.theatre.ca_pem().to_owned()],
            timeout: Some(wire::duration(self.timeout)),
            allow_internal_addresses: self.internal,
            ..WireAccess::default()
        };
        let opener = Opener::new(&network, Arc::new(keyring)).unwrap();
        let access = opener.open(self.address, Some(access)).unwrap_or_else(|_| panic!("refused"));
        discovery::discover(&access, &self.known, false, None).await
    }

    async fn failure(&self) -> Failure {
        let ended = self.discover().await;
        ended.result.map(|found| found.url).expect_err_or(&ended.transcript)
    }

    async fn code(&self) -> Code {
        self.failure().await.report.code
    }

    async fn found(&self) -> Found {
        let ended = self.discover().await;
        ended.result.unwrap_or_else(|failure| panic!("{failure:?}\n{:#?}", ended.transcript))
    }

    /// Who was shown credentials.
    fn shown_to(&self) -> Vec<String> {
        let shown = self.theatre.seen().into_iter().filter(|seen| seen.with_credentials);
        shown.map(|seen| seen.host).collect()
    }
}

trait ExpectErr {
    fn expect_err_or(self, transcript: &[Entry]) -> Failure;
}

impl ExpectErr for Result<url::Url, Failure> {
    fn expect_err_or(self, transcript: &[Entry]) -> Failure {
        match self {
            Ok(url) => panic!("{url} was found: {transcript:#?}"),
            Err(failure) => failure,
        }
    }
}

/// Where a hostile host gets its chance.
#[derive(Clone, Copy, Debug)]
enum Way {
    RootRedirect(u16),
    AutodiscoverRedirect(u16),
    Hint,
    Srv,
    SoapRedirectUrl,
    PoxRedirectUrl,
    SoapRedirectAddress,
    PoxRedirectAddress,
    RedirectOfTheQuestion,
    AfterTwoHops,
    SoapLocation,
    PoxLocation,
    Cache,
}

/// Sets the way to the host up, with everything else as it should be.
async fn lead(play: &mut Play, way: Way, host: &str) {
    let target = format!("https://{host}/autodiscover/autodiscover.xml");
    let ours = "autodiscover.contoso.com";
    let redirect = |status: u16| always(Act::redirect(status, &target));
    let service = |soap: Option<String>, pox: Option<String>| autodiscover(soap, pox);
    match way {
        Way::RootRedirect(status) => play.host(DOMAIN, redirect(status)).await,
        Way::AutodiscoverRedirect(status) => play.host(ours, redirect(status)).await,
        Way::Hint => {
            let target = target.clone();
            let part: Part = Arc::new(move |seen: &Seen| match seen.scheme {
                "http" => Act::redirect(302, &target),
                _ => Act::Close,
            });
            play.host(ours, part).await;
        }
        Way::Srv => {
            let name = host.split(':').next().unwrap().to_owned();
            play.theatre.name("_autodiscover._tcp.contoso.com", vec![vec![Record::Service(0, 0, 443, name)]]);
        }
        Way::SoapRedirectUrl => play.host(ours, service(Some(answers::soap_redirect_url(&target)), None)).await,
        Way::PoxRedirectUrl => play.host(ours, service(None, Some(answers::pox_redirect_url(&target)))).await,
        Way::SoapRedirectAddress => {
            let address = format!("ada@{}", host.split(':').next().unwrap());
            play.host(ours, service(Some(answers::soap_redirect_address(&address)), None)).await;
        }
        Way::PoxRedirectAddress => {
            let address = format!("ada@{}", host.split(':').next().unwrap());
            play.host(ours, service(None, Some(answers::pox_redirect_address(&address)))).await;
        }
        Way::RedirectOfTheQuestion => {
            let part: Part = Arc::new(move |seen: &Seen| match seen.with_credentials {
                true => Act::redirect(307, &target),
                false => Act::unauthorized(&["Basic realm=\"x\""], true),
            });
            play.host(ours, part).await;
        }
        Way::AfterTwoHops => {
            let hop = |name: &str| format!("https://{name}.contoso.com/autodiscover/autodiscover.xml");
            play.host(ours, always(Act::redirect(302, &hop("one")))).await;
            play.host("one.contoso.com", always(Act::redirect(301, &hop("two")))).await;
            play.host("two.contoso.com", redirect(302)).await;
        }
        Way::SoapLocation => {
            let location = format!("https://{host}/EWS/Exchange.asmx");
            play.host(ours, service(Some(answers::soap_settings(Some(&location), None)), None)).await;
        }
        Way::PoxLocation => {
            let location = format!("https://{host}/EWS/Exchange.asmx");
            play.host(ours, service(None, Some(answers::pox_settings(Some(&location), None)))).await;
        }
        Way::Cache => {
            let url = format!("https://{host}/autodiscover/autodiscover.svc");
            play.known = Domain { endpoint: Some((Service::Soap, url)), ..Domain::default() };
        }
    }
}

const WAYS: [Way; 17] = [
    Way::RootRedirect(301),
    Way::RootRedirect(302),
    Way::RootRedirect(307),
    Way::AutodiscoverRedirect(302),
    Way::AutodiscoverRedirect(308),
    Way::Hint,
    Way::Srv,
    Way::SoapRedirectUrl,
    Way::PoxRedirectUrl,
    Way::SoapRedirectAddress,
    Way::PoxRedirectAddress,
    Way::RedirectOfTheQuestion,
    Way::AfterTwoHops,
    Way::SoapLocation,
    Way::PoxLocation,
    Way::Cache,
    Way::AutodiscoverRedirect(301),
];

/// A perfect Autodiscover that keeps what it is shown, with a certificate that everybody trusts.
fn trap() -> Part {
    autodiscover(Some(answers::soap_settings(Some(EWS), None)), Some(answers::pox_settings(Some(EWS), None)))
}

/// 17 ways to each of these hosts: 136 cases.
#[rstest]
#[case::foreign("autodiscover.evil.example")]
#[case::look_alike("evil-contoso.com")]
#[case::as_a_prefix("contoso.com.evil.example")]
#[case::one_label_less("contoso.co")]
#[case::registered_suffix("autodiscover.com")]
#[case::registered_suffix_of_two_labels("autodiscover.co.uk")]
#[case::other_service("outlook.office365.com")]
#[case::homograph("xn--contso-yxa.com")]
#[tokio::test]
async fn no_credential_leaves_for_a_host_that_is_not_released(#[case] host: &str) {
    for way in WAYS {
        let mut play = Play::open().await;
        play.host(host, trap()).await;
        // The way of another address asks the host of its domain.
        play.host(&format!("autodiscover.{host}"), trap()).await;
        lead(&mut play, way, host).await;
        let failure = play.failure().await;
        let shown = play.shown_to();
        assert!(shown.iter().all(|name| name.ends_with("contoso.com") && !name.contains("evil")), "{way:?}: {shown:?}");
        assert_ne!(failure.report.code, Code::Internal, "{way:?}");
        assert!(!play.theatre.asked().iter().any(|name| name.ends_with("mail.contoso.com")), "{way:?}");
    }
}

/// The check can fail: a released host is shown the credentials on each of these ways.
#[tokio::test]
async fn a_released_host_is_shown_the_credentials() {
    for way in WAYS.into_iter().filter(|way| !matches!(way, Way::SoapLocation | Way::PoxLocation)) {
        let mut play = Play::open().await;
        play.released = vec!["ad.hoster.example"];
        play.host("ad.hoster.example", trap()).await;
        lead(&mut play, way, "ad.hoster.example").await;
        assert_eq!(play.found().await.url.as_str(), EWS, "{way:?}");
        assert!(play.shown_to().contains(&"ad.hoster.example".to_owned()), "{way:?}");
    }
}

/// What stands behind our own name gets credentials only as an Autodiscover service, and only over TLS that is trusted.
#[rstest]
#[case::web_site(Certificate::Right, Act::status(200), Code::AutodiscoverFailed)]
#[case::basic_without_marks(
    Certificate::Right,
    Act::unauthorized(&["Basic realm=\"x\""], false),
    Code::AutodiscoverFailed
)]
#[case::other_name(Certificate::OtherName, Act::status(200), Code::TlsNameMismatch)]
#[case::expired(Certificate::Expired, Act::status(200), Code::TlsExpired)]
#[case::stranger(Certificate::Stranger, Act::status(200), Code::TlsUntrusted)]
#[case::closes(Certificate::Right, Act::Close, Code::AutodiscoverFailed)]
#[case::bomb(Certificate::Right, Act::xml(answers::doctype_bomb()), Code::AutodiscoverFailed)]
#[case::huge(Certificate::Right, Act::Huge(2 << 20), Code::AutodiscoverFailed)]
#[case::to_http(
    Certificate::Right,
    Act::redirect(302, "http://mail.contoso.com/autodiscover/autodiscover.xml"),
    Code::AutodiscoverFailed
)]
#[case::to_itself(
    Certificate::Right,
    Act::redirect(302, "https://autodiscover.contoso.com/autodiscover/autodiscover.xml"),
    Code::AutodiscoverFailed
)]
#[case::other_port(
    Certificate::Right,
    Act::redirect(302, "https://mail.contoso.com:8443/autodiscover/autodiscover.xml"),
    Code::AutodiscoverHostRefused
)]
#[case::literal(
    Certificate::Right,
    Act::redirect(302, "https://127.0.0.1/autodiscover/autodiscover.xml"),
    Code::AutodiscoverHostRefused
)]
#[case::user_name(
    Certificate::Right,
    Act::redirect(302, "https://contoso.com@evil.example/autodiscover/autodiscover.xml"),
    Code::AutodiscoverHostRefused
)]
#[tokio::test]
async fn our_own_name_is_not_trusted_blindly(#[case] certificate: Certificate, #[case] act: Act, #[case] code: Code) {
    let mut play = Play::open().await;
    play.theatre.host("autodiscover.contoso.com", certificate, always(act)).await.unwrap();
    assert_eq!(play.code().await, code);
    assert!(play.shown_to().is_empty(), "{:?}", play.shown_to());
}

#[rstest]
#[case::slow_loris(Act::SlowLoris)]
#[case::silent(Act::Hang)]
#[tokio::test]
async fn who_holds_the_line_is_left(#[case] act: Act) {
    let mut play = Play::open().await;
    play.timeout = Duration::from_millis(300);
    play.host("autodiscover.contoso.com", always(act)).await;
    assert_eq!(play.code().await, Code::AutodiscoverFailed);
    assert!(play.shown_to().is_empty());
}

#[tokio::test]
async fn a_service_that_holds_the_line_after_it_was_shown_the_credentials_is_left() {
    let mut play = Play::open().await;
    play.timeout = Duration::from_millis(300);
    let part: Part = Arc::new(|seen: &Seen| match seen.with_credentials {
        true => Act::SlowLoris,
        false => Act::unauthorized(&["Basic realm=\"x\""], true),
    });
    play.host("autodiscover.contoso.com", part).await;
    assert_eq!(play.code().await, Code::AutodiscoverFailed);
}

/// Answers of a true service.
#[rstest]
#[case::no_such_user(answers::soap_user_error("InvalidUser"), Code::AutodiscoverUserUnknown)]
#[case::no_location(answers::soap_settings(None, None), Code::AutodiscoverUrlMissing)]
#[case::internal_only(answers::soap_settings(None, Some("https://int.contoso.com/EWS")), Code::AutodiscoverUrlMissing)]
#[case::location_on_http(answers::soap_settings(Some("http://mail.contoso.com/EWS"), None), Code::LocationNotHttps)]
#[case::moved_to_online(
    answers::soap_redirect_address("ada@contoso.mail.onmicrosoft.com"),
    Code::MailboxInExchangeOnline
)]
#[case::same_address(answers::soap_redirect_address("ADA@contoso.com"), Code::AutodiscoverRedirected)]
#[case::server_error(answers::soap_error("InternalServerError"), Code::AutodiscoverServerError)]
#[case::fewer_users(answers::soap_no_user(), Code::AutodiscoverServerError)]
#[tokio::test]
async fn what_the_soap_service_says_is_told(#[case] document: String, #[case] code: Code) {
    let mut play = Play::open().await;
    play.host("autodiscover.contoso.com", autodiscover(Some(document), None)).await;
    assert_eq!(play.code().await, code);
}

#[rstest]
#[case::unknown(answers::pox_error(500), Code::AutodiscoverUserUnknown)]
#[case::unconfigured(answers::pox_error(501), Code::AutodiscoverUserUnknown)]
#[case::misconfigured(answers::pox_error(602), Code::AutodiscoverServerError)]
#[case::failed(answers::pox_error(603), Code::AutodiscoverServerError)]
#[case::outer(answers::pox_outer_error(600), Code::AutodiscoverServerError)]
#[case::no_location(answers::pox_settings(None, None), Code::AutodiscoverUrlMissing)]
#[case::moved_to_online(
    answers::pox_redirect_address("ada@contoso.mail.onmicrosoft.com"),
    Code::MailboxInExchangeOnline
)]
#[tokio::test]
async fn what_the_pox_service_says_is_told(#[case] document: String, #[case] code: Code) {
    let mut play = Play::open().await;
    play.host("autodiscover.contoso.com", autodiscover(None, Some(document))).await;
    assert_eq!(play.code().await, code);
}

#[rstest]
#[case::soap(Some(answers::soap_settings(Some(EWS), None)), None)]
#[case::without_declaration(
    Some(answers::soap_settings(Some(EWS), None).trim_start_matches("<?xml version=\"1.0\" encoding=\"utf-8\"?>").to_owned()),
    None
)]
#[case::pox(None, Some(answers::pox_settings(Some(EWS), None)))]
#[case::old_server(None, Some(answers::pox_settings(None, Some(EWS))))]
#[tokio::test]
async fn a_service_that_works_is_believed(#[case] soap: Option<String>, #[case] pox: Option<String>) {
    let mut play = Play::open().await;
    play.host("autodiscover.contoso.com", autodiscover(soap, pox)).await;
    assert_eq!(play.found().await.url.as_str(), EWS);
}

#[tokio::test]
async fn a_ring_and_a_long_chain_of_redirects_are_left() {
    let hop = |name: &str| format!("https://{name}.contoso.com/autodiscover/autodiscover.xml");
    let mut ring = Play::open().await;
    ring.host("autodiscover.contoso.com", always(Act::redirect(302, &hop("b")))).await;
    ring.host("b.contoso.com", always(Act::redirect(302, &hop("c")))).await;
    ring.host("c.contoso.com", always(Act::redirect(302, &hop("autodiscover")))).await;
    assert_eq!(ring.code().await, Code::AutodiscoverFailed);

    let mut chain = Play::open().await;
    chain.host("autodiscover.contoso.com", always(Act::redirect(302, &hop("h1")))).await;
    for number in 1..=11 {
        let next = hop(&format!("h{}", number + 1));
        chain.host(&format!("h{number}.contoso.com"), always(Act::redirect(302, &next))).await;
    }
    assert_eq!(chain.code().await, Code::AutodiscoverFailed);
    let seen = chain.theatre.seen();
    assert!(seen.iter().any(|seen| seen.host == "h10.contoso.com"));
    assert!(seen.iter().all(|seen| seen.host != "h11.contoso.com"));
}

#[tokio::test]
async fn srv_on_another_port_and_a_dns_that_fails_lead_nowhere() {
    let play = Play::open().await;
    let target = "mail.contoso.com".to_owned();
    play.theatre.name("_autodiscover._tcp.contoso.com", vec![vec![Record::Service(0, 0, 8443, target)]]);
    assert_eq!(play.code().await, Code::AutodiscoverFailed);
    play.theatre.name("_autodiscover._tcp.contoso.com", vec![vec![Record::Failure]]);
    assert_eq!(play.code().await, Code::AutodiscoverFailed);
    assert!(play.theatre.asked().contains(&"_autodiscover._tcp.contoso.com".to_owned()));
}

#[tokio::test]
async fn a_public_suffix_is_never_touched() {
    let mut play = Play::open().await;
    play.by_dns = true;
    play.address = "user@contoso.co.uk";
    assert_eq!(play.code().await, Code::AutodiscoverFailed);
    let asked = play.theatre.asked();
    assert!(asked.contains(&"autodiscover.contoso.co.uk".to_owned()), "{asked:?}");
    assert!(asked.iter().all(|name| name.ends_with("contoso.co.uk")), "{asked:?}");
}

/// A name that leads inside is not connected to, also if it led outside a moment before.
#[tokio::test]
async fn a_name_that_leads_inside_is_refused() {
    let address = |text: &str| vec![Record::Address(text.parse().unwrap())];
    for inside in ["127.0.0.1", "10.0.0.7", "169.254.169.254", "0.0.0.0", "100.64.0.1"] {
        let mut play = Play::open().await;
        play.by_dns = true;
        play.theatre.name("autodiscover.contoso.com", vec![address(inside)]);
        assert_eq!(play.code().await, Code::AddressRefused, "{inside}");
    }
    let mut rebound = Play::open().await;
    rebound.by_dns = true;
    rebound.timeout = Duration::from_millis(300);
    // TEST-NET addresses count as unusable, so nothing is connected to in either answer.
    rebound.theatre.name("autodiscover.contoso.com", vec![address("203.0.113.7"), address("127.0.0.1")]);
    assert_eq!(rebound.code().await, Code::AddressRefused);
    let mixed = [address("127.0.0.1"), address("8.8.8.8")].concat();
    rebound.theatre.name("autodiscover.contoso.com", vec![mixed]);
    assert_eq!(rebound.code().await, Code::AddressRefused, "one bad address is enough");
}

#[tokio::test]
async fn a_host_that_wants_nothing_but_basic_any_more_is_told() {
    let mut play = Play::open().await;
    play.host("autodiscover.contoso.com", always(Act::unauthorized(&["Basic realm=\"x\""], true))).await;
    let offered = vec!["Negotiate".to_owned(), "NTLM".to_owned(), "Basic".to_owned()];
    play.known.offered = BTreeMap::from([("autodiscover.contoso.com".to_owned(), offered)]);
    assert_eq!(play.code().await, Code::AutodiscoverDowngraded);
    assert!(play.shown_to().is_empty());
}

#[tokio::test]
async fn a_dead_endpoint_in_the_cache_leads_to_the_whole_search() {
    let mut play = Play::open().await;
    play.host("old.contoso.com", always(Act::Close)).await;
    play.host(DOMAIN, trap()).await;
    let url = "https://old.contoso.com/autodiscover/autodiscover.svc".to_owned();
    play.known.endpoint = Some((Service::Soap, url));
    let ended = play.discover().await;
    assert_eq!(ended.result.unwrap().url.as_str(), EWS);
    let (_, learned) = ended.domain.endpoint.unwrap();
    assert!(learned.starts_with("https://contoso.com/"), "{learned}");
}

#[tokio::test]
async fn rejected_credentials_are_shown_to_two_hosts_at_most() {
    let mut play = Play::open().await;
    let refuse: Part = Arc::new(|_: &Seen| Act::unauthorized(&["Negotiate", "Basic realm=\"x\""], true));
    for host in [DOMAIN, "autodiscover.contoso.com", "c.contoso.com"] {
        play.host(host, Arc::clone(&refuse)).await;
    }
    let target = "c.contoso.com".to_owned();
    play.theatre.name("_autodiscover._tcp.contoso.com", vec![vec![Record::Service(0, 0, 443, target)]]);
    assert_eq!(play.code().await, Code::CredentialsRejected);
    assert_eq!(play.shown_to(), [DOMAIN, "autodiscover.contoso.com"]);
}

#[tokio::test]
async fn a_locked_account_is_not_tried_anywhere_else() {
    let mut play = Play::open().await;
    let locked: Part = Arc::new(|seen: &Seen| match seen.with_credentials {
        true => Act::status(456),
        false => Act::unauthorized(&["Basic realm=\"x\""], true),
    });
    play.host(DOMAIN, Arc::clone(&locked)).await;
    play.host("autodiscover.contoso.com", locked).await;
    assert_eq!(play.code().await, Code::AccountLocked);
    assert_eq!(play.shown_to().len(), 1);
}
