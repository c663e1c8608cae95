//! CreateItem, CreateAttachment and SendItem.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::*;

const OWN: &str =
    "<t:ExtendedFieldURI DistinguishedPropertySetId='PublicStrings' PropertyName='own' PropertyType='String'/>";
const MIME: &str = "To: g@f.example\r\nCc: anabel.kos@contoso.example\r\nBcc: spy@f.example\r\nSubject: letter\r\nIn-Reply-To: <0@f.example>\r\n\
    References: <0@f.example>\r\nX-Own: 7\r\n\r\nHello\r\n";

fn create(disposition: &str, properties: &str) -> String {
    format!(
        "<m:CreateItem MessageDisposition='{disposition}'><m:Items><t:Message>{properties}</t:Message></m:Items></m:CreateItem>"
    )
}

fn mime(text: &str) -> String {
    format!("<t:MimeContent>{}</t:MimeContent>", STANDARD.encode(text))
}

fn own(value: &str) -> String {
    format!("<t:ExtendedProperty>{OWN}<t:Value>{value}</t:Value></t:ExtendedProperty>")
}

fn to(name: &str, address: &str) -> String {
    format!("<t:{name}><t:Mailbox><t:EmailAddress>{address}</t:EmailAddress></t:Mailbox></t:{name}>")
}

fn send(id: &str, key: Option<&str>, more: &str) -> String {
    let key = key.map_or_else(String::new, |key| format!(" ChangeKey='{key}'"));
    format!("<m:SendItem SaveItemToFolder='true'><m:ItemIds><t:ItemId Id='{id}'{key}/></m:ItemIds>{more}</m:SendItem>")
}

fn attach(id: &str, key: Option<&str>, bytes: &[u8]) -> String {
    let key = key.map_or_else(String::new, |key| format!(" ChangeKey='{key}'"));
    format!(
        "<m:CreateAttachment ><m:ParentItemId Id='{id}'{key}/><m:Attachments><t:FileAttachment><t:Name>a.pdf</t:Name>\
         <t:ContentType>application/pdf</t:ContentType><t:Content>{}</t:Content></t:FileAttachment></m:Attachments></m:CreateAttachment>",
        STANDARD.encode(bytes)
    )
}

/// The subjects of a folder's items.
fn subjects(account: &Account, folder: &str) -> Vec<String> {
    let mailbox = account.mailbox();
    let folder = mailbox.distinguished(folder).unwrap();
    mailbox.items_of(folder).map(|item| item.content.subject.clone().unwrap_or_default()).collect()
}

impl Stage {
    /// Makes a draft; its id and change key.
    fn draft(&self, properties: &str) -> (String, String) {
        let answer = self.ask(&create("SaveOnly", properties));
        let id = messages(&answer)[0].path(&["Items", "Message", "ItemId"]).unwrap();
        (id.attribute("Id").unwrap().to_owned(), id.attribute("ChangeKey").unwrap().to_owned())
    }

    fn code(&self, operation: &str) -> String {
        code(&messages(&self.ask(operation))[0]).to_owned()
    }

    fn anabel(&self) -> &Arc<Account> {
        self.directory.by_address("anabel.kos@contoso.example").unwrap()
    }
}

