//! Compiles the contracts without protoc.

use std::{error::Error, fs, path::PathBuf};

use prost::Message as _;

const FILES: [&str; 8] = [
    "postroad/alert/v1/alert.proto",
    "postroad/crm/v1/crm.proto",
    "postroad/fault/v1/fault.proto",
    "postroad/journal/v1/journal.proto",
    "postroad/locator/v1/locator.proto",
    "postroad/mailbox/v1/mailbox.proto",
    "postroad/profile/v1/profile.proto",
    "postroad/sync/v1/sync.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=postroad");
    let descriptors = protox::compile(FILES, ["."])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    // Content goes through in pieces of a mebibyte, none of which is to be copied.
    let configured = tonic_prost_build::configure().bytes(".postroad.crm.v1.PromoteEmailRequest.piece");
    configured.build_client(true).build_server(true).compile_fds(descriptors)?;
    Ok(())
}
