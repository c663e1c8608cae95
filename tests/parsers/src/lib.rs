//! Every parser of foreign bytes, each with texts that it is made for. Tests damage them on every toolchain; cargo-fuzz does so for as long
//! as one likes (`fuzz/`).

use std::path::Path;

use postroad_journal::Recorded as _;
use prost::Message as _;
use stateright::Model as _;

/// A parser.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, as that of the cargo-fuzz target.
    pub name: &'static str,
    /// Parses; what it must not do is to panic.
    pub run: fn(&[u8]),
    /// Texts that it is made for.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: [Target; 6] = [
    Target { name: "answers", run: postroad_ews::fuzz::answers, seeds: answers },
    Target { name: "discovery", run: postroad_ews::fuzz::discovery, seeds: discovery },
    Target { name: "refusals", run: postroad_ews::fuzz::refusals, seeds: refusals },
    Target { name: "stream", run: postroad_ews::fuzz::stream, seeds: streams },
    Target { name: "message", run: postroad_sync::fuzz::message, seeds: messages },
    Target { name: "commit", run: postroad_journal::fuzz::commit, seeds: commits },
];

/// Runs the parser of a name; none where there is none.
pub fn run(name: &str, bytes: &[u8]) {
    if let Some(target) = TARGETS.iter().find(|target| target.name == name) {
        (target.run)(bytes);
    }
}

const ENVELOPE: &str = r#"<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages" xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types"><s:Header><t:ServerVersionInfo MajorVersion="15" MinorVersion="1" MajorBuildNumber="2507" MinorBuildNumber="6" Version="V2017_07_11"/></s:Header><s:Body>@</s:Body></s:Envelope>"#;

const BODIES: [&str; 6] = [
    r#"<m:GetItemResponse><m:ResponseMessages><m:GetItemResponseMessage ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode><m:Items><t:Message><t:MimeContent CharacterSet="UTF-8">U3ViamVjdDogeA0KDQp4</t:MimeContent><t:ItemId Id="AAA=" ChangeKey="CQ=="/><t:Subject>a &amp; b &#x1F600;</t:Subject><t:DateTimeReceived>2024-02-29T23:59:59Z</t:DateTimeReceived><t:Categories><t:String>Red</t:String></t:Categories></t:Message></m:Items></m:GetItemResponseMessage></m:ResponseMessages></m:GetItemResponse>"#,
    r#"<m:SyncFolderItemsResponse><m:ResponseMessages><m:SyncFolderItemsResponseMessage ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode><m:SyncState>H4sI</m:SyncState><m:IncludesLastItemInRange>false</m:IncludesLastItemInRange><m:Changes><t:Create><t:Message><t:ItemId Id="B" ChangeKey="C"/><t:ItemClass>IPM.Note</t:ItemClass></t:Message></t:Create><t:ReadFlagChange><t:ItemId Id="D"/><t:IsRead>true</t:IsRead></t:ReadFlagChange><t:Delete><t:ItemId Id="E"/></t:Delete></m:Changes></m:SyncFolderItemsResponseMessage></m:ResponseMessages></m:SyncFolderItemsResponse>"#,
    r#"<m:FindItemResponse><m:ResponseMessages><m:FindItemResponseMessage ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode><m:RootFolder IndexedPagingOffset="50" TotalItemsInView="4294967296" IncludesLastItemInRange="false"><t:Items><t:Message><t:ItemId Id="F"/></t:Message></t:Items></m:RootFolder></m:FindItemResponseMessage></m:ResponseMessages></m:FindItemResponse>"#,
    r#"<m:SendItemResponse><m:ResponseMessages><m:SendItemResponseMessage ResponseClass="Error"><m:MessageText>busy</m:MessageText><m:ResponseCode>ErrorServerBusy</m:ResponseCode><m:DescriptiveLinkKey>0</m:DescriptiveLinkKey><m:MessageXml><t:Value Name="BackOffMilliseconds">18446744073709551616</t:Value></m:MessageXml></m:SendItemResponseMessage></m:ResponseMessages></m:SendItemResponse>"#,
    r#"<s:Fault><faultcode xmlns:a="http://schemas.microsoft.com/exchange/services/2006/types">a:ErrorServerBusy</faultcode><faultstring xml:lang="en-US">busy</faultstring><detail><e:ResponseCode xmlns:e="http://schemas.microsoft.com/exchange/services/2006/errors">ErrorServerBusy</e:ResponseCode></detail></s:Fault>"#,
    r#"<m:GetStreamingEventsResponse><m:ResponseMessages><m:GetStreamingEventsResponseMessage ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode><m:Notifications><m:Notification><t:SubscriptionId>s</t:SubscriptionId><t:NewMailEvent><t:TimeStamp>2024-01-01T00:00:00Z</t:TimeStamp><t:ItemId Id="G"/><t:ParentFolderId Id="H"/></t:NewMailEvent></m:Notification></m:Notifications><m:ConnectionStatus>OK</m:ConnectionStatus></m:GetStreamingEventsResponseMessage></m:ResponseMessages></m:GetStreamingEventsResponse>"#,
];