#[test]
fn a_draft_of_mime_is_sent_as_it_is_and_delivered_without_its_blind_copies() {
    let stage = Stage::new();
    let properties = format!("{}{}{}", mime(MIME), own("CRM:1"), to("BccRecipients", "ana@contoso.example"));
    let (id, key) = stage.draft(&format!("{properties}<t:IsRead>true</t:IsRead>"));
    assert_eq!(subjects(stage.account(), "drafts"), ["letter"]);
    assert!(stage.transport.sent().is_empty());
    assert_eq!(stage.code(&send(&id, Some(&key), "")), "NoError");
    let [sent] = stage.transport.sent().try_into().unwrap();
    let text = String::from_utf8(sent.mime.to_vec()).unwrap();
    assert!(text.contains("X-Own: 7\r\n") && text.ends_with("\r\n\r\nHello\r\n"), "{text}");
    assert!(!text.contains("spy@f.example") && !text.contains("Bcc"), "{text}");
    assert!(text.contains(&sent.message_id) && sent.message_id.ends_with("@mail.contoso.example>"), "{text}");
    assert_eq!((sent.sender.as_str(), sent.from.as_str()), ("ana@contoso.example", "ana@contoso.example"));
    assert_eq!(sent.recipients, ["g@f.example", "anabel.kos@contoso.example", "ana@contoso.example"]);
    assert_eq!(sent.extended["own"], ["CRM:1"]);
    assert_eq!(stage.code(&send(&id, Some(&key), "")), "ErrorItemNotFound", "it is sent once");
    assert!(subjects(stage.account(), "drafts").is_empty());
    for account in [stage.account(), stage.anabel()] {
        let mailbox = account.mailbox();
        let inbox = mailbox.distinguished("inbox").unwrap();
        let [got] = mailbox.items_of(inbox).collect::<Vec<_>>().try_into().unwrap();
        assert_eq!(got.content.message_id.as_ref(), Some(&sent.message_id));
        assert_eq!(got.content.in_reply_to.as_deref(), Some("<0@f.example>"));
        assert_eq!(got.content.references.as_deref(), Some("<0@f.example>"));
        assert!(got.content.bcc.is_empty() && !got.is_read && got.extended.is_empty());
    }
    let mailbox = stage.account().mailbox();
    let folder = mailbox.distinguished("sentitems").unwrap();
    let [copy] = mailbox.items_of(folder).collect::<Vec<_>>().try_into().unwrap();
    assert_ne!(crate::store::Identifier::Item { mailbox: mailbox.guid, key: copy.key }.encode(), id);
    assert_eq!((copy.content.bcc.len(), copy.is_read, copy.is_draft), (1, true, false));
    assert_eq!(copy.content.message_id.as_ref(), Some(&sent.message_id));
}

#[test]
fn a_message_of_properties_is_composed() {
    let stage = Stage::new();
    let id = "<t:ExtendedProperty><t:ExtendedFieldURI PropertyTag='0x1035' PropertyType='String'/><t:Value>&lt;1@crm&gt;</t:Value></t:ExtendedProperty>";
    let header = "<t:ExtendedProperty><t:ExtendedFieldURI DistinguishedPropertySetId='InternetHeaders' PropertyName='X-Crm' PropertyType='String'/>\
        <t:Value>9</t:Value></t:ExtendedProperty>";
    let properties = format!(
        "<t:Subject>Žuto</t:Subject><t:Body BodyType='HTML'>&lt;p&gt;Hi&lt;/p&gt;</t:Body><t:Attachments><t:FileAttachment><t:Name>logo.png</t:Name>\
         <t:ContentType>image/png</t:ContentType><t:ContentId>logo@x</t:ContentId><t:IsInline>true</t:IsInline><t:Content>iVBO</t:Content>\
         </t:FileAttachment></t:Attachments><t:InReplyTo>&lt;0@f.example&gt;</t:InReplyTo>{id}{header}{}<t:References>&lt;0@f.example&gt;</t:References>",
        to("ToRecipients", "anabel.kos@contoso.example")
    );
    let answer = stage.ask(&create("SendAndSaveCopy", &properties));
    assert_eq!(code(&messages(&answer)[0]), "NoError");
    assert!(messages(&answer)[0].child("Items").unwrap().children.is_empty(), "no id");
    let [sent] = stage.transport.sent().try_into().unwrap();
    assert_eq!((sent.message_id.as_str(), sent.subject.as_deref()), ("<1@crm>", Some("Žuto")));
    assert!(String::from_utf8_lossy(&sent.mime).contains("X-Crm: 9\r\n"));
    assert_eq!(subjects(stage.account(), "sentitems"), ["Žuto"]);
    let mailbox = stage.anabel().mailbox();
    let inbox = mailbox.distinguished("inbox").unwrap();
    let got = &mailbox.items_of(inbox).next().unwrap().content;
    assert_eq!((got.html.as_deref().map(str::trim), got.message_id.as_deref()), (Some("<p>Hi</p>"), Some("<1@crm>")));
    assert_eq!((got.in_reply_to.as_deref(), got.references.as_deref()), (Some("<0@f.example>"), Some("<0@f.example>")));
    let logo = &got.attachments[0];
    assert_eq!((logo.name.as_str(), logo.content_id.as_deref(), logo.inline), ("logo.png", Some("logo@x"), true));
}

