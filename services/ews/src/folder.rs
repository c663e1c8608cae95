//! Folders, as answers describe them (MS-OXWSFOLD).

use crate::{
    FolderId,
    xml::{Element, Namespace, Reader, XmlError},
};

/// A folder. Only what was asked for is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folder {
    /// The element's name, which tells the kind: `Folder`, `CalendarFolder`, `SearchFolder` and so on.
    pub kind: String,
    /// Its id.
    pub id: Option<FolderId>,
    /// The id of the folder it is in.
    pub parent: Option<FolderId>,
    /// Its class, such as `IPF.Note`.
    pub class: Option<String>,
    /// Its name, which is localised.
    pub name: Option<String>,
    /// Items in it.
    pub total: Option<u32>,
    /// Unread items in it.
    pub unread: Option<u32>,
    /// Folders in it.
    pub children: Option<u32>,
}

impl Folder {
    pub(crate) fn read(reader: &mut Reader<'_>, element: &Element<'_>) -> Result<Self, XmlError> {
        let mut folder = Self { kind: element.name().to_owned(), ..Self::default() };
        reader.children(|reader, child| {
            if child.namespace() != Namespace::Types {
                return Ok(());
            }
            match child.name() {
                "FolderId" => folder.id = Some(FolderId::read(child)?),
                "ParentFolderId" => folder.parent = Some(FolderId::read(child)?),
                "FolderClass" => folder.class = reader.string()?,
                "DisplayName" => folder.name = reader.string()?,
                "TotalCount" => folder.total = reader.number(child)?,
                "UnreadCount" => folder.unread = reader.number(child)?,
                "ChildFolderCount" => folder.children = reader.number(child)?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(folder)
    }

    /// Reads the folders of a list such as `m:Folders`.
    pub(crate) fn read_list(reader: &mut Reader<'_>, folders: &mut Vec<Self>) -> Result<(), XmlError> {
        reader.children(|reader, element| {
            folders.push(Self::read(reader, element)?);
            Ok(())
        })
    }
}
