//! `postroad activity read`: contents of an activity, checked against their digest.

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
};

use clap::ValueEnum;
use postroad_core::fault::{Code, Report};
use postroad_proto::crm::v1::{Attachment, Content, Email, ReadContentRequest, ReadContentResponse};
use postroad_rig::Role;
use sha2::{Digest as _, Sha256};

use crate::{
    failure::{Exit, Failure},
    output::paint::good,
    session::Session,
};

/// A content of the message itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// The plain text body
    Text,
    /// The HTML body
    Html,
    /// The message as Exchange gave it
    Mime,
}

/// A content that was chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    email_id: String,
    content: Content,
    /// Whether a terminal can show it.
    readable: bool,
}

/// Finds the content that is meant.
pub fn choose(email: &Email, part: Option<Part>, attachment: Option<&str>) -> Result<Chosen, Failure> {
    if let Some(wanted) = attachment {
        let found = find(&email.attachments, wanted)?;
        let readable = found.content_type.starts_with("text/");
        return found
            .content
            .clone()
            .map(|content| Chosen { email_id: email.id.clone(), content, readable })
            .ok_or_else(|| missing("the attachment"));
    }
    let (content, name) = match part {
        None => (email.text.as_ref().or(email.html.as_ref()), "a body"),
        Some(Part::Text) => (email.text.as_ref(), "a plain text body"),
        Some(Part::Html) => (email.html.as_ref(), "an HTML body"),
        Some(Part::Mime) => (email.mime.as_ref(), "its original"),
    };
    let email_id = email.id.clone();
    content.cloned().map(|content| Chosen { email_id, content, readable: true }).ok_or_else(|| missing(name))
}

fn find<'a>(attachments: &'a [Attachment], wanted: &str) -> Result<&'a Attachment, Failure> {
    let by_name = attachments.iter().find(|attachment| attachment.name == wanted);
    let number = wanted.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
    by_name.or_else(|| number.and_then(|index| attachments.get(index))).ok_or_else(|| {
        let names: Vec<&str> = attachments.iter().map(|attachment| attachment.name.as_str()).collect();
        let there = if names.is_empty() {
            "the message has none".to_owned()
        } else {
            format!("there are {}", names.join(", "))
        };
        Failure::refused(Code::NotFound, "--attachment", format!("`{wanted}` is not attached; {there}"))
    })
}

fn missing(what: &str) -> Failure {
    Failure::refused(
        Code::NotFound,
        "--part",
        format!("the message has not {what}; see what it has with: postroad activity show"),
    )
}

/// Prints a content, or writes it to a file that is there only if all of it is.
pub async fn content(session: &mut Session, chosen: Chosen, out: Option<&Path>) -> Result<Exit, Failure> {
    let Some(file) = out else {
        if !chosen.readable && session.output.is_terminal() {
            let rule = "is not a text; write it to a file with --out FILE, or pipe it";
            return Err(Failure::refused(Code::FieldNotApplicable, "--attachment", rule));
        }
        copy(session, &chosen, &mut None).await?;
        return Ok(Exit::Success);
    };
    let mut partial = Partial::create(file)?;
    copy(session, &chosen, &mut Some(&mut partial)).await?;
    partial.complete(file)?;
    if session.output.is_json() {
        session
            .output
            .json(&serde_json::json!({ "file": file, "size": chosen.content.size, "digest": chosen.content.digest }))?;
    } else {
        session.output.line(format!("{} wrote {} bytes to {}", good("✓"), chosen.content.size, file.display()))?;
    }
    Ok(Exit::Success)
}

async fn copy(session: &mut Session, chosen: &Chosen, file: &mut Option<&mut Partial>) -> Result<(), Failure> {
    let Chosen { email_id, content, .. } = chosen;
    let mut stream = pieces(session, email_id, content).await?;
    while let Some(piece) = stream.next(session).await? {
        match file {
            Some(file) => file.file.write_all(&piece)?,
            None => session.output.bytes(&piece)?,
        }
    }
    Ok(())
}

/// A content that is being read; its digest is checked at the end.
pub struct Pieces {
    stream: tonic::Streaming<ReadContentResponse>,
    digest: Sha256,
    content: Content,
}

