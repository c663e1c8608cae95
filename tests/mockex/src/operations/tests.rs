mod attachments;
mod listings;
mod names;
mod sending;
mod updates;

use bytes::Bytes;

use super::*;
use crate::content;
use crate::fault::ItemFault;
use crate::options::{Mailbox as MailboxOptions, Streaming};
use crate::store::Item;

const MESSAGES: &str = "http://schemas.microsoft.com/exchange/services/2006/messages";
const TYPES: &str = "http://schemas.microsoft.com/exchange/services/2006/types";
const INBOX: &str = "<t:DistinguishedFolderId Id='inbox'/>";

struct Stage {
    directory: Directory,
    transport: Transport,
}

impl Stage {
    fn new() -> Self {
        let mut directory = Directory::default();
        for address in ["ana@contoso.example", "anabel.kos@contoso.example"] {
            directory.add(&MailboxOptions::new(address), 0).unwrap();
        }
        Self { directory, transport: Transport::new("mail.contoso.example".to_owned(), Some(100_000)) }
    }

    fn account(&self) -> &Arc<Account> {
        self.directory.by_address("ana@contoso.example").unwrap()
    }

    fn deliver(&self, number: usize, fault: Option<ItemFault>) {
        let mime = format!(
            "From: g@f.example\r\nMessage-ID: <{number}@f.example>\r\nSubject: letter {number}\r\n\r\nhello\r\n"
        );
        self.deliver_mime(number, mime, fault);
    }

    fn deliver_mime(&self, number: usize, mime: String, fault: Option<ItemFault>) {
        let at = Timestamp::from_second(1_700_000_000 + i64::try_from(number).unwrap()).unwrap();
        let mut item = Item::delivered(content::read(Bytes::from(mime), at, "mail"), at, at);
        item.fault = fault;
        let mut mailbox = self.account().mailbox();
        let inbox = mailbox.distinguished("inbox").unwrap();
        mailbox.add_item(inbox, item).unwrap();
    }

    fn ask(&self, operation: &str) -> Element {
        self.ask_disturbed(operation, None, false)
    }

    fn ask_disturbed(&self, operation: &str, disturbance: Option<Disturbance>, refuse: bool) -> Element {
        let text = operation.replacen(' ', &format!(" xmlns:m='{MESSAGES}' xmlns:t='{TYPES}' "), 1);
        let element = Element::parse(&text).unwrap();
        let call = Call {
            directory: &self.directory,
            transport: &self.transport,
            account: Some(self.account()),
            level: Level::Exchange2016,
            disturbance,
            refuse_sync_state: &|| refuse,
            now: Timestamp::from_second(1_700_000_100).unwrap(),
            subscriptions: &Subscriptions::new(Streaming::default()),
            back_end: BackEnd { region: 0, number: 0 },
            caller: &Caller::Service,
        };
        let answer = perform(&call, &element).unwrap();
        // Characters that XML forbids are references, which this strict reader refuses.
        Element::parse(&answer.replace("&#x0;", "").replace("&#xB;", "").replace("&#x1F;", "").replace("&#xFFFF;", ""))
            .unwrap()
    }

    fn sync(&self, state: &str, most: usize) -> Element {
        self.ask(&sync(state, most))
    }
}

fn sync(state: &str, most: usize) -> String {
    format!(
        "<m:SyncFolderItems ><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape><m:SyncFolderId>{INBOX}</m:SyncFolderId>\
         <m:SyncState>{state}</m:SyncState><m:MaxChangesReturned>{most}</m:MaxChangesReturned></m:SyncFolderItems>"
    )
}

fn messages(answer: &Element) -> &[Element] {
    &answer.child("ResponseMessages").unwrap().children
}

fn code(message: &Element) -> &str {
    message.child_text("ResponseCode").unwrap()
}

fn ids(answer: &Element) -> Vec<String> {
    let changes = messages(answer)[0].child("Changes").unwrap();
    changes
        .children
        .iter()
        .map(|change| {
            let item = change.child("ItemId").or_else(|| change.children[0].child("ItemId")).unwrap();
            item.attribute("Id").unwrap().to_owned()
        })
        .collect()
}