fn envelopes() -> Vec<Vec<u8>> {
    BODIES.iter().map(|body| ENVELOPE.replace('@', body).into_bytes()).collect()
}

/// What is made to exhaust a reader of XML.
fn exhausting() -> Vec<Vec<u8>> {
    let many = 20_000;
    let deep = format!("{}{}", "<a>".repeat(many), "</a>".repeat(many));
    let names: String = (0..many).map(|number| format!(" a{number}='x'")).collect();
    let spaces: String = (0..many / 10).map(|number| format!("<a xmlns:p{number}='http://x/{number}'>")).collect();
    let entities = r#"<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><a>&c;&c;&c;</a>"#;
    vec![
        ENVELOPE.replace('@', &deep).into_bytes(),
        ENVELOPE.replace('@', &format!("<a{names}/>")).into_bytes(),
        ENVELOPE.replace('@', &spaces).into_bytes(),
        entities.into(),
        "<".repeat(many).into_bytes(),
        "&#x".repeat(many).into_bytes(),
        "</s:Envelope>".repeat(many / 10).into_bytes(),
    ]
}

/// Wire samples beside the workspace, whose name has a part, if they are there.
fn samples(part: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/ews/samples");
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.to_string_lossy().contains(part));
    paths.sort();
    // The large ones have no other shapes, and cost the time of many others.
    paths.iter().filter_map(|path| std::fs::read(path).ok()).filter(|bytes| bytes.len() < 1 << 16).collect()
}

fn answers() -> Vec<Vec<u8>> {
    [envelopes(), exhausting(), samples(".resp.xml")].concat()
}

fn discovery() -> Vec<Vec<u8>> {
    let own = [
        r#"<?xml version="1.0" encoding="utf-8"?><Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"><Response xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"><Account><AccountType>email</AccountType><Action>settings</Action><Protocol><Type>EXPR</Type><EwsUrl>https://mail.contoso.example/EWS/Exchange.asmx</EwsUrl></Protocol></Account></Response></Autodiscover>"#,
        r#"<Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"><Response xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"><Account><Action>redirectAddr</Action><RedirectAddr>a@b.example</RedirectAddr></Account></Response></Autodiscover>"#,
        r#"<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><GetUserSettingsResponseMessage xmlns="http://schemas.microsoft.com/exchange/2010/Autodiscover"><Response xmlns:i="http://www.w3.org/2001/XMLSchema-instance"><ErrorCode>NoError</ErrorCode><UserResponses><UserResponse><ErrorCode>NoError</ErrorCode><RedirectTarget i:nil="true"/><UserSettings><UserSetting i:type="StringSetting"><Name>ExternalEwsUrl</Name><Value>https://mail.contoso.example/EWS/Exchange.asmx</Value></UserSetting></UserSettings></UserResponse></UserResponses></Response></GetUserSettingsResponseMessage></s:Body></s:Envelope>"#,
    ];
    let own = own.iter().map(|text| text.as_bytes().to_vec()).collect();
    [own, exhausting(), samples("autodiscover")].concat()
}

fn refusals() -> Vec<Vec<u8>> {
    let own = [
        "\x01\x2dWWW-Authenticate: Negotiate, NTLM, Basic realm=\"a \\\" b\"\nWWW-Authenticate: Bearer client_id=\"x\", authorization_uri=\"https://login.example\"\n\n<html>401</html>",
        "\x01\u{93}Retry-After: 99999999999999999999\nX-MS-Diagnostics: 2000003;reason=\"The hostname is invalid\";error_category=\"invalid_resource\"\n\nServer Too Busy",
        "\x00\u{c8}Retry-After: Wed, 21 Oct 2015 07:28:00 GMT\nLocation: https://elsewhere.example/EWS\n\n{\"token_type\":\"Bearer\",\"expires_in\":\"3599\",\"access_token\":\"eyJ0\"}",
        "\x00\x01Content-Type: application/json\n\n{\"error\":\"invalid_client\",\"error_description\":\"AADSTS7000215: x\",\"error_codes\":[7000215]}",
        "\x00\x01https://user:x@mail.contoso.example:99999/../EWS?x#y\n\n",
    ];
    own.iter().map(|text| text.chars().map(|one| u8::try_from(one).unwrap_or(b'?')).collect()).collect()
}

