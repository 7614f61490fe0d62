//! What cargo adds to the environment of what it runs, and what a git hook has in its own: none of it is for the children of a
//! task, which build other crates and look at other repositories.
//!
//! `RUSTUP_TOOLCHAIN` stays: it names the toolchain that whoever called has chosen (`cargo +NAME xtask …`).

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Names of variables that children do not get; one with a star stands for all that begin so.
const FOREIGN: &[&str] = &[
    "CARGO",
    "CARGO_BIN_NAME",
    "CARGO_CRATE_NAME",
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_LINKS",
    "CARGO_MANIFEST_PATH",
    "CARGO_PKG_*",
    "CARGO_PRIMARY_PACKAGE",
    "GIT_DIR",
    "GIT_INDEX_FILE",
    "GIT_WORK_TREE",
    "RUST_RECURSION_COUNT",
];
/// Where the dynamic loader looks first. Cargo puts folders of its own in front.
const LIBRARIES: &str = "LD_LIBRARY_PATH";

/// What has to change of `variables` for a child: the new value, or none.
pub(crate) fn changes(
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Vec<(OsString, Option<OsString>)> {
    let variables: Vec<_> = variables.collect();
    let cargo = variables.iter().find(|(name, _)| name == "CARGO").map(|(_, value)| PathBuf::from(value));
    let mut changes: Vec<_> =
        variables.iter().filter(|(name, _)| foreign(name)).map(|(name, _)| (name.clone(), None)).collect();
    if let (Some(cargo), Some((name, value))) = (cargo, variables.iter().find(|(name, _)| name == LIBRARIES))
    {
        changes.push((name.clone(), libraries(value, &cargo)));
    }
    changes
}

fn foreign(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    FOREIGN.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(begin) => name.starts_with(begin),
        None => name == *pattern,
    })
}

/// `value` without the folders of the toolchain of `cargo` and those of a build.
fn libraries(value: &OsStr, cargo: &Path) -> Option<OsString> {
    let toolchain = cargo.parent().and_then(Path::parent).map(|root| root.join("lib"));
    let of_cargo = |folder: &PathBuf| {
        let build = folder.ancestors().any(|above| above.ends_with("target/release"));
        let library = |root: &PathBuf| folder == root || folder.starts_with(root.join("rustlib"));
        build || toolchain.as_ref().is_some_and(library)
    };
    let kept: Vec<PathBuf> = env::split_paths(value)
        .filter(|folder| !folder.as_os_str().is_empty() && !of_cargo(folder))
        .collect();
    if kept.is_empty() { None } else { env::join_paths(kept).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Vec<(String, Option<String>)> {
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
        let text = |text: OsString| text.into_string().unwrap();
        changes(variables).into_iter().map(|(name, value)| (text(name), value.map(text))).collect()
    }

    #[test]
    fn what_cargo_adds_is_taken_away_and_nothing_else() {
        let all = [
            ("CARGO", "/t/bin/cargo"),
            ("CARGO_PKG_NAME", "xtask"),
            ("CARGO_HOME", "/c"),
            ("CARGO_TARGET_DIR", "/b"),
            ("LD_LIBRARY_PATH", "/w/target/release/deps:/t/lib/rustlib/x/lib:/own:/t/lib:/w/target/release"),
            ("RUSTUP_TOOLCHAIN", "stable"),
        ];
        let own = |value: &str| Some(value.to_owned());
        let expected = [
            ("CARGO".to_owned(), None),
            ("CARGO_PKG_NAME".to_owned(), None),
            ("LD_LIBRARY_PATH".to_owned(), own("/own")),
        ];
        assert_eq!(of(&all), expected);
        let all = [("CARGO", "/t/bin/cargo"), ("LD_LIBRARY_PATH", "/t/lib:")];
        assert_eq!(of(&all)[1], ("LD_LIBRARY_PATH".to_owned(), None));
        // Without cargo nothing was added.
        assert_eq!(of(&[("LD_LIBRARY_PATH", "/t/lib"), ("PATH", "/bin")]), []);
    }
}
