//! Every row of AUTODISCOVER.md §9 that needs no network, and properties over random answers.

use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::autodiscover::{Pattern, ServiceRecord};

const ADA: &str = "ada@contoso.com";
const EWS: &str = "https://mail.contoso.com/EWS/Exchange.asmx";
const INSTANT: Duration = Duration::from_millis(1);

struct Played {
    questions: Vec<String>,
    result: Result<Found, Failure>,
    transcript: Vec<Entry>,
}

impl Played {
    fn code(&self) -> Code {
        self.result.as_ref().unwrap_err().report.code
    }

    fn wants(&self) -> Option<&str> {
        self.result.as_ref().unwrap_err().wants.as_deref()
    }

    fn asked(&self) -> Vec<&str> {
        self.questions.iter().filter(|question| question.starts_with("POST")).map(String::as_str).collect()
    }
}

fn rules() -> Rules {
    Rules { release: Release { domains: vec!["contoso.com".to_owned()], ..Release::default() }, ..Rules::default() }
}

fn released(patterns: &[&str]) -> Rules {
    let mut rules = rules();
    rules.release.patterns = patterns.iter().map(|text| Pattern::parse("released_hosts", text).unwrap()).collect();
    rules
}

/// Plays a discovery; `world` answers, `None` is a name that does not exist.
fn play(address: &str, rules: Rules, mut world: impl FnMut(&str) -> Option<Answer>) -> Played {
    let release = rules.release.clone();
    let (mut discovery, mut step) = Discovery::begin(&EmailAddress::trusted(address), rules);
    let mut questions = Vec::new();
    loop {
        match step {
            Step::Done(result) => {
                return Played { questions, result, transcript: discovery.transcript().to_vec() };
            }
            Step::Ask(question, _) => {
                if let Question::Ask { url, .. } = &question {
                    assert_eq!(release.check(url), Ok(()), "INV-5: {question}");
                }
                let text = question.to_string();
                let answer = world(&text).unwrap_or_else(|| Answer::Unanswered(Report::new(Code::DnsFailed, "")));
                questions.push(text);
                assert!(questions.len() < 100, "it does not end: {questions:#?}");
                step = discovery.answer(answer, INSTANT);
            }
        }
    }
}

fn recognised() -> Answer {
    Answer::Recognised(vec!["Negotiate".to_owned(), "Basic".to_owned()])
}

fn settings(url: &str) -> Answer {
    Answer::Settings(Settings { external: Some(url.to_owned()), ..Settings::default() })
}

fn redirect(location: &str) -> Answer {
    Answer::Redirect { status: 302, location: location.to_owned() }
}

fn rejected() -> Answer {
    Answer::Rejected(Report::new(Code::CredentialsRejected, "401"))
}

/// A world in which autodiscover.contoso.com is a service and says this; the domain itself is a web site.
fn service(said: impl Fn(&str) -> Answer) -> impl FnMut(&str) -> Option<Answer> {
    move |question| {
        Some(match question {
            "GET https://contoso.com/autodiscover/autodiscover.xml without credentials" => Answer::Status(404),
            "GET https://autodiscover.contoso.com/autodiscover/autodiscover.xml without credentials" => recognised(),
            _ if question.starts_with("POST") => said(question),
            _ => return None,
        })
    }
}

/// Only the probe of autodiscover.contoso.com has this answer.
fn only(answer: Answer) -> impl FnMut(&str) -> Option<Answer> {
    move |question| {
        let is = question.starts_with("GET https://autodiscover.contoso.com/");
        is.then(|| answer.clone())
    }
}

#[test]
fn candidates_come_in_the_documented_order_and_from_the_full_domain_only() {
    let played = play("ada@mail.contoso.co.uk", rules(), |_| None);
    assert_eq!(
        played.questions,
        [
            "GET https://mail.contoso.co.uk/autodiscover/autodiscover.xml without credentials",
            "GET https://autodiscover.mail.contoso.co.uk/autodiscover/autodiscover.xml without credentials",
            "GET http://autodiscover.mail.contoso.co.uk/autodiscover/autodiscover.xml without credentials",
            "DNS SRV _autodiscover._tcp.mail.contoso.co.uk",
        ]
    );
    assert_eq!(played.code(), Code::AutodiscoverFailed);
    assert_eq!(played.transcript.len(), 4);
}

