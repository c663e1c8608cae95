use postroad_proto::crm::v1 as sent;
use rstest::rstest;

use super::*;

const MOST: u64 = 1000;

fn header() -> sent::PromoteHeader {
    sent::PromoteHeader {
        email: Some(sent::Email {
            direction: sent::EmailDirection::Incoming.into(),
            message_id: "<a@x>".into(),
            parties: vec![sent::Party {
                role: sent::PartyRole::From.into(),
                address: "ada@x.example".into(),
                ..Default::default()
            }],
            ..Default::default()
        }),
        source: Some(sent::EmailSource {
            mailbox_id: Uuid::from_u128(1).to_string(),
            email_address: "a@x.example".into(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn sized(size: u64) -> sent::Content {
    sent::Content { digest: "0".repeat(64), size }
}

fn refused(change: impl FnOnce(&mut sent::Email)) -> String {
    let mut header = header();
    change(header.email.as_mut().unwrap());
    promotion(header, MOST).unwrap_err().field
}

#[test]
fn a_header_becomes_a_promotion_and_an_activity_goes_back() {
    let (promote, _) = promotion(header(), MOST).unwrap();
    assert_eq!(promote.email.id, email::activity_id(Some("a@x"), ""));
    let promoted_at = jiff::Timestamp::UNIX_EPOCH;
    let (sources, queues) = (vec![promote.source], Vec::new());
    let back = activity(&Activity { email: promote.email, sources, promoted_at, queues }, &View::default());
    assert_eq!((back.parties, back.message_id), (header().email.unwrap().parties, "<a@x>".to_owned()));
}

#[rstest]
#[case::no_email(sent::PromoteHeader { email: None, ..header() }, "email")]
#[case::no_source(sent::PromoteHeader { source: None, ..header() }, "source")]
#[case::empty(sent::PromoteHeader::default(), "source")]
#[case::no_mailbox(sent::PromoteHeader { source: Some(sent::EmailSource::default()), ..header() }, "source.email_address")]
fn an_incomplete_header_is_refused(#[case] header: sent::PromoteHeader, #[case] field: &str) {
    assert_eq!(promotion(header, MOST).unwrap_err().field, field);
}

#[test]
fn hostile_headers_are_refused_by_field() {
    assert_eq!(refused(|email| email.direction = 0), "email.direction");
    assert_eq!(refused(|email| email.direction = -7), "email.direction");
    assert_eq!(refused(|email| email.parties[0].role = 99), "email.parties[0].role");
    assert_eq!(refused(|email| email.message_id = " <> ".into()), "email.mime");
    assert_eq!(
        refused(|email| email.mime = Some(sent::Content { digest: "XYZ".into(), size: 1 })),
        "email.mime.digest"
    );
    assert_eq!(refused(|email| email.text = Some(sized(MOST + 1))), "email");
    assert_eq!(refused(|email| (email.text, email.html) = (Some(sized(u64::MAX)), Some(sized(u64::MAX)))), "email");
    assert_eq!(refused(|email| email.parties = vec![email.parties[0].clone(); 5001]), "email.parties");
    assert_eq!(refused(|email| email.attachments = vec![sent::Attachment::default(); 1001]), "email.attachments");
    assert_eq!(refused(|email| email.attachments = vec![sent::Attachment::default()]), "email.attachments[0].content");
    assert_eq!(refused(|email| email.subject = "x".repeat(600_000)), "header");
    let never = prost_types::Timestamp { seconds: i64::MAX, nanos: -1 };
    assert_eq!(refused(|email| email.received_at = Some(never)), "email.received_at");
}

#[test]
fn contents_come_in_the_contracts_order() {
    let mut header = header();
    let email = header.email.as_mut().unwrap();
    (email.mime, email.html, email.text) = (Some(sized(1)), Some(sized(2)), Some(sized(3)));
    email.attachments = vec![sent::Attachment { content: Some(sized(4)), ..Default::default() }];
    let (promote, _) = promotion(header, MOST).unwrap();
    let order: Vec<_> = contents(&promote.email).map(|(field, content)| (field, content.size)).collect();
    let expected = [("text", 3), ("html", 2), ("mime", 1), ("attachments[0].content", 4)];
    assert_eq!(order, expected.map(|(field, size)| (format!("email.{field}"), size)));
}

#[test]
fn hostile_records_are_refused_by_field() {
    let record =
        sent::Record { kind: 1, name: "Ada".into(), addresses: vec!["a@x.example".into()], ..Default::default() };
    let refused = |change: &dyn Fn(&mut sent::Record)| {
        let mut record = record.clone();
        change(&mut record);
        draft(Some(record)).and_then(|draft| draft.record()).unwrap_err().field
    };
    assert_eq!(draft(None).unwrap_err().field, "record");
    assert_eq!(refused(&|record| record.kind = 77), "kind");
    assert_eq!(refused(&|record| record.kind = 0), "kind");
    assert_eq!(refused(&|record| record.id = "7".into()), "id");
    assert_eq!(refused(&|record| record.addresses = vec!["a@x.example".into(); 101]), "addresses");
    assert_eq!(super::record(&draft(Some(record.clone())).unwrap().record().unwrap()).name, "Ada");
}
