use postroad_core::network::Reach;

use super::*;

fn route(profile: u128) -> Route {
    Route { server: Arc::from("mail.contoso.example"), account: Account::Profile(Uuid::from_u128(profile)) }
}

const fn mailbox(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn busy() -> Report {
    Report::new(Code::ServerBusy, "")
}

fn place() -> Place {
    Place {
        grouping: String::new(),
        url: "https://mail.contoso.example/EWS/Exchange.asmx".into(),
        user_name: String::new(),
        password: String::new().into(),
        client_credentials: None,
        impersonate: true,
        address: String::new(),
        trust_anchors: Vec::new(),
        reach: Reach::INTERNAL,
        tls: postroad_core::profile::TlsLibrary::Postroad,
        timeout: Duration::from_secs(1),
    }
}

fn pace() -> Arc<Pace> {
    let pace = Arc::new(Pace::new(100));
    assert!(pace.has_room(&route(1), 2));
    pace
}

#[test]
fn an_account_has_as_many_connections_as_it_may() {
    let pace = pace();
    let first = pace.take(&route(1));
    let _second = pace.take(&route(1));
    assert!(!pace.has_room(&route(1), 2));
    assert!(pace.has_room(&route(2), 2), "another account of the server has its own");
    drop(first);
    assert!(pace.has_room(&route(1), 2));
}

#[test]
fn a_server_has_as_many_as_it_may_for_all_accounts() {
    let pace = Arc::new(Pace::new(3));
    let taken: Vec<_> = (1..=3)
        .map(|account| {
            assert!(pace.has_room(&route(account), 10));
            pace.take(&route(account))
        })
        .collect();
    assert!(!pace.has_room(&route(4), 10));
    drop(taken);
    assert!(pace.has_room(&route(4), 10));
}

#[test]
fn what_one_mailbox_is_refused_is_its_own_and_what_two_are_is_the_accounts() {
    let pace = pace();
    let wait = pace.refused(&route(1), mailbox(1), Some(Duration::from_secs(30)), &busy());
    assert!(wait >= Duration::from_secs(30));
    assert!(matches!(pace.permit(&route(1), Some(mailbox(1))), Permit::Rest(_)));
    assert_eq!(pace.permit(&route(1), Some(mailbox(2))), Permit::Now);
    pace.refused(&route(1), mailbox(2), Some(Duration::from_secs(30)), &busy());
    assert!(matches!(pace.permit(&route(1), Some(mailbox(3))), Permit::Rest(_)));
    assert!(!pace.has_room(&route(1), 2) && pace.opens(&route(1)).is_some());
    assert!(pace.has_room(&route(2), 2), "another account is not concerned");
}

#[test]
fn a_service_that_is_unavailable_is_so_for_all() {
    let pace = pace();
    let report = Report::new(Code::HttpUnavailable, "");
    pace.refused(&route(1), mailbox(1), Some(Duration::from_secs(7)), &report);
    assert!(!pace.has_room(&route(2), 2));
}

#[test]
fn a_server_that_is_down_is_asked_for_nobody_until_it_returns() {
    let pace = pace();
    let report = Report::new(Code::ConnectRefused, "mail.contoso.example");
    (1..=3).for_each(|number| pace.failed(&route(1), mailbox(number), &report, &place()));
    assert!(matches!(pace.permit(&route(2), Some(mailbox(9))), Permit::Down(_)));
    assert_eq!(pace.outage(&route(1).server).map(|report| report.code), Some(Code::ConnectRefused));
    let elsewhere = Route { server: Arc::from("other.example"), account: Account::Profile(Uuid::from_u128(1)) };
    assert_eq!(pace.permit(&elsewhere, Some(mailbox(9))), Permit::Now);
    pace.returned(&route(1).server);
    assert_eq!(pace.take_returned(), [route(1).server]);
    assert_eq!(pace.permit(&route(1), Some(mailbox(1))), Permit::Now);
    let only = pace.take(&route(1));
    assert!(!pace.has_room(&route(2), 10), "one connection first");
    drop(only);
}

#[test]
fn servers_are_told_by_host_and_port() {
    let names = ["https://Mail.Example:443/EWS/Exchange.asmx", "https://mail.example:8443/x", "mail.example"];
    assert_eq!(names.map(|url| server_of(url).to_string()), ["mail.example", "mail.example:8443", "mail.example"]);
}