#[test]
fn soap_is_asked_before_pox_and_the_external_location_is_taken() {
    let played = play(
        ADA,
        rules(),
        service(|question| match question.contains("SOAP") {
            true => Answer::Status(404),
            false => settings(EWS),
        }),
    );
    assert_eq!(played.result.as_ref().unwrap().url.as_str(), EWS);
    assert_eq!(played.result.as_ref().unwrap().service, Service::Pox);
    assert_eq!(played.asked().len(), 2);
    assert!(played.asked()[0].contains("autodiscover.svc (SOAP)"));
    assert_eq!(played.transcript.last().unwrap().verdict, Verdict::Taken);
}

#[rstest]
#[case("ada@localhost")]
#[case("ada@10.0.0.1")]
#[case("ada@co.uk")]
#[case("ada@com")]
#[case("ada@con toso.com")]
#[case("ada")]
fn what_is_no_domain_of_an_organisation_is_not_asked(#[case] address: &str) {
    let played = play(address, rules(), |_| panic!("asked"));
    assert_eq!(played.code(), Code::AddressInvalid);
    assert_eq!(played.transcript.len(), 1);
}

#[test]
fn a_two_label_public_suffix_is_never_touched() {
    let played = play("user@contoso.co.uk", rules(), |_| None);
    assert!(played.questions.iter().all(|question| !question.contains("//autodiscover.co.uk")));
}

#[rstest]
#[case::page(Answer::Status(200))]
#[case::wrong_certificate(Answer::Unanswered(Report::new(Code::TlsNameMismatch, "")))]
#[case::redirect_to_the_web_site(redirect("https://www.contoso.com/"))]
#[case::redirect_to_a_foreign_site(redirect("https://brand.example/autodiscover/autodiscover.xml"))]
#[case::service_unavailable(Answer::Busy("503".to_owned()))]
fn a_root_domain_that_is_a_web_site_does_not_stop_the_search(#[case] root: Answer) {
    let mut world = service(|_| settings(EWS));
    let played = play(ADA, rules(), move |question| {
        if question.starts_with("GET https://contoso.com/") { Some(root.clone()) } else { world(question) }
    });
    assert!(played.result.is_ok(), "{:?}", played.transcript);
}

#[test]
fn a_wrong_certificate_of_the_autodiscover_host_is_the_cause_to_name() {
    let played =
        play(ADA, rules(), only(Answer::Unanswered(Report::new(Code::TlsNameMismatch, "for www.contoso.com"))));
    assert_eq!(played.code(), Code::TlsNameMismatch);
    assert!(played.result.unwrap_err().report.detail.contains("for www.contoso.com"));
}

#[test]
fn a_redirect_to_a_released_host_is_followed_and_probed_first() {
    let mut hoster = released(&["*.hoster.example"]);
    hoster.luck = 1;
    let played = play(ADA, hoster, |question| {
        Some(match question {
            "GET https://contoso.com/autodiscover/autodiscover.xml without credentials" => {
                redirect("https://ad.hoster.example/autodiscover/autodiscover.xml")
            }
            "GET https://ad.hoster.example/autodiscover/autodiscover.xml without credentials" => recognised(),
            "POST https://ad.hoster.example/autodiscover/autodiscover.svc (SOAP) for ada@contoso.com" => {
                settings("https://mail.hoster.example/EWS/Exchange.asmx")
            }
            _ => return None,
        })
    });
    assert!(played.result.is_ok(), "{:?}", played.transcript);
}

#[rstest]
#[case::foreign("https://autodiscover.evil.example/autodiscover/autodiscover.xml", Some("autodiscover.evil.example"))]
#[case::look_alike("https://evil-contoso.com/autodiscover/autodiscover.xml", Some("evil-contoso.com"))]
#[case::port("https://mail.contoso.com:8443/autodiscover/autodiscover.xml", Some("mail.contoso.com:8443"))]
#[case::suffix("https://autodiscover.com/autodiscover/autodiscover.xml", None)]
#[case::literal("https://127.0.0.1/autodiscover/autodiscover.xml", None)]
fn a_redirect_to_a_host_that_is_not_released_says_what_it_wants(#[case] target: &str, #[case] wants: Option<&str>) {
    let played = play(ADA, rules(), only(redirect(target)));
    assert_eq!((played.code(), played.wants()), (Code::AutodiscoverHostRefused, wants));
    assert!(played.questions.iter().all(|question| !question.contains(target)));
}

