//! Feature `tokio`: tokio's futures in goroutines, and C code that blocks, called through
//! `blocking`.

use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use go_runtime::context::Context;
use go_runtime::{Canceled, block_on, block_on_with, channel, go, scope};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Handle};

use go_tests::support::{self, at_several_gomaxprocs, child, in_both, in_goroutine, on_thread};

/// Serves a number of connections, each on its own thread. Returns the address of the listener.
fn serve(
    connections: usize,
    serve: fn(std::net::TcpStream),
) -> (SocketAddr, thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let serving: Vec<_> = listener
            .incoming()
            .take(connections)
            .map(|stream| thread::spawn(move || serve(stream.unwrap())))
            .collect();
        serving.into_iter().for_each(|one| one.join().unwrap());
    });
    (address, server)
}

/// A context ends the wait for a pending tokio future, which is dropped.
#[test]
fn a_context_ends_what_waits() {
    in_both(|| {
        let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(2));
        let long = async { tokio::time::sleep(Duration::from_secs(1000)).await };
        assert_eq!(block_on_with(ctx.done(), long), Err(Canceled));
        let (ctx, cancel) = Context::background().with_cancel();
        let short = async { tokio::time::sleep(Duration::from_millis(1)).await };
        assert_eq!(block_on_with(ctx.done(), short), Ok(()));
        drop(cancel);
    });
}

#[test]
fn timers_and_tasks() {
    in_both(|| {
        let local = Rc::new(Cell::new(0));
        let name = block_on(async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            local.set(1);
            let task = async { thread::current().name().map(str::to_owned) };
            tokio::spawn(task).await.unwrap()
        });
        assert_eq!((name.as_deref(), local.get()), (Some("go-tokio"), 1));
        let timed_out = block_on(async {
            let never = std::future::pending::<()>();
            tokio::time::timeout(Duration::from_millis(1), never).await
        });
        timed_out.unwrap_err();
        block_on(async {
            for _ in 0..1000 {
                tokio::task::yield_now().await;
            }
        });
        assert_eq!(
            block_on(async { tokio::task::spawn_blocking(|| 7).await.unwrap() }),
            7
        );
    });
}

/// Goroutines on one thread may be inside polls at the same time, and leave them in any order.
#[test]
#[ignore = "run by with_several_gomaxprocs"]
fn polls_that_park_may_overlap() {
    in_goroutine(|| {
        let (go_on, wait) = channel::bounded::<()>(0);
        let waiting: Vec<_> = (0..100_u64)
            .map(|n| {
                go!(clone(wait) {
                    block_on(async {
                        tokio::time::sleep(Duration::from_micros(n * 37 % 1000)).await;
                        // The goroutine parks within the poll.
                        wait.recv().unwrap();
                        block_on(async { tokio::time::sleep(Duration::from_micros(n)).await });
                        tokio::spawn(async move { n }).await.unwrap()
                    })
                })
            })
            .collect();
        (0..100).for_each(|_| go_on.send(()).unwrap());
        let sum: u64 = waiting.into_iter().map(|one| one.join().unwrap()).sum();
        assert_eq!(sum, 99 * 100 / 2);
    });
}

#[test]
fn a_context_that_is_there_is_kept() {
    on_thread(|| {
        let own = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let id = own.handle().id();
        let context = || block_on(async { Handle::current().id() });
        let shared = context();
        assert_ne!(shared, id);
        {
            let _entered = own.enter();
            assert_eq!(context(), id);
        }
        // A thread leaves the context, while a worker may stay in it.
        assert!(Handle::try_current().is_err());
        assert_eq!(context(), shared);
        assert_eq!(
            go!({ block_on(async { Handle::current().id() }) })
                .join()
                .unwrap(),
            shared
        );
        // First a `block_on` of this crate inside one of the other runtime, then one of the other
        // runtime alone.
        assert_eq!(
            own.block_on(async move { block_on(async { Handle::current().id() }) }),
            id
        );
        assert_eq!(own.block_on(async { Handle::current().id() }), id);
    });
}

/// Goroutines may use other runtimes on a worker that stays in the context for good.
#[test]
fn other_runtimes_work_on_workers() {
    in_goroutine(|| {
        let shared = block_on(async { Handle::current().id() });
        let own = Builder::new_current_thread().enable_all().build().unwrap();
        let id = own.handle().id();
        assert_eq!(own.block_on(async { Handle::current().id() }), id);
        {
            let _entered = own.enter();
            assert_eq!(Handle::current().id(), id);
        }
        drop(own);
        assert_eq!(block_on(async { Handle::current().id() }), shared);
    });
}

