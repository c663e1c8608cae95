//! The answers against the schema files of the real server, where xmllint and those files are at hand.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use mockex::{BusyForm, Delivery, Fault, FaultKind};
use tempfile::TempDir;

use crate::autodiscover::user_settings;
use crate::client::{Answer, Ask, FIND_ITEMS, GET_INBOX, Stand, get_items, sync_inbox, texts};
use crate::sending::{self, send};

/// Documents on their way to xmllint, in files.
struct Documents {
    folder: TempDir,
    schema: PathBuf,
    count: usize,
}

// === impl Documents ===

impl Documents {
    fn new(schema: PathBuf) -> Self {
        Self { folder: TempDir::with_prefix("mockex-schemas-").unwrap(), schema, count: 0 }
    }

    fn add(&mut self, name: &str, document: &str) {
        self.count += 1;
        std::fs::write(self.folder.path().join(format!("{:02}-{name}.xml", self.count)), document).unwrap();
    }

    fn check(&self) {
        let mut files: Vec<_> = self.folder.path().read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let mut xmllint = Command::new("xmllint");
        xmllint.args(["--huge", "--noout", "--nonet", "--schema"]).arg(&self.schema).args(files);
        let output = xmllint.output().unwrap();
        let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
        let complaints: Vec<_> = complaints.lines().filter(|line| !line.ends_with(" validates")).collect();
        assert!(output.status.success(), "{}", complaints.join("\n"));
    }
}

/// The folder of schema files; none, with a message, where something is missing.
fn schemas() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/ews/schemas");
    if !folder.join("ews-envelope-latest.xsd").exists() {
        println!("skipped: there are no schema files at {}", folder.display());
        return None;
    }
    match Command::new("xmllint").arg("--version").output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            println!("skipped: xmllint is not installed (Debian: libxml2-utils)");
            None
        }
        found => {
            found.unwrap();
            Some(folder)
        }
    }
}

/// A message with an attachment, recipients and what else there may be.
fn letter(mailbox: &str) -> Delivery {
    let mime = format!(
        "From: Gus <gus@fabrikam.example>\r\nTo: {mailbox}\r\nCc: Zoe <zoe@fabrikam.example>\r\nReply-To: r@fabrikam.example\r\n\
         Message-ID: <1@fabrikam.example>\r\nIn-Reply-To: <0@fabrikam.example>\r\nReferences: <0@fabrikam.example>\r\n\
         Date: Mon, 2 Feb 2026 10:00:00 +0000\r\nImportance: high\r\nSubject: =?utf-8?q?=C5=BDuto?=\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>Hello</p>\r\n--b\r\n\
         Content-Type: application/pdf; name=offer.pdf\r\nContent-Disposition: attachment; filename=offer.pdf\r\n\
         Content-Transfer-Encoding: base64\r\n\r\nSGVsbG8=\r\n--b--\r\n"
    );
    Delivery { mailbox: mailbox.to_owned(), mime: mime.into(), ..Delivery::default() }
}

fn attachment(answer: &Answer) -> &str {
    answer.text.split("<t:AttachmentId Id=\"").nth(1).unwrap().split('"').next().unwrap()
}

