//! GetItem (MS-OXWSCORE).

use super::response::Failure;
use super::{Call, response, target};
use crate::fault::ItemFault;
use crate::shape::{self, Shape, View};
use crate::soap::{Element, Xml};

pub fn perform(call: &Call<'_>, operation: &Element) -> String {
    let shape = Shape::read(operation.child("ItemShape"), call.level);
    let ids = target::list(operation, "ItemIds");
    response::batch(call, "GetItem", "<m:Items/>", &ids, |id| {
        response::check_paths(&shape)?;
        let (account, key, _) = target::item(call, id)?;
        let mailbox = account.mailbox();
        let item = mailbox.item(key).ok_or_else(|| Failure::new("ErrorItemNotFound"))?;
        match &item.fault {
            Some(ItemFault::Poison { code }) => return Err(Failure::new(code)),
            Some(ItemFault::Mime { code }) if shape.mime => return Err(Failure::new(code)),
            _ => {}
        }
        let mut xml = Xml::new();
        xml.open("m:Items");
        shape::item(&mut xml, &mailbox, item, &shape, View::Whole);
        xml.close("m:Items");
        Ok(xml.into_string())
    })
}
