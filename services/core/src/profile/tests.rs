use rstest::rstest;

use super::*;

fn owner() -> Owner {
    Owner {
        user_id: Uuid::from_u128(7),
        name: "Olga Owner".into(),
        address: EmailAddress::trusted("olga@contoso.example"),
    }
}

fn draft() -> Draft {
    Draft {
        name: "Contoso".into(),
        owner: Some(owner()),
        server_type: Some(ServerType::ExchangeServerHybrid),
        user_name: "crm@contoso.example".into(),
        ..Draft::default()
    }
}

fn fixed(location: &str) -> Draft {
    Draft { autodiscover: false, incoming_location: location.into(), ..draft() }
}

fn facts() -> Facts {
    Facts { now: Timestamp::UNIX_EPOCH, name_taken: false, used_by: Vec::new() }
}

fn live() -> State {
    let created = Rules::decide(
        &State::Absent,
        &Command::Create { id: Uuid::from_u128(1), draft: draft(), sealed: None },
        &facts(),
    );
    Rules::fold(State::Absent, &created.unwrap())
}

fn refused(command: &Command, facts: &Facts) -> (Code, String) {
    let refusal = Rules::decide(&live(), command, facts).unwrap_err();
    (refusal.code, refusal.field)
}

#[test]
fn a_new_profile_has_the_guides_defaults() {
    let state = live();
    let settings = &state.live().unwrap().settings;
    assert_eq!(settings.maximum_concurrent_connections, 27);
    assert_eq!(settings.minimum_polling_interval_minutes, 0);
    assert!(settings.locations.is_none() && !settings.send_alert_email && !settings.move_failed_emails);
    assert!(state.live().unwrap().active);
}

#[test]
fn ports_are_filled_in_when_autodiscover_is_no() {
    let draft = Draft {
        autodiscover: false,
        incoming_location: "https://mail.contoso.example/EWS/Exchange.asmx".into(),
        ..draft()
    };
    let locations = draft.settings().unwrap().locations.unwrap();
    assert_eq!((locations.incoming.port, locations.outgoing.port), (443, 443));
}

#[rstest]
#[case(Draft { name: " ".into(), ..draft() }, Code::FieldRequired, "name")]
#[case(Draft { name: "x".repeat(101), ..draft() }, Code::FieldTooLong, "name")]
#[case(Draft { description: "x".repeat(2001), ..draft() }, Code::FieldTooLong, "description")]
#[case(Draft { owner: None, ..draft() }, Code::FieldRequired, "owner")]
#[case(Draft { server_type: None, ..draft() }, Code::FieldRequired, "server_type")]
#[case(Draft { released_hosts: vec!["*.com".into()], ..draft() }, Code::HostPatternInvalid, "released_hosts")]
#[case(Draft { released_hosts: vec!["https://mail.contoso.com".into()], ..draft() }, Code::HostPatternInvalid, "released_hosts")]
#[case(Draft { released_hosts: vec!["mail.hoster.example".into()], ..fixed("https://mail.contoso.com") }, Code::FieldNotApplicable, "released_hosts")]
#[case(fixed("https://outlook.office365.com"), Code::LocationInvalid, "incoming_location")]
#[case(Draft { outgoing_location: "https://outlook.office365.com".into(), ..fixed("https://mail.contoso.com") }, Code::LocationInvalid, "outgoing_location")]
#[case(Draft { client_id: "app".into(), ..draft() }, Code::FieldRequired, "token_location")]
#[case(Draft { token_location: "https://login.example/token".into(), ..draft() }, Code::FieldNotApplicable, "token_location")]
#[case(Draft { client_certificate: "PEM".into(), ..draft() }, Code::FieldNotApplicable, "client_certificate")]
#[case(Draft { client_id: "app".into(), token_location: "http://login.example/token".into(), ..draft() }, Code::LocationNotHttps, "token_location")]
#[case(Draft { user_name: "CONTOSO\\crm".into(), ..draft() }, Code::UserNameNotUpn, "user_name")]
#[case(Draft { minimum_polling_interval_minutes: 1441, ..draft() }, Code::ValueOutOfRange, "minimum_polling_interval_minutes")]
#[case(Draft { maximum_concurrent_connections: 0, ..draft() }, Code::ValueOutOfRange, "maximum_concurrent_connections")]
#[case(Draft { maximum_concurrent_connections: 301, ..draft() }, Code::ValueOutOfRange, "maximum_concurrent_connections")]
#[case(Draft { connection_timeout_ms: 100_001, ..draft() }, Code::ValueOutOfRange, "connection_timeout_ms")]
#[case(Draft { autodiscover: false, ..draft() }, Code::FieldRequired, "incoming_location")]
#[case(Draft { autodiscover: false, incoming_location: "http://x".into(), ..draft() }, Code::LocationNotHttps, "incoming_location")]
#[case(Draft { incoming_location: "https://x".into(), ..draft() }, Code::FieldNotApplicable, "incoming_location")]
#[case(Draft { outgoing_port: Some(443), ..draft() }, Code::FieldNotApplicable, "outgoing_port")]
fn bad_input_names_the_field(#[case] draft: Draft, #[case] code: Code, #[case] field: &str) {
    assert_eq!(refused(&Command::Change { draft, sealed: None }, &facts()), (code, field.to_owned()));
}

