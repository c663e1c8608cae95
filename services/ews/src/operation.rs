//! The operations, one file each: request, writer, answer, reader.

use crate::{
    Identity, RequestServerVersion,
    response::ReadError,
    soap,
    xml::{Element, Reader, Writer},
};

pub mod convert_id;
pub mod create_attachment;
pub mod create_folder;
pub mod create_item;
pub mod delete_item;
pub mod find_folder;
pub mod find_item;
pub mod get_folder;
pub mod get_item;
pub mod get_streaming_events;
pub mod move_item;
pub mod send_item;
pub mod subscribe;
pub mod sync_folder_items;
#[cfg(test)]
mod tests;
pub mod update_item;

/// Something a server can be asked to do.
pub trait Operation {
    /// Its name: the local name of the request element, and with `Response` that of the answer.
    const NAME: &'static str;
    /// Whether its answers are short: compressing one would cost both sides more than it saves.
    const IS_SHORT: bool = false;
    /// What it answers with.
    type Response;

    /// Writes the request element, in the order of the schema.
    fn write(&self, writer: &mut Writer);

    /// Reads the answer's element.
    fn read(&self, reader: &mut Reader<'_>, response: &Element<'_>) -> Result<Self::Response, ReadError>;
}

/// The complete text of a request, as [`crate::Client`] sends it.
#[must_use]
pub fn request<O: Operation>(operation: &O, version: RequestServerVersion, identity: &Identity) -> String {
    soap::request(version, identity, |writer| operation.write(writer))
}

/// Reads a complete answer that was filtered by [`crate::xml::Filter`]; a fault is `None`. For tests and tools.
#[cfg(test)]
pub(crate) fn answer<O: Operation>(operation: &O, text: &str) -> Result<Option<O::Response>, ReadError> {
    let envelope = soap::read(text, |reader, element| operation.read(reader, element))?;
    Ok(match envelope.content {
        soap::Content::Answer(answer) => Some(answer),
        soap::Content::Fault(_) => None,
    })
}
