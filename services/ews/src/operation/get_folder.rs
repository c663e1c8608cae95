//! GetFolder: what folders are called and hold (MS-OXWSFOLD, GetFolder).

use crate::{
    Folder, FolderRef, ItemError, Operation,
    response::{self, ReadError},
    shape::{BaseShape, Property, write_properties},
    xml::{Element, Namespace, Reader, Writer},
};

/// Asks for folders.
#[derive(Clone, Debug)]
pub struct GetFolder {
    /// The folders.
    pub folders: Vec<FolderRef>,
    /// What comes anyway.
    pub base: BaseShape,
    /// Further properties.
    pub properties: Vec<Property>,
}

impl GetFolder {
    /// Asks for the usual properties of one folder; of the Inbox, this is the test for access to a mailbox.
    #[must_use]
    pub fn one(folder: impl Into<FolderRef>) -> Self {
        Self { folders: vec![folder.into()], base: BaseShape::Default, properties: Vec::new() }
    }

    /// Asks what folders hold and what may be done with them.
    #[must_use]
    pub fn rights(folders: Vec<FolderRef>) -> Self {
        Self { folders, base: BaseShape::Default, properties: vec![Property::Field("folder:EffectiveRights")] }
    }
}

impl Operation for GetFolder {
    const NAME: &'static str = "GetFolder";
    const IS_SHORT: bool = true;
    type Response = Vec<Result<Folder, ItemError>>;

    fn write(&self, writer: &mut Writer) {
        writer.element("m:GetFolder", &[], |writer| {
            writer.element("m:FolderShape", &[], |writer| {
                writer.text("t:BaseShape", self.base.as_str());
                write_properties(writer, &self.properties);
            });
            writer.element("m:FolderIds", &[], |writer| self.folders.iter().for_each(|folder| folder.write(writer)));
        });
    }

    fn read(&self, reader: &mut Reader<'_>, response: &Element<'_>) -> Result<Self::Response, ReadError> {
        let answers = response::messages(reader, response, Self::NAME, |folders: &mut Vec<Folder>, reader, part| {
            match part.key() {
                (Namespace::Messages, "Folders") => Folder::read_list(reader, folders),
                _ => Ok(()),
            }
        })?;
        let first = |folders: Vec<Folder>| folders.into_iter().next().ok_or(ItemError::Missing);
        let answers = answers.into_iter().map(|answer| answer.and_then(first)).collect();
        Ok(response::pair(answers, self.folders.len()))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{Distinguished, FolderId, Known, operation::answer, reference};

    #[rstest]
    #[case("001-getfolder-2010.resp.xml", "Folder", Some(412))]
    #[case("002-getfolder-2016.resp.xml", "Folder", Some(9))]
    #[case("003-getfolder-default-namespaces.resp.xml", "CalendarFolder", None)]
    #[case("004-getfolder-odd-prefixes.resp.xml", "ContactsFolder", None)]
    fn reads_a_folder_of_any_server(#[case] name: &str, #[case] kind: &str, #[case] total: Option<u32>) {
        let Some(text) = reference::sample(name) else { return };
        let folders = answer(&GetFolder::one(FolderRef::INBOX), &text).unwrap().unwrap();
        let folder = folders[0].as_ref().unwrap();
        assert_eq!((folder.kind.as_str(), folder.total), (kind, total));
        assert!(folder.id.is_some());
    }

    #[test]
    fn pairs_answers_with_what_was_asked() {
        let Some(text) = reference::sample("005-getfolder-partial.resp.xml") else { return };
        let folders =
            vec![FolderRef::INBOX, FolderId::new("gone").into(), Distinguished::Tasks.into(), FolderRef::INBOX];
        let request = GetFolder { folders, base: BaseShape::IdOnly, properties: Vec::new() };
        let answers = answer(&request, &text).unwrap().unwrap();
        assert_eq!(answers.len(), 4);
        assert!(matches!(&answers[1], Err(ItemError::Response(error)) if error.code == Known::ErrorFolderNotFound));
        assert_eq!(answers[2].as_ref().unwrap().kind, "TasksFolder");
        assert_eq!(answers[3], Err(ItemError::NotProcessed));
    }
}