#[test]
fn send_only_keeps_no_copy_and_a_chosen_folder_gets_it() {
    let stage = Stage::new();
    assert_eq!(stage.code(&create("SendOnly", &mime(MIME))), "NoError");
    assert!(subjects(stage.account(), "sentitems").is_empty());
    let (id, key) = stage.draft(&mime(MIME));
    let chosen = "<m:SavedItemFolderId><t:DistinguishedFolderId Id='journal'/></m:SavedItemFolderId>";
    let unsaved = send(&id, Some(&key), chosen).replace("'true'", "'false'");
    assert_eq!(stage.code(&unsaved), "ErrorInvalidSendItemSaveSettings");
    assert_eq!(stage.code(&send(&id, Some(&key), chosen)), "NoError");
    let (id, key) = stage.draft(&mime(MIME));
    assert_eq!(stage.code(&send(&id, Some(&key), "").replace("'true'", "'false'")), "NoError");
    assert_eq!((subjects(stage.account(), "sentitems").len(), subjects(stage.account(), "journal").len()), (0, 1));
    assert_eq!(stage.transport.sent().len(), 3);
}

#[test]
fn what_is_given_besides_mime_overrides_it() {
    let stage = Stage::new();
    let properties = format!(
        "{}<t:Subject>other</t:Subject>{}",
        mime(&format!("From: g@f.example\r\nMessage-ID: <own@crm>\r\n{MIME}")),
        to("ToRecipients", "k@f.example")
    );
    let (id, key) = stage.draft(&properties);
    assert_eq!(stage.code(&send(&id, Some(&key), "")), "ErrorSendAsDenied", "MIME names the author too");
    stage.account().set_send_as(vec!["G@f.example".to_owned()]);
    assert_eq!(stage.code(&send(&id, Some(&key), "")), "NoError");
    let [sent] = stage.transport.sent().try_into().unwrap();
    assert_eq!((sent.from.as_str(), sent.subject.as_deref()), ("g@f.example", Some("other")));
    assert_eq!((sent.recipients[0].as_str(), sent.message_id.as_str()), ("k@f.example", "<own@crm>"));
}

#[test]
fn attachments_change_the_key_that_sending_needs() {
    let stage = Stage::new();
    let (id, key) = stage.draft(&mime(MIME));
    let mut newest = key.clone();
    for _ in 0..2 {
        let answer = stage.ask(&attach(&id, Some(&newest), b"%PDF"));
        let made = messages(&answer)[0].path(&["Attachments", "FileAttachment", "AttachmentId"]).unwrap();
        assert_eq!((made.attribute("RootItemId"), made.attributes.len()), (Some(id.as_str()), 3));
        assert_ne!(made.attribute("RootItemChangeKey"), Some(newest.as_str()));
        made.attribute("RootItemChangeKey").unwrap().clone_into(&mut newest);
    }
    assert_eq!(stage.code(&attach(&id, Some(&key), b"%PDF")), "ErrorStaleObject");
    assert_eq!(stage.code(&send(&id, Some(&key), "")), "ErrorStaleObject");
    assert_eq!(stage.code(&send(&id, None, "")), "ErrorChangeKeyRequiredForWriteOperations");
    assert_eq!(stage.code(&send(&id, Some("??"), "")), "ErrorInvalidChangeKey");
    let shown = stage.ask(&get(std::slice::from_ref(&id), "<t:IncludeMimeContent>true</t:IncludeMimeContent>"));
    let draft = messages(&shown)[0].path(&["Items", "Message"]).unwrap();
    assert_eq!(draft.child("Attachments").unwrap().children.len(), 2);
    assert!(String::from_utf8_lossy(&draft.child("MimeContent").unwrap().base64().unwrap()).contains("a.pdf"));
    assert_eq!(stage.code(&send(&id, Some(&newest), "")), "NoError");
    let got = stage.anabel().mailbox();
    let inbox = got.distinguished("inbox").unwrap();
    let content = &got.items_of(inbox).next().unwrap().content;
    assert_eq!((content.attachments.len(), content.text.as_deref().map(str::trim)), (2, Some("Hello")));
    assert_eq!(content.attachments[0].size(), 4);
}

