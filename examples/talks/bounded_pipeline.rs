//! A bounded pipeline: one goroutine finds files, four read them and sum them up, and the first
//! error stops all of them.
//!
//! Go: a done channel for all stages, a channel for the error, and a WaitGroup to close the
//! results. Here an error is a result like the others, and a consumer that needs no more results
//! drops the receiver: sends then fail, stage by stage, back to the first.
//!
//! ```sh
//! cargo run --release --example bounded_pipeline -- PATH
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

use go_examples::files;
use go_runtime::channel::{self, Receiver};
use go_runtime::{blocking, go};

const READERS: usize = 4;

/// Sends the paths of all files, until the receiver is dropped.
fn walk(root: PathBuf) -> Receiver<Result<PathBuf, String>> {
    let (tx, rx) = channel::bounded(0);
    go! {
        let mut files = files(&root);
        // Calls that block run on another thread.
        while let Some(file) = blocking(|| files.next()) {
            if tx.send(file).is_err() {
                break;
            }
        }
    };
    rx
}

/// Returns the Adler-32 checksum of a file.
fn checksum(path: &Path) -> Result<u32, String> {
    let bytes =
        blocking(|| fs::read(path)).map_err(|error| format!("{}: {error}", path.display()))?;
    let (a, b) = bytes.iter().fold((1, 0), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (a + b) % 65_521)
    });
    Ok(b << 16 | a)
}

fn checksums(root: PathBuf) -> Result<BTreeMap<PathBuf, u32>, String> {
    let paths = walk(root);
    let (tx, results) = channel::bounded(0);
    for _ in 0..READERS {
        go!(clone(tx, paths) {
            for path in paths {
                let summed = path.and_then(|path| checksum(&path).map(|sum| (path, sum)));
                if tx.send(summed).is_err() {
                    break;
                }
            }
        });
    }
    drop(tx);
    // Ends with the last reader, or at the first error, which drops the receiver.
    results.into_iter().collect()
}

#[go_runtime::main]
fn main() -> Result<(), String> {
    let here = || concat!(env!("CARGO_MANIFEST_DIR"), "/talks").into();
    let root = env::args_os().nth(1).unwrap_or_else(here);
    for (path, sum) in checksums(root.into())? {
        println!("{sum:08x}  {}", path.display());
    }
    Ok(())
}
