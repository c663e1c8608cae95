//! The control API.

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{ANA, GET_INBOX, Stand};
use crate::sending::create;

impl Stand {
    async fn control(&self, method: Method, path: &str, body: impl Into<reqwest::Body>) -> (u16, Value) {
        let request = self.http.request(method, format!("{}{path}", self.exchange.control_url())).body(body);
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    async fn letter(&self, letter: &Value) -> (u16, Value) {
        let request = self.http.post(format!("{}/messages", self.exchange.control_url())).json(letter);
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }
}

#[tokio::test]
async fn messages_are_delivered_from_files_and_from_json() {
    let stand = Stand::start().await;
    let mime = "From: g@f.example\r\nMessage-ID: <1@f.example>\r\nSubject: from a file\r\n\r\nx\r\n";
    let path = "/messages?mailbox=ana%40contoso.example&received=2026-02-02T10:00:00Z";
    let (status, delivered) = stand.control(Method::POST, path, mime).await;
    assert_eq!((status, &delivered["message_id"]), (200, &json!("<1@f.example>")));
    let letter = json!({ "mailbox": ANA, "from": "Gus <g@f.example>", "subject": "from JSON", "text": "x", "message_id": "<2@f.example>" });
    assert_eq!(stand.letter(&letter).await.0, 200);
    let (_, listing) = stand.control(Method::GET, "/folders/ana@contoso.example/inbox", "").await;
    let subjects: Vec<_> = listing["items"].as_array().unwrap().iter().map(|item| &item["subject"]).collect();
    assert_eq!(subjects, ["from a file", "from JSON"]);
}

#[tokio::test]
async fn faults_are_set_listed_and_removed() {
    let stand = Stand::start().await;
    let fault = r#"{"region":"europe","kind":{"http_status":{"status":503,"retry_after":5}}}"#;
    let (_, set) = stand.control(Method::POST, "/faults", fault).await;
    assert_eq!(stand.ana(GET_INBOX).await.status, 503);
    let (_, listed) = stand.control(Method::GET, "/faults", "").await;
    assert_eq!((&listed[0]["id"], &listed[0]["fault"]["region"]), (&set["id"], &json!("europe")));
    let path = format!("/faults/{}", set["id"]);
    assert_eq!(stand.control(Method::DELETE, &path, "").await.0, 200);
    assert_eq!(stand.control(Method::DELETE, &path, "").await.0, 404);
    stand.ana(GET_INBOX).await.succeeded();
    stand.control(Method::POST, "/faults", r#"{"kind":"html_page"}"#).await;
    assert_eq!(stand.control(Method::DELETE, "/faults", "").await.0, 200);
    stand.ana(GET_INBOX).await.succeeded();
}

#[tokio::test]
async fn mailboxes_move_and_the_account_changes() {
    let stand = Stand::start().await;
    let movement = json!({ "mailbox": ANA, "region": "asia", "elsewhere": "ErrorMailboxMoveInProgress" }).to_string();
    assert_eq!(stand.control(Method::POST, "/moves", movement).await.0, 200);
    assert_eq!(stand.ana(GET_INBOX).await.fault(), (500, "ErrorMailboxMoveInProgress"));
    assert_eq!(stand.control(Method::PUT, "/impersonates", r#"{"only":[]}"#).await.0, 200);
    assert_eq!(stand.ana(GET_INBOX).await.fault(), (500, "ErrorImpersonateUserDenied"));
    assert_eq!(stand.control(Method::PUT, "/service-password", r#"{"password":"Next-word2"}"#).await.0, 200);
    assert_eq!(stand.ana(GET_INBOX).await.status, 401);
    let (_, counters) = stand.control(Method::GET, "/counters", "").await;
    assert_eq!((&counters["requests"], &counters["refused_credentials"]), (&json!(3), &json!(1)));
    let (_, requests) = stand.control(Method::GET, "/requests", "").await;
    assert_eq!((&requests[2]["operation"], &requests[2]["status"]), (&json!("GetFolder"), &json!(401)));
}

#[tokio::test]
async fn mailboxes_are_filled_given_rights_and_their_items_categorised() {
    let stand = Stand::start().await;
    let put = async |path: &str, body: Value| stand.control(Method::PUT, path, body.to_string()).await.0;
    let as_boss = create("SendOnly", "first").replace(
        "<t:IsRead>",
        "<t:From><t:Mailbox><t:EmailAddress>boss@contoso.example</t:EmailAddress></t:Mailbox></t:From><t:IsRead>",
    );
    assert_eq!(stand.ana(&as_boss).await.codes(), ["ErrorSendAsDenied"]);
    assert_eq!(put("/send-as", json!({ "mailbox": ANA, "addresses": ["boss@contoso.example"] })).await, 200);
    stand.ana(&as_boss).await.succeeded();
    let (_, sent) = stand.control(Method::GET, "/sent", "").await;
    let from = (&sent[0]["sender"], &sent[0]["from"], &sent[0]["extended"]["own"][0]);
    assert_eq!(from, (&json!(ANA), &json!("boss@contoso.example"), &json!("first")));
    assert!(sent[0]["mime"].as_str().unwrap().contains("Subject: first"), "{sent}");

    assert_eq!(put("/full", json!({ "mailbox": ANA, "full": true })).await, 200);
    assert_eq!(stand.ana(&create("SaveOnly", "second")).await.codes(), ["ErrorQuotaExceeded"]);
    assert_eq!(put("/full", json!({ "mailbox": ANA, "full": false })).await, 200);
    stand.ana(&create("SaveOnly", "second")).await.succeeded();

    let item_id = stand.deliver(ANA, "third").item_id;
    assert_eq!(put("/categories", json!({ "mailbox": ANA, "item_id": item_id, "categories": ["Red"] })).await, 200);
    let (_, listing) = stand.control(Method::GET, "/folders/ana@contoso.example/inbox", "").await;
    assert_eq!(listing["items"][0]["categories"], json!(["Red"]));
    assert_eq!(put("/categories", json!({ "mailbox": ANA, "item_id": "x", "categories": [] })).await, 404);
    assert_eq!(put("/full", json!({ "mailbox": "ghost@contoso.example", "full": true })).await, 404);
    assert_eq!(put("/full", json!({ "mailbox": ANA })).await, 400);
}

#[tokio::test]
async fn what_does_not_exist_is_said() {
    let stand = Stand::start().await;
    for (method, path, body, status) in [
        (Method::GET, "/nothing", "", 404),
        (Method::POST, "/messages", "", 400),
        (Method::POST, "/messages?mailbox=ghost@contoso.example", "", 404),
        (Method::POST, "/messages?mailbox=ana@contoso.example&folder=Nowhere", "", 404),
        (Method::POST, "/messages?mailbox=ana@contoso.example&received=soon", "", 400),
        (Method::POST, "/messages?mailbox=ana@contoso.example&fault=x", "", 400),
        (Method::POST, "/moves", r#"{"mailbox":"ana@contoso.example","region":"mars"}"#, 404),
        (Method::POST, "/faults", r#"{"kind":"dwon"}"#, 400),
        (Method::PUT, "/service-password", "{}", 400),
        (Method::PUT, "/impersonates", "5", 400),
    ] {
        let (found, answer) = stand.control(method, path, body).await;
        assert_eq!(found, status, "{path}: {answer}");
        assert!(answer["error"].is_string(), "{path}: {answer}");
    }
    let help = stand.http.get(stand.exchange.control_url()).send().await.unwrap().text().await.unwrap();
    assert!(help.contains("POST   /faults"), "{help}");
}
