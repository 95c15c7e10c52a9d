//! `fs` and `io::stdin`, in goroutines and on threads.
#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader, BufWriter, ErrorKind, IoSlice, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::panic::{self, AssertUnwindSafe};
use std::process::Stdio;
use std::sync::mpsc;
use std::time::{Duration, SystemTime};
use std::{env, thread};

use go_runtime::fs::{self, File, OpenOptions};
use go_runtime::{channel, go, io, scope};

use go_tests::support::{self, at_several_gomaxprocs, in_both, in_goroutine, scratch};

#[test]
fn whole_files() {
    in_both(|| {
        let directory = scratch("whole");
        let at = |name: &str| directory.path().join(name);
        fs::write(at("a"), "first").unwrap();
        fs::write(at("a"), "hello").unwrap();
        assert_eq!(fs::read(at("a")).unwrap(), b"hello");
        assert_eq!(fs::copy(at("a"), at("b")).unwrap(), 5);
        assert_eq!(fs::read_to_string(at("b")).unwrap(), "hello");
        fs::rename(at("b"), at("c")).unwrap();
        assert!(fs::exists(at("c")).unwrap() && !fs::exists(at("b")).unwrap());
        fs::hard_link(at("c"), at("d")).unwrap();
        std::os::unix::fs::symlink("c", at("link")).unwrap();
        assert_eq!(fs::read_link(at("link")).unwrap().to_str(), Some("c"));
        assert!(fs::metadata(at("link")).unwrap().is_file());
        assert!(fs::symlink_metadata(at("link")).unwrap().is_symlink());
        let whole = std::fs::canonicalize(at("c")).unwrap();
        assert_eq!(fs::canonicalize(at("link")).unwrap(), whole);
        fs::set_permissions(at("c"), fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(
            fs::metadata(at("d")).unwrap().permissions().mode() & 0o777,
            0o600
        );
        fs::remove_file(at("c")).unwrap();
        assert_eq!(
            fs::metadata(at("link")).unwrap_err().kind(),
            ErrorKind::NotFound
        );
        assert_eq!(fs::read_to_string(at("d")).unwrap(), "hello");
        fs::write(at("d"), [0xff]).unwrap();
        assert_eq!(
            fs::read_to_string(at("d")).unwrap_err().kind(),
            ErrorKind::InvalidData
        );
        assert_eq!(
            fs::read(directory.path()).unwrap_err().kind(),
            ErrorKind::IsADirectory
        );
        assert_eq!(
            fs::read("a\0b").unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
    });
}

#[test]
fn directories() {
    in_both(|| {
        let directory = scratch("directories");
        let at = |name: &str| directory.path().join(name);
        assert!(fs::read_dir(directory.path()).unwrap().next().is_none());
        assert_eq!(
            fs::create_dir(at("a/b")).unwrap_err().kind(),
            ErrorKind::NotFound
        );
        fs::create_dir_all(at("a/b")).unwrap();
        fs::create_dir_all(at("a/b")).unwrap();
        assert_eq!(
            fs::create_dir(at("a")).unwrap_err().kind(),
            ErrorKind::AlreadyExists
        );
        assert_eq!(
            fs::remove_dir(at("a")).unwrap_err().kind(),
            ErrorKind::DirectoryNotEmpty
        );
        // Entries are fetched 64 at a time: fewer, just as many, one more, and several times that.
        for count in [1, 63, 64, 65, 128, 300] {
            for n in 0..count {
                fs::write(at(&format!("a/b/{n}")), "").unwrap();
            }
            let mut entries = fs::read_dir(at("a/b")).unwrap();
            let mut numbers: Vec<usize> = entries
                .by_ref()
                .map(|entry| {
                    entry
                        .unwrap()
                        .file_name()
                        .to_str()
                        .unwrap()
                        .parse()
                        .unwrap()
                })
                .collect();
            numbers.sort_unstable();
            assert_eq!(numbers, (0..count).collect::<Vec<_>>());
            assert!(entries.next().is_none());
        }
        fs::remove_dir_all(at("a")).unwrap();
        assert_eq!(
            fs::read_dir(at("a")).unwrap_err().kind(),
            ErrorKind::NotFound
        );
        fs::create_dir(at("e")).unwrap();
        fs::remove_dir(at("e")).unwrap();
        assert!(!fs::exists(at("e")).unwrap());
    });
}

#[test]
fn open_files() {
    in_both(|| {
        let directory = scratch("open");
        let path = directory.path().join("file");
        assert_eq!(File::open(&path).unwrap_err().kind(), ErrorKind::NotFound);
        let mut file = File::create_new(&path).unwrap();
        assert_eq!(
            File::create_new(&path).unwrap_err().kind(),
            ErrorKind::AlreadyExists
        );
        file.write_all(b"hello, ").unwrap();
        assert_eq!(
            file.write_vectored(&[IoSlice::new(b"wor"), IoSlice::new(b"ld")])
                .unwrap(),
            5
        );
        file.flush().unwrap();
        file.sync_data().unwrap();
        file.sync_all().unwrap();
        assert_eq!(file.metadata().unwrap().len(), 12);

        // Reads one byte at a time, into the caller's stack.
        file.rewind().unwrap();
        let mut byte = [0];
        for expected in b"hello" {
            assert_eq!(file.read(&mut byte).unwrap(), 1);
            assert_eq!(byte[0], *expected);
        }
        assert_eq!(file.read(&mut []).unwrap(), 0);
        // A clone has the same position.
        let clone = file.try_clone().unwrap();
        assert_eq!(file.stream_position().unwrap(), 5);
        let mut rest = String::new();
        assert_eq!((&clone).read_to_string(&mut rest).unwrap(), 7);
        assert_eq!(rest, ", world");
        assert_eq!((&clone).read(&mut byte).unwrap(), 0);
        assert_eq!((&file).seek(SeekFrom::End(-5)).unwrap(), 7);
        let mut world = [0; 5];
        (&file).read_exact(&mut world).unwrap();
        assert_eq!(&world, b"world");
        let short = (&file).read_exact(&mut world).unwrap_err();
        assert_eq!(short.kind(), ErrorKind::UnexpectedEof);

        file.write_all_at(b"HELLO", 0).unwrap();
        file.read_exact_at(&mut world, 0).unwrap();
        assert_eq!(&world, b"HELLO");
        file.set_len(5).unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        file.set_modified(time).unwrap();
        assert_eq!(file.metadata().unwrap().modified().unwrap(), time);
        file.set_permissions(fs::Permissions::from_mode(0o400))
            .unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o400);
        file.set_permissions(fs::Permissions::from_mode(0o600))
            .unwrap();
        drop((file, clone));

        let mut appending = OpenOptions::new().append(true).open(&path).unwrap();
        appending.write_all(b"!").unwrap();
        assert!(appending.read(&mut byte).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"HELLO!");
        assert_eq!(File::create(&path).unwrap().metadata().unwrap().len(), 0);
        let refused = OpenOptions::new().open(&path).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
        let other = directory.path().join("other");
        let made = OpenOptions::new()
            .write(true)
            .create(true)
            .mode(0o600)
            .open(&other)
            .unwrap();
        assert_eq!(made.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        // The file can be converted to std's and back.
        let std: std::fs::File = made.into();
        File::from(std).write_all(b"x").unwrap();
        assert_eq!(fs::read(&other).unwrap(), b"x");
    });
}

/// Readers open a pipe before its writer does. If they did not park, one of them would hold the
/// only worker, which the writer needs.
#[test]
#[ignore = "run by with_several_gomaxprocs"]
fn a_read_parks() {
    in_goroutine(|| {
        let directory = scratch("pipe");
        let path = directory.path().join("pipe");
        let made = go_runtime::process::Command::new("mkfifo")
            .arg(&path)
            .status();
        assert!(made.unwrap().success());
        let (start, starts) = channel::bounded::<()>(0);
        let (tx, rx) = channel::bounded::<()>(1);
        let reading = go!(clone(path) {
            starts.recv().unwrap();
            tx.send(()).unwrap();
            BufReader::new(File::open(&path)?).lines().collect::<Result<Vec<_>, _>>()
        });
        let writing = go! {
            // From here on this goroutine can run only on its own worker.
            start.send(()).unwrap();
            rx.recv().unwrap();
            let mut pipe = BufWriter::new(OpenOptions::new().write(true).open(&path)?);
            for n in 0..100 {
                writeln!(pipe, "{n}")?;
                pipe.flush()?;
            }
            std::io::Result::Ok(())
        };
        writing.join().unwrap().unwrap();
        let lines = reading.join().unwrap().unwrap();
        assert_eq!(lines, (0..100).map(|n| n.to_string()).collect::<Vec<_>>());
    });
}

/// Many goroutines write into one file, and each finds what it wrote.
#[test]
#[ignore = "run by with_several_gomaxprocs"]
fn many_goroutines_share_a_file() {
    in_goroutine(|| {
        let directory = scratch("many");
        let file = File::create_new(directory.path().join("file")).unwrap();
        scope(|s| {
            for n in 0..200_u64 {
                let file = &file;
                go!(s; move || {
                    let place = n * 8;
                    for round in 0..10 {
                        file.write_all_at(&(n + round).to_le_bytes(), place).unwrap();
                        let mut back = [0; 8];
                        file.read_exact_at(&mut back, place).unwrap();
                        assert_eq!(u64::from_le_bytes(back), n + round);
                    }
                });
            }
        });
        assert_eq!(file.metadata().unwrap().len(), 1600);
    });
}

/// Files can be used in a `Drop` while a panic unwinds.
#[test]
fn it_works_while_unwinding() {
    struct Last(std::path::PathBuf, mpsc::Sender<Vec<u8>>);
    impl Drop for Last {
        fn drop(&mut self) {
            fs::write(&self.0, "written").unwrap();
            self.1.send(fs::read(&self.0).unwrap()).unwrap();
        }
    }
    in_both(|| {
        let directory = scratch("unwinding");
        let (tx, rx) = mpsc::channel();
        let failed = panic::catch_unwind(AssertUnwindSafe(|| {
            let _last = Last(directory.path().join("file"), tx);
            panic!("expected");
        }));
        assert!(failed.is_err());
        assert_eq!(rx.recv().unwrap(), b"written");
    });
}

/// Reads its input in several ways; other goroutines go on while it waits.
#[test]
#[ignore = "a child of the_standard_input"]
fn the_child_that_reads() {
    let (start, starts) = channel::bounded::<()>(0);
    let (tx, rx) = channel::bounded::<()>(1);
    let other = go! {
        start.send(()).unwrap();
        rx.recv().unwrap();
        println!("ready");
    };
    let reading = go! {
        // A started goroutine runs only on its worker, which a read that does not park would hold.
        starts.recv().unwrap();
        tx.send(()).unwrap();
        let mut line = String::new();
        assert_eq!(io::stdin().read_line(&mut line).unwrap(), 6);
        assert_eq!(line, "first\n");
        println!("got the first");
        let mut lines = io::stdin().lines();
        assert_eq!(lines.next().unwrap().unwrap(), "second");
        assert_eq!(lines.next().unwrap().unwrap(), "");
        let mut bytes = [0; 3];
        io::stdin().read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"thi");
        let mut rest = String::new();
        (&io::stdin()).read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "rd\nlast");
        assert_eq!(io::stdin().read(&mut bytes).unwrap(), 0);
        assert!(io::stdin().lines().next().is_none());
    };
    other.join().unwrap();
    reading.join().unwrap();
    println!("all read");
}

#[test]
fn the_standard_input() {
    for workers in ["1", "2"] {
        let mut child = std::process::Command::new(env::current_exe().unwrap())
            .args([
                "--exact",
                &support::full_name("the_child_that_reads"),
                "--ignored",
                "--nocapture",
            ])
            .env("GOMAXPROCS", workers)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let output = child.stdout.take().unwrap();
        let (said, says) = mpsc::channel();
        let listening = thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                let _ = said.send(line.unwrap());
            }
        });
        let wait_for = |text: &str| {
            while let Ok(line) = says.recv_timeout(support::NET) {
                if line == text {
                    return;
                }
            }
            panic!("not said: {text}");
        };
        wait_for("ready");
        input.write_all(b"first\n").unwrap();
        wait_for("got the first");
        input.write_all(b"second\r\n\nthird\nlast").unwrap();
        drop(input);
        wait_for("all read");
        assert!(child.wait().unwrap().success());
        listening.join().unwrap();
    }
}

#[test]
fn with_several_gomaxprocs() {
    at_several_gomaxprocs(&["a_read_parks", "many_goroutines_share"]);
}
