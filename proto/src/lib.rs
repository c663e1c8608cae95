//! The contracts of Postroad as Rust types, generated from the files of this folder.
//!
//! Nothing is written by hand here: conversions live with the roles (`wire.rs`) and the journal.

macro_rules! contract {
    ($name:ident, $package:literal, $documentation:literal) => {
        #[doc = $documentation]
        pub mod $name {
            /// Version 1.
            pub mod v1 {
                tonic::include_proto!($package);
            }
        }
    };
}

contract!(alert, "postroad.alert.v1", "Alerts about profiles and mailboxes.");
contract!(crm, "postroad.crm.v1", "The CRM as Postroad needs it.");
contract!(fault, "postroad.fault.v1", "What went wrong.");
contract!(journal, "postroad.journal.v1", "What the journal stores.");
contract!(locator, "postroad.locator.v1", "Where mailboxes are served.");
contract!(mailbox, "postroad.mailbox.v1", "Mailboxes.");
contract!(profile, "postroad.profile.v1", "Email server profiles.");
contract!(sync, "postroad.sync.v1", "Synchronization.");

/// The calls of the contracts, one enumeration for each service.
pub mod rpc {
    include!(concat!(env!("OUT_DIR"), "/rpc.rs"));
}

/// All contracts as an encoded file descriptor set, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
