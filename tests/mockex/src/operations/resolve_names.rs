//! ResolveNames (MS-OXWSRSLNM), against the address list.

use super::response::Failure;
use super::{Call, response};
use crate::directory::Account;
use crate::soap::{Element, Xml};

/// The most candidates of one answer.
const MOST: usize = 100;

pub fn perform(call: &Call<'_>, operation: &Element) -> String {
    response::single(call, "ResolveNames", "", || {
        let wanted = operation.child_text("UnresolvedEntry").unwrap_or_default().to_lowercase();
        let accounts = call.directory.accounts().iter();
        let found: Vec<&Account> = accounts.map(AsRef::as_ref).filter(|account| fits(account, &wanted)).collect();
        let set = set(&found);
        match found.len() {
            0 => Err(Failure::new("ErrorNameResolutionNoResults")),
            1 => Ok(set),
            // An answer, not a fault.
            _ => Err(Failure::warning("ErrorNameResolutionMultipleResults", set)),
        }
    })
}

/// Whether an account is a candidate for a text in lower case: by the start of one of its names or addresses, or exactly by
/// an address after `smtp:`.
fn fits(account: &Account, wanted: &str) -> bool {
    if let Some(address) = wanted.strip_prefix("smtp:") {
        return account.has_address(address.trim());
    }
    let name = account.display_name.to_lowercase();
    name.starts_with(wanted)
        || name.split_whitespace().any(|word| word.starts_with(wanted))
        || account.addresses().any(|address| address.to_lowercase().starts_with(wanted))
}

fn set(found: &[&Account]) -> String {
    let mut xml = Xml::new();
    let total = found.len().min(MOST).to_string();
    let is_all = if found.len() <= MOST { "true" } else { "false" };
    xml.open_with("m:ResolutionSet", &[("TotalItemsInView", &total), ("IncludesLastItemInRange", is_all)]);
    for account in found.iter().take(MOST) {
        xml.open("t:Resolution");
        xml.open("t:Mailbox");
        xml.text("t:Name", &account.display_name);
        xml.text("t:EmailAddress", &account.address);
        xml.text("t:RoutingType", "SMTP");
        xml.text("t:MailboxType", "Mailbox");
        xml.close("t:Mailbox");
        xml.close("t:Resolution");
    }
    xml.close("m:ResolutionSet");
    xml.into_string()
}
