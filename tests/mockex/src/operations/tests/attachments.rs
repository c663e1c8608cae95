//! GetAttachment.

use super::*;

const NESTED: &str = "From: g@f.example\r\nSubject: outer\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
    --b\r\nContent-Type: text/plain\r\n\r\nsee below\r\n\
    --b\r\nContent-Type: message/rfc822\r\nContent-Disposition: attachment; filename=inner.eml\r\n\r\n\
    From: Eve <eve@f.example>\r\nTo: g@f.example\r\nSubject: inner\r\nMessage-ID: <inner@f.example>\r\n\
    MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n\
    --c\r\nContent-Type: text/plain\r\n\r\ndeep words\r\n\
    --c\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename=note.txt\r\n\r\nnote\r\n--c--\r\n\
    --b--\r\n";

fn attachment(stage: &Stage, shape: &str, id: &str) -> Element {
    let answer = stage.ask(&format!(
        "<m:GetAttachment >{shape}<m:AttachmentIds><t:AttachmentId Id='{id}'/></m:AttachmentIds></m:GetAttachment>"
    ));
    let message = &messages(&answer)[0];
    assert_eq!(code(message), "NoError");
    message.child("Attachments").unwrap().children[0].clone()
}

fn first_attachment(message: &Element) -> &str {
    message.child("Attachments").unwrap().children[0].child("AttachmentId").unwrap().attribute("Id").unwrap()
}

#[test]
fn an_attached_message_has_its_properties_and_mime_only_when_asked() {
    let stage = Stage::new();
    stage.deliver_mime(1, NESTED.to_owned(), None);
    let outer = stage.ask(&get(&ids(&stage.sync("", 10)), ""));
    let id = first_attachment(messages(&outer)[0].path(&["Items", "Message"]).unwrap()).to_owned();
    let given = attachment(&stage, "", &id);
    let inner = given.child("Message").unwrap();
    assert_eq!((given.name.as_str(), given.child_text("Name")), ("ItemAttachment", Some("inner.eml")));
    assert!(inner.child("MimeContent").is_none());
    assert_eq!(inner.child("ItemId").unwrap().attribute("Id"), Some(id.as_str()));
    assert!(inner.child("ItemId").unwrap().attribute("ChangeKey").is_some());
    assert_eq!(
        (inner.child_text("ItemClass"), inner.child_text("Subject"), inner.child_text("InternetMessageId")),
        (Some("IPM.Note"), Some("inner"), Some("<inner@f.example>"))
    );
    assert!(inner.child_text("Body").unwrap().contains("deep words"));
    assert_eq!(inner.path(&["From", "Mailbox"]).unwrap().child_text("EmailAddress"), Some("eve@f.example"));
    let note = attachment(&stage, "", first_attachment(inner));
    assert_eq!((note.name.as_str(), note.child_text("Name")), ("FileAttachment", Some("note.txt")));
    let shape = "<m:AttachmentShape><t:IncludeMimeContent>true</t:IncludeMimeContent></m:AttachmentShape>";
    let with_mime = attachment(&stage, shape, &id);
    assert_eq!(with_mime.child("Message").unwrap().children[0].name, "MimeContent");
}
