//! Descriptors that are no sockets of ours: pipes.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use go_runtime::channel::{bounded, unbounded};
use go_runtime::net::{self, Fd};
use go_runtime::{go, time};

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

/// It may have been woken in the place of another one.
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
            waits.send(()).unwrap();
            pipe.read(&mut [0])
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
    let waits = go!(clone(done) {
        let reader = reader.with_done(&done);
        let n = reader.read_with(|mut pipe| pipe.read(&mut [0; 4])).unwrap();
        (n, reader.read_with(|mut pipe| pipe.read(&mut [0; 4])).unwrap_err())
    });
    let writer = writer.with_done(&done);
    let n = writer.write_with(|mut pipe| pipe.write(b"pipe")).unwrap();
    time::sleep(Duration::from_millis(5));
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
