//! ConvertId (MS-OXWSCVTID).

use super::response::Failure;
use super::{Call, response, target};
use crate::soap::{Element, Xml};
use crate::store::Identifier;

const INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";

pub fn perform(call: &Call<'_>, operation: &Element) -> String {
    let ids = target::list(operation, "SourceIds");
    let format = operation.attribute("DestinationFormat").unwrap_or("EwsId");
    response::batch(call, "ConvertId", "", &ids, |source| {
        let id = source.attribute("Id").unwrap_or_default();
        let is_known = Identifier::decode(id).is_some();
        if !is_known {
            return Err(Failure::new("ErrorInvalidIdMalformed"));
        }
        let mailbox = source.attribute("Mailbox").unwrap_or_default();
        let mut xml = Xml::new();
        let attributes = [
            ("xmlns:xsi", INSTANCE),
            ("xsi:type", "t:AlternateIdType"),
            ("Format", format),
            ("Id", id),
            ("Mailbox", mailbox),
        ];
        xml.empty("m:AlternateId", &attributes);
        Ok(xml.into_string())
    })
}
