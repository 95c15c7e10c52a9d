//! Makes tests for our channels from those that crossbeam-channel ships, and from the examples in its documentation.
//!
//! Its sources are found among the locked dependencies. What is made of them lies in `OUT_DIR`: a file for each file of its tests, in two
//! versions (`threads` and `goroutines`), a file that names them as modules, and its examples.

mod examples;
mod rename;

use std::env;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{CargoOpt, MetadataCommand};

/// Whose tests these are.
const CRATE: &str = "crossbeam-channel";

/// Its files of tests. golang measures the memory of the whole process, so it has a target of its own.
const FILES: [&str; 13] = [
    "after",
    "array",
    "iter",
    "list",
    "mpsc",
    "never",
    "ready",
    "same_channel",
    "select",
    "select_macro",
    "thread_locals",
    "tick",
    "zero",
];

fn main() {
    println!("cargo:rerun-if-changed=build");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let source = source_of_the_crate();
    println!("cargo:rerun-if-changed={}", source.display());
    let tests = source.join("tests");
    for entry in fs::read_dir(&tests).unwrap_or_else(|error| no_tests(&tests, &error)) {
        let name = entry.expect("a folder that can be read").file_name();
        let name = name.to_string_lossy();
        let known = name
            .strip_suffix(".rs")
            .is_some_and(|name| name == "golang" || FILES.contains(&name));
        assert!(
            known,
            "{CRATE} has a file of tests that is not run here: tests/{name}; name it in build/main.rs"
        );
    }
    let read = |file: &str| {
        let path = tests.join(file).with_extension("rs");
        fs::read_to_string(&path).unwrap_or_else(|error| no_tests(&path, &error))
    };
    generate(&out.join("threads"), |file| {
        rename::for_threads(&read(file))
    });
    for workers in [1, 2, 4] {
        generate(&out.join(format!("goroutines_{workers}")), |file| {
            rename::for_goroutines(file, &read(file), workers)
        });
    }
    examples::extract(&source.join("src"), &out.join("examples.md"));
}

/// Makes the files of one version, and those that name them as modules.
fn generate(folder: &Path, text_of: impl Fn(&str) -> String) {
    fs::create_dir_all(folder).expect("OUT_DIR can be written");
    for file in FILES.iter().chain(&["golang"]) {
        fs::write(folder.join(file).with_extension("rs"), text_of(file))
            .expect("OUT_DIR can be written");
    }
    write_modules(&folder.with_extension("rs"), folder, &FILES);
    write_modules(&folder.with_extension("golang.rs"), folder, &["golang"]);
}

fn no_tests(path: &Path, error: &std::io::Error) -> ! {
    panic!(
        "no tests of {CRATE} at {} ({error}): the crate as published on crates.io has them; is it replaced by a patch, or vendored \
         without them?",
        path.display()
    )
}

/// Where the sources of the crate are that `Cargo.lock` names.
fn source_of_the_crate() -> PathBuf {
    let manifest =
        Path::new(&env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("Cargo.toml");
    let metadata = MetadataCommand::new()
        .manifest_path(manifest)
        .features(CargoOpt::NoDefaultFeatures)
        .other_options(["--locked".into()])
        .exec()
        .unwrap_or_else(|error| panic!("cargo does not say where {CRATE} is: {error}"));
    let packages = metadata.packages.iter();
    let mut found = packages.filter(|package| package.name.as_str() == CRATE);
    match (found.next(), found.next()) {
        (Some(package), None) => match package.manifest_path.parent() {
            Some(folder) => folder.into(),
            None => unreachable!("a manifest lies in a folder"),
        },
        (None, _) => panic!("{CRATE} is not among the locked dependencies"),
        (Some(a), Some(b)) => panic!(
            "{CRATE} is locked twice, as {} and {}: run cargo update, so that there is one to test against",
            a.version, b.version
        ),
    }
}

/// A file that is included by a target: the generated files as its modules.
fn write_modules(path: &Path, folder: &Path, files: &[&str]) {
    let mut text = String::new();
    for file in files {
        let module = folder.join(file).with_extension("rs");
        // It is not for us to say how others write.
        let allow = "#[allow(warnings, unsafe_op_in_unsafe_fn, clippy::all, clippy::undocumented_unsafe_blocks)]";
        writeln!(text, "{allow}\n#[path = {module:?}]\nmod {file};")
            .expect("a string can be written");
    }
    fs::write(path, text).expect("OUT_DIR can be written");
}
