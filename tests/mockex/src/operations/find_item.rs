//! FindItem (MS-OXWSSRCH).

use std::cmp::Ordering;

use super::response::Failure;
use super::{Call, response, target};
use crate::query::{self, Page};
use crate::shape::{self, Path, Shape, View, value_of};
use crate::soap::{Element, Xml};
use crate::store::Item;

pub fn perform(call: &Call<'_>, operation: &Element) -> String {
    let shape = Shape::read(operation.child("ItemShape"));
    let parents = target::list(operation, "ParentFolderIds");
    let restriction = operation.child("Restriction");
    let orders = orders(operation);
    response::batch(call, "FindItem", "", &parents, |parent| {
        let (account, key) = target::folder(call, parent)?;
        let mailbox = account.mailbox();
        let mut found = Vec::new();
        // Associated and deleted items there are none.
        if operation.attribute("Traversal") == Some("Shallow") {
            for item in mailbox.items_of(key) {
                let satisfies = query::satisfies(restriction, &|path| value_of(item, path));
                if satisfies.map_err(|_| Failure::new("ErrorUnsupportedPathForQuery"))? {
                    found.push(item);
                }
            }
        }
        found.sort_by(|one, other| compare(&orders, one, other));
        let Page { offset, limit } = query::page(operation.child("IndexedPageItemView"), found.len());
        let end = (offset + limit).min(found.len());
        let (next, total, last) = (end.to_string(), found.len().to_string(), (end >= found.len()).to_string());
        let mut xml = Xml::new();
        xml.open_with(
            "m:RootFolder",
            &[("IndexedPagingOffset", &next), ("TotalItemsInView", &total), ("IncludesLastItemInRange", &last)],
        );
        xml.open("t:Items");
        for item in found.iter().skip(offset).take(limit) {
            shape::item(&mut xml, &mailbox, item, &shape, View::Listing);
        }
        xml.close("t:Items");
        xml.close("m:RootFolder");
        Ok(xml.into_string())
    })
}

fn orders(operation: &Element) -> Vec<(Path, bool)> {
    let orders = target::list(operation, "SortOrder");
    let read = |order: &&Element| Some((Path::within(order)?, order.attribute("Order") == Some("Descending")));
    orders.iter().filter_map(read).collect()
}

/// In the order asked for; the newest first otherwise.
fn compare(orders: &[(Path, bool)], one: &Item, other: &Item) -> Ordering {
    for (path, descending) in orders {
        let order = match (value_of(one, path), value_of(other, path)) {
            (Some(one), Some(other)) => query::compare(&one, &other),
            (one, other) => one.is_some().cmp(&other.is_some()),
        };
        let order = if *descending { order.reverse() } else { order };
        if order != Ordering::Equal {
            return order;
        }
    }
    (other.received, other.key).cmp(&(one.received, one.key))
}
