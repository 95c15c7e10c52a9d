//! Crates, and parts of std, that assume that calls on one thread nest, or that a lock's holder
//! keeps running. In goroutines of one worker, a wait in the middle of such a call lets other
//! goroutines in. In a goroutine with its own thread, and in `without_parking`, it does not.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, OnceLock};
use std::thread::{self, ThreadId};
use std::time::Duration;

use go_runtime::{JoinHandle, go, time::sleep, without_parking};

use crate::pools;

/// The two contexts in which calls nest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Region {
    /// `go!(thread; ...)`.
    Thread,
    /// `without_parking(|| ...)`.
    WithoutParking,
}

impl Region {
    /// All regions.
    pub const ALL: [Region; 2] = [Region::Thread, Region::WithoutParking];

    /// Returns the call that starts the region, as Rust code.
    pub fn name(self) -> &'static str {
        match self {
            Region::Thread => "`go!(thread; ...)`",
            Region::WithoutParking => "`without_parking`",
        }
    }

    fn start<T: Send + 'static>(self, f: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        match self {
            Region::Thread => go!(thread; f()),
            Region::WithoutParking => go!({ without_parking(f) }),
        }
    }

    /// Calls `f` in several goroutines, with their numbers.
    fn call<T: Send + 'static>(self, f: impl Fn(usize) -> T + Send + Sync + 'static) -> Vec<T> {
        let f = Arc::new(f);
        let start = |number| {
            let f = Arc::clone(&f);
            self.start(move || f(number))
        };
        let goroutines: Vec<_> = (0..SEVERAL).map(start).collect();
        goroutines
            .into_iter()
            .map(|goroutine| goroutine.join().unwrap())
            .collect()
    }
}

const SEVERAL: usize = 8;

/// Parks the goroutine, if it may park.
fn wait() {
    sleep(Duration::from_millis(1));
}

/// A use of a crate in a region.
pub type Check = fn(Region);

/// All crates, with their checks.
pub const ALL: &[(&str, Check)] = &[
    ("std::sync::Mutex", std_mutex),
    ("parking_lot", parking_lot),
    ("OnceLock, LazyLock", once),
    ("thread_local", initializer),
    ("r2d2", r2d2),
    ("scoped-tls", scoped_tls),
    ("tracing", tracing),
    ("rayon", rayon),
    #[cfg(feature = "openssl")]
    ("openssl", openssl),
    #[cfg(feature = "mlua")]
    ("mlua", mlua),
    #[cfg(feature = "wasmtime")]
    ("wasmtime", wasmtime),
];

/// Holds a guard over a wait.
fn std_mutex(region: Region) {
    let count = Arc::new(Mutex::new(0));
    let shared = Arc::clone(&count);
    region.call(move |_| {
        let mut count = shared.lock().unwrap();
        let before = *count;
        wait();
        *count = before + 1;
    });
    assert_eq!(*count.lock().unwrap(), SEVERAL);
}

fn parking_lot(region: Region) {
    let count = Arc::new(::parking_lot::RwLock::new(0));
    let shared = Arc::clone(&count);
    region.call(move |_| {
        let mut count = shared.write();
        let before = *count;
        wait();
        *count = before + 1;
    });
    assert_eq!(*count.read(), SEVERAL);
}

/// Waits in an initializer.
fn once(region: Region) {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    let before = CALLS.load(Ordering::Relaxed);
    let initialize: fn() -> usize = || {
        wait();
        CALLS.fetch_add(1, Ordering::Relaxed)
    };
    let (once, lazy) = (OnceLock::new(), LazyLock::new(initialize));
    let values = region.call(move |_| *once.get_or_init(initialize) + *lazy);
    assert!(values.iter().all(|value| *value == values[0]));
    assert_eq!(CALLS.load(Ordering::Relaxed) - before, 2);
}

/// Waits in a thread-local's initializer. std drops a value that is initialized a second time.
fn initializer(region: Region) {
    static MADE: Mutex<Vec<ThreadId>> = Mutex::new(Vec::new());
    thread_local! {
        static VALUE: Box<usize> = {
            wait();
            MADE.lock().unwrap().push(thread::current().id());
            Box::new(42)
        };
    }
    region.call(|_| VALUE.with(|value| assert_eq!(**value, 42)));
    let made = MADE.lock().unwrap();
    let threads: HashSet<_> = made.iter().collect();
    assert_eq!(
        threads.len(),
        made.len(),
        "a thread has made its value twice"
    );
}

