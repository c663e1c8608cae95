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
    /// What the caller may do with it.
    pub rights: Option<Rights>,
}

/// What the caller may do with a folder (MS-OXWSCDATA, EffectiveRightsType).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    /// Read its items.
    pub read: bool,
    /// Make items in it.
    pub create_contents: bool,
    /// Make folders in it.
    pub create_hierarchy: bool,
    /// Change its items.
    pub modify: bool,
    /// Delete it or its items.
    pub delete: bool,
}

impl Rights {
    fn read(reader: &mut Reader<'_>) -> Result<Self, XmlError> {
        let mut rights = Self::default();
        reader.children(|reader, child| {
            let is_granted = matches!(reader.text()?.trim(), "true" | "1");
            match child.name() {
                "Read" => rights.read = is_granted,
                "CreateContents" => rights.create_contents = is_granted,
                "CreateHierarchy" => rights.create_hierarchy = is_granted,
                "Modify" => rights.modify = is_granted,
                "Delete" => rights.delete = is_granted,
                _ => {}
            }
            Ok(())
        })?;
        Ok(rights)
    }
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
                "EffectiveRights" => folder.rights = Some(Rights::read(reader)?),
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