#[rstest]
#[case::to_http("http://mail.contoso.com/autodiscover/autodiscover.xml")]
#[case::to_itself("https://autodiscover.contoso.com/autodiscover/autodiscover.xml")]
#[case::to_itself_as_soap("https://AUTODISCOVER.contoso.com/Autodiscover/Autodiscover.svc")]
#[case::to_a_page("https://mail.contoso.com/owa/")]
#[case::to_nothing("")]
#[case::to_no_url("https://:x")]
fn a_redirect_that_leads_nowhere_drops_the_candidate(#[case] target: &str) {
    let played = play(ADA, rules(), only(redirect(target)));
    assert_eq!(played.code(), Code::AutodiscoverFailed);
    assert_eq!(played.questions.len(), 4);
}

#[test]
fn a_ring_of_three_is_left() {
    let played = play(ADA, rules(), |question| {
        let next = match question.split(['/', '.']).nth(2).unwrap_or_default() {
            "contoso" => "b",
            "b" => "c",
            "c" => "b",
            _ => return None,
        };
        Some(redirect(&format!("https://{next}.contoso.com/autodiscover/autodiscover.xml")))
    });
    assert_eq!(played.code(), Code::AutodiscoverFailed);
    assert_eq!(played.questions.iter().filter(|question| question.contains("//b.")).count(), 1);
    assert!(played.transcript.iter().any(|entry| entry.reason.contains("loop")));
}

#[test]
fn the_eleventh_redirect_is_not_followed() {
    let mut hops = 0;
    let played = play(ADA, rules(), |question| {
        question.starts_with("GET https://").then(|| {
            hops += 1;
            redirect(&format!("https://h{hops}.contoso.com/autodiscover/autodiscover.xml"))
        })
    });
    assert!(played.questions.iter().any(|question| question.contains("//h10.")));
    assert!(played.questions.iter().all(|question| !question.contains("//h11.")));
    assert!(played.transcript.iter().any(|entry| entry.reason.contains("more than 10 redirects")));
}

#[test]
fn the_hint_over_http_is_probed_and_gets_nothing_itself() {
    let hint = |location: &'static str| {
        play(ADA, released(&["ad.hoster.example"]), move |question| {
            Some(match question {
                "GET http://autodiscover.contoso.com/autodiscover/autodiscover.xml without credentials" => {
                    redirect(location)
                }
                "GET https://ad.hoster.example/autodiscover/autodiscover.xml without credentials" => recognised(),
                _ if question.starts_with("POST https://ad.hoster.example") => settings(EWS),
                _ => return None,
            })
        })
    };
    assert!(hint("https://ad.hoster.example/autodiscover/autodiscover.xml").result.is_ok());
    let stolen = hint("https://autodiscover.evil.example/autodiscover/autodiscover.xml");
    assert_eq!((stolen.code(), stolen.wants()), (Code::AutodiscoverHostRefused, Some("autodiscover.evil.example")));
    let plain = play(ADA, rules(), |question| question.starts_with("GET http://").then(recognised));
    assert!(plain.asked().is_empty());
}

fn record(priority: u16, weight: u16, port: u16, target: &str) -> ServiceRecord {
    ServiceRecord { priority, weight, port, target: target.to_owned() }
}

fn records(records: Vec<ServiceRecord>, patterns: &[&str]) -> Played {
    play(ADA, released(patterns), move |question| {
        question.starts_with("DNS SRV").then(|| Answer::Records(records.clone()))
    })
}

#[test]
fn srv_takes_the_lowest_priority_then_the_highest_weight() {
    let played = records(
        vec![
            record(20, 99, 443, "d.contoso.com"),
            record(10, 5, 443, "c.contoso.com."),
            record(0, 0, 443, "a.contoso.com"),
            record(10, 50, 443, "B.contoso.com"),
        ],
        &[],
    );
    let probed: Vec<_> = played.questions.iter().skip(4).map(|question| &question[12..13]).collect();
    assert_eq!(probed, ["a", "b", "c", "d"]);
}

#[test]
fn srv_leads_to_released_hosts_on_port_443_only() {
    let other_port = records(vec![record(0, 0, 8443, "mail.contoso.com")], &[]);
    assert_eq!((other_port.code(), other_port.questions.len()), (Code::AutodiscoverFailed, 4));
    let foreign = records(vec![record(0, 0, 443, "mail.hoster.example")], &[]);
    assert_eq!((foreign.code(), foreign.wants()), (Code::AutodiscoverHostRefused, Some("mail.hoster.example")));
    let approved = records(vec![record(0, 0, 443, "mail.hoster.example")], &["mail.hoster.example"]);
    assert_eq!(approved.questions.len(), 5);
}

