//! FindItem: items of a folder that match (MS-OXWSSRCH, FindItem).

use crate::{
    FolderRef, Item, ItemShape, Operation,
    response::{self, ReadError},
    shape::{ExtendedField, Property, Restriction},
    xml::{Element, Namespace, Reader, Writer},
};

/// Asks for one page of items.
#[derive(Clone, Debug)]
pub struct FindItem {
    /// The folder to look in; never its descendants.
    pub folder: FolderRef,
    /// What comes with each item; bodies and recipients cannot.
    pub shape: ItemShape,
    /// What to look for.
    pub restriction: Option<Restriction>,
    /// By what the items are sorted, and whether the greatest comes first; none leaves it to the server.
    pub order: Option<(Property, bool)>,
    /// The items to pass over, from [`ItemPage::next`]; it shifts when items come or go.
    pub offset: u32,
    /// The most items to answer with; the server may give fewer.
    pub limit: u32,
}

/// A page of items.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ItemPage {
    /// The items.
    pub items: Vec<Item>,
    /// Whether no page follows. The number of items does not tell.
    pub is_last: bool,
    /// The offset of the next page.
    pub next: Option<u32>,
    /// All items that match.
    pub total: Option<u32>,
}

impl FindItem {
    /// Asks for the ids of all items.
    #[must_use]
    pub fn all(folder: impl Into<FolderRef>) -> Self {
        Self { folder: folder.into(), shape: ItemShape::ids(), restriction: None, order: None, offset: 0, limit: 250 }
    }

    /// Asks for the messages with this message id, angle brackets included.
    #[must_use]
    pub fn with_message_id(folder: impl Into<FolderRef>, message_id: impl Into<String>) -> Self {
        let restriction = Restriction::Equal(Property::INTERNET_MESSAGE_ID, message_id.into());
        Self { restriction: Some(restriction), ..Self::all(folder) }
    }
}

impl FindItem {
    /// Asks for the items whose own text property has this value.
    #[must_use]
    pub fn with_property(folder: impl Into<FolderRef>, field: ExtendedField, value: impl Into<String>) -> Self {
        let restriction = Restriction::Equal(Property::Extended(field), value.into());
        Self { restriction: Some(restriction), ..Self::all(folder) }
    }
}

impl Operation for FindItem {
    const NAME: &'static str = "FindItem";
    type Response = ItemPage;

    fn write(&self, writer: &mut Writer) {
        writer.element("m:FindItem", &[("Traversal", "Shallow")], |writer| {
            self.shape.write(writer);
            let (limit, offset) = (self.limit.max(1).to_string(), self.offset.to_string());
            writer.empty(
                "m:IndexedPageItemView",
                &[("MaxEntriesReturned", &limit), ("Offset", &offset), ("BasePoint", "Beginning")],
            );
            if let Some(restriction) = &self.restriction {
                restriction.write(writer);
            }
            if let Some((property, is_descending)) = &self.order {
                writer.element("m:SortOrder", &[], |writer| {
                    let order = if *is_descending { "Descending" } else { "Ascending" };
                    writer.element("t:FieldOrder", &[("Order", order)], |writer| property.write(writer));
                });
            }
            writer.element("m:ParentFolderIds", &[], |writer| self.folder.write(writer));
        });
    }

    fn read(&self, reader: &mut Reader<'_>, response: &Element<'_>) -> Result<ItemPage, ReadError> {
        let answers = response::messages(reader, response, Self::NAME, |page: &mut ItemPage, reader, part| {
            if part.key() != (Namespace::Messages, "RootFolder") {
                return Ok(());
            }
            page.is_last = part.attribute("IncludesLastItemInRange")?.is_none_or(|last| last == "true" || last == "1");
            page.next = part.attribute("IndexedPagingOffset")?.and_then(|offset| offset.parse().ok());
            page.total = part.attribute("TotalItemsInView")?.and_then(|total| total.parse().ok());
            reader.children(|reader, list| match list.key() {
                (Namespace::Types, "Items") => Item::read_list(reader, &mut page.items),
                _ => Ok(()),
            })
        })?;
        response::single(answers)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{Class, Distinguished, Identity, RequestServerVersion, operation::answer, reference, request};

    #[test]
    fn a_draft_is_looked_for_by_its_own_property() {
        let field = ExtendedField::Named { name: "id".to_owned(), kind: "String" };
        let find = FindItem::with_property(FolderRef::Distinguished(Distinguished::Drafts), field, "7");
        let find = FindItem { shape: ItemShape::draft(), ..find };
        let text = request(&find, RequestServerVersion::default(), &Identity::Own);
        let path = "<t:ExtendedFieldURI DistinguishedPropertySetId=\"PublicStrings\" PropertyName=\"id\" PropertyType=\"String\"/>";
        let expected = format!(
            "<m:Restriction><t:IsEqualTo>{path}<t:FieldURIOrConstant><t:Constant Value=\"7\"/></t:FieldURIOrConstant></t:IsEqualTo>\
             </m:Restriction><m:ParentFolderIds><t:DistinguishedFolderId Id=\"drafts\"/></m:ParentFolderIds>"
        );
        assert!(text.contains(&expected), "{text}");
        assert!(
            text.contains("<t:AdditionalProperties><t:FieldURI FieldURI=\"item:IsDraft\"/></t:AdditionalProperties>")
        );
    }

    #[rstest]
    #[case("050-finditem-page1.resp.xml", false)]
    #[case("051-finditem-page2.resp.xml", true)]
    #[case("052-finditem-truncated-by-policy.resp.xml", false)]
    #[case("053-finditem-by-tracking-id-none.resp.xml", true)]
    fn reads_pages(#[case] name: &str, #[case] is_last: bool) {
        let Some(text) = reference::sample(name) else { return };
        let page = answer(&FindItem::all(FolderRef::INBOX), &text).unwrap().unwrap();
        assert_eq!(page.is_last, is_last);
        assert!(page.next.is_some() && page.items.iter().all(|item| item.id.is_some()));
    }

    #[test]
    fn finding_too_much_is_throttling() {
        let Some(text) = reference::sample("057-finditem-exceeded-count.resp.xml") else { return };
        let Err(ReadError::Response(error)) = answer(&FindItem::all(FolderRef::INBOX), &text) else {
            panic!("no error")
        };
        assert_eq!(error.class(), Class::Throttled);
    }

    #[test]
    fn an_unsearchable_property_is_named() {
        let Some(text) = reference::sample("056-finditem-computed-path.resp.xml") else { return };
        let Err(ReadError::Response(error)) = answer(&FindItem::all(FolderRef::INBOX), &text) else {
            panic!("no error")
        };
        assert_eq!(error.class(), Class::RequestBug);
    }
}
