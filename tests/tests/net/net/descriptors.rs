//! Descriptors that are not this crate's sockets: pipes.

use std::io::{self, ErrorKind, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use go_runtime::channel::{bounded, unbounded};
use go_runtime::net::{self, Fd};
use go_runtime::{go, gomaxprocs, time};

use go_tests::support::{child, in_goroutine, settle};

#[test]
fn a_pipe() {
    let (reader, mut writer) = io::pipe().unwrap();
    let reader = Fd::new(reader).unwrap();
    let text = go! {
        let mut buf = [0; 16];
        let n = reader.read_with(|mut pipe| pipe.read(&mut buf)).unwrap();
        buf[..n].to_vec()
    };
    go_runtime::yield_now();
    writer.write_all(b"through a pipe").unwrap();
    assert_eq!(text.join().unwrap(), b"through a pipe");
}

/// `as_fd` is the user's code, and may let other goroutines run: no lock is held meanwhile.
#[test]
fn a_descriptor_whose_as_fd_waits() {
    struct Slow(io::PipeReader);
    impl AsFd for Slow {
        fn as_fd(&self) -> BorrowedFd<'_> {
            go_runtime::yield_now();
            self.0.as_fd()
        }
    }
    in_goroutine(|| {
        let (reader, mut writer) = io::pipe().unwrap();
        let reader = Arc::new(Fd::new(Slow(reader)).unwrap());
        let reading: Vec<_> = (0..3)
            .map(|_| {
                go!(local; clone(reader) {
                    let read = reader.read_with(|slow| (&slow.0).read(&mut [0]));
                    assert_eq!(read.unwrap(), 1);
                })
            })
            .collect();
        settle();
        writer.write_all(b"all").unwrap();
        reading.into_iter().for_each(|reads| reads.join().unwrap());
    });
}

/// A reader that panics may have been woken instead of another reader, and so passes the wake-up
/// on.
#[test]
fn who_panics_leaves_to_others_what_there_is() {
    let (reader, mut writer) = io::pipe().unwrap();
    let reader = Arc::new(Fd::new(reader).unwrap());
    let (waits, waiting) = unbounded();
    let panics = go!(clone(reader, waits) {
        let mut tried = false;
        reader.read_with(|mut pipe| {
            assert!(!tried, "on purpose");
            tried = true;
            let found = pipe.read(&mut [0]);
            // The message is sent only now, because the writer must not come first.
            waits.send(()).unwrap();
            found
        })
    });
    waiting.recv().unwrap();
    let reads = go!(clone(reader) {
        waits.send(()).unwrap();
        reader.read_with(|mut pipe| pipe.read(&mut [0]))
    });
    waiting.recv().unwrap();
    writer.write_all(b"!").unwrap();
    assert!(panics.join().is_err());
    assert_eq!(reads.join().unwrap().unwrap(), 1);
}

#[test]
fn a_done_channel_ends_waits_for_a_pipe() {
    let (reader, writer) = io::pipe().unwrap();
    let (reader, writer) = (Fd::new(reader).unwrap(), Fd::new(writer).unwrap());
    let (stop, done) = bounded::<()>(0);
    let (tell, told) = bounded(0);
    let waits = go!(clone(done) {
        let reader = reader.with_done(&done);
        let n = reader.read_with(|mut pipe| pipe.read(&mut [0; 4])).unwrap();
        tell.send(()).unwrap();
        (n, reader.read_with(|mut pipe| pipe.read(&mut [0; 4])).unwrap_err())
    });
    let writer = writer.with_done(&done);
    let n = writer.write_with(|mut pipe| pipe.write(b"pipe")).unwrap();
    told.recv().unwrap();
    time::sleep(Duration::from_millis(5)); // the reader probably waits by then
    drop(stop);
    let (read, error) = waits.join().unwrap();
    assert!(read == n && net::is_done(&error));
    let error = writer
        .write_with(|mut pipe| pipe.write(b"pipe"))
        .unwrap_err();
    assert!(net::is_done(&error));
}

#[test]
fn a_plain_file_cannot_be_waited_for() {
    let file = std::fs::File::open("/dev/null").unwrap();
    let fd = Fd::new(file).unwrap();
    let never = go!(fd.read_with(|_| io::Result::<()>::Err(ErrorKind::WouldBlock.into())));
    assert!(never.join().unwrap().is_err());
}

