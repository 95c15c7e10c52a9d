//! What the binaries that run others need: Go's program, built, and medians.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

pub fn median(mut numbers: Vec<f64>) -> Option<f64> {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied()
}

pub fn run(command: &mut Command) -> Result<(), String> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{command:?}: {status}")),
        Err(error) => Err(format!("{command:?}: {error}")),
    }
}

/// Where this program lies.
pub fn target() -> Result<PathBuf, String> {
    let this = env::current_exe().map_err(|error| error.to_string())?;
    Ok(this.parent().map(Path::to_path_buf).unwrap_or_default())
}

/// Builds `go/` with the command in `$GO`, or `go` in the `PATH`.
pub fn build_go() -> Result<PathBuf, String> {
    let program = target()?.join("compare-go");
    let go = env::var_os("GO").unwrap_or_else(|| "go".into());
    run(Command::new(go)
        .arg("build")
        .arg("-o")
        .arg(&program)
        .arg(".")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("go")))?;
    Ok(program)
}
