//! Mail that is sent: exactly once, whatever becomes of the answer.

use mockex::{Fault, FaultKind, Options};

use crate::client::{ANA, Ask, BEN, GET_INBOX, Stand, options, texts};

const OWN: &str =
    "<t:ExtendedFieldURI DistinguishedPropertySetId=\"PublicStrings\" PropertyName=\"own\" PropertyType=\"String\"/>";

/// CreateItem of a message to Ben and to somebody elsewhere, with a property of its own.
pub fn create(disposition: &str, subject: &str) -> String {
    format!(
        "<m:CreateItem MessageDisposition=\"{disposition}\"><m:Items><t:Message><t:Subject>{subject}</t:Subject>\
         <t:Body BodyType=\"HTML\">&lt;p&gt;Hello&lt;/p&gt;</t:Body><t:ExtendedProperty>{OWN}<t:Value>{subject}</t:Value></t:ExtendedProperty>\
         <t:ToRecipients><t:Mailbox><t:EmailAddress>{BEN}</t:EmailAddress></t:Mailbox><t:Mailbox><t:EmailAddress>gus@fabrikam.example\
         </t:EmailAddress></t:Mailbox></t:ToRecipients><t:IsRead>true</t:IsRead></t:Message></m:Items></m:CreateItem>"
    )
}

/// CreateAttachment of a file with so many bytes.
pub fn attach((id, _): &(String, String), size: usize) -> String {
    format!(
        "<m:CreateAttachment><m:ParentItemId Id=\"{id}\"/><m:Attachments><t:FileAttachment><t:Name>a.bin</t:Name><t:IsInline>false</t:IsInline>\
         <t:Content>{}</t:Content></t:FileAttachment></m:Attachments></m:CreateAttachment>",
        "AAAA".repeat(size / 3)
    )
}

pub fn send((id, key): &(String, String)) -> String {
    format!(
        "<m:SendItem SaveItemToFolder=\"true\"><m:ItemIds><t:ItemId Id=\"{id}\" ChangeKey=\"{key}\"/></m:ItemIds></m:SendItem>"
    )
}

/// Id and change key of the item that an answer names.
pub fn item(answer: &str) -> (String, String) {
    let attribute = |names: &[&str]| {
        let value = names.iter().find_map(|name| answer.split(&format!(" {name}=\"")).nth(1));
        value.unwrap().split('"').next().unwrap().to_owned()
    };
    (attribute(&["RootItemId", "Id"]), attribute(&["RootItemChangeKey", "ChangeKey"]))
}

