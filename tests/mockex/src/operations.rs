//! The operations of EWS. A request that arrives here has the right schema and an identity.

mod convert_id;
mod create_attachment;
mod create_folder;
mod create_item;
mod delete_item;
mod find_folder;
mod find_item;
mod get_attachment;
mod get_folder;
mod get_item;
mod get_server_time_zones;
mod move_item;
mod resolve_names;
mod response;
mod send_item;
mod subscribe;
mod sync_folder_hierarchy;
mod sync_folder_items;
mod target;
mod update_item;

use std::sync::Arc;

use jiff::Timestamp;

use crate::authentication::Caller;
use crate::directory::{Account, Directory};
use crate::fault::PartialForm;
use crate::schema::Level;
use crate::soap::{Element, SoapFault};
use crate::subscription::{BackEnd, Subscriptions};
use crate::transport::Transport;

/// What an operation is performed with.
pub(crate) struct Call<'a> {
    pub directory: &'a Directory,
    /// Takes what is sent.
    pub transport: &'a Transport,
    /// The mailbox that is acted upon: the impersonated account's, or the caller's own. The service account has none.
    pub account: Option<&'a Arc<Account>>,
    /// The schema of request and answer.
    pub level: Level,
    /// What a fault does to the response messages.
    pub disturbance: Option<Disturbance>,
    /// Asked only where a synchronisation state was given: whether a fault refuses it.
    pub refuse_sync_state: &'a dyn Fn() -> bool,
    pub now: Timestamp,
    pub subscriptions: &'a Arc<Subscriptions>,
    /// The server process that the request reached.
    pub back_end: BackEnd,
    pub caller: &'a Caller,
}

/// What a fault does to the response messages of a call.
#[derive(Clone, Debug)]
pub(crate) enum Disturbance {
    /// The first message is this error, the rest is not processed.
    FirstError { code: String, back_off: Option<u64>, inner: bool },
    /// Only the first messages are answered.
    Partial { keep: usize, form: PartialForm },
}

/// Performs a checked request; gives the content of the SOAP body.
pub(crate) fn perform(call: &Call<'_>, operation: &Element) -> Result<String, SoapFault> {
    Ok(match operation.name.as_str() {
        "ConvertId" => convert_id::perform(call, operation),
        "CreateAttachment" => create_attachment::perform(call, operation),
        "CreateFolder" => create_folder::perform(call, operation),
        "CreateItem" => create_item::perform(call, operation),
        "DeleteItem" => delete_item::perform(call, operation),
        "FindFolder" => find_folder::perform(call, operation),
        "FindItem" => find_item::perform(call, operation),
        "GetAttachment" => get_attachment::perform(call, operation),
        "GetFolder" => get_folder::perform(call, operation),
        "GetItem" => get_item::perform(call, operation),
        "GetServerTimeZones" => get_server_time_zones::perform(call, operation),
        "MoveItem" => move_item::perform(call, operation),
        "ResolveNames" => resolve_names::perform(call, operation),
        "SendItem" => send_item::perform(call, operation),
        "Subscribe" => subscribe::subscribe(call, operation),
        "SyncFolderHierarchy" => sync_folder_hierarchy::perform(call, operation),
        "SyncFolderItems" => sync_folder_items::perform(call, operation),
        "Unsubscribe" => subscribe::unsubscribe(call, operation),
        "UpdateItem" => update_item::perform(call, operation),
        // The schema lets nothing else through.
        _ => return Err(SoapFault::new("ErrorInvalidRequest")),
    })
}

#[cfg(test)]
mod tests;
