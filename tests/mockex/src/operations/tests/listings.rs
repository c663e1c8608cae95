//! FindItem and SyncFolderItems: what they search by, and what they leave out.

use super::*;

fn find(restriction: &str) -> String {
    format!(
        "<m:FindItem Traversal='Shallow'><m:ItemShape><t:BaseShape>Default</t:BaseShape></m:ItemShape><m:Restriction>{restriction}\
         </m:Restriction><m:ParentFolderIds>{INBOX}</m:ParentFolderIds></m:FindItem>"
    )
}

fn equal(path: &str, constant: &str) -> String {
    format!(
        "<t:IsEqualTo>{path}<t:FieldURIOrConstant><t:Constant Value='{constant}'/></t:FieldURIOrConstant></t:IsEqualTo>"
    )
}

fn total(answer: &Element) -> Option<&str> {
    messages(answer)[0].child("RootFolder")?.attribute("TotalItemsInView")
}

#[test]
fn unread_messages_are_found_whatever_the_spelling() {
    let stage = Stage::new();
    (0..3).for_each(|number| stage.deliver(number, None));
    let read = |constant| find(&equal("<t:FieldURI FieldURI='message:IsRead'/>", constant));
    for (constant, expected) in [("0", "3"), ("false", "3"), ("1", "0"), ("true", "0")] {
        assert_eq!(total(&stage.ask(&read(constant))), Some(expected), "{constant}");
    }
}

#[test]
fn a_computed_path_is_refused_and_named() {
    let stage = Stage::new();
    for field in ["item:DisplayTo", "item:Body"] {
        let answer = stage.ask(&find(&equal(&format!("<t:FieldURI FieldURI='{field}'/>"), "Ana")));
        let message = &messages(&answer)[0];
        assert_eq!(code(message), "ErrorUnsupportedPathForQuery");
        assert_eq!(message.path(&["MessageXml", "FieldURI"]).unwrap().attribute("FieldURI"), Some(field));
    }
}

#[test]
fn listings_give_names_without_addresses() {
    let stage = Stage::new();
    let mime = "From: Gus <g@f.example>\r\nTo: a@f.example\r\nSubject: a\r\n\r\nhello\r\n";
    stage.deliver_mime(1, mime.to_owned(), None);
    let found = stage.ask(&find("<t:Exists><t:FieldURI FieldURI='item:Subject'/></t:Exists>"));
    let listed = messages(&found)[0].path(&["RootFolder", "Items", "Message"]).unwrap();
    let synchronised = stage.ask(&sync("", 10).replace("IdOnly", "Default"));
    let created = messages(&synchronised)[0].path(&["Changes", "Create", "Message"]).unwrap();
    for message in [listed, created] {
        let names: Vec<&str> =
            message.path(&["From", "Mailbox"]).unwrap().children.iter().map(|part| part.name.as_str()).collect();
        assert_eq!(names, ["Name"]);
        assert!(message.child("ToRecipients").is_none());
    }
    let whole = stage.ask(&get(&ids(&stage.sync("", 10)), ""));
    let whole = messages(&whole)[0].path(&["Items", "Message"]).unwrap();
    assert_eq!(whole.path(&["From", "Mailbox"]).unwrap().child_text("EmailAddress"), Some("g@f.example"));
}

#[test]
fn extended_paths_are_checked_and_come_back_normalised() {
    let stage = Stage::new();
    stage.deliver(1, None);
    let ids = ids(&stage.sync("", 10));
    let ask = |path: &str| stage.ask(&get(&ids, &format!("<t:AdditionalProperties>{path}</t:AdditionalProperties>")));
    let answer = ask("<t:ExtendedFieldURI PropertyTag='0x300B' PropertyType='Binary'/>");
    let property = messages(&answer)[0].path(&["Items", "Message", "ExtendedProperty"]).unwrap();
    assert_eq!(property.child("ExtendedFieldURI").unwrap().attribute("PropertyTag"), Some("0x300b"));
    let key = property.child_text("Value").unwrap();
    let by_key = |key: &str| {
        total(&stage.ask(&find(&equal("<t:ExtendedFieldURI PropertyTag='12299' PropertyType='Binary'/>", key))))
            .map(str::to_owned)
    };
    assert_eq!(by_key(key).as_deref(), Some("1"));
    assert_eq!(by_key(&key.to_lowercase()).as_deref(), Some("0"), "base64 has case");
    let answer = ask("<t:ExtendedFieldURI PropertyTag='0x8084' PropertyType='String'/>");
    assert_eq!(code(&messages(&answer)[0]), "ErrorInvalidExtendedProperty");
    assert!(messages(&answer)[0].path(&["MessageXml", "ExtendedFieldURI"]).is_some());
}