fn get(ids: &[String], more: &str) -> String {
    let ids: String = ids.iter().map(|id| format!("<t:ItemId Id='{id}'/>")).collect();
    format!(
        "<m:GetItem ><m:ItemShape><t:BaseShape>Default</t:BaseShape>{more}</m:ItemShape><m:ItemIds>{ids}</m:ItemIds></m:GetItem>"
    )
}

#[test]
fn a_folder_is_listed_page_by_page_and_then_by_its_changes() {
    let stage = Stage::new();
    (0..5).for_each(|number| stage.deliver(number, None));
    let first = stage.sync("", 3);
    let state = messages(&first)[0].child_text("SyncState").unwrap().to_owned();
    assert_eq!((ids(&first).len(), messages(&first)[0].child_text("IncludesLastItemInRange")), (3, Some("false")));
    let second = stage.sync(&state, 3);
    assert_eq!(ids(&second).len(), 2);
    let state = messages(&second)[0].child_text("SyncState").unwrap().to_owned();
    assert!(ids(&stage.sync(&state, 3)).is_empty());
    stage.deliver(9, None);
    assert_eq!(ids(&stage.sync(&state, 3)).len(), 1);
}

#[test]
fn a_state_of_another_life_is_refused() {
    let (stage, other) = (Stage::new(), Stage::new());
    let state = messages(&other.sync("", 3))[0].child_text("SyncState").unwrap().to_owned();
    assert_eq!(code(&messages(&stage.sync(&state, 3))[0]), "ErrorInvalidSyncStateData");
    let own = messages(&stage.sync("", 3))[0].child_text("SyncState").unwrap().to_owned();
    assert_eq!(code(&messages(&stage.ask_disturbed(&sync(&own, 3), None, true))[0]), "ErrorInvalidSyncStateData");
}

#[test]
fn each_item_of_a_batch_has_its_own_result() {
    let stage = Stage::new();
    stage.deliver(1, None);
    stage.deliver(2, Some(ItemFault::Poison { code: "ErrorItemCorrupt".to_owned() }));
    let mut wanted = ids(&stage.sync("", 10));
    wanted.push("DUMMY".to_owned());
    let answer = stage.ask(&get(&wanted, ""));
    let codes: Vec<_> = messages(&answer).iter().map(code).collect();
    assert_eq!(codes, ["ErrorItemCorrupt", "NoError", "ErrorInvalidIdMalformed"]);
}

#[test]
fn a_hard_error_stops_the_batch() {
    let stage = Stage::new();
    (0..2).for_each(|number| stage.deliver(number, None));
    stage.deliver(2, Some(ItemFault::Poison { code: "ErrorMailboxMoveInProgress".to_owned() }));
    stage.deliver(3, None);
    let answer = stage.ask(&get(&ids(&stage.sync("", 10)), ""));
    let outcomes: Vec<_> =
        messages(&answer).iter().map(|message| (message.attribute("ResponseClass").unwrap(), code(message))).collect();
    let stopped = ("Warning", "ErrorBatchProcessingStopped");
    assert_eq!(outcomes, [("Success", "NoError"), ("Error", "ErrorMailboxMoveInProgress"), stopped, stopped]);
    assert!(messages(&answer)[2].child("Items").is_some());
}

#[test]
fn only_mime_fails_where_only_mime_is_broken() {
    let stage = Stage::new();
    stage.deliver(1, Some(ItemFault::Mime { code: "ErrorMimeContentConversionFailed".to_owned() }));
    let wanted = ids(&stage.sync("", 10));
    assert_eq!(code(&messages(&stage.ask(&get(&wanted, "")))[0]), "NoError");
    let mime = "<t:IncludeMimeContent>true</t:IncludeMimeContent>";
    assert_eq!(code(&messages(&stage.ask(&get(&wanted, mime)))[0]), "ErrorMimeContentConversionFailed");
}

