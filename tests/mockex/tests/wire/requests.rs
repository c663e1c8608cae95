//! What the endpoint takes and what it refuses.

use std::io::Read as _;
use std::time::Duration;

use mockex::{Fault, FaultKind, Move, Options};
use reqwest::Method;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_TYPE};

use crate::client::{ANA, Answer, Ask, FIND_ITEMS, GET_INBOX, Stand, get_items, options, texts};

#[tokio::test]
async fn elements_out_of_order_are_refused_with_their_place() {
    let stand = Stand::start().await;
    let answer = stand
        .ana(
            "<m:GetFolder><m:FolderIds><t:DistinguishedFolderId Id=\"inbox\"/></m:FolderIds>\
             <m:FolderShape><t:BaseShape>Default</t:BaseShape></m:FolderShape></m:GetFolder>",
        )
        .await;
    assert_eq!(answer.fault(), (500, "ErrorSchemaValidation"));
    for name in ["LineNumber", "LinePosition", "Violation"] {
        assert!(answer.text.contains(&format!("Name=\"{name}\"")), "{}", answer.text);
    }
}

#[tokio::test]
async fn what_is_no_request_is_refused() {
    let stand = Stand::start().await;
    for operation in ["<m:GetMailTips/>", "<t:GetFolder/>", "", "<m:GetFolder>&#x1;</m:GetFolder>", "<m:GetFolder>"] {
        assert_eq!(stand.ana(operation).await.fault(), (500, "ErrorSchemaValidation"), "{operation}");
    }
}

#[tokio::test]
async fn a_server_knows_its_own_versions_only() {
    let stand = Stand::start().await;
    let asked = [
        ("europe", ANA, "Exchange2016", true),
        ("america", "hana@contoso.example", "Exchange2013_SP1", true),
        ("america", "hana@contoso.example", "Exchange2016", false),
        ("asia", "kemal@contoso.example", "Exchange2010_SP2", true),
        ("asia", "kemal@contoso.example", "Exchange2010_SP3", false),
        ("asia", "kemal@contoso.example", "Exchange2013", false),
        ("europe", ANA, "V2017_07_11", false),
    ];
    for (region, mailbox, version, known) in asked {
        let answer = stand.ask(&Ask::new(GET_INBOX).region(region).mailbox(mailbox).version(version)).await;
        if known {
            answer.succeeded();
        } else {
            assert_eq!(answer.fault(), (500, "ErrorInvalidServerVersion"), "{region} {version}");
        }
    }
    let answer = stand.ask(&Ask::new(GET_INBOX).region("asia").mailbox("kemal@contoso.example")).await;
    assert!(answer.text.contains("MajorVersion=\"14\" MinorVersion=\"3\""), "{}", answer.text);
}

#[tokio::test]
async fn a_newer_element_in_an_older_request_is_named_as_that() {
    let stand = Stand::start().await;
    let letter = stand.deliver(ANA, "first");
    let delete = format!(
        "<m:DeleteItem DeleteType=\"HardDelete\" SuppressReadReceipts=\"true\"><m:ItemIds><t:ItemId Id=\"{}\"/></m:ItemIds></m:DeleteItem>",
        letter.item_id
    );
    assert_eq!(stand.ana(&delete).await.fault(), (500, "ErrorIncorrectSchemaVersion"));
    stand.ask(&Ask::new(&delete).version("Exchange2013_SP1")).await.succeeded();
}

#[tokio::test]
async fn only_posts_of_xml_to_the_endpoint_are_requests() {
    let stand = Stand::start().await;
    let url = stand.exchange.region_url("europe").unwrap();
    let ask = Ask::new(GET_INBOX);
    let send = async |method: Method, url: &str, kind: &str| {
        let request = stand.http.request(method, url).header(CONTENT_TYPE, kind);
        let request = request.basic_auth("crm@contoso.example", Some("Pass-word1")).body(ask.envelope());
        Answer::read(request.send().await.unwrap()).await
    };
    let xml = "text/xml; charset=utf-8";
    send(Method::POST, &url.replace("/EWS/Exchange.asmx", "/ews/EXCHANGE.asmx"), xml).await.succeeded();
    assert_eq!(send(Method::POST, &url, "application/soap+xml").await.status, 415);
    assert_eq!(send(Method::POST, &url.replace("EWS", "owa"), xml).await.status, 404);
    let page = send(Method::GET, &url, xml).await;
    assert!(page.status == 200 && page.header("content-type").unwrap().starts_with("text/html"), "{page:?}");
}

