//! What a mailbox is set to while it runs.

use serde::Deserialize;

use crate::organization::State;
use crate::running::Error;

/// The body of `PUT /categories`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Categories {
    mailbox: String,
    item_id: String,
    categories: Vec<String>,
}

/// The body of `PUT /full`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fullness {
    mailbox: String,
    full: bool,
}

/// The body of `PUT /send-as`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SendAs {
    mailbox: String,
    addresses: Vec<String>,
}

/// Something that a mailbox can be set to.
pub trait Setting {
    fn apply(self, state: &State) -> Result<(), Error>;
}

impl Setting for Categories {
    fn apply(self, state: &State) -> Result<(), Error> {
        state.set_categories(&self.mailbox, &self.item_id, self.categories)
    }
}

impl Setting for Fullness {
    fn apply(self, state: &State) -> Result<(), Error> {
        state.set_full(&self.mailbox, self.full)
    }
}

impl Setting for SendAs {
    fn apply(self, state: &State) -> Result<(), Error> {
        state.set_send_as(&self.mailbox, self.addresses)
    }
}
