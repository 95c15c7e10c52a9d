//! `process`: child processes that goroutines wait for.
#![cfg(unix)]

use std::env;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::panic::catch_unwind;
use std::time::{Duration, Instant};

use go_runtime::channel::{bounded, never};
use go_runtime::fs::File;
use go_runtime::process::{Child, Command, Stdio};
use go_runtime::signal::SIGTERM;
use go_runtime::{Builder, go, panic_message, scope, time};

use go_tests::support::{
    self, at_several_gomaxprocs, child, eventually, in_both, in_goroutine, scratch,
};

#[cfg(target_os = "linux")]
#[cfg(target_os = "linux")]
mod exit;

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(script);
    command
}

/// A goroutine calls `fork` and goes on in the child, where it prints the errors that it gets.
#[test]
#[ignore = "run by forks in a process of its own"]
fn forks_in_a_goroutine() {
    in_goroutine(|| {
        let sibling = go!(local; { time::sleep(Duration::from_millis(20)); eprintln!("sibling") });
        let (_tx, never) = bounded::<()>(0);
        time::sleep(Duration::from_millis(1));
        // SAFETY: the child does only what this test is about, and ends by `_exit` or a signal.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let spawned = catch_unwind(|| go!({ 3 }));
            eprintln!("go: {}", panic_message(&*spawned.unwrap_err()));
            let local = catch_unwind(|| go!(local; { 3 }));
            eprintln!("local: {}", panic_message(&*local.unwrap_err()));
            eprintln!("builder: {}", Builder::new().spawn(|| 3).unwrap_err());
            // Operations that start no goroutine work as on a thread.
            time::sleep(Duration::from_millis(50));
            go_runtime::yield_now();
            assert_eq!(go_runtime::blocking(|| 5), 5);
            let (tx, rx) = bounded(1);
            tx.send(7).unwrap();
            assert_eq!(rx.recv(), Ok(7));
            assert!(never.recv_timeout(Duration::from_millis(1)).is_err());
            eprintln!("worked");
            if env::var_os("RETURNS").is_some() {
                return;
            }
            let _ = never.recv();
            unreachable!("nothing can end that");
        }
        let mut status = 0;
        // SAFETY: `waitpid` writes to `status`, which is valid, and `kill` takes no pointer. The
        // child belongs to this process, which has not waited for it yet.
        unsafe {
            if env::var_os("RETURNS").is_none() {
                time::sleep(Duration::from_millis(300));
                libc::kill(child, libc::SIGKILL);
            }
            assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
        }
        assert!(libc::WIFSIGNALED(status), "{status}");
        sibling.join().unwrap();
    });
}

