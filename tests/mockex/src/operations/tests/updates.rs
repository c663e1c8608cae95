//! UpdateItem: refused as a whole or made as a whole.

use super::*;

const READ: &str = "<t:SetItemField><t:FieldURI FieldURI='message:IsRead'/><t:Message><t:IsRead>true</t:IsRead></t:Message></t:SetItemField>";
const TRACKING: &str =
    "<t:ExtendedFieldURI DistinguishedPropertySetId='PublicStrings' PropertyName='x' PropertyType='Integer'/>";

fn update(stage: &Stage, id: &str, updates: &str) -> Element {
    stage.ask(&format!(
        "<m:UpdateItem ConflictResolution='AlwaysOverwrite'><m:ItemChanges><t:ItemChange><t:ItemId Id='{id}'/>\
         <t:Updates>{updates}</t:Updates></t:ItemChange></m:ItemChanges></m:UpdateItem>"
    ))
}

fn set(path: &str, properties: &str) -> String {
    format!("<t:SetItemField>{path}<t:Message>{properties}</t:Message></t:SetItemField>")
}

fn field(uri: &str) -> String {
    format!("<t:FieldURI FieldURI='{uri}'/>")
}

/// The change key and the read flag.
fn state(stage: &Stage, id: &String) -> (String, String) {
    let answer = stage.ask(&get(std::slice::from_ref(id), ""));
    let message = messages(&answer)[0].path(&["Items", "Message"]).unwrap();
    let key = message.child("ItemId").unwrap().attribute("ChangeKey").unwrap();
    (key.to_owned(), message.child_text("IsRead").unwrap().to_owned())
}

#[test]
fn a_refused_update_changes_nothing() {
    let stage = Stage::new();
    stage.deliver(1, None);
    let id = ids(&stage.sync("", 10)).remove(0);
    let before = state(&stage, &id);
    let received =
        set(&field("item:DateTimeReceived"), "<t:DateTimeReceived>2016-03-01T08:15:30Z</t:DateTimeReceived>");
    let answer = update(&stage, &id, &format!("{READ}{received}"));
    let message = &messages(&answer)[0];
    assert_eq!(code(message), "ErrorInvalidPropertySet");
    let path = message.path(&["MessageXml", "FieldURI"]).unwrap();
    assert_eq!(path.attribute("FieldURI"), Some("item:DateTimeReceived"));
    assert_eq!(state(&stage, &id), before);
    assert_eq!(code(&messages(&update(&stage, &id, READ))[0]), "NoError");
    let after = state(&stage, &id);
    assert_eq!((before.1.as_str(), after.1.as_str()), ("false", "true"));
    assert_ne!(after.0, before.0);
}

#[test]
fn each_field_has_exactly_the_property_that_it_names() {
    let stage = Stage::new();
    stage.deliver(1, None);
    let id = ids(&stage.sync("", 10)).remove(0);
    let property =
        |path: &str, value: &str| format!("<t:ExtendedProperty>{path}<t:Value>{value}</t:Value></t:ExtendedProperty>");
    let named_twice = "<t:ExtendedFieldURI PropertyTag='0x1035' PropertyName='x' PropertyType='String'/>";
    for (updates, expected) in [
        (set(&field("item:Subject"), ""), "ErrorIncorrectUpdatePropertyCount"),
        (
            set(&field("item:Subject"), "<t:Subject>a</t:Subject><t:IsRead>true</t:IsRead>"),
            "ErrorIncorrectUpdatePropertyCount",
        ),
        (set(&field("item:Subject"), "<t:IsRead>true</t:IsRead>"), "ErrorUpdatePropertyMismatch"),
        (set(TRACKING, "<t:IsRead>true</t:IsRead>"), "ErrorUpdatePropertyMismatch"),
        (set(TRACKING, &property(TRACKING, "seven")), "ErrorInvalidExtendedPropertyValue"),
        (set(named_twice, &property(named_twice, "a")), "ErrorInvalidExtendedProperty"),
        (
            set(&field("message:IsReadReceiptRequested"), "<t:IsReadReceiptRequested>true</t:IsReadReceiptRequested>"),
            "ErrorInvalidPropertyUpdateSentMessage",
        ),
        (format!("<t:DeleteItemField>{}</t:DeleteItemField>", field("message:IsRead")), "ErrorInvalidPropertyDelete"),
        (set(TRACKING, &property(TRACKING, "7")), "NoError"),
        (set(&field("item:Subject"), "<t:Subject>a</t:Subject>"), "NoError"),
        (format!("<t:DeleteItemField>{}</t:DeleteItemField>", field("item:InReplyTo")), "NoError"),
    ] {
        assert_eq!(code(&messages(&update(&stage, &id, &updates))[0]), expected, "{updates}");
    }
}
