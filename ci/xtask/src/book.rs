//! `cargo xtask book`: the pages of docs/ as a book.

mod links;

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use self::links::Links;
use crate::child::find;
use crate::copy::copy;
use crate::ends::Failure;
use crate::room::{Room, print};

pub(crate) const EXAMPLE: &str = "\
The book is made by mdbook from PATH, or from target/tools/mdbook, where this puts it (cargo install, minutes).

Examples:
  cargo xtask book                   # target/book/docs/index.html

Exit status: 0 it is there, and no link of it is dead, 1 not, 125 there is no mdbook and it could not be installed.";

/// The mdbook that is installed where there is none.
const VERSION: &str = "0.5.4";
/// A book of less pages and links than these was not read as it must be.
const LEAST: Links = Links { pages: 30, links: 1000 };

pub(crate) fn book(room: &Room) -> Result<()> {
    let mdbook = mdbook(room)?;
    let target = room.root().join("target/book");
    if target.exists() {
        fs::remove_dir_all(&target).with_context(|| format!("cannot remove {}", target.display()))?;
    }
    room.run(mdbook).word("build").good()?;
    // Pages name traces as ../traces.
    copy(&room.root().join("traces"), &target.join("traces"))?;
    let (found, dead) = links::check(&target.join("docs"))?;
    if found.pages < LEAST.pages || found.links < LEAST.links {
        return Err(
            Failure::different(format!("only {} pages with {} links", found.pages, found.links)).into()
        );
    }
    print(format!("{} pages, {} links", found.pages, found.links))?;
    if !dead.is_empty() {
        let dead: Vec<String> = dead.into_iter().collect();
        return Err(Failure::different(format!("dead links:\n{}", dead.join("\n"))).into());
    }
    print("target/book/docs/index.html")
}

/// The program; installs it where it is neither on the search path nor in target/tools.
fn mdbook(room: &Room) -> Result<OsString> {
    if let Some(path) = find("mdbook") {
        return Ok(path.into());
    }
    let root = PathBuf::from("target/tools/mdbook");
    let own = room.root().join(&root).join("bin/mdbook");
    if !own.is_file() {
        let install = room.run("cargo").words(["install", "--quiet", "--locked", "--no-default-features"]);
        let install = install.words(["--features", "search", "--version", VERSION, "--root"]).word(&root);
        if install.word("mdbook").out_to_error().status()? != 0 {
            return Err(Failure::setup(format!("mdbook {VERSION} could not be installed")).into());
        }
    }
    Ok(own.into())
}
