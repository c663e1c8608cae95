//! Where a cycle looked: folders, dates, backfills, and what people did.

use postroad_core::mailbox::{Amendment, BackfillStep, FolderCursor, From, Mark, Place};
use uuid::Uuid;

use super::{
    at, maybe_at, stored, time,
    verdict::{read_item, write_item},
};

/// Reads what may be unset; the outer `None` is one that cannot be read.
pub fn maybe<S, T>(stored: Option<S>, read: impl FnOnce(S) -> Option<T>) -> Option<Option<T>> {
    match stored {
        None => Some(None),
        Some(stored) => read(stored).map(Some),
    }
}

pub fn write_from(from: From) -> stored::From {
    stored::From { at: from.0.map(time) }
}

pub fn read_from(from: stored::From) -> Option<From> {
    maybe_at(from.at).map(From)
}

pub fn write_place(place: &Place) -> stored::Place {
    match place {
        Place::Inbox => stored::Place { kind: 0, folder_id: String::new() },
        Place::SentItems => stored::Place { kind: 1, folder_id: String::new() },
        Place::Folder(folder_id) => stored::Place { kind: 2, folder_id: folder_id.clone() },
    }
}

pub fn read_place(place: stored::Place) -> Option<Place> {
    match place.kind {
        0 => Some(Place::Inbox),
        1 => Some(Place::SentItems),
        2 => Some(Place::Folder(place.folder_id)),
        _ => None,
    }
}

pub fn write_mark(mark: Option<Mark>) -> u32 {
    mark.map_or(0, |mark| match mark {
        Mark::Category => 1,
        Mark::Folder => 2,
    })
}

/// The outer `None` is one that cannot be read.
pub const fn read_mark(mark: u32) -> Option<Option<Mark>> {
    match mark {
        0 => Some(None),
        1 => Some(Some(Mark::Category)),
        2 => Some(Some(Mark::Folder)),
        _ => None,
    }
}

pub fn write_folder(folder: &FolderCursor) -> stored::FolderCursor {
    let FolderCursor { place, cursor } = folder;
    stored::FolderCursor { place: Some(write_place(place)), cursor: cursor.clone() }
}

pub fn read_folder(folder: stored::FolderCursor) -> Option<FolderCursor> {
    Some(FolderCursor { place: read_place(folder.place?)?, cursor: folder.cursor })
}

pub fn write_step(step: &BackfillStep) -> stored::BackfillStep {
    let BackfillStep { before, read, is_last } = *step;
    stored::BackfillStep { before: Some(time(before)), read, is_last }
}

pub fn read_step(step: stored::BackfillStep) -> Option<BackfillStep> {
    let stored::BackfillStep { before, read, is_last } = step;
    Some(BackfillStep { before: at(before)?, read, is_last })
}

pub fn write_amendment(amendment: &Amendment) -> stored::Amendment {
    let (item, email_id, mark) = match amendment {
        Amendment::Tracked { item, email_id, mark } => (item, email_id, Some(*mark)),
        Amendment::Untracked { item, email_id } => (item, email_id, None),
    };
    stored::Amendment { item: Some(write_item(item)), email_id: email_id.to_string(), mark: write_mark(mark) }
}

pub fn read_amendment(amendment: stored::Amendment) -> Option<Amendment> {
    let item = read_item(amendment.item?)?;
    let email_id = Uuid::parse_str(&amendment.email_id).ok()?;
    Some(match read_mark(amendment.mark)? {
        Some(mark) => Amendment::Tracked { item, email_id, mark },
        None => Amendment::Untracked { item, email_id },
    })
}
