//! The examples in the documentation of the crate.

use std::fs;
use std::path::Path;

use crate::rename;

/// Writes all code blocks in the comments of `source` to one file, each under the place that it comes from.
pub(crate) fn extract(source: &Path, to: &Path) {
    let mut files: Vec<_> = fs::read_dir(source)
        .expect("a crate has sources")
        .filter_map(|entry| {
            Some(entry.ok()?.path()).filter(|path| path.extension().is_some_and(|e| e == "rs"))
        })
        .collect();
    files.sort();
    let mut all = String::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("a source file can be read");
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        let mut inside = false;
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim_start();
            let Some(comment) = line
                .strip_prefix("///")
                .or_else(|| line.strip_prefix("//!"))
            else {
                continue;
            };
            let comment = comment.strip_prefix(' ').unwrap_or(comment);
            let fence = comment.starts_with("```");
            if fence && !inside {
                all.push_str(&format!("\n# {name}, line {number}\n\n"));
            }
            if fence || inside {
                all.push_str(comment);
                all.push('\n');
            }
            inside ^= fence;
        }
    }
    fs::write(to, rename::for_threads(&all)).expect("OUT_DIR can be written");
}
