//! ResolveNames (MS-OXWSRSLNM), against the address list.

use super::response::Failure;
use super::{Call, response};
use crate::soap::{Element, Xml};

pub fn perform(call: &Call<'_>, operation: &Element) -> String {
    response::single(call, "ResolveNames", "", || {
        let wanted = operation.child_text("UnresolvedEntry").unwrap_or_default().to_lowercase();
        let wanted = wanted.strip_prefix("smtp:").unwrap_or(&wanted);
        let matches = |text: &str| text.to_lowercase().starts_with(wanted);
        let accounts = call.directory.accounts().iter();
        let found: Vec<_> =
            accounts.filter(|account| matches(&account.display_name) || account.addresses().any(matches)).collect();
        if found.is_empty() {
            return Err(Failure::new("ErrorNameResolutionNoResults"));
        }
        let mut xml = Xml::new();
        let total = found.len().to_string();
        xml.open_with("m:ResolutionSet", &[("TotalItemsInView", &total), ("IncludesLastItemInRange", "true")]);
        for account in found {
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
        Ok(xml.into_string())
    })
}
