//! Compiles the library that moves a replica's clock: `clock/clock.c`.

use std::path::Path;
use std::{env, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=clock/clock.c");
    // Elsewhere libraries are preloaded in another way.
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("linux") {
        return Ok(());
    }
    let folder = env::var("OUT_DIR").map_err(io::Error::other)?;
    let library = Path::new(&folder).join("clock.so");
    // As the linker of Rust programs, and for the same target.
    let compiler = cc::Build::new().pic(true).get_compiler();
    let status = compiler
        .to_command()
        .args(["-shared", "-Wall", "-Werror", "-o"])
        .args([&library, Path::new("clock/clock.c")])
        .status()?;
    if !status.success() {
        return Err(io::Error::other(format!("clock/clock.c: {status}")));
    }
    println!("cargo::rustc-env=CHAOS_CLOCK={}", library.display());
    Ok(())
}