#[rstest]
#[case::foreign("https://mail.evil.example/EWS/Exchange.asmx", Code::AutodiscoverHostRefused)]
#[case::http("http://mail.contoso.com/EWS/Exchange.asmx", Code::LocationNotHttps)]
#[case::no_url("mail.contoso.com", Code::LocationInvalid)]
#[case::user_name("https://a@mail.contoso.com/EWS/Exchange.asmx", Code::AutodiscoverHostRefused)]
#[case::online("https://outlook.office365.com/EWS/Exchange.asmx", Code::MailboxInExchangeOnline)]
fn a_location_must_be_released_too(#[case] location: &'static str, #[case] code: Code) {
    let played = play(ADA, rules(), service(move |_| settings(location)));
    assert_eq!(played.code(), code);
    assert_eq!(played.transcript.last().unwrap().verdict, Verdict::Stopped);
}

#[test]
fn without_an_external_location_the_partner_is_taken_and_the_internal_one_only_if_allowed() {
    let internal = Settings { internal: Some("https://int.contoso.com/EWS".to_owned()), ..Settings::default() };
    let partner = Settings { partner: Some("https://p.contoso.com/EWS".to_owned()), ..internal.clone() };
    let ask = |settings: &Settings, inside| {
        let settings = settings.clone();
        let mut rules = rules();
        rules.release.internal = inside;
        play(ADA, rules, service(move |_| Answer::Settings(settings.clone())))
    };
    let missing = ask(&internal, false);
    assert_eq!(missing.code(), Code::AutodiscoverUrlMissing);
    assert!(missing.result.unwrap_err().report.detail.contains("https://int.contoso.com/EWS"));
    assert_eq!(ask(&internal, true).result.unwrap().url.host_str(), Some("int.contoso.com"));
    assert_eq!(ask(&partner, true).result.unwrap().url.host_str(), Some("p.contoso.com"));
}

#[test]
fn a_mailbox_in_exchange_online_ends_the_search() {
    let played =
        play(ADA, rules(), service(|_| Answer::RedirectAddress("ada@contoso.mail.onmicrosoft.com".to_owned())));
    assert_eq!(played.code(), Code::MailboxInExchangeOnline);
    assert_eq!(played.asked().len(), 1);
}

#[test]
fn an_online_profile_finds_its_mailbox_through_the_hint_and_shows_the_domain_nothing() {
    let mut online = rules();
    online.release.online = true;
    let played = play(ADA, online, |question| {
        Some(match question {
            _ if question.starts_with("GET https://contoso.com") => recognised(),
            _ if question.starts_with("GET http://") => {
                redirect("https://autodiscover-s.outlook.com/autodiscover/autodiscover.xml")
            }
            _ if question.starts_with("GET https://autodiscover-s.outlook.com") => recognised(),
            _ if question.starts_with("POST https://autodiscover-s.outlook.com") => {
                settings("https://outlook.office365.com/EWS/Exchange.asmx")
            }
            _ => return None,
        })
    });
    assert_eq!(played.result.as_ref().unwrap().url.host_str(), Some("outlook.office365.com"));
    assert_eq!(played.asked().len(), 1);
}

#[test]
fn another_address_is_asked_about_from_the_beginning() {
    let mut other = rules();
    other.release.domains.push("fabrikam.com".to_owned());
    let played = play(ADA, other, |question| {
        Some(match question {
            _ if question.contains("ada@fabrikam.com") => settings("https://mail.fabrikam.com/EWS/Exchange.asmx"),
            _ if question.starts_with("POST") => Answer::RedirectAddress("ada@fabrikam.com".to_owned()),
            _ if question.starts_with("GET https://contoso.com") => recognised(),
            _ if question.starts_with("GET https://fabrikam.com") => recognised(),
            _ => return None,
        })
    });
    assert_eq!(played.result.unwrap().address, "ada@fabrikam.com");
}

#[test]
fn another_address_of_a_foreign_domain_is_probed_but_never_told_the_password() {
    let played = play(ADA, rules(), |question| {
        Some(match question {
            _ if question.starts_with("POST") => Answer::RedirectAddress("ada@fabrikam.com".to_owned()),
            _ if question.starts_with("GET https://") => recognised(),
            _ => return None,
        })
    });
    assert_eq!((played.code(), played.wants()), (Code::AutodiscoverHostRefused, Some("fabrikam.com")));
    assert_eq!(played.asked().len(), 1);
}

