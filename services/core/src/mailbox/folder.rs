//! Tracked folders: their messages are tracked whatever the filtering method, and regard a record (spec §3.10).

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Kind, Mailbox};
use crate::{Refusal, fault::Code, organization::Settings};

/// A tracked folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrackedFolder {
    /// Its name when it was tracked, with the names of the folders it lies in below the Inbox.
    pub name: String,
    /// What its messages regard.
    pub regarding: Uuid,
}

/// Whether a folder may be tracked in a mailbox.
pub fn may_track(mailbox: &Mailbox, folder_id: &str, settings: &Settings) -> Result<(), Refusal> {
    if !settings.folder_tracking {
        let rule = "is switched off by the setting folder-tracking";
        return Err(Refusal::new(Code::FieldNotApplicable, "folder", rule));
    }
    if !matches!(mailbox.settings.kind, Kind::User(_)) {
        let rule = "can be tracked in mailboxes of users only, not in those of queues and not in forward mailboxes";
        return Err(Refusal::new(Code::FieldNotApplicable, "folder", rule));
    }
    let others = mailbox.folders.keys().filter(|known| *known != folder_id).count();
    if others >= settings.most_folders as usize {
        let rule = format!(
            "is one too many: {others} folders are tracked, and the setting most-tracked-folders is {}",
            settings.most_folders
        );
        return Err(Refusal::new(Code::ValueOutOfRange, "folder", rule));
    }
    Ok(())
}
