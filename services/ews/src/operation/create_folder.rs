//! CreateFolder: mail folders under a folder (MS-OXWSFOLD, CreateFolder).

use crate::{
    FolderId, FolderRef, ItemError, Operation,
    folder::Folder,
    response::{self, ReadError},
    xml::{Element, Namespace, Reader, Writer},
};

/// Makes one mail folder. If one of that name is there, the answer is `ErrorFolderExists`.
#[derive(Clone, Debug)]
pub struct CreateFolder {
    /// The folder to make it in.
    pub parent: FolderRef,
    /// Its name.
    pub name: String,
}

impl Operation for CreateFolder {
    const NAME: &'static str = "CreateFolder";
    type Response = FolderId;

    fn write(&self, writer: &mut Writer) {
        writer.element("m:CreateFolder", &[], |writer| {
            writer.element("m:ParentFolderId", &[], |writer| self.parent.write(writer));
            writer.element("m:Folders", &[], |writer| {
                writer.element("t:Folder", &[], |writer| writer.text("t:DisplayName", &self.name));
            });
        });
    }

    fn read(&self, reader: &mut Reader<'_>, response: &Element<'_>) -> Result<FolderId, ReadError> {
        let answers = response::messages(reader, response, Self::NAME, |folders: &mut Vec<Folder>, reader, part| {
            match part.key() {
                (Namespace::Messages, "Folders") => Folder::read_list(reader, folders),
                _ => Ok(()),
            }
        })?;
        let id = |folders: Vec<Folder>| folders.into_iter().find_map(|folder| folder.id).ok_or(ItemError::Missing);
        response::single(answers.into_iter().map(|answer| answer.and_then(id)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Class, operation::answer, reference};

    fn request() -> CreateFolder {
        CreateFolder { parent: FolderRef::INBOX, name: "Undeliverable".to_owned() }
    }

    #[test]
    fn reads_the_new_id() {
        let Some(text) = reference::sample("007-createfolder.resp.xml") else { return };
        let id = answer(&request(), &text).unwrap().unwrap();
        assert!(id.id.starts_with("AQMkAGQz1+8Bxb") && id.change_key.is_some());
    }

    #[test]
    fn reads_a_refusal() {
        let Some(text) = reference::sample("009-createfolder-accessdenied.resp.xml") else { return };
        assert!(matches!(answer(&request(), &text), Err(ReadError::Response(error)) if error.class() == Class::Auth));
    }
}