/// The crate keeps a pointer to the value in a thread-local while the closure runs.
fn scoped_tls(region: Region) {
    ::scoped_tls::scoped_thread_local!(static NUMBER: usize);
    region.call(|number| {
        NUMBER.set(&number, || {
            wait();
            NUMBER.with(|current| assert_eq!(*current, number));
        });
    });
}

/// The crate keeps the entered spans as a stack in a thread-local.
fn tracing(region: Region) {
    use ::tracing::{Span, info_span, subscriber::set_global_default};
    // Another test may have set the subscriber.
    let _ = set_global_default(tracing_subscriber::registry());
    region.call(|number| {
        let span = info_span!("request", number);
        let entered = span.enter();
        wait();
        assert_eq!(Span::current().id(), span.id());
        drop(entered);
        assert_eq!(Span::current().id(), None);
    });
}

/// Uses more goroutines than connections, and holds the connections over a wait.
fn r2d2(region: Region) {
    let pool = pools::of_r2d2(2, Duration::from_secs(60));
    region.call(move |_| {
        let connection = pool.get().unwrap();
        wait();
        drop(connection);
    });
}

/// A goroutine blocks until rayon's threads have the result, and waits meanwhile.
fn rayon(region: Region) {
    let sums = region.call(|number| {
        ::rayon::scope(|scope| {
            scope.spawn(|_| thread::sleep(Duration::from_millis(1)));
            (0..=number).sum::<usize>()
        })
    });
    assert_eq!(sums.iter().sum::<usize>(), 84);
}

/// OpenSSL keeps the errors of a thread in one queue, and a caller that asks for errors removes all
/// of them.
#[cfg(feature = "openssl")]
fn openssl(region: Region) {
    use ::openssl::error::ErrorStack;
    use ::openssl::pkey::PKey;
    region.call(|number| {
        let error = PKey::private_key_from_pem(b"no key").unwrap_err();
        assert!(ErrorStack::get().errors().is_empty());
        if number % 2 == 0 {
            error.put();
            wait();
            assert_eq!(ErrorStack::get().errors().len(), error.errors().len());
        } else {
            wait();
            assert!(ErrorStack::get().errors().is_empty());
        }
    });
}

/// The lock of a Lua state is reentrant, and takes all goroutines of a worker for the same owner.
#[cfg(feature = "mlua")]
fn mlua(region: Region) {
    let lua = ::mlua::Lua::new();
    let pause = lua
        .create_function(|_, number: usize| {
            // The goroutines leave their calls of Lua in another order than they have entered them.
            (0..=number % 3).for_each(|_| wait());
            Ok(number + 1)
        })
        .unwrap();
    lua.globals().set("pause", pause).unwrap();
    let numbers = region.call(move |number| {
        let chunk = lua.load("local n = ... ; for i = 1, 3 do n = pause(n) end; return n");
        chunk.call::<usize>(number).unwrap()
    });
    assert_eq!(numbers, (3..SEVERAL + 3).collect::<Vec<_>>());
}

/// The crate keeps the activations of a thread's instances as a list in a thread-local.
#[cfg(feature = "wasmtime")]
fn wasmtime(region: Region) {
    use ::wasmtime::{Engine, Instance, Module, Store};
    const PROGRAM: &str = r#"
        (module
            (import "" "pause" (func $pause (param i32) (result i32)))
            (func (export "run") (param i32) (result i32)
                (call $pause (call $pause (local.get 0)))))
    "#;
    let engine = Engine::default();
    let module = Module::new(&engine, PROGRAM).unwrap();
    let numbers = region.call(move |number| {
        let mut store = Store::new(&engine, ());
        let pause = ::wasmtime::Func::wrap(&mut store, |number: i32| {
            wait();
            number + 1
        });
        let instance = Instance::new(&mut store, &module, &[pause.into()]).unwrap();
        let run = instance
            .get_typed_func::<i32, i32>(&mut store, "run")
            .unwrap();
        run.call(&mut store, number as i32).unwrap()
    });
    assert_eq!(numbers, (2..SEVERAL as i32 + 2).collect::<Vec<_>>());
}
