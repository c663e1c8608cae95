//! FindItem (MS-OXWSSRCH).

use super::response::Failure;
use super::{Call, response, target};
use crate::query::{Page, Refusal, Restriction, Sorting};
use crate::shape::{self, Shape, View, kind_of, value_of};
use crate::soap::{Element, Xml};
use crate::store::Item;

pub fn perform(call: &Call<'_>, operation: &Element) -> String {
    let shape = Shape::read(operation.child("ItemShape"), call.level);
    let parents = target::list(operation, "ParentFolderIds");
    let query = read(operation);
    response::batch(call, "FindItem", "", &parents, |parent| {
        let (account, key) = target::folder(call, parent)?;
        response::check_paths(&shape)?;
        let (restriction, sorting) = query.as_ref().map_err(Refusal::clone)?;
        let mailbox = account.mailbox();
        // Associated and deleted items there are none.
        let has_any = operation.attribute("Traversal") == Some("Shallow");
        let items = mailbox.items_of(key).filter(|item| has_any && restriction.holds(&|path| value_of(item, path)));
        let mut found: Vec<&Item> = items.collect();
        found.sort_by(|one, other| {
            let newest_first = (other.received, other.key).cmp(&(one.received, one.key));
            sorting.compare(one, other, |item, path| value_of(item, path)).then(newest_first)
        });
        let page =
            Page::read(operation, found.len()).ok_or_else(|| Failure::new("ErrorInvalidFractionalPagingParameters"))?;
        let mut xml = Xml::new();
        page.open(&mut xml);
        xml.open("t:Items");
        for item in page.of(&found) {
            shape::item(&mut xml, &mailbox, item, &shape, View::Listing);
        }
        xml.close("t:Items");
        xml.close("m:RootFolder");
        Ok(xml.into_string())
    })
}

fn read(operation: &Element) -> Result<(Restriction, Sorting), Refusal> {
    let restriction = Restriction::read(operation.child("Restriction"), &kind_of)?;
    let sorting = Sorting::read(operation.child("SortOrder"), kind_of)?;
    Ok((restriction, sorting))
}