/// A goroutine parks while it has entered another runtime. That context does not apply to other
/// goroutines of its worker. (That runtime is never driven: a future that relied on it would hang,
/// and panic at its shutdown.)
#[test]
fn contexts_of_other_goroutines_do_not_count() {
    async fn context() -> tokio::runtime::Id {
        tokio::time::sleep(Duration::from_millis(1)).await;
        Handle::current().id()
    }
    in_goroutine(|| {
        let own = Builder::new_current_thread().enable_all().build().unwrap();
        let foreign = own.handle().id();
        // The first round runs on a worker outside of any context, the second on a worker in this
        // crate's context.
        for _ in 0..2 {
            let (leave, left) = channel::bounded::<()>(0);
            let handle = own.handle().clone();
            let holder = go!(local; {
                let _entered = handle.enter();
                left.recv().unwrap();
                // The context is still this goroutine's: no other goroutine's context replaced it.
                assert_eq!(Handle::current().id(), handle.id());
            });
            support::settle();
            let before = go!(local; { block_on(async { Handle::current().id() }) });
            assert_ne!(before.join().unwrap(), foreign);
            let shared = go!(local; { block_on(context()) }).join().unwrap();
            assert_ne!(shared, foreign);
            // The guard is dropped while another goroutine waits.
            let (go_on, wait) = channel::bounded::<()>(0);
            let waiting = go!(local; {
                block_on(async {
                    wait.recv_async().await.unwrap();
                    (Handle::current().id(), context().await)
                })
            });
            support::settle();
            leave.send(()).unwrap();
            holder.join().unwrap();
            go_on.send(()).unwrap();
            assert_eq!(waiting.join().unwrap(), (shared, shared));
        }
    });
}

#[test]
#[ignore = "run by in_destructors_of_thread_locals"]
fn in_a_destructor() {
    struct Flush(std::sync::mpsc::Sender<i32>);
    impl Drop for Flush {
        fn drop(&mut self) {
            self.0.send(block_on(async { 1 })).unwrap();
            let (tx, rx) = channel::bounded(1);
            go!({ tx.send(2).unwrap() });
            let received = block_on(async { rx.recv_async().await.unwrap() });
            self.0.send(received).unwrap();
        }
    }
    thread_local! {
        static FLUSH: std::cell::OnceCell<Flush> = const { std::cell::OnceCell::new() };
    }
    let (done, said) = std::sync::mpsc::channel();
    on_thread(move || {
        // Thread-locals of tokio are made later, and so destroyed before this one.
        FLUSH.with(|flush| flush.set(Flush(done)).ok().unwrap());
        block_on(async { tokio::task::yield_now().await });
    });
    assert_eq!(said.iter().collect::<Vec<_>>(), [1, 2]);
}

#[cfg(target_os = "linux")]
#[test]
fn in_destructors_of_thread_locals() {
    child::succeed("in_a_destructor", &[]);
}

/// The future's values are dropped in the context as well, after the last poll.
#[test]
fn futures_are_dropped_in_the_context() {
    struct Last(std::sync::mpsc::Sender<bool>);
    impl Drop for Last {
        fn drop(&mut self) {
            self.0.send(Handle::try_current().is_ok()).unwrap();
        }
    }
    in_both(|| {
        let (tx, rx) = std::sync::mpsc::channel();
        let last = Last(tx);
        block_on(std::future::poll_fn(move |_| {
            let _ = &last;
            std::task::Poll::Ready(())
        }));
        assert_eq!(rx.recv(), Ok(true));
    });
}

#[test]
#[ignore = "run by with_several_gomaxprocs"]
fn sockets() {
    in_goroutine(|| {
        let (address, server) = serve(20, |mut stream| {
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            stream.write_all(text.to_uppercase().as_bytes()).unwrap();
        });
        scope(|s| {
            for n in 0..20 {
                go!(s; move || {
                    let answer = block_on(async {
                        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
                        stream.write_all(format!("hello {n}").as_bytes()).await.unwrap();
                        stream.shutdown().await.unwrap();
                        let mut answer = String::new();
                        stream.read_to_string(&mut answer).await.unwrap();
                        answer
                    });
                    assert_eq!(answer, format!("HELLO {n}"));
                });
            }
        });
        server.join().unwrap();
    });
}

/// The tokio runtime cannot start without a file descriptor, and starts once there are some.
#[cfg(target_os = "linux")]
#[test]
#[ignore = "run by a_runtime_that_cannot_start"]
fn no_descriptors() {
    use std::mem::MaybeUninit;

    let mut limit = MaybeUninit::<libc::rlimit>::uninit();
    // SAFETY: `getrlimit` writes a whole `rlimit` to the pointer, which is valid for that, and the
    // assertion checks that it succeeded.
    let limit = unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, limit.as_mut_ptr()), 0);
        limit.assume_init()
    };
    let set = |limit: &libc::rlimit| {
        // SAFETY: `setrlimit` only reads the limit, to which `limit` is a valid reference.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, limit) }, 0);
    };
    // The goroutines' own runtime has started before.
    go!({}).join().unwrap();
    set(&libc::rlimit {
        rlim_cur: 0,
        ..limit
    });
    for _ in 0..2 {
        let failed = go!({ block_on(async { 1 }) }).join().unwrap_err();
        let text = go_runtime::panic_message(&*failed);
        assert!(
            text.contains("the tokio runtime for block_on cannot be started"),
            "{text}"
        );
        assert!(text.contains("ulimit"), "{text}");
    }
    set(&limit);
    in_both(|| block_on(async { tokio::time::sleep(Duration::from_millis(1)).await }));
}

#[cfg(target_os = "linux")]
#[test]
fn a_runtime_that_cannot_start() {
    child::succeed_with_one_and_two(&["no_descriptors"]);
}

#[test]
fn with_several_gomaxprocs() {
    at_several_gomaxprocs(&["polls_that_park", "sockets"]);
}
