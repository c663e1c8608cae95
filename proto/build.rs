//! Compiles the contracts without protoc.

use std::{error::Error, fmt::Write as _, fs, path::PathBuf};

use prost::Message as _;
use prost_types::{FileDescriptorProto, ServiceDescriptorProto};

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
    fs::write(out.join("rpc.rs"), rpcs(&descriptors.file)?)?;
    // Content goes through in pieces of a mebibyte, none of which is to be copied.
    let configured = tonic_prost_build::configure().bytes(".postroad.crm.v1.PromoteEmailRequest.piece");
    configured.build_client(true).build_server(true).compile_fds(descriptors)?;
    Ok(())
}

/// An enumeration of each service's calls, and one of all: who matches them is told by the compiler when one is added.
fn rpcs(files: &[FileDescriptorProto]) -> Result<String, Box<dyn Error>> {
    let (mut code, mut kinds, mut all, mut paths, mut names) =
        (String::new(), String::new(), String::new(), String::new(), String::new());
    for (file, service) in files.iter().flat_map(|file| file.service.iter().map(move |service| (file, service))) {
        let kind = kind(service)?;
        writeln!(code, "/// The calls of `{}`.", service.name())?;
        writeln!(code, "#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]\npub enum {kind} {{")?;
        writeln!(kinds, "/// A call of `{}`.\n{kind}({kind}),", service.name())?;
        for method in &service.method {
            let (name, path) = (method.name(), format!("/{}.{}/{}", file.package(), service.name(), method.name()));
            writeln!(code, "/// `{path}`\n{name},")?;
            writeln!(all, "Self::{kind}({kind}::{name}),")?;
            writeln!(paths, "Self::{kind}({kind}::{name}) => \"{path}\",")?;
            writeln!(names, "\"{path}\" => Self::{kind}({kind}::{name}),")?;
        }
        code.push_str("}\n");
    }
    writeln!(
        code,
        "/// A call of a contract.\n#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]\npub enum Rpc {{ {kinds} }}\n\
         impl Rpc {{\n/// Every call.\npub const ALL: &[Self] = &[{all}];\n\
         /// The path of its requests.\npub const fn path(self) -> &'static str {{ match self {{ {paths} }} }}\n\
         /// The call whose requests have this path.\n\
         pub fn by_path(path: &str) -> Option<Self> {{ Some(match path {{ {names} _ => return None }}) }}\n}}"
    )?;
    Ok(code)
}

/// `ProfileService` is `Profile`.
fn kind(service: &ServiceDescriptorProto) -> Result<&str, String> {
    let name = service.name();
    name.strip_suffix("Service").ok_or_else(|| format!("the service {name} is not called SOMETHINGService"))
}
