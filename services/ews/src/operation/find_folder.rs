//! FindFolder: folders under a folder (MS-OXWSSRCH, FindFolder).

use crate::{
    Folder, FolderRef, Operation,
    response::{self, ReadError},
    shape::{BaseShape, Property, Restriction, write_properties},
    xml::{Element, Namespace, Reader, Writer},
};

/// Asks for one page of the folders under a folder.
#[derive(Clone, Debug)]
pub struct FindFolder {
    /// The folder to look in.
    pub parent: FolderRef,
    /// Whether to look in its descendants too.
    pub deep: bool,
    /// What to look for.
    pub restriction: Option<Restriction>,
    /// Properties besides the id.
    pub properties: Vec<Property>,
    /// The folders to pass over, from [`FolderPage::next`].
    pub offset: u32,
    /// The most folders to answer with; the server may give fewer.
    pub limit: u32,
}

/// A page of folders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FolderPage {
    /// The folders.
    pub folders: Vec<Folder>,
    /// Whether no page follows. The number of folders does not tell.
    pub is_last: bool,
    /// The offset of the next page.
    pub next: Option<u32>,
    /// All folders that match.
    pub total: Option<u32>,
}

impl FindFolder {
    /// Asks for the folders right under a folder that have this name.
    #[must_use]
    pub fn named(parent: impl Into<FolderRef>, name: impl Into<String>) -> Self {
        Self {
            parent: parent.into(),
            deep: false,
            restriction: Some(Restriction::Equal(Property::FOLDER_NAME, name.into())),
            properties: vec![Property::FOLDER_NAME],
            offset: 0,
            limit: 100,
        }
    }
}

impl FindFolder {
    /// Asks for all folders below a folder, with names and parents.
    #[must_use]
    pub fn below(parent: impl Into<FolderRef>, offset: u32) -> Self {
        Self {
            parent: parent.into(),
            deep: true,
            restriction: None,
            properties: vec![Property::FOLDER_NAME, Property::Field("folder:ParentFolderId")],
            offset,
            limit: 500,
        }
    }
}

impl Operation for FindFolder {
    const NAME: &'static str = "FindFolder";
    type Response = FolderPage;

    fn write(&self, writer: &mut Writer) {
        let traversal = if self.deep { "Deep" } else { "Shallow" };
        writer.element("m:FindFolder", &[("Traversal", traversal)], |writer| {
            writer.element("m:FolderShape", &[], |writer| {
                writer.text("t:BaseShape", BaseShape::IdOnly.as_str());
                write_properties(writer, &self.properties);
            });
            let (limit, offset) = (self.limit.max(1).to_string(), self.offset.to_string());
            writer.empty(
                "m:IndexedPageFolderView",
                &[("MaxEntriesReturned", &limit), ("Offset", &offset), ("BasePoint", "Beginning")],
            );
            if let Some(restriction) = &self.restriction {
                restriction.write(writer);
            }
            writer.element("m:ParentFolderIds", &[], |writer| self.parent.write(writer));
        });
    }

    fn read(&self, reader: &mut Reader<'_>, response: &Element<'_>) -> Result<FolderPage, ReadError> {
        let answers = response::messages(reader, response, Self::NAME, |page: &mut FolderPage, reader, part| {
            if part.key() != (Namespace::Messages, "RootFolder") {
                return Ok(());
            }
            page.is_last = part.attribute("IncludesLastItemInRange")?.is_none_or(|last| last == "true" || last == "1");
            page.next = part.attribute("IndexedPagingOffset")?.and_then(|offset| offset.parse().ok());
            page.total = part.attribute("TotalItemsInView")?.and_then(|total| total.parse().ok());
            reader.children(|reader, list| match list.key() {
                (Namespace::Types, "Folders") => Folder::read_list(reader, &mut page.folders),
                _ => Ok(()),
            })
        })?;
        response::single(answers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Distinguished, operation::answer, reference};

    #[test]
    fn reads_a_page() {
        let Some(text) = reference::sample("006-findfolder-deep.resp.xml") else { return };
        let request = FindFolder { deep: true, ..FindFolder::named(Distinguished::MessageFolderRoot, "x") };
        let page = answer(&request, &text).unwrap().unwrap();
        assert_eq!((page.is_last, page.next, page.total, page.folders.len()), (true, Some(2), Some(2), 2));
        assert_eq!(page.folders[1].name.as_deref(), Some("Kalender"));
        assert_eq!(page.folders[1].class.as_deref(), Some("IPF.Appointment"));
    }
}
