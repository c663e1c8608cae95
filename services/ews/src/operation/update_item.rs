//! UpdateItem: marks on messages (MS-OXWSMSG, UpdateItem).

use crate::{
    Item, ItemError, ItemId, Operation,
    response::{self, ReadError},
    shape::Property,
    xml::{Element, Namespace, Reader, Writer},
};

/// Changes marks of messages, whatever else was changed in the meantime.
#[derive(Clone, Debug)]
pub struct UpdateItem {
    /// The messages, and what to change of each.
    pub changes: Vec<(ItemId, Vec<Mark>)>,
}

/// A mark of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Read or unread. Marking as read sends a read receipt that was asked for.
    Read(bool),
    /// All categories; none removes them.
    Categories(Vec<String>),
}

impl Operation for UpdateItem {
    const NAME: &'static str = "UpdateItem";
    /// The ids with their new change keys.
    type Response = Vec<Result<Option<ItemId>, ItemError>>;

    fn write(&self, writer: &mut Writer) {
        let attributes = [("ConflictResolution", "AlwaysOverwrite"), ("MessageDisposition", "SaveOnly")];
        writer.element("m:UpdateItem", &attributes, |writer| {
            writer.element("m:ItemChanges", &[], |writer| {
                for (id, marks) in &self.changes {
                    writer.element("t:ItemChange", &[], |writer| {
                        id.write(writer);
                        writer.element("t:Updates", &[], |writer| marks.iter().for_each(|mark| mark.write(writer)));
                    });
                }
            });
        });
    }

    fn read(&self, reader: &mut Reader<'_>, response: &Element<'_>) -> Result<Self::Response, ReadError> {
        let answers =
            response::messages(reader, response, Self::NAME, |items: &mut Vec<Item>, reader, part| match part.key() {
                (Namespace::Messages, "Items") => Item::read_list(reader, items),
                _ => Ok(()),
            })?;
        let id = |items: Vec<Item>| items.into_iter().find_map(|item| item.id);
        Ok(response::pair(answers.into_iter().map(|answer| answer.map(id)).collect(), self.changes.len()))
    }
}

impl Mark {
    fn write(&self, writer: &mut Writer) {
        match self {
            // Setting nothing is not removing.
            Self::Categories(categories) if categories.is_empty() => {
                writer.element("t:DeleteItemField", &[], |writer| Property::CATEGORIES.write(writer));
            }
            Self::Categories(categories) => set(writer, &Property::CATEGORIES, |writer| {
                writer.element("t:Categories", &[], |writer| {
                    categories.iter().for_each(|category| writer.text("t:String", category));
                });
            }),
            Self::Read(is_read) => set(writer, &Property::IS_READ, |writer| {
                writer.text("t:IsRead", if *is_read { "true" } else { "false" });
            }),
        }
    }
}

fn set(writer: &mut Writer, property: &Property, value: impl FnOnce(&mut Writer)) {
    writer.element("t:SetItemField", &[], |writer| {
        property.write(writer);
        writer.element("t:Message", &[], value);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{operation::answer, reference};

    #[test]
    fn reads_new_change_keys() {
        let Some(text) = reference::sample("080-updateitem-message.resp.xml") else { return };
        let request = UpdateItem { changes: vec![(ItemId::new("a"), vec![Mark::Read(true)])] };
        let updated = answer(&request, &text).unwrap().unwrap();
        assert!(updated[0].as_ref().unwrap().as_ref().unwrap().change_key.is_some());
    }

    #[test]
    fn pairs_failures() {
        let Some(text) = reference::sample("085-updateitem-partial.resp.xml") else { return };
        let request = UpdateItem { changes: vec![(ItemId::new("a"), vec![]), (ItemId::new("b"), vec![])] };
        let updated = answer(&request, &text).unwrap().unwrap();
        assert!(updated.iter().any(Result::is_ok) && updated.iter().any(Result::is_err), "{updated:?}");
    }

    #[test]
    fn names_the_property_at_fault() {
        for name in ["082-updateitem-invalid-property.resp.xml", "083-updateitem-invalid-extended.resp.xml"] {
            let Some(text) = reference::sample(name) else { return };
            let request = UpdateItem { changes: vec![(ItemId::new("a"), vec![])] };
            let updated = answer(&request, &text).unwrap().unwrap();
            let Err(ItemError::Response(error)) = &updated[0] else { panic!("{name}: no error") };
            assert!(!error.details.properties.is_empty(), "{name}");
        }
    }
}
