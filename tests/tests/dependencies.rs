//! The crates that the project builds on: their licenses, where they come from, and the page that
//! names those that a user of `go-runtime` gets.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

use spdx::{Expression, ParseMode};

/// Licenses that ask for little more than to be named.
const PERMISSIVE: [&str; 8] = [
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// A crate as `cargo tree` names it.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Crate {
    name: String,
    /// A folder or an address; empty for crates.io.
    source: String,
    license: String,
}

/// Returns the crates of `cargo tree` with these arguments.
fn tree(args: &[&str]) -> BTreeSet<Crate> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--prefix=none", "--format={p}|{l}"])
        .args(args)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo tree: {errors}");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.lines()
        .filter(|line| !line.is_empty())
        .map(|line| {
            // name v1.2.3 (proc-macro) (source)|license (*)
            let (package, license) = line.split_once('|').expect("the format has a bar");
            let (name, rest) = package.split_once(' ').expect("a version");
            let notes = rest
                .split(" (")
                .skip(1)
                .map(|note| note.trim_end_matches(')'));
            Crate {
                name: name.to_owned(),
                source: notes.filter(|note| *note != "proc-macro").collect(),
                license: license.trim_end_matches(" (*)").to_owned(),
            }
        })
        .collect()
}

fn is_permissive(license: &str) -> bool {
    // Some crates write `MIT/Apache-2.0`.
    let parsed = Expression::parse_mode(license, ParseMode::LAX);
    parsed.is_ok_and(|expression| {
        expression.evaluate(|wanted| {
            let id = wanted.license.id();
            id.is_some_and(|id| PERMISSIVE.contains(&id.name))
        })
    })
}

#[test]
fn every_crate_is_from_crates_io_or_from_here_and_has_a_permissive_license() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let here = here.canonicalize().expect("the repository's folder");
    let crates = tree(&["--workspace", "--edges=normal,build,dev"]);
    let mut complaints = Vec::new();
    for Crate {
        name,
        source,
        license,
    } in &crates
    {
        if !source.is_empty() && !Path::new(source).starts_with(&here) {
            complaints.push(format!("{name} comes from {source}"));
        }
        if !is_permissive(license) {
            complaints.push(format!("{name} has the license {license:?}"));
        }
    }
    assert!(crates.len() > 100, "{} crates", crates.len());
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// The page is about Linux.
#[cfg(target_os = "linux")]
#[test]
fn the_page_names_the_crates_that_a_user_gets() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/dependencies.md");
    let page = fs::read_to_string(page).expect("the page");
    // | `name` | license | what for |
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    let listed: BTreeSet<_> = rows
        .map(|row| {
            let mut cells = row.split('|').map(str::trim);
            let name = cells.next().expect("a name").trim_end_matches('`');
            format!("{name}: {}", cells.next().expect("a license"))
        })
        .collect();
    let found: BTreeSet<_> = tree(&["--package=go-runtime", "--edges=normal,build"])
        .into_iter()
        .filter(|found| found.source.is_empty())
        .map(|found| format!("{}: {}", found.name, found.license))
        .collect();
    let missing: Vec<_> = found.difference(&listed).collect();
    let gone: Vec<_> = listed.difference(&found).collect();
    assert!(
        missing.is_empty() && gone.is_empty(),
        "docs/dependencies.md lacks {missing:?}, and still lists {gone:?}"
    );
}