#[test]
fn a_profile_in_use_cannot_be_deleted() {
    let facts = Facts { used_by: vec!["ada@contoso.example".into()], ..facts() };
    assert_eq!(refused(&Command::Delete, &facts), (Code::ProfileInUse, "profile".to_owned()));
}

#[test]
fn a_taken_name_is_refused() {
    let facts = Facts { name_taken: true, ..facts() };
    assert_eq!(refused(&Command::Change { draft: draft(), sealed: None }, &facts).0, Code::NameTaken);
}

#[test]
fn what_holds_already_makes_no_event() {
    assert!(Rules::decide(&live(), &Command::Change { draft: draft(), sealed: None }, &facts()).unwrap().is_empty());
    assert!(Rules::decide(&live(), &Command::Activate, &facts()).unwrap().is_empty());
}

#[test]
fn the_audit_names_field_old_and_new() {
    let before = draft().settings().unwrap();
    let after = Draft { maximum_concurrent_connections: 10, ..draft() }.settings().unwrap();
    let change = FieldChange { field: "maximum_concurrent_connections", from: "27".into(), to: "10".into() };
    assert_eq!(changes(Some(&before), &after), vec![change]);
}

#[test]
fn a_draft_of_settings_gives_the_same_settings() {
    let fixed =
        Draft { autodiscover: false, incoming_location: "https://mail:8443/EWS/Exchange.asmx".into(), ..draft() };
    for settings in [draft().settings().unwrap(), fixed.settings().unwrap()] {
        assert_eq!(Draft::from(&settings).settings().unwrap(), settings);
    }
}

#[test]
fn connections_never_exceed_what_the_server_allows() {
    let state = live();
    let profile = state.live().unwrap();
    assert_eq!(profile.effective_connections(Some(10)), 10);
    assert_eq!(profile.effective_connections(None), 27);
}

#[test]
fn a_deleted_profile_stays_deleted() {
    let state = Rules::fold(live(), &[Event::Deleted, Event::Activated]);
    assert_eq!(state, State::Deleted);
}

#[test]
fn an_application_needs_no_account_and_asks_for_its_server_s_scope() {
    let application = |draft: Draft| Draft {
        client_id: "app".into(),
        token_location: "https://login.example/token".into(),
        user_name: String::new(),
        ..draft
    };
    let scope = |draft: Draft| draft.settings().unwrap().client_credentials.unwrap().scope;
    assert_eq!(scope(application(draft())), "https://outlook.office365.com/.default");
    assert_eq!(scope(application(fixed("https://mail.contoso.com"))), "https://mail.contoso.com/.default");
    let own = Draft { token_scope: "api://x/.default".into(), ..application(draft()) };
    assert_eq!(scope(own), "api://x/.default");
}

#[test]
fn released_hosts_are_kept_in_one_form_and_once() {
    let hosts = ["Mail.Hoster.Example", "mail.hoster.example", "", "*.hoster.example:8443"].map(str::to_owned);
    let settings = Draft { released_hosts: hosts.into(), ..draft() }.settings().unwrap();
    let hosts: Vec<String> = settings.released_hosts.iter().map(ToString::to_string).collect();
    assert_eq!(hosts, ["mail.hoster.example", "*.hoster.example:8443"]);
    assert_eq!(Draft::from(&settings).settings().unwrap(), settings);
}
