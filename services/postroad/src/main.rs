//! The binary; see the library.

use std::process::ExitCode;

/// Many small pieces are taken and given back by several threads at once; the system's allocator spends a sixth of a worker's time on it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    postroad::main()
}