/// Every operation once; the item goes from the Inbox to where it ends.
fn operations(item: &str, attachment: &str, state: &str) -> Vec<String> {
    let operations = [
        GET_INBOX,
        FIND_ITEMS,
        "<m:FindFolder Traversal=\"Deep\"><m:FolderShape><t:BaseShape>AllProperties</t:BaseShape></m:FolderShape><m:ParentFolderIds>\
         <t:DistinguishedFolderId Id=\"msgfolderroot\"/></m:ParentFolderIds></m:FindFolder>",
        "<m:SyncFolderHierarchy><m:FolderShape><t:BaseShape>AllProperties</t:BaseShape></m:FolderShape></m:SyncFolderHierarchy>",
        "<m:CreateFolder><m:ParentFolderId><t:DistinguishedFolderId Id=\"inbox\"/></m:ParentFolderId><m:Folders><t:Folder>\
         <t:FolderClass>IPF.Note</t:FolderClass><t:DisplayName>Tracked</t:DisplayName></t:Folder></m:Folders></m:CreateFolder>",
        "<m:ResolveNames ReturnFullContactData=\"true\"><m:UnresolvedEntry>contoso.example</m:UnresolvedEntry></m:ResolveNames>",
        "<m:ResolveNames ReturnFullContactData=\"false\"><m:UnresolvedEntry>nobody</m:UnresolvedEntry></m:ResolveNames>",
        "<m:GetServerTimeZones ReturnFullTimeZoneData=\"false\"/>",
        "<m:ConvertId DestinationFormat=\"EntryId\"><m:SourceIds><t:AlternateId Format=\"EwsId\" Id=\"DUMMY\" Mailbox=\"a@contoso.example\"/>\
         </m:SourceIds></m:ConvertId>",
    ];
    let mut all: Vec<String> = operations.map(str::to_owned).into();
    all.push(get_items([item]));
    all.push(get_items(["bm9uZQ=="]));
    all.push(sync_inbox(None));
    all.push(sync_inbox(Some(state)));
    all.push(sync_inbox(Some("bm9uZQ==")));
    all.push(format!(
        "<m:GetAttachment><m:AttachmentIds><t:AttachmentId Id=\"{attachment}\"/></m:AttachmentIds></m:GetAttachment>"
    ));
    all.push(format!(
        "<m:UpdateItem MessageDisposition=\"SaveOnly\" ConflictResolution=\"AlwaysOverwrite\"><m:ItemChanges><t:ItemChange>\
         <t:ItemId Id=\"{item}\"/><t:Updates><t:SetItemField><t:FieldURI FieldURI=\"message:IsRead\"/><t:Message><t:IsRead>true</t:IsRead>\
         </t:Message></t:SetItemField></t:Updates></t:ItemChange></m:ItemChanges></m:UpdateItem>"
    ));
    all.push(sync_inbox(Some(state)));
    all.push(format!(
        "<m:MoveItem><m:ToFolderId><t:DistinguishedFolderId Id=\"deleteditems\"/></m:ToFolderId><m:ItemIds><t:ItemId Id=\"{item}\"/>\
         </m:ItemIds></m:MoveItem>"
    ));
    all.push(sync_inbox(Some(state)));
    all.push(format!(
        "<m:DeleteItem DeleteType=\"HardDelete\"><m:ItemIds><t:ItemId Id=\"{item}\"/></m:ItemIds></m:DeleteItem>"
    ));
    all
}

fn name(operation: &str) -> &str {
    operation.trim_start_matches("<m:").split([' ', '>', '/']).next().unwrap()
}

/// A draft on its way, and what is refused of it.
async fn add_sending(documents: &mut Documents, stand: &Stand, ask: &Ask<'_>) {
    let mut draft = (String::new(), String::new());
    for operation in [create as fn(&_) -> _, attach, send, send, attach, send_at_once, create_full] {
        let operation = operation(&draft);
        if operation.contains("full") {
            let mailbox = ask.sid.as_deref().map(|sid| texts(sid, "PrimarySmtpAddress")[0]).unwrap();
            stand.exchange.set_full(mailbox, true).unwrap();
        }
        let ask = ask.to(&operation);
        let answer = stand.ask(&ask).await;
        assert_eq!(answer.status, 200, "{operation}\n{}", answer.text);
        documents.add(&format!("{}-request", name(&operation)), &ask.envelope());
        documents.add(name(&operation), &answer.text);
        if answer.text.contains("ChangeKey=") {
            draft = sending::item(&answer.text);
        }
    }
    assert!(stand.exchange.sent().len() >= 2);
}

fn create(_: &(String, String)) -> String {
    sending::create("SaveOnly", "draft")
}