#[tokio::test]
async fn a_draft_gets_its_attachment_and_is_sent() {
    let stand = Stand::start().await;
    let draft = item(&stand.ana(&create("SaveOnly", "first")).await.succeeded().text);
    let attached = item(&stand.ana(&attach(&draft, 3000)).await.succeeded().text);
    assert_eq!(stand.ana(&send(&draft)).await.codes(), ["ErrorStaleObject"]);
    assert!(stand.exchange.list_folder(ANA, "drafts").unwrap().items[0].is_draft);
    stand.ana(&send(&attached)).await.succeeded();
    let [sent] = stand.exchange.sent().try_into().unwrap();
    assert_eq!(
        (sent.recipients, &sent.extended["own"]),
        (vec![BEN.to_owned(), "gus@fabrikam.example".to_owned()], &vec!["first".to_owned()])
    );
    assert!(String::from_utf8_lossy(&sent.mime).contains("a.bin"));
    assert!(stand.exchange.list_folder(ANA, "drafts").unwrap().items.is_empty());
    for (mailbox, folder, is_read) in [(ANA, "sentitems", true), (BEN, "inbox", false)] {
        let listed = stand.exchange.list_folder(mailbox, folder).unwrap().items;
        assert_eq!((listed.len(), listed[0].is_read, listed[0].is_draft), (1, is_read, false), "{mailbox}");
        assert_eq!(listed[0].message_id.as_ref(), Some(&sent.message_id), "{mailbox}");
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_leaves_what_was_done() {
    let stand = Stand::start().await;
    let lose = |operation: &str| {
        stand.exchange.set_fault(Fault::new(FaultKind::LostAnswer).operation(operation).mailbox(ANA).after(1).times(1));
    };
    let count = |folder: &str| stand.exchange.list_folder(ANA, folder).unwrap().items.len();
    lose("CreateItem");
    let draft = item(&stand.ana(&create("SaveOnly", "first")).await.succeeded().text);
    assert!(stand.post(&Ask::new(&create("SaveOnly", "second"))).send().await.is_err());
    assert_eq!(count("drafts"), 2, "it was made all the same");
    let second = stand.exchange.list_folder(ANA, "drafts").unwrap().items[1].item_id.clone();
    stand.ana(&create("SaveOnly", "third")).await.succeeded();

    lose("SendItem");
    assert_eq!(stand.ana(&send(&(second.clone(), "AAAA".to_owned()))).await.codes(), ["ErrorStaleObject"]);
    assert!(stand.post(&Ask::new(&send(&draft))).send().await.is_err());
    assert_eq!((stand.exchange.sent().len(), count("drafts"), count("sentitems")), (1, 2, 1));
    assert_eq!(stand.ana(&send(&draft)).await.codes(), ["ErrorItemNotFound"]);
    assert_eq!(stand.exchange.sent().len(), 1);
    assert!(
        stand
            .exchange
            .requests()
            .iter()
            .any(|request| request.operation.as_deref() == Some("SendItem") && request.status == 200)
    );
}

#[tokio::test]
async fn a_refused_request_does_not_use_up_the_loss_of_an_answer() {
    let stand = Stand::start().await;
    stand.exchange.set_fault(Fault::new(FaultKind::LostAnswer).times(1));
    assert_eq!(stand.ask(&Ask::new(GET_INBOX).without_logon()).await.status, 401);
    assert_eq!(stand.ana("<m:GetFolder/>").await.status, 500);
    assert!(stand.post(&Ask::new(GET_INBOX)).send().await.is_err());
    stand.ana(GET_INBOX).await.succeeded();
}

#[tokio::test]
async fn a_share_of_answers_is_lost_and_every_message_is_there() {
    let stand = Stand::start().await;
    stand.exchange.set_fault(Fault::new(FaultKind::LostAnswer).operation("CreateItem").share(500, 3));
    let mut lost = 0;
    for number in 0..20 {
        let operation = create("SendOnly", &number.to_string());
        lost += usize::from(stand.post(&Ask::new(&operation)).send().await.is_err());
    }
    assert!((4..=16).contains(&lost), "{lost}");
    assert_eq!(stand.exchange.sent().len(), 20);
}

#[tokio::test]
async fn size_limits_are_those_of_the_organisation() {
    let limits = Options { message_limit: Some(50_000), request_limit: Some(200_000), ..options() };
    let stand = Stand::of(limits).await;
    let draft = item(&stand.ana(&create("SaveOnly", "first")).await.succeeded().text);
    let refused = stand.ana(&attach(&draft, 60_000)).await;
    assert_eq!((refused.status, refused.codes()), (200, vec!["ErrorMessageSizeExceeded"]));
    assert!(refused.text.contains("<m:Attachments/>"), "{}", refused.text);
    let refused = stand.ana(&attach(&draft, 600_000)).await;
    assert_eq!((refused.status, refused.text.as_str()), (413, ""));
    assert_eq!(stand.exchange.requests().last().unwrap().status, 413);
    stand.ana(&attach(&draft, 6_000)).await.succeeded();
}

#[tokio::test]
async fn an_exchange_2010_takes_smaller_requests_than_newer_ones() {
    let stand = Stand::start().await;
    let operation = attach(&("DUMMY".to_owned(), String::new()), 27_000_000);
    let asia = Ask::new(&operation).region("asia").mailbox("kemal@contoso.example");
    assert_eq!(stand.ask(&asia).await.status, 413);
    assert_eq!(stand.ana(&operation).await.codes(), ["ErrorInvalidIdMalformed"], "it was read");
}

#[tokio::test]
async fn every_code_can_be_had_from_a_fault_and_nothing_is_sent() {
    let stand = Stand::start().await;
    let draft = item(&stand.ana(&create("SaveOnly", "first")).await.succeeded().text);
    for code in [
        "ErrorSubmissionQuotaExceeded",
        "ErrorQuotaExceeded",
        "ErrorSendAsDenied",
        "ErrorStaleObject",
        "ErrorItemNotFound",
        "ErrorMessageSizeExceeded",
        "ErrorInvalidRecipients",
        "ErrorAccessDenied",
        "ErrorMailboxMoveInProgress",
        "ErrorServerBusy",
    ] {
        let kind = FaultKind::ResponseError { code: code.to_owned() };
        stand.exchange.set_fault(Fault::new(kind).times(3));
        for operation in [create("SendAndSaveCopy", "second"), attach(&draft, 30), send(&draft)] {
            assert_eq!(stand.ana(&operation).await.codes(), [code]);
        }
    }
    assert!(stand.exchange.sent().is_empty());
    assert_eq!(stand.exchange.list_folder(ANA, "drafts").unwrap().items.len(), 1);
    stand.ana(&send(&draft)).await.succeeded();
}

#[tokio::test]
async fn elements_out_of_order_are_refused_at_every_level() {
    let stand = Stand::start().await;
    let draft = item(&stand.ana(&create("SaveOnly", "first")).await.succeeded().text);
    let disordered = |operation: String, one: &str, two: &str| {
        let (start, rest) = operation.split_once(one).unwrap();
        let (between, end) = rest.split_once(two).unwrap();
        format!("{start}{two}{between}{one}{end}")
    };
    let is_read = "<t:IsRead>true</t:IsRead>";
    for broken in [
        disordered(create("SaveOnly", "a"), "<t:Subject>a</t:Subject>", is_read),
        create("SaveOnly", "a").replace(is_read, "<t:Body BodyType=\"Text\">late</t:Body>"),
        create("SaveOnly", "a").replace("SaveOnly", "SaveTwice"),
        create("SaveOnly", "a").replace(" BodyType=\"HTML\"", ""),
        attach(&draft, 30).replace(
            "<t:Name>a.bin</t:Name><t:IsInline>false</t:IsInline>",
            "<t:IsInline>false</t:IsInline><t:Name>a</t:Name>",
        ),
        attach(&draft, 30).replace("AAAA<", "AA<"),
        send(&draft).replace(" SaveItemToFolder=\"true\"", ""),
        send(&draft).replace(
            "<m:ItemIds>",
            "<m:SavedItemFolderId><t:DistinguishedFolderId Id=\"drafts\"/></m:SavedItemFolderId><m:ItemIds>",
        ),
    ] {
        for version in ["Exchange2010_SP2", "Exchange2013_SP1", "Exchange2016"] {
            let answer = stand.ask(&Ask::new(&broken).version(version)).await;
            assert_eq!(answer.fault(), (500, "ErrorSchemaValidation"), "{version}: {broken}");
        }
    }
    let newer = create("SaveOnly", "a")
        .replace("<t:ToRecipients>", "<t:Flag><t:FlagStatus>Flagged</t:FlagStatus></t:Flag><t:ToRecipients>");
    assert_eq!(stand.ana(&newer).await.fault(), (500, "ErrorIncorrectSchemaVersion"));
    let answer = stand.ask(&Ask::new(&newer).version("Exchange2013_SP1")).await;
    assert_eq!(texts(&answer.succeeded().text, "ResponseCode"), ["NoError"]);
}