fn streams() -> Vec<Vec<u8>> {
    let all = [vec![13], envelopes().concat(), b"\r\n".to_vec(), envelopes().concat()].concat();
    let exhausting = exhausting().into_iter().map(|bytes| [vec![3], bytes].concat());
    let samples = samples("streaming").into_iter().map(|bytes| [vec![200], bytes].concat());
    std::iter::once(all).chain(exhausting).chain(samples).collect()
}

fn messages() -> Vec<Vec<u8>> {
    let own = [
        "From: \"A, B\" <a@b.example>\r\nTo: c@d.example, =?utf-8?B?w6k=?= <e@f.example>\r\nSubject: =?iso-8859-1?Q?=E9?=\r\nMessage-ID: <1@b.example>\r\nReferences: <2@b.example> <3@b.example>\r\nThread-Index: AQHYAAAAAAAAAAAAAAAAAA==\r\nDate: Thu, 29 Feb 2024 23:59:59 +0100\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"x\"\r\n\r\n--x\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<p style=3D\"color:red;position:fixed\" onclick=3D\"x()\">a<script>b</script><img src=3D\"cid:i\"><a href=3D\"javascript:x\">c</a>\r\n--x\r\nContent-Type: message/rfc822\r\n\r\nFrom: g@h.example\r\nSubject: inner\r\n\r\ntext\r\n--x\r\nContent-Type: application/octet-stream; name*=utf-8''%e2%82%ac.bin\r\nContent-Disposition: attachment\r\nContent-Transfer-Encoding: base64\r\n\r\nAAECAw==\r\n--x--\r\n",
        "Subject: x\n\nonly text, bare line feeds",
        "Content-Type: text/html\r\n\r\n<svg><style><img src=x onerror=alert(1)></style></svg><math><mtext></form><form><mglyph><style></math><img src onerror=1>",
        "begin 644 a\r\n#0V%T\r\n`\r\nend\r\n",
    ];
    let nested: String = (0..64)
        .map(|depth| format!("Content-Type: multipart/mixed; boundary=b{depth}\r\n\r\n--b{depth}\r\n"))
        .collect();
    let forwarded = "Content-Type: message/rfc822\r\n\r\n".repeat(200);
    let references = format!("References: {}\r\n\r\n", "<a@b> ".repeat(3000));
    let parties = format!("To: {}\r\n\r\n", "a@b.example,".repeat(3000));
    let deep = format!("Content-Type: text/html\r\n\r\n{}", "<div>".repeat(500));
    let made = [nested, forwarded, references, parties, deep];
    own.iter().map(|text| text.as_bytes().to_vec()).chain(made.into_iter().map(String::into_bytes)).collect()
}

/// Commits of a mailbox that receives and sends, from a walk through the model.
fn commits() -> Vec<Vec<u8>> {
    use model::{Action, Protocol, World};
    use postroad_proto::journal::v1 as stored;
    let (messages, cycles, losses) = (2, 6, 1);
    let protocol = Protocol { messages, sends: true, cycles, crashes: 0, losses, changes: 2, resyncs: 1, flaw: None };
    let mut world = World::new(&protocol);
    for step in 0..400 {
        let mut actions = Vec::new();
        protocol.actions(&world, &mut actions);
        actions.retain(|action| !matches!(action, Action::Lose) || step % 23 == 0);
        let chosen = actions.get(step * 7 % actions.len().max(1)).copied();
        if let Some(next) = chosen.and_then(|action| protocol.next_state(&world, action)) {
            world = next;
        }
    }
    let encode = postroad_core::mailbox::Cycles::encode;
    let events: Vec<stored::Event> =
        world.journal.events().map(|event| stored::Event { event: Some(encode(event)) }).collect();
    let commit = |events: &[stored::Event]| stored::Commit { at: None, events: events.to_vec() }.encode_to_vec();
    events.chunks(1).chain(std::iter::once(events.as_slice())).map(commit).collect()
}
