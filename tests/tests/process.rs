//! `process`: children that goroutines wait for.
#![cfg(unix)]

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};

use go_runtime::fs::File;
use go_runtime::process::{Command, Stdio};
use go_runtime::{go, scope};

#[cfg(target_os = "linux")]
#[path = "support/child.rs"]
mod child;
#[cfg(target_os = "linux")]
#[path = "process/exit.rs"]
mod exit;
mod support;
use support::{at_several_gomaxprocs, eventually, in_both, in_goroutine, scratch};

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(script);
    command
}

#[test]
fn outputs_and_statuses() {
    in_both(|| {
        let output = shell("echo out; echo err >&2; exit 3").output().unwrap();
        assert_eq!(output.status.code(), Some(3));
        assert_eq!(
            (&*output.stdout, &*output.stderr),
            (&b"out\n"[..], &b"err\n"[..])
        );
        assert!(shell("exit 0").status().unwrap().success());
        assert_eq!(shell("exit 7").status().unwrap().code(), Some(7));
        // More than a pipe holds, on both.
        let script = "head -c 300000 /dev/zero; head -c 200000 /dev/zero >&2";
        let output = shell(script).output().unwrap();
        assert_eq!(
            (output.stdout.len(), output.stderr.len()),
            (300_000, 200_000)
        );
        for failed in [
            Command::new("/no/such/program").spawn().map(drop),
            Command::new("/no/such/program").output().map(drop),
            Command::new("/no/such/program").status().map(drop),
        ] {
            assert_eq!(failed.unwrap_err().kind(), ErrorKind::NotFound);
        }
    });
}

#[test]
fn what_the_child_gets() {
    in_both(|| {
        let directory = scratch("process");
        let output = shell("pwd -P; echo \"$A$B$C$D\"; echo $0 $1")
            .args(["zero", "one"])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("A", "a")
            .envs([("B", "b"), ("C", "c"), ("D", "d")])
            .env_remove("C")
            .current_dir(directory.path())
            .output()
            .unwrap();
        let whole = directory.path().canonicalize().unwrap();
        let expected = format!("{}\nabd\nzero one\n", whole.display());
        assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
        // By std's own extensions, and from std's own command.
        let mut command = shell("echo $0");
        command.as_mut().arg0("other");
        assert_eq!(command.as_mut().get_program(), OsStr::new("sh"));
        assert!(command.status().unwrap().success());
        let mut command = Command::from(std::process::Command::new("true"));
        assert!(command.status().unwrap().success());
    });
}

#[test]
fn pipes_there_and_back() {
    in_both(|| {
        let mut child = shell("while read line; do echo \"<$line>\"; done; echo end >&2")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        assert!(child.id() > 0);
        let mut input = child.stdin.take().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        for n in 0..100 {
            writeln!(input, "{n}").unwrap();
            let mut line = String::new();
            output.read_line(&mut line).unwrap();
            assert_eq!(line, format!("<{n}>\n"));
        }
        drop(input);
        let mut said = String::new();
        let mut errors = child.stderr.take().unwrap();
        errors.read_to_string(&mut said).unwrap();
        assert_eq!(said, "end\n");
        assert!(child.wait().unwrap().success());
        // Again the same, as std's.
        assert!(child.wait().unwrap().success());
        assert!(child.try_wait().unwrap().unwrap().success());
    });
}

#[test]
fn one_child_feeds_another() {
    in_both(|| {
        let mut first = shell("echo c; echo a; echo b")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let sort = Command::new("sort")
            .stdin(first.stdout.take().unwrap())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        assert_eq!(sort.wait_with_output().unwrap().stdout, b"a\nb\nc\n");
        assert!(first.wait().unwrap().success());
        // Its input is closed by the wait, or it would not end.
        let cat = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = cat.wait_with_output().unwrap();
        assert!(output.status.success() && output.stdout.is_empty() && output.stderr.is_empty());
        let mut cat = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        assert!(cat.wait().unwrap().success());
    });
}

#[test]
fn files_as_a_childs_pipes() {
    in_both(|| {
        let directory = scratch("pipes");
        let path = directory.path().join("file");
        let mut cat = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(File::create(&path).unwrap())
            .spawn()
            .unwrap();
        let input = cat.stdin.take().unwrap();
        (&input).write_all(b"hello").unwrap();
        (&input).flush().unwrap();
        drop(input);
        assert!(cat.wait().unwrap().success());
        let output = Command::new("cat")
            .stdin(File::open(&path).unwrap())
            .output()
            .unwrap();
        assert_eq!(output.stdout, b"hello");
    });
}

#[test]
fn children_are_killed() {
    in_both(|| {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        assert!(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        eventually(|| child.try_wait().unwrap().is_some());
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        child.kill().unwrap();
    });
}

/// Whoever waits for a child's end holds no worker: the one that the child waits for runs on the only one.
#[test]
#[ignore = "run by with_several_gomaxprocs"]
fn a_wait_parks() {
    in_goroutine(|| {
        scope(|s| {
            for n in 0..20 {
                go!(s; move || {
                    let mut child = shell("read line; exit $line")
                        .stdin(Stdio::piped())
                        .spawn()
                        .unwrap();
                    let mut input = child.stdin.take().unwrap();
                    let waiting = go!(move || child.wait());
                    go_runtime::yield_now();
                    writeln!(input, "{n}").unwrap();
                    assert_eq!(waiting.join().unwrap().unwrap().code(), Some(n));
                });
            }
        });
    });
}

#[test]
fn with_several_gomaxprocs() {
    at_several_gomaxprocs(&["a_wait_parks"]);
}
