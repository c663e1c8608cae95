use super::*;

fn message(mime: &str) -> Message {
    Message {
        mime: Bytes::copy_from_slice(mime.as_bytes()),
        message_id: None,
        received: None,
        subject: String::new(),
        categories: Vec::new(),
    }
}

fn received(message: &Message) -> Composed {
    compose(message, EmailDirection::Incoming)
}

const MULTIPART: &str = concat!(
    "From: Ada King <ada@contoso.example>\r\nTo: Bob <bob@contoso.example>, carl@fabrikam.example\r\n",
    "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMessage-ID: <1@contoso.example>\r\n",
    "In-Reply-To: <0@contoso.example>\r\nDate: Mon, 23 Nov 2026 10:00:00 +0100\r\nMIME-Version: 1.0\r\n",
    "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHello\r\n",
    "--x\r\nContent-Type: application/pdf; name=\"a.pdf\"\r\nContent-Disposition: attachment; filename=\"a.pdf\"\r\n",
    "Content-Transfer-Encoding: base64\r\n\r\nJVBERg==\r\n--x--\r\n"
);

#[test]
fn a_message_becomes_an_activity() {
    let composed = received(&message(MULTIPART));
    let email = &composed.email;
    assert_eq!((email.subject.as_str(), email.message_id.as_str()), ("Grüße", "<1@contoso.example>"));
    let parties: Vec<_> = email.parties.iter().map(|party| (party.role(), party.address.as_str())).collect();
    assert_eq!(
        parties,
        [
            (PartyRole::From, "ada@contoso.example"),
            (PartyRole::To, "bob@contoso.example"),
            (PartyRole::To, "carl@fabrikam.example")
        ]
    );
    assert_eq!(email.attachments[0].name, "a.pdf");
    assert_eq!(composed.contents.last().unwrap().as_ref(), b"%PDF");
    assert_eq!(composed.contents.len(), 3, "text, MIME and the attachment");
}

#[test]
fn what_a_message_answers_is_read_from_its_headers() {
    let mime = concat!(
        "From: ada@contoso.example\r\nIn-Reply-To: <0@x> <1@x>\r\nReferences: <a@x>\r\n <b@x>\r\n",
        "Thread-Index: AQEBAQEBAQEBAQEBAQEB\r\n AQEBAQEBAQICAgIC\r\n\r\nText"
    );
    let composed = received(&message(mime));
    assert_eq!(composed.in_reply_to, ["<0@x>", "<1@x>"]);
    assert_eq!(composed.email.references, ["<a@x>", "<b@x>"]);
    assert_eq!(composed.email.conversation_index.len(), 27);
    let damaged = received(&message("From: a@x.example\r\nThread-Index: no base64!\r\nReferences: \r\n\r\nText"));
    assert!(damaged.email.conversation_index.is_empty() && damaged.email.references.is_empty());
}

#[test]
fn exchanges_own_message_id_comes_first() {
    let mut with = message(MULTIPART);
    with.message_id = Some("<exchange@contoso.example>".into());
    assert_eq!(received(&with).email.message_id, "<exchange@contoso.example>");
}

#[test]
fn what_cannot_be_parsed_is_kept_as_it_is() {
    for mime in ["", "\r\n", "no header at all", "Content-Type: multipart/mixed; boundary=\"\r\n\r\n--"] {
        let composed = received(&message(mime));
        assert_eq!(composed.contents.iter().filter(|content| content.as_ref() == mime.as_bytes()).count().min(1), 1);
        assert_eq!(composed.email.mime.unwrap().size, mime.len() as u64);
    }
}

#[test]
fn real_and_malformed_mail_is_survived() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/mail");
    if !folder.exists() {
        println!("skipped: ../shared/mail is not here");
        return;
    }
    let mut seen = 0;
    for kind in std::fs::read_dir(folder).unwrap().flatten().filter(|entry| entry.path().is_dir()) {
        for file in std::fs::read_dir(kind.path()).unwrap().flatten() {
            let mime = Bytes::from(std::fs::read(file.path()).unwrap());
            let composed = received(&Message {
                mime,
                message_id: None,
                received: None,
                subject: String::new(),
                categories: Vec::new(),
            });
            let email = &composed.email;
            let named = [email.text.as_ref(), email.html.as_ref(), email.display_html.as_ref(), email.mime.as_ref()]
                .into_iter()
                .flatten()
                .count();
            assert_eq!(composed.contents.len(), named + composed.email.attachments.len());
            seen += 1;
        }
    }
    assert!(seen > 50, "{seen} messages");
}

#[test]
fn html_is_made_safe_and_the_original_kept() {
    let mime = concat!(
        "From: ada@x.example\r\nMIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n\r\n",
        "<p onclick=\"x()\">Hello <b>you</b></p><script>alert(1)</script><img src=\"cid:logo@x\">",
        "<a href=\"javascript:x()\">a</a><form action=\"https://evil.example\"><input name=p></form>"
    );
    let composed = received(&message(mime));
    let text = |index: usize| String::from_utf8_lossy(&composed.contents[index]).into_owned();
    assert!(text(0).contains("Hello you"), "{}", text(0));
    assert!(text(1).contains("<script>"));
    let safe = text(2);
    for part in ["script", "onclick", "javascript", "form", "input"] {
        assert!(!safe.contains(part), "{part} in {safe}");
    }
    assert!(safe.contains("<b>you</b>") && safe.contains("cid:logo@x"), "{safe}");
}

#[test]
fn a_shown_image_is_inline_whatever_its_disposition() {
    let mime = concat!(
        "From: ada@x.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/related; boundary=x\r\n\r\n--x\r\n",
        "Content-Type: text/html\r\n\r\n<img src=\"cid:logo@x\">\r\n--x\r\nContent-Type: image/png; name=logo.png\r\n",
        "Content-ID: <logo@x>\r\nContent-Disposition: attachment; filename=logo.png\r\n",
        "Content-Transfer-Encoding: base64\r\n\r\niVBORw==\r\n--x--\r\n"
    );
    let attachment = received(&message(mime)).email.attachments.remove(0);
    assert_eq!((attachment.content_id.as_str(), attachment.inline), ("logo@x", true));
}

#[test]
fn a_forwarded_message_is_unwrapped() {
    let outer = format!(
        "From: ada@x.example\r\nTo: all@x.example\r\nSubject: FW: Offer\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Type: text/plain\r\n\r\n\r\n--o\r\n\
         Content-Type: message/rfc822\r\n\r\n{MULTIPART}\r\n--o--\r\n"
    );
    let inner = forwarded(&message(&outer)).unwrap();
    let composed = received(&inner);
    assert_eq!((composed.email.subject.as_str(), composed.email.attachments.len()), ("Grüße", 1));
    assert_eq!(composed.email.message_id, "<1@contoso.example>");
    assert!(forwarded(&message(MULTIPART)).is_none());
}

#[test]
fn protected_mail_is_told() {
    let mime = "From: a@x.example\r\nContent-Class: rpmsg.message\r\n\r\nText";
    assert!(received(&message(mime)).is_protected && !received(&message(MULTIPART)).is_protected);
}

#[test]
fn character_sets_are_read() {
    let latin =
        b"From: a@x.example\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\nGr\xfc\xdfe";
    let composed = received(&Message { mime: Bytes::from_static(latin), ..message("") });
    assert_eq!(composed.contents[0].as_ref(), "Grüße".as_bytes());
}
