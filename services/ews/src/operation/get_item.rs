//! GetItem: items with the properties asked for (MS-OXWSCORE, GetItem).

use crate::{
    Item, ItemError, ItemId, ItemShape, Operation,
    response::{self, ReadError},
    xml::{Element, Namespace, Reader, Writer},
};

/// Asks for items, in small batches: Microsoft recommends ten.
#[derive(Clone, Debug)]
pub struct GetItem {
    /// The items.
    pub ids: Vec<ItemId>,
    /// What comes with each.
    pub shape: ItemShape,
}

impl Operation for GetItem {
    const NAME: &'static str = "GetItem";
    type Response = Vec<Result<Item, ItemError>>;

    fn write(&self, writer: &mut Writer) {
        writer.element("m:GetItem", &[], |writer| {
            self.shape.write(writer);
            writer.element("m:ItemIds", &[], |writer| self.ids.iter().for_each(|id| id.write(writer)));
        });
    }

    fn read(&self, reader: &mut Reader<'_>, response: &Element<'_>) -> Result<Self::Response, ReadError> {
        let answers =
            response::messages(reader, response, Self::NAME, |items: &mut Vec<Item>, reader, part| match part.key() {
                (Namespace::Messages, "Items") => Item::read_list(reader, items),
                _ => Ok(()),
            })?;
        let first = |items: Vec<Item>| items.into_iter().next().ok_or(ItemError::Missing);
        let answers = answers.into_iter().map(|answer| answer.and_then(first)).collect();
        Ok(response::pair(answers, self.ids.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AttachmentKind, Class, Known, ResponseCode, operation::answer, reference, response::stopper};

    fn read(name: &str, asked: usize) -> Option<Vec<Result<Item, ItemError>>> {
        let text = reference::sample(name)?;
        let request = GetItem { ids: vec![ItemId::new("x"); asked], shape: ItemShape::message() };
        Some(answer(&request, &text).unwrap().unwrap())
    }

    fn code(result: &Result<Item, ItemError>) -> &ResponseCode {
        match result {
            Err(ItemError::Response(error)) => &error.code,
            other => panic!("no response error: {other:?}"),
        }
    }

    #[test]
    fn reads_a_batch() {
        let Some(items) = read("030-getitem-batch.resp.xml", 3) else { return };
        let items: Vec<Item> = items.into_iter().map(Result::unwrap).collect();
        assert_eq!(items[0].subject.as_deref(), Some("Quote 17 & terms <draft>"));
        assert_eq!(items[0].has_attachments, Some(false));
        assert_eq!(items[0].extended[0].name.as_deref(), Some("crmTrackingId"));
        assert_eq!(items[0].extended[0].values, ["CRM:0001234"]);
        assert_eq!(items[0].extended[1].tag, Some(0x300B));
        assert!(items.iter().any(|item| item.subject.as_deref() == Some("")), "an empty subject is there");
        assert!(items[0].from.as_ref().unwrap().smtp().is_some());
    }

    #[test]
    fn one_failure_leaves_the_others() {
        let Some(items) = read("031-getitem-partial.resp.xml", 3) else { return };
        assert!(items.iter().any(Result::is_ok));
        let failed: Vec<_> = items.iter().filter(|item| item.is_err()).collect();
        assert_eq!(*code(failed[0]), Known::ErrorItemNotFound);
        assert!(stopper(&items).is_none(), "a vanished item stops nothing");
    }

    #[test]
    fn what_a_stopped_batch_did_not_reach_was_not_attempted() {
        let Some(items) = read("032-getitem-batch-stopped-move.resp.xml", 4) else { return };
        let stopped = items.iter().filter(|item| **item == Err(ItemError::NotAttempted)).count();
        assert!(stopped >= 1);
        assert_eq!(stopper(&items).unwrap().class(), Class::Rediscover);
    }

    #[test]
    fn throttling_may_hide_in_a_batch() {
        let Some(items) = read("154-response-serverbusy-200.resp.xml", 2) else { return };
        let error = stopper(&items).unwrap();
        assert_eq!((error.class(), error.back_off().unwrap().as_millis()), (Class::Throttled, 5000));
        assert_eq!(items[1], Err(ItemError::NotAttempted));
    }

    #[test]
    fn reads_big_mime_content() {
        let Some(items) = read("033-getitem-mimecontent-big.resp.xml", 1) else { return };
        let mime = items[0].as_ref().unwrap().mime.as_ref().unwrap();
        assert!(mime.len() > 1_500_000, "{}", mime.len());
    }

    #[test]
    fn survives_illegal_references() {
        for name in ["035-getitem-invalid-nul.resp.xml", "036-getitem-noncharacters.resp.xml"] {
            let Some(items) = read(name, 1) else { return };
            assert!(items[0].as_ref().unwrap().subject.as_ref().unwrap().contains('\u{FFFD}'), "{name}");
        }
    }

    #[test]
    fn survives_values_at_the_edges() {
        let Some(items) = read("039-getitem-edge-values.resp.xml", 1) else { return };
        let item = items[0].as_ref().unwrap();
        assert_eq!((item.received, item.sent, item.size), (None, None, Some(2_147_483_647)));
        assert_eq!(item.from.as_ref().unwrap().smtp(), None);
        assert!(item.internet_message_id.is_some());
    }

    #[test]
    fn reads_body_and_attachments() {
        let Some(items) = read("043-getitem-body-attachments.resp.xml", 1) else { return };
        let item = items[0].as_ref().unwrap();
        let body = item.body.as_ref().unwrap();
        assert!(body.is_html && body.text.starts_with("<html><body>Hi&nbsp;there <img src=\"cid:logo@x\">"));
        let logo = &item.attachments[0];
        assert_eq!((&logo.kind, logo.name.as_deref()), (&AttachmentKind::File, Some("logo.png")));
        assert!(logo.id.is_some() && item.attachments.len() > 1);
    }

    #[test]
    fn newer_servers_add_what_is_skipped() {
        for name in [
            "038-getitem-bom-and-whitespace.resp.xml",
            "044-getitem-allproperties-2010.resp.xml",
            "045-getitem-allproperties-2016.resp.xml",
            "046-getitem-allproperties-future.resp.xml",
            "142-getitem-meetingrequest.resp.xml",
            "144-getitem-meetingresponse.resp.xml",
            "140-getitem-recurring-master.resp.xml",
        ] {
            let Some(items) = read(name, 1) else { return };
            let item = items[0].as_ref().unwrap();
            assert!(item.id.is_some(), "{name}");
        }
    }

    #[test]
    fn reads_all_properties() {
        let Some(items) = read("045-getitem-allproperties-2016.resp.xml", 1) else { return };
        let item = items[0].as_ref().unwrap();
        assert!(
            item.class.is_some()
                && !item.to.is_empty()
                && item.internet_message_id.is_some()
                && item.received.is_some(),
            "{item:?}"
        );
    }

    #[test]
    fn unknown_codes_and_failed_conversions_are_the_items() {
        let Some(items) = read("170-response-unknown-code.resp.xml", 1) else { return };
        assert_eq!(code(&items[0]).class(), Class::Unknown);
        let Some(items) = read("042-getitem-contentconversion.resp.xml", 1) else { return };
        assert_eq!(items[0].as_ref().unwrap_err().class(), Class::ItemPermanent);
    }

    #[test]
    fn a_cut_answer_is_truncated() {
        let Some(text) = reference::sample("172-response-truncated.resp.xml") else { return };
        let request = GetItem { ids: vec![ItemId::new("x")], shape: ItemShape::ids() };
        assert!(matches!(answer(&request, &text), Err(ReadError::Xml(crate::XmlError::Truncated))));
    }

    #[test]
    fn an_unreadable_value_fails_its_item_only() {
        let Some(text) = reference::sample("005-getfolder-partial.resp.xml") else { return };
        // The envelope of a real answer around two items, of which the first has a bad value.
        let item = |size: &str| {
            format!(
                "<m:GetItemResponseMessage ResponseClass='Success'><m:ResponseCode>NoError</m:ResponseCode><m:Items><t:Message>\
             <t:ItemId Id='a'/><t:Size>{size}</t:Size></t:Message></m:Items></m:GetItemResponseMessage>"
            )
        };
        let start = text.find("<m:ResponseMessages>").unwrap() + "<m:ResponseMessages>".len();
        let end = text.find("</m:ResponseMessages>").unwrap();
        let text =
            format!("{}{}{}{}", &text[..start], item("big"), item("7"), &text[end..]).replace("GetFolder", "GetItem");
        let request = GetItem { ids: vec![ItemId::new("a"); 2], shape: ItemShape::ids() };
        let items = answer(&request, &text).unwrap().unwrap();
        assert_eq!(items[0], Err(ItemError::Unreadable { element: "Size".to_owned() }));
        assert_eq!(items[1].as_ref().unwrap().size, Some(7));
    }
}