#[rstest]
#[case::same("ada@contoso.com")]
#[case::same_in_capitals("ADA@Contoso.com")]
#[case::none("nobody")]
fn an_address_that_leads_back_is_dropped(#[case] target: &'static str) {
    let played = play(ADA, rules(), service(move |_| Answer::RedirectAddress(target.to_owned())));
    assert_eq!(played.code(), Code::AutodiscoverRedirected);
}

#[test]
fn a_ring_of_addresses_is_left() {
    let played = play(ADA, rules(), |question| {
        Some(match question {
            _ if question.contains("for ada@") => Answer::RedirectAddress("bob@contoso.com".to_owned()),
            _ if question.contains("for bob@") => Answer::RedirectAddress("ada@contoso.com".to_owned()),
            _ if question.starts_with("GET https://") => recognised(),
            _ => return None,
        })
    });
    assert_eq!(played.code(), Code::AutodiscoverRedirected);
}

#[test]
fn rejected_credentials_are_shown_to_two_hosts_at_most_and_once_to_each() {
    let mut world = |question: &str| {
        Some(match question {
            _ if question.starts_with("POST") => rejected(),
            _ if question.starts_with("GET https://") => recognised(),
            _ if question.starts_with("DNS") => Answer::Records(vec![record(0, 0, 443, "c.contoso.com")]),
            _ => return None,
        })
    };
    let played = play(ADA, rules(), &mut world);
    assert_eq!(played.code(), Code::CredentialsRejected);
    assert_eq!(played.asked().len(), 2);
}

#[test]
fn a_locked_account_ends_everything() {
    let played = play(ADA, rules(), service(|_| Answer::Locked(Report::new(Code::AccountLocked, "456"))));
    assert_eq!((played.code(), played.asked().len()), (Code::AccountLocked, 1));
}

#[test]
fn basic_switched_off_on_the_autodiscover_directory_is_said() {
    let played = play(ADA, rules(), service(|_| Answer::Rejected(Report::new(Code::BasicNotOffered, "NTLM"))));
    assert_eq!((played.code(), played.asked().len()), (Code::BasicNotOffered, 1));
}

#[test]
fn an_unknown_user_is_believed() {
    let played = play(ADA, rules(), service(|_| Answer::UserUnknown("500".to_owned())));
    assert_eq!((played.code(), played.asked().len()), (Code::AutodiscoverUserUnknown, 1));
}

#[test]
fn a_busy_service_is_asked_once_more_at_the_end() {
    let played = play(ADA, rules(), {
        let mut asked = 0;
        move |question| {
            Some(match question {
                _ if question.contains("SOAP") => {
                    asked += 1;
                    if asked == 1 { Answer::Busy("ServerBusy".to_owned()) } else { settings(EWS) }
                }
                _ if question.starts_with("GET https://autodiscover.") => recognised(),
                _ => return None,
            })
        }
    });
    assert!(played.result.is_ok());
    assert!(played.questions.last().unwrap().contains("SOAP"));
    let never = play(ADA, rules(), service(|_| Answer::Busy("503".to_owned())));
    assert_eq!((never.code(), never.asked().len()), (Code::AutodiscoverServerError, 4));
}

#[test]
fn an_error_of_the_service_counts_more_than_the_absence_of_others() {
    let refused = Answer::Refused { code: "603".to_owned(), message: "internal".to_owned() };
    let played = play(ADA, rules(), service(move |_| refused.clone()));
    assert_eq!(played.code(), Code::AutodiscoverServerError);
}

#[test]
fn the_endpoint_that_worked_is_asked_first_and_alone() {
    let url = Url::parse("https://autodiscover.contoso.com/autodiscover/autodiscover.svc").unwrap();
    let cached = Rules { cached: Some((Service::Soap, url)), ..rules() };
    let played = play(ADA, cached.clone(), |question| question.contains("SOAP").then(|| settings(EWS)));
    assert_eq!((played.questions.len(), played.result.is_ok()), (1, true));
    let dead = play(ADA, cached, |question| {
        Some(match question {
            _ if question.starts_with("GET https://contoso.com") => recognised(),
            _ if question.starts_with("POST https://contoso.com") => settings(EWS),
            _ => return None,
        })
    });
    assert_eq!((dead.questions.len(), dead.result.is_ok()), (3, true));
}

#[test]
fn a_cached_endpoint_that_is_not_released_any_more_is_not_asked() {
    let url = Url::parse("https://ad.hoster.example/autodiscover/autodiscover.svc").unwrap();
    let played = play(ADA, Rules { cached: Some((Service::Soap, url)), ..rules() }, |_| None);
    assert!(played.asked().is_empty());
}