/// Each goroutine is on its own worker, and only one worker has a poller: the others can make none.
#[test]
#[ignore = "run by `no_descriptors_for_a_poller`"]
fn workers_without_a_poller() {
    let mut pipes: Vec<_> = (0..=gomaxprocs()).map(|_| io::pipe().unwrap()).collect();
    let (first, _writer) = pipes.pop().unwrap();
    let first = Fd::new(first).unwrap();
    // A second attempt shows that the goroutine has waited, and has not just begun after the
    // deadline.
    let waits = go!(move || {
        let mut tries = 0;
        while tries < 2 {
            tries = 0;
            first
                .set_read_deadline(Some(Instant::now() + Duration::from_millis(1)))
                .unwrap();
            let read = first.read_with(|mut pipe| {
                tries += 1;
                pipe.read(&mut [0])
            });
            assert_eq!(read.unwrap_err().kind(), ErrorKind::TimedOut);
        }
    });
    waits.join().unwrap();

    let _limit = DescriptorLimit::none();
    let running = Arc::new(AtomicUsize::new(0));
    let (waits, waiting) = unbounded();
    let mut writers = Vec::new();
    let readers: Vec<_> = pipes
        .into_iter()
        .map(|(reader, writer)| {
            writers.push(writer);
            go!(clone(running, waits) {
                // Each goroutine holds its worker until all goroutines run, so no two of them share
                // a worker.
                running.fetch_add(1, Ordering::Relaxed);
                while running.load(Ordering::Relaxed) < gomaxprocs() {
                    thread::yield_now();
                }
                let reader = Fd::new(reader).unwrap();
                waits.send(()).unwrap();
                reader.read_with(|mut pipe| pipe.read(&mut [0]))
            })
        })
        .collect();
    for _ in &readers {
        waiting.recv().unwrap();
    }
    for mut writer in writers {
        writer.write_all(b"!").unwrap();
    }
    for reader in readers {
        assert_eq!(reader.join().unwrap().unwrap(), 1);
    }
}

/// A limit on the number of the process's descriptors, until it is dropped.
struct DescriptorLimit(libc::rlimit);

impl DescriptorLimit {
    /// Allows no more descriptors than there are.
    fn none() -> DescriptorLimit {
        let mut limit = MaybeUninit::<libc::rlimit>::uninit();
        // SAFETY: `getrlimit` writes a whole `rlimit` to the pointer, which is valid for that, and
        // the assertion checks that it succeeded.
        let limit = unsafe {
            assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, limit.as_mut_ptr()), 0);
            limit.assume_init()
        };
        DescriptorLimit::set(&libc::rlimit {
            rlim_cur: 0,
            ..limit
        });
        DescriptorLimit(limit)
    }

    fn set(limit: &libc::rlimit) {
        // SAFETY: `setrlimit` only reads the limit, to which the argument is a valid reference.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, limit) }, 0);
    }
}

impl Drop for DescriptorLimit {
    fn drop(&mut self) {
        DescriptorLimit::set(&self.0);
    }
}

#[test]
fn no_descriptors_for_a_poller() {
    for workers in ["1", "2", "8"] {
        child::succeed(
            "descriptors::workers_without_a_poller",
            &[("GOMAXPROCS", workers)],
        );
    }
}

#[test]
fn a_descriptor_is_given_away() {
    let (reader, mut writer) = io::pipe().unwrap();
    let raw = Fd::new(reader).unwrap().into_raw_fd();
    // SAFETY: `into_raw_fd` has just given the descriptor away, and nothing else closes it.
    let owned = unsafe { OwnedFd::from_raw_fd(raw) };
    let owned = OwnedFd::from(Fd::new(owned).unwrap());
    let reader = Fd::new(io::PipeReader::from(owned)).unwrap();
    writer.write_all(b"on").unwrap();
    drop(writer);
    let mut text = String::new();
    reader
        .read_with(|mut pipe| pipe.read_to_string(&mut text))
        .unwrap();
    assert_eq!(text, "on");

    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let raw = listener.into_raw_fd();
    // SAFETY: the listener has given the descriptor away, and nothing else closes it.
    let listener = net::TcpListener::from(unsafe { OwnedFd::from_raw_fd(raw) });
    assert_eq!(listener.local_addr().unwrap(), address);
}