#[test]
fn forks() {
    for (variables, last) in [
        (&[][..], "a forked child process waits"),
        (
            &[("RETURNS", "1")],
            "the goroutine that called fork has returned",
        ),
    ] {
        let ended = child::succeed("forks_in_a_goroutine", variables);
        ended.says(&[
            "go: the goroutine runtime cannot start: this process was forked",
            "local: cannot spawn a goroutine: this process was forked",
            "builder: this process was forked",
            "worked",
            last,
        ]);
        // The other goroutine has gone on only in the parent.
        assert_eq!(ended.err.matches("sibling").count(), 1, "{}", ended.all());
    }
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
        // The script writes more than a pipe holds, to both.
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
        // std's own extensions change a command, and a command can be converted from std's.
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
        // A further wait returns the same status, as std's does.
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
        // The wait closes the child's input; the child would not end otherwise.
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

/// Starts a child that lives until its standard input is closed, and returns the other end of that.
fn cat() -> (Child, go_runtime::process::ChildStdin) {
    let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    let input = child.stdin.take().unwrap();
    (child, input)
}

#[test]
fn waits_with_a_limit() {
    in_both(|| {
        let (mut child, input) = cat();
        assert!(child.wait_timeout(Duration::ZERO).unwrap().is_none());
        let soon = Duration::from_millis(2);
        assert!(child.wait_timeout(soon).unwrap().is_none());
        assert!(
            child
                .wait_deadline(Instant::now() + soon)
                .unwrap()
                .is_none()
        );
        drop(input);
        // The limits of earlier waits do not count.
        assert!(child.wait().unwrap().success());
        // An ended child is reported even if the deadline lies in the past.
        let long_ago = Instant::now();
        assert!(child.wait_deadline(long_ago).unwrap().unwrap().success());
        assert!(child.wait_timeout(Duration::ZERO).unwrap().is_some());
        let (mut child, input) = cat();
        drop(input);
        let status = child.wait_timeout(Duration::MAX).unwrap();
        assert!(status.unwrap().success());
    });
}

#[test]
fn waits_with_a_done_channel() {
    in_both(|| {
        let (mut child, input) = cat();
        // A done channel may have any type; a message ends the wait, and stays.
        let (messages, done) = bounded::<String>(1);
        messages.send("enough".into()).unwrap();
        assert!(child.wait_with(&done).unwrap().is_none());
        assert_eq!(done.try_recv().unwrap(), "enough");
        let waiting = go!(move || {
            let ended = child.wait_with(&done).unwrap();
            (child, ended)
        });
        drop(messages);
        let (mut child, ended) = waiting.join().unwrap();
        assert!(ended.is_none());
        // The wait has not closed the pipe that was taken out before.
        assert!(child.try_wait().unwrap().is_none());
        drop(input);
        assert!(child.wait_with(&never::<()>()).unwrap().unwrap().success());
    });
}

/// A child that has been waited for is sent no signal, because another process may have its number
/// by now.
#[test]
fn children_are_ended_from_elsewhere() {
    in_both(|| {
        for terminate in [false, true] {
            let (mut child, _input) = cat();
            let process = child.process();
            assert_eq!(process.id(), child.id());
            let waiting = go!(move || child.wait());
            let other = process.clone();
            let ended = go!(move || if terminate {
                other.signal(SIGTERM)
            } else {
                other.kill()
            });
            ended.join().unwrap().unwrap();
            let status = waiting.join().unwrap().unwrap();
            assert_eq!(status.signal(), Some(if terminate { 15 } else { 9 }));
            process.kill().unwrap();
            process.signal(SIGTERM).unwrap();
        }
        let (child, _input) = cat();
        let unknown = go_runtime::signal::Signal::from_raw(-1);
        let error = child.process().signal(unknown).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        child.kill().unwrap();
    });
}

/// The child writes more than a pipe holds to each of two pipes, and ends only when both are read.
#[test]
fn both_pipes_are_read_at_once() {
    in_both(|| {
        let script = "head -c 300000 /dev/zero >&2; head -c 200000 /dev/zero; exit 5";
        let child = shell(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = child.wait_with_output().unwrap();
        let lengths = (output.stdout.len(), output.stderr.len());
        assert_eq!(
            (lengths, output.status.code()),
            ((200_000, 300_000), Some(5))
        );
    });
}

/// `PR_SET_PDEATHSIG` ends a child when the thread that forked it ends, and idle threads of the
/// pool do end. Until its `exec` a child has the name of the thread that forked it, which this test
/// reads.
#[test]
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn children_are_started_by_a_thread_that_lasts() {
    in_goroutine(|| {
        let mut command = Command::new("true");
        // SAFETY: two system calls that use only the closure's own memory.
        let write_name = || unsafe {
            let mut name = [0u8; 16];
            libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr());
            libc::write(1, name.as_ptr().cast(), name.len());
            Ok(())
        };
        // SAFETY: the closure only makes system calls, so it may run between fork and exec.
        unsafe { command.as_mut().pre_exec(write_name) };
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut name = String::new();
        child
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut name)
            .unwrap();
        assert_eq!(name.trim_end_matches('\0'), "go-starter");
        assert!(child.wait().unwrap().success());
    });
}

/// Children whose start blocks, more of them than there are threads at first, do not keep another
/// child from being started.
#[test]
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn a_slow_start_holds_up_no_other() {
    use std::os::fd::AsRawFd;
    in_goroutine(|| {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let fd = reader.as_raw_fd();
        let slow = go_runtime::gomaxprocs() + 1;
        scope(|s| {
            for _ in 0..slow {
                go!(s; move || {
                    let mut command = Command::new("true");
                    // SAFETY: a system call that uses only the closure's own memory.
                    let wait = move || unsafe {
                        let mut byte = 0u8;
                        libc::read(fd, (&raw mut byte).cast(), 1);
                        Ok(())
                    };
                    // SAFETY: the closure only makes a system call, so it may run between fork and
                    // exec.
                    unsafe { command.as_mut().pre_exec(wait) };
                    assert!(command.status().unwrap().success());
                });
            }
            // Lets the slow starts begin first.
            support::settle();
            assert!(Command::new("true").status().unwrap().success());
            writer.write_all(&vec![0; slow]).unwrap();
        });
        drop(reader);
    });
}

/// Waiting for a child's end holds no worker: the goroutine that the child waits for runs on the
/// only one.
#[test]
#[ignore = "run by with_several_gomaxprocs"]
fn a_wait_parks() {
    in_goroutine(|| {
        // On a system with pidfds waits take no thread either. (No other test runs in this
        // process.)
        let children: Vec<_> = (0..20).map(|_| cat()).collect();
        let waiting: Vec<_> = children
            .into_iter()
            .map(|(mut child, input)| {
                assert!(
                    child
                        .wait_timeout(Duration::from_nanos(1))
                        .unwrap()
                        .is_none()
                );
                (go!(move || child.wait()), input)
            })
            .collect();
        support::settle();
        assert_eq!(pool_threads(), 0);
        for (waiting, input) in waiting {
            drop(input);
            assert!(waiting.join().unwrap().unwrap().success());
        }
        assert_eq!(pool_threads(), 0);
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

/// Returns the number of threads for blocking calls, or 0 on systems where pidfds are not expected.
fn pool_threads() -> usize {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else {
        return 0;
    };
    let name = |task: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(task.ok()?.path().join("comm")).ok()
    };
    tasks
        .filter_map(name)
        .filter(|name| name.trim() == "go-blocking")
        .count()
}

#[test]
fn with_several_gomaxprocs() {
    at_several_gomaxprocs(&["a_wait_parks"]);
}