/// Begins to read a content of an email.
pub async fn pieces(session: &Session, email_id: &str, content: &Content) -> Result<Pieces, Failure> {
    let request = ReadContentRequest { digest: content.digest.clone(), email_id: email_id.to_owned() };
    let failed = session.connection.failed(Role::Crm);
    let stream = session.connection.crm()?.read_content(request).await.map_err(failed)?.into_inner();
    Ok(Pieces { stream, digest: Sha256::new(), content: content.clone() })
}

impl Pieces {
    /// The next piece; `None` at the end of the whole.
    pub async fn next(&mut self, session: &Session) -> Result<Option<Vec<u8>>, Failure> {
        match self.stream.message().await.map_err(session.connection.failed(Role::Crm))? {
            Some(answer) => {
                self.digest.update(&answer.piece);
                Ok(Some(answer.piece))
            }
            None => verify(&std::mem::take(&mut self.digest).finalize(), &self.content).map(|()| None),
        }
    }
}

fn verify(found: &[u8], content: &Content) -> Result<(), Failure> {
    let found: String = found.iter().map(|byte| format!("{byte:02x}")).collect();
    if found == content.digest {
        return Ok(());
    }
    Err(Failure::from(&Report::new(
        Code::Internal,
        format!("the content has the digest {found} instead of {}", content.digest),
    )))
}

/// A file that is being written beside its final place; it vanishes unless it is completed.
struct Partial {
    file: File,
    path: PathBuf,
    complete: bool,
}

impl Partial {
    fn create(target: &Path) -> Result<Self, Failure> {
        let mut name = target.file_name().unwrap_or_default().to_owned();
        name.push(".part");
        let path = target.with_file_name(name);
        let file = File::create(&path).map_err(|error| Failure::file("--out", target, "created", &error))?;
        Ok(Self { file, path, complete: false })
    }

    fn complete(mut self, target: &Path) -> Result<(), Failure> {
        std::fs::rename(&self.path, target)?;
        self.complete = true;
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.complete {
            // A leftover of a failed command; the command's own failure is what is told.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Exit;

    fn content(name: &str) -> Option<Content> {
        Some(Content { digest: name.to_owned(), size: 1 })
    }

    fn email() -> Email {
        let attachment = |name: &str, kind: &str| Attachment {
            name: name.into(),
            content_type: kind.into(),
            content: content(name),
            ..Default::default()
        };
        Email {
            html: content("html"),
            mime: content("mime"),
            attachments: vec![attachment("a.pdf", "application/pdf"), attachment("b.txt", "text/plain")],
            ..Default::default()
        }
    }

    #[test]
    fn the_part_that_is_meant_is_found() {
        let digest = |part, attachment| choose(&email(), part, attachment).unwrap().content.digest;
        assert_eq!(digest(None, None), "html");
        assert_eq!(digest(Some(Part::Mime), None), "mime");
        assert_eq!((digest(None, Some("b.txt")), digest(None, Some("1"))), ("b.txt".to_owned(), "a.pdf".to_owned()));
        assert!(!choose(&email(), None, Some("a.pdf")).unwrap().readable);
    }

    #[test]
    fn what_is_not_there_is_refused_with_what_is() {
        assert_eq!(choose(&email(), Some(Part::Text), None).unwrap_err().exit(), Exit::Refused);
        let failure = choose(&email(), None, Some("c.doc")).unwrap_err();
        assert!(failure.to_string().contains("there are a.pdf, b.txt"), "{failure}");
        assert!(choose(&email(), None, Some("0")).is_err() && choose(&email(), None, Some("3")).is_err());
    }

    #[test]
    fn a_file_appears_only_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("r.pdf");
        drop(Partial::create(&target).unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        Partial::create(&target).unwrap().complete(&target).unwrap();
        assert!(target.exists());
    }

    #[test]
    fn other_content_than_promised_is_a_failure() {
        assert!(verify(&[0xab, 0x01], &content("ab01").unwrap()).is_ok());
        assert_eq!(verify(&[0xab], &content("ab01").unwrap()).unwrap_err().exit(), Exit::Failed);
    }
}
