//! Links the test host with its own linker script.

fn main() {
    let folder = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    println!("cargo::rustc-link-arg-bins=-T{folder}/testhost.ld");
    println!("cargo::rerun-if-changed=testhost.ld");
}
