//! ResolveNames and ConvertId.

use super::*;

fn resolve(stage: &Stage, entry: &str) -> (String, String, Vec<String>) {
    let answer =
        stage.ask(&format!("<m:ResolveNames ><m:UnresolvedEntry>{entry}</m:UnresolvedEntry></m:ResolveNames>"));
    let message = &messages(&answer)[0];
    let found = message.child("ResolutionSet").map(|set| set.children.as_slice()).unwrap_or_default();
    let address = |one: &Element| one.child("Mailbox").unwrap().child_text("EmailAddress").unwrap().to_owned();
    let class = message.attribute("ResponseClass").unwrap().to_owned();
    (class, code(message).to_owned(), found.iter().map(address).collect())
}

#[test]
fn several_matches_are_a_warning_with_all_of_them() {
    let stage = Stage::new();
    let (ana, anabel) = ("ana@contoso.example".to_owned(), "anabel.kos@contoso.example".to_owned());
    let outcome = |class: &str, code: &str, found: Vec<String>| (class.to_owned(), code.to_owned(), found);
    let several = outcome("Warning", "ErrorNameResolutionMultipleResults", vec![ana.clone(), anabel.clone()]);
    let none = outcome("Error", "ErrorNameResolutionNoResults", Vec::new());
    assert_eq!(resolve(&stage, "ana"), several);
    assert_eq!(resolve(&stage, "kos"), outcome("Success", "NoError", vec![anabel]));
    assert_eq!(resolve(&stage, "smtp:ANA@contoso.example"), outcome("Success", "NoError", vec![ana]));
    assert_eq!(resolve(&stage, "smtp:ana"), none);
    assert_eq!(resolve(&stage, "zoe"), none);
}

#[test]
fn ids_are_converted_or_refused() {
    let stage = Stage::new();
    stage.deliver(1, None);
    let id = ids(&stage.sync("", 10)).remove(0);
    let convert = |from: &str, to: &str, id: &str| {
        let answer = stage.ask(&format!(
            "<m:ConvertId DestinationFormat='{to}'><m:SourceIds><t:AlternateId Format='{from}' Id='{id}' Mailbox='ana@contoso.example'/>\
             </m:SourceIds></m:ConvertId>"
        ));
        let message = &messages(&answer)[0];
        message.child("AlternateId").map_or_else(
            || Err(code(message).to_owned()),
            |converted| {
                assert_eq!(converted.attribute("Format"), Some(to));
                Ok(converted.attribute("Id").unwrap().to_owned())
            },
        )
    };
    let hexadecimal = convert("EwsId", "HexEntryId", &id).unwrap();
    assert_ne!(hexadecimal, id);
    let entry = convert("HexEntryId", "EntryId", &hexadecimal).unwrap();
    assert_eq!(convert("EntryId", "EwsId", &entry), Ok(id.clone()));
    assert_eq!(convert("EwsId", "EntryId", "DUMMY"), Err("ErrorInvalidIdMalformed".to_owned()));
    assert_eq!(convert("EntryId", "EwsId", &id), Err("ErrorInvalidIdMalformed".to_owned()));
    assert_eq!(convert("EwsId", "OwaId", &id), Err("ErrorInvalidOperation".to_owned()));
}