#[test]
fn what_cannot_be_made_or_sent_says_why() {
    let stage = Stage::new();
    let from = format!("{}{}", mime(MIME), to("From", "boss@contoso.example"));
    let big = mime(&format!("{MIME}{}", "0123456789abcde\r\n".repeat(6000)));
    for (operation, expected) in [
        (create("SendOnly", &from), "ErrorSendAsDenied"),
        (create("SendOnly", "<t:Subject>a</t:Subject>"), "ErrorMissingRecipients"),
        (create("SendOnly", &to("ToRecipients", "nobody")), "ErrorInvalidRecipients"),
        (create("SaveOnly", &big), "ErrorMessageSizeExceeded"),
        (create("SaveOnly", "<t:MimeContent>no base64!</t:MimeContent>"), "ErrorMimeContentInvalidBase64String"),
        (create("SaveOnly", "<t:IsDraft>true</t:IsDraft>"), "ErrorInvalidPropertySet"),
        (create("SaveOnly", "<t:InternetMessageId>a</t:InternetMessageId>"), "ErrorInvalidPropertySet"),
        (create("SaveOnly", &own("a").replace("'String'", "'Integer'")), "ErrorInvalidExtendedPropertyValue"),
        (
            create("SaveOnly", &own("a").replace("PropertyType", "PropertyTag='0x1035' PropertyType")),
            "ErrorInvalidExtendedProperty",
        ),
        (create("SaveOnly", "").replace("MessageDisposition='SaveOnly'", ""), "ErrorMessageDispositionRequired"),
        (create("SaveOnly", "").replace("t:Message>", "t:Contact>"), "ErrorInvalidItemForOperationCreateItem"),
        (attach("DUMMY", None, b""), "ErrorInvalidIdMalformed"),
        (send("DUMMY", None, ""), "ErrorInvalidIdMalformed"),
    ] {
        let shown: String = operation.chars().take(200).collect();
        assert_eq!(stage.code(&operation), expected, "{shown}");
    }
    assert!(stage.transport.sent().is_empty() && subjects(stage.account(), "drafts").is_empty());
    let (id, key) = stage.draft(&from);
    assert_eq!(stage.code(&send(&id, Some(&key), "")), "ErrorSendAsDenied");
    assert_eq!(stage.code(&attach(&id, None, &[0; 200_000])), "ErrorMessageSizeExceeded");
    assert_eq!(stage.code(&send(&id, Some(&key), "")), "ErrorSendAsDenied", "nothing was changed");
    stage.deliver(1, None);
    let received = ids(&stage.sync("", 10)).remove(0);
    let answer = stage.ask(&get(std::slice::from_ref(&received), ""));
    let key = messages(&answer)[0].path(&["Items", "Message", "ItemId"]).unwrap().attribute("ChangeKey").unwrap();
    assert_eq!(stage.code(&send(&received, Some(key), "")), "ErrorInvalidItemForOperationSendItem");
}

#[test]
fn a_full_mailbox_takes_no_draft_and_the_batch_stops() {
    let stage = Stage::new();
    let (id, key) = stage.draft(&mime(MIME));
    stage.account().set_full(true);
    let two = create("SaveOnly", &mime(MIME)).replace("</t:Message>", "</t:Message><t:Message/>");
    let answer = stage.ask(&two);
    let codes: Vec<_> = messages(&answer).iter().map(code).collect();
    assert_eq!(codes, ["ErrorQuotaExceeded", "ErrorBatchProcessingStopped"]);
    assert!(messages(&answer).iter().all(|message| message.child("Items").is_some()));
    let refused = stage.ask(&attach(&id, Some(&key), b"a"));
    assert_eq!(code(&messages(&refused)[0]), "ErrorQuotaExceeded");
    assert!(messages(&refused)[0].child("Attachments").is_some());
    stage.account().set_full(false);
    assert_eq!(stage.code(&attach(&id, Some(&key), b"a")), "NoError");
}

