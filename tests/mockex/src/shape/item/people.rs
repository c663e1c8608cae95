//! Senders and recipients.

use super::{View, Writer};
use crate::content::Address;
use crate::soap::Xml;

impl Writer<'_> {
    /// One address, where there is one.
    pub(super) fn person(&self, xml: &mut Xml, name: &str, address: Option<&Address>) {
        let Some(address) = address.filter(|_| self.wants(&format!("message:{name}"), true)) else { return };
        let element = format!("t:{name}");
        xml.open(&element);
        self.mailbox(xml, address);
        xml.close(&element);
    }

    /// A list of addresses; never in listings.
    pub(super) fn people(&self, xml: &mut Xml, name: &str, in_default: bool, list: &[Address]) {
        if list.is_empty() || !self.wants_whole(&format!("message:{name}"), in_default) {
            return;
        }
        let element = format!("t:{name}");
        xml.open(&element);
        list.iter().for_each(|address| self.mailbox(xml, address));
        xml.close(&element);
    }

    /// Listings know the name only (MS-OXWSSRCH).
    fn mailbox(&self, xml: &mut Xml, address: &Address) {
        xml.open("t:Mailbox");
        xml.text("t:Name", &shown(address));
        let text = address.address.as_deref().filter(|text| self.view == View::Whole && !text.is_empty());
        if let Some(text) = text {
            xml.text("t:EmailAddress", text);
            xml.text("t:RoutingType", "SMTP");
        }
        xml.close("t:Mailbox");
    }
}

/// How the people of a list are displayed.
pub(super) fn names(list: &[Address]) -> String {
    list.iter().map(shown).collect::<Vec<_>>().join("; ")
}

fn shown(address: &Address) -> String {
    address.name.clone().or_else(|| address.address.clone()).unwrap_or_default()
}
