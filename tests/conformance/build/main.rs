//! Generates tests for this crate's channels from those of crossbeam-channel.
//!
//! The build script finds that crate's sources among the locked dependencies, and writes to
//! `OUT_DIR`: its test files in two versions, `threads` and `goroutines`, each with a file that
//! declares them as modules; and the examples of its documentation.

mod examples;
mod names;

use std::env;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{MetadataCommand, Package};

/// The crate whose tests are used.
const CRATE: &str = "crossbeam-channel";

fn main() {
    println!("cargo::rerun-if-changed=build");
    // Cargo passes this variable on to the tests. More tests than there are cores run at once,
    // since each test is a process of its own that sleeps most of the time.
    println!("cargo::rerun-if-env-changed=RUST_TEST_THREADS");
    if env::var_os("RUST_TEST_THREADS").is_none() {
        println!("cargo::rustc-env=RUST_TEST_THREADS=12");
    }
    // crossbeam-channel's tests use this condition.
    println!("cargo::rustc-check-cfg=cfg(crossbeam_sanitize)");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let package = find_package();
    let folder = package.manifest_path.parent().expect("a package's folder");
    let mut tests = source_files(&package, folder.join("tests").as_std_path());
    let sources = source_files(&package, folder.join("src").as_std_path());

    names::check(&tests);
    names::shorten(&mut tests);
    write_run(&out.join("threads"), &tests, names::for_threads);
    write_run(&out.join("goroutines"), &tests, names::for_goroutines);
    write(&out.join("examples.rs"), &examples::extract(&sources));
}

/// Finds crossbeam-channel's sources, in the version that `Cargo.lock` names.
fn find_package() -> Package {
    let manifest = env::var("CARGO_MANIFEST_DIR").expect("cargo sets it") + "/Cargo.toml";
    let target = env::var("TARGET").expect("cargo sets it");
    // Without the filter, cargo would also ask for packages of other platforms, which may not be on
    // this machine.
    let metadata = MetadataCommand::new()
        .manifest_path(manifest)
        .other_options(["--locked", "--filter-platform", &target].map(String::from))
        .exec()
        .unwrap_or_else(|error| panic!("cannot find out where {CRATE} is: {error}"));
    println!(
        "cargo::rerun-if-changed={}",
        metadata.workspace_root.join("Cargo.lock")
    );
    let packages = metadata.packages.into_iter();
    let mut found = packages.filter(|package| package.name.as_str() == CRATE);
    match (found.next(), found.next()) {
        (Some(package), None) => package,
        (None, _) => {
            panic!("{CRATE} is not in Cargo.lock, though go-runtime depends on it for its errors")
        }
        (Some(one), Some(other)) => panic!(
            "{CRATE} is in Cargo.lock as {} and as {}: run `cargo update -p {CRATE}`, so that \
             there is one to test against",
            one.version, other.version
        ),
    }
}

/// A source file of the package: its name without the extension, and its text.
struct Source {
    name: String,
    text: String,
}

fn source_files(package: &Package, folder: &Path) -> Vec<Source> {
    println!("cargo::rerun-if-changed={}", folder.display());
    let name = |path: &Path| {
        let is_source = path.extension().is_some_and(|extension| extension == "rs");
        is_source.then(|| path.file_stem().map(|stem| stem.to_string_lossy().into()))?
    };
    let read = || -> std::io::Result<Vec<Source>> {
        let mut sources = Vec::new();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if let Some(name) = name(&path) {
                let text = fs::read_to_string(&path)?;
                sources.push(Source { name, text });
            }
        }
        sources.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(sources)
    };
    read().unwrap_or_else(|error| {
        panic!(
            "{CRATE} {} has no folder {} ({error}); as published on crates.io it has one: is it \
             patched, or vendored without its tests?",
            package.version,
            folder.display()
        )
    })
}

/// Writes the renamed files into `folder`, and next to it a file that declares them as modules, for
/// a test target to include.
fn write_run(folder: &Path, files: &[Source], rename: fn(&Source) -> String) {
    // Files of an older version of the package must not stay.
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).expect("OUT_DIR can be written");
    let mut modules = String::new();
    for file in files {
        let path = folder.join(&file.name).with_extension("rs");
        write(&path, &rename(file));
        // The style of another project's code is not checked.
        let allow = "#[allow(warnings, clippy::all, clippy::undocumented_unsafe_blocks, \
                     unsafe_op_in_unsafe_fn)]";
        writeln!(modules, "{allow}\n#[path = {path:?}]\nmod {};", file.name)
            .expect("strings can be written");
    }
    write(&folder.with_extension("rs"), &modules);
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).expect("OUT_DIR can be written");
}