fn attach(draft: &(String, String)) -> String {
    sending::attach(draft, 300)
}

fn send_at_once(_: &(String, String)) -> String {
    sending::create("SendAndSaveCopy", "at once")
}

fn create_full(_: &(String, String)) -> String {
    sending::create("SaveOnly", "full")
}

async fn add_faults(documents: &mut Documents, stand: &Stand, ask: &Ask<'_>) {
    let busy = |form| FaultKind::Busy { back_off_milliseconds: 5000, form };
    let code = || "ErrorMailboxStoreUnavailable".to_owned();
    for kind in [
        busy(BusyForm::FaultTypes),
        busy(BusyForm::FaultErrors),
        busy(BusyForm::Response),
        busy(BusyForm::Inner),
        FaultKind::SoapFault { code: code() },
        FaultKind::ResponseError { code: code() },
        FaultKind::InnerError { code: code() },
    ] {
        stand.exchange.set_fault(Fault::new(kind).times(1));
        documents.add("fault", &stand.ask(ask).await.text);
    }
    documents.add("fault", &stand.ask(&ask.to("<m:GetFolder/>")).await.text);
}

#[tokio::test]
async fn requests_and_answers_fit_the_schemas() {
    let Some(schemas) = schemas() else { return };
    let stand = Stand::start().await;
    for (region, mailbox, version, schema) in [
        ("asia", "kemal@contoso.example", "Exchange2010_SP2", "ews-envelope-exchange2010_sp2.xsd"),
        ("america", "hana@contoso.example", "Exchange2013_SP1", "ews-envelope-exchange2013_sp1.xsd"),
        ("europe", "ana@contoso.example", "Exchange2016", "ews-envelope-latest.xsd"),
    ] {
        let mut documents = Documents::new(schemas.join(schema));
        let item = stand.exchange.deliver(letter(mailbox)).unwrap().item_id;
        let base = Ask::new(GET_INBOX).region(region).mailbox(mailbox).version(version);
        let whole = stand.ask(&base.to(&get_items([item.as_str()]))).await;
        let state = stand.ask(&base.to(&sync_inbox(None))).await;
        for operation in operations(&item, attachment(&whole), state.succeeded().first("SyncState")) {
            let ask = base.to(&operation);
            let answer = stand.ask(&ask).await;
            assert_eq!(answer.status, 200, "{operation}\n{}", answer.text);
            documents.add(&format!("{}-request", name(&operation)), &ask.envelope());
            documents.add(name(&operation), &answer.text);
        }
        add_sending(&mut documents, &stand, &base).await;
        add_faults(&mut documents, &stand, &base).await;
        documents.check();
    }
}

#[tokio::test]
async fn autodiscover_fits_its_schemas() {
    let Some(schemas) = schemas() else { return };
    let stand = Stand::start().await;
    let addresses = ["ana@contoso.example", "ghost@contoso.example"];
    let mut soap = Documents::new(schemas.join("autodiscover-soap-envelope.xsd"));
    let mut pox = Documents::new(schemas.join("autodiscover/pox-response.xsd"));
    soap.add("request", &user_settings(&addresses));
    soap.add("settings", &stand.settings(&addresses).await.text);
    soap.add("invalid", &stand.settings(&[]).await.text);
    for address in addresses {
        let answer = stand.pox(address).await;
        assert!(!texts(&answer.text, "Response").is_empty());
        pox.add("answer", &answer.text);
    }
    let (address, url) =
        ("ana@other.example".to_owned(), "https://other.example/autodiscover/autodiscover.svc".to_owned());
    for kind in [FaultKind::RedirectAddress { address }, FaultKind::RedirectUrl { url }] {
        stand.exchange.set_fault(Fault::new(kind).times(2));
        soap.add("redirect", &stand.settings(&addresses).await.text);
        pox.add("redirect", &stand.pox(addresses[0]).await.text);
    }
    soap.check();
    pox.check();
}