#[test]
fn a_moved_item_has_another_id_and_is_gone_from_its_folder() {
    let stage = Stage::new();
    stage.deliver(1, None);
    let first = stage.sync("", 10);
    let (id, state) = (ids(&first).remove(0), messages(&first)[0].child_text("SyncState").unwrap().to_owned());
    let make = "<m:CreateFolder ><m:ParentFolderId><t:DistinguishedFolderId Id='inbox'/></m:ParentFolderId><m:Folders><t:Folder>\
        <t:DisplayName>Undeliverable</t:DisplayName></t:Folder></m:Folders></m:CreateFolder>";
    let made = stage.ask(make);
    let folder =
        messages(&made)[0].path(&["Folders", "Folder", "FolderId"]).unwrap().attribute("Id").unwrap().to_owned();
    assert_eq!(code(&messages(&stage.ask(make))[0]), "ErrorFolderExists");
    let moved = stage.ask(&format!(
        "<m:MoveItem ><m:ToFolderId><t:FolderId Id='{folder}'/></m:ToFolderId><m:ItemIds><t:ItemId Id='{id}'/></m:ItemIds></m:MoveItem>"
    ));
    let new = messages(&moved)[0].path(&["Items", "Message", "ItemId"]).unwrap().attribute("Id").unwrap().to_owned();
    assert_ne!(new, id);
    assert_eq!(code(&messages(&stage.ask(&get(std::slice::from_ref(&id), "")))[0]), "ErrorItemNotFound");
    let after = stage.sync(&state, 10);
    assert_eq!(
        (messages(&after)[0].child("Changes").unwrap().children[0].name.as_str(), ids(&after)),
        ("Delete", vec![id])
    );
}

#[test]
fn a_stale_change_key_is_a_conflict() {
    let stage = Stage::new();
    stage.deliver(1, None);
    let id = ids(&stage.sync("", 10)).remove(0);
    let update = |key: &str, resolution: &str| {
        format!(
            "<m:UpdateItem ConflictResolution='{resolution}'><m:ItemChanges><t:ItemChange><t:ItemId Id='{id}' {key}/><t:Updates>\
             <t:SetItemField><t:FieldURI FieldURI='message:IsRead'/><t:Message><t:IsRead>true</t:IsRead></t:Message></t:SetItemField>\
             </t:Updates></t:ItemChange></m:ItemChanges></m:UpdateItem>"
        )
    };
    assert_eq!(code(&messages(&stage.ask(&update("", "AutoResolve")))[0]), "ErrorChangeKeyRequired");
    assert_eq!(
        code(&messages(&stage.ask(&update("ChangeKey='old'", "NeverOverwrite")))[0]),
        "ErrorIrresolvableConflict"
    );
    assert_eq!(code(&messages(&stage.ask(&update("", "AlwaysOverwrite")))[0]), "NoError");
}

#[test]
fn disturbances_take_the_forms_of_the_real_server() {
    let stage = Stage::new();
    (0..3).for_each(|number| stage.deliver(number, None));
    let wanted = ids(&stage.sync("", 10));
    let busy = Disturbance::FirstError { code: "ErrorServerBusy".to_owned(), back_off: Some(5000), inner: false };
    let answer = stage.ask_disturbed(&get(&wanted, ""), Some(busy), false);
    let codes: Vec<_> = messages(&answer).iter().map(code).collect();
    assert_eq!(codes, ["ErrorServerBusy", "ErrorBatchProcessingStopped", "ErrorBatchProcessingStopped"]);
    assert_eq!(messages(&answer)[0].path(&["MessageXml", "Value"]).unwrap().text, "5000");
    let partial = Disturbance::Partial { keep: 2, form: PartialForm::Missing };
    assert_eq!(messages(&stage.ask_disturbed(&get(&wanted, ""), Some(partial), false)).len(), 2);
}

#[test]
fn messages_are_found_by_message_id() {
    let stage = Stage::new();
    (0..3).for_each(|number| stage.deliver(number, None));
    let answer = stage.ask(
        "<m:FindItem Traversal='Shallow'><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape><m:Restriction><t:IsEqualTo>\
         <t:FieldURI FieldURI='message:InternetMessageId'/><t:FieldURIOrConstant><t:Constant Value='&lt;1@f.example&gt;'/>\
         </t:FieldURIOrConstant></t:IsEqualTo></m:Restriction><m:ParentFolderIds><t:DistinguishedFolderId Id='inbox'/>\
         </m:ParentFolderIds></m:FindItem>",
    );
    let root = messages(&answer)[0].child("RootFolder").unwrap();
    assert_eq!(root.attribute("TotalItemsInView"), Some("1"));
}