#[tokio::test]
async fn answers_are_compressed_for_those_who_take_it_and_repeat_the_request_id() {
    let stand = Stand::start().await;
    stand.deliver(ANA, &"long".repeat(1000));
    let request = stand.post(&Ask::new(FIND_ITEMS)).header(ACCEPT_ENCODING, "gzip, deflate");
    let request = request.header("client-request-id", "5d1f").header("return-client-request-id", "true");
    let response = request.send().await.unwrap();
    assert_eq!(
        (response.headers()["content-encoding"].as_bytes(), &response.headers()["client-request-id"]),
        (&b"gzip"[..], &"5d1f".parse().unwrap())
    );
    let body = response.bytes().await.unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(body.as_ref()).read_to_string(&mut text).unwrap();
    assert_eq!(texts(&text, "Subject"), ["long".repeat(1000)]);
    assert_eq!(stand.ana(FIND_ITEMS).await.text, text, "and they are the same without");
}

#[tokio::test]
async fn a_moved_mailbox_is_served_where_it_is_now() {
    let stand = Stand::start().await;
    stand.deliver(ANA, "first");
    let asia = Ask::new(FIND_ITEMS).region("asia");
    assert_eq!(stand.ask(&asia).await.fault(), (500, "ErrorCrossSiteRequest"));
    let elsewhere = Some("ErrorMailboxMoveInProgress".to_owned());
    let movement = Move { mailbox: ANA.to_owned(), region: "asia".to_owned(), elsewhere };
    stand.exchange.move_mailbox(&movement).unwrap();
    assert_eq!(stand.ana(FIND_ITEMS).await.fault(), (500, "ErrorMailboxMoveInProgress"));
    assert_eq!(stand.ask(&asia).await.succeeded().first("Subject"), "first");
}

#[tokio::test]
async fn more_requests_at_once_than_the_budget_allows_are_refused() {
    let stand = Stand::of(Options { limit_concurrency: true, ..options() }).await;
    let ask = Ask::new(GET_INBOX).region("asia").mailbox("kemal@contoso.example");
    stand.exchange.set_fault(Fault::new(FaultKind::Slow { milliseconds: 3_600_000 }).times(10));
    let mut slow = tokio::task::JoinSet::new();
    for _ in 0..10 {
        slow.spawn(stand.post(&ask).send());
    }
    let faults = format!("{}/faults", stand.exchange.control_url());
    while stand.http.get(&faults).send().await.unwrap().text().await.unwrap() != "[]" {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(stand.ask(&ask).await.fault(), (500, "ErrorExceededConnectionCount"));
    stand.ana(GET_INBOX).await.succeeded();

    slow.shutdown().await;
    while stand.ask(&ask).await.status != 200 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn messages_come_back_as_they_were_delivered() {
    let stand = Stand::start().await;
    let letters = ["first", "second"].map(|subject| stand.deliver(ANA, subject));
    let answer = stand.ana(&get_items(letters.iter().map(|letter| letter.item_id.as_str()))).await;
    assert_eq!(texts(&answer.succeeded().text, "Subject"), ["first", "second"]);
    assert_eq!(texts(&answer.text, "InternetMessageId").len(), 2);
    assert_eq!(letters[1].message_id.as_deref(), Some("<second@fabrikam.example>"));
    let listing = stand.exchange.list_folder(ANA, "inbox").unwrap();
    let subjects: Vec<_> = listing.items.iter().map(|item| item.subject.as_deref()).collect();
    assert_eq!((listing.name.as_str(), subjects), ("Inbox", vec![Some("first"), Some("second")]));
}