#[test]
fn a_draft_is_found_by_its_own_property_until_it_is_sent() {
    let stage = Stage::new();
    let (id, key) = stage.draft(&format!("{}{}", mime(MIME), own("CRM:1")));
    stage.draft(&format!("{}{}", mime(MIME), own("CRM:2")));
    let find = |folder: &str| {
        let answer = stage.ask(&format!(
            "<m:FindItem Traversal='Shallow'><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties>\
             <t:FieldURI FieldURI='item:IsDraft'/>{OWN}</t:AdditionalProperties></m:ItemShape><m:Restriction><t:IsEqualTo>{OWN}\
             <t:FieldURIOrConstant><t:Constant Value='CRM:1'/></t:FieldURIOrConstant></t:IsEqualTo></m:Restriction>\
             <m:ParentFolderIds><t:DistinguishedFolderId Id='{folder}'/></m:ParentFolderIds></m:FindItem>"
        ));
        let found = messages(&answer)[0].path(&["RootFolder", "Items"]).unwrap().children.clone();
        found.into_iter().map(|item| {
            assert_eq!(item.path(&["ExtendedProperty", "Value"]).unwrap().text, "CRM:1");
            (item.child("ItemId").unwrap().attribute("Id").unwrap().to_owned(), item.child_is_true("IsDraft"))
        })
    };
    assert_eq!(find("drafts").collect::<Vec<_>>(), [(id.clone(), true)]);
    assert_eq!(find("sentitems").count(), 0);
    assert_eq!(stage.code(&send(&id, Some(&key), "")), "NoError");
    assert_eq!(find("drafts").count(), 0);
    let copies: Vec<_> = find("sentitems").collect();
    assert!(copies.len() == 1 && copies[0].0 != id && !copies[0].1, "{copies:?}");
}

#[test]
fn a_change_of_categories_is_an_update_that_brings_them() {
    let stage = Stage::new();
    stage.deliver(1, None);
    let sync = |state: &str| {
        let shape = "<t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties><t:FieldURI FieldURI='item:Categories'/></t:AdditionalProperties>";
        let answer = stage.ask(&sync(state, 10).replace("<t:BaseShape>IdOnly</t:BaseShape>", shape));
        let message = messages(&answer)[0].clone();
        let state = message.child_text("SyncState").unwrap().to_owned();
        (state, message.child("Changes").unwrap().children.clone())
    };
    let (state, changes) = sync("");
    assert!(changes[0].children[0].child("Categories").is_none(), "an item without has no element");
    let id = changes[0].children[0].child("ItemId").unwrap().attribute("Id").unwrap();
    let update = |update: &str| {
        stage.code(&format!(
            "<m:UpdateItem ConflictResolution='AlwaysOverwrite'><m:ItemChanges><t:ItemChange><t:ItemId Id='{id}'/><t:Updates>{update}</t:Updates>\
             </t:ItemChange></m:ItemChanges></m:UpdateItem>"
        ))
    };
    let path = "<t:FieldURI FieldURI='item:Categories'/>";
    let names =
        "<t:Message><t:Categories><t:String>Tracked</t:String><t:String>Red</t:String></t:Categories></t:Message>";
    assert_eq!(update(&format!("<t:SetItemField>{path}{names}</t:SetItemField>")), "NoError");
    let (state, changes) = sync(&state);
    let categories = changes[0].children[0].child("Categories").unwrap();
    let categories: Vec<_> = categories.children.iter().map(|name| name.text.as_str()).collect();
    assert_eq!((changes.len(), changes[0].name.as_str(), categories), (1, "Update", vec!["Tracked", "Red"]));
    assert_eq!(update(&format!("<t:DeleteItemField>{path}</t:DeleteItemField>")), "NoError");
    let (_, changes) = sync(&state);
    assert!(changes[0].name == "Update" && changes[0].children[0].child("Categories").is_none());
}