#[test]
fn a_host_that_wants_nothing_but_basic_any_more_is_not_trusted() {
    let before = |schemes: &[&str]| {
        let schemes = schemes.iter().map(|&scheme| scheme.to_owned()).collect();
        Rules { offered: BTreeMap::from([("autodiscover.contoso.com".to_owned(), schemes)]), ..rules() }
    };
    let world = |question: &str| {
        Some(match question {
            _ if question.starts_with("GET https://autodiscover.") => Answer::Recognised(vec!["Basic".to_owned()]),
            _ if question.starts_with("POST") => settings(EWS),
            _ => return None,
        })
    };
    assert_eq!(play(ADA, before(&["NTLM", "Basic"]), world).code(), Code::AutodiscoverDowngraded);
    assert!(play(ADA, before(&["Basic"]), world).result.is_ok());
    assert!(play(ADA, rules(), world).result.is_ok());
}

#[test]
fn the_deadline_ends_it() {
    let (mut discovery, mut step) = Discovery::begin(&EmailAddress::trusted(ADA), rules());
    let mut waited = Vec::new();
    let result = loop {
        match step {
            Step::Done(result) => break result,
            Step::Ask(_, within) => {
                waited.push(within);
                step = discovery.answer(Answer::Unanswered(Report::new(Code::ResponseTimeout, "")), within);
            }
        }
    };
    assert_eq!(waited, [ANSWER; 3]);
    assert!(result.unwrap_err().report.detail.contains("no answer within 90 s"));
}

fn hosts() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "contoso.com",
        "autodiscover.contoso.com",
        "mail.contoso.com",
        "evil.example",
        "autodiscover.com",
        "autodiscover.co.uk",
        "127.0.0.1",
        "[::1]",
        "mail.contoso.com:8443",
        "outlook.office365.com",
        "a@contoso.com",
        "contoso.com.evil.example",
        "hoster.example",
        "localhost",
    ])
    .prop_map(str::to_owned)
}

fn urls() -> impl Strategy<Value = String> {
    let schemes = prop::sample::select(vec!["https://", "http://", "ftp://", "//", ""]);
    let paths =
        prop::sample::select(vec!["/autodiscover/autodiscover.xml", "/AutoDiscover/AutoDiscover.SVC", "/EWS", ""]);
    (schemes, hosts(), paths).prop_map(|(scheme, host, path)| format!("{scheme}{host}{path}"))
}

fn answers() -> impl Strategy<Value = Answer> {
    let report = || Report::new(Code::ConnectRefused, "");
    prop_oneof![
        Just(Answer::Unanswered(report())),
        Just(recognised()),
        Just(Answer::Recognised(vec!["Basic".to_owned()])),
        (300_u16..309, urls()).prop_map(|(status, location)| Answer::Redirect { status, location }),
        (200_u16..600).prop_map(Answer::Status),
        Just(Answer::Busy("busy".to_owned())),
        Just(rejected()),
        (0_u16..3, 0_u16..3, prop::sample::select(vec![443_u16, 8443]), hosts())
            .prop_map(|(priority, weight, port, host)| Answer::Records(vec![record(priority, weight, port, &host)])),
        (prop::option::of(urls()), prop::option::of(urls())).prop_map(|(external, internal)| {
            Answer::Settings(Settings { external, internal, ..Settings::default() })
        }),
        hosts().prop_map(|host| Answer::RedirectAddress(format!("ada@{host}"))),
        urls().prop_map(Answer::RedirectUrl),
        Just(Answer::Refused { code: "603".to_owned(), message: String::new() }),
    ]
}

proptest! {
    /// INV-5 is asserted by `play` for every question with credentials, and that it ends.
    #[test]
    fn whatever_is_answered_it_ends_and_no_credential_leaves(
        answers in prop::collection::vec(answers(), 1..30),
        online in any::<bool>(),
        internal in any::<bool>(),
    ) {
        let mut rules = released(&["hoster.example"]);
        (rules.release.online, rules.release.internal) = (online, internal);
        let release = rules.release.clone();
        let mut cycle = answers.iter().cycle().cloned();
        let played = play(ADA, rules, |_| cycle.next());
        prop_assert!(played.asked().len() <= 40);
        if let Ok(found) = &played.result {
            prop_assert_eq!(release.check(&found.url), Ok(()));
        }
        prop_assert!(!played.transcript.is_empty());
    }
}
