//! Programs with goroutines that leak, or look like it: `leaking NAME...`. Each is told how many of
//! its goroutines `debug::leaks` has to find, and ends with status 0 if it finds those, with 3 if
//! it finds fewer, and with 4 if it finds more. (With `GODEBUG=leaks=1` it does not look itself.)
//! `leaking heap MIB BYTES` measures how long a search takes.

use std::cell::RefCell;
use std::env;
use std::mem;
use std::os::fd::AsRawFd;
use std::process::ExitCode;
use std::ptr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use go_runtime::channel::{Sender, bounded, never, unbounded};
use go_runtime::debug::{self, Goroutine, GoroutineState};
use go_runtime::sync::{Condvar, Mutex, RwLock, Semaphore, WaitGroup};
use go_runtime::time::after_func;
use go_runtime::{Builder, blocking, go, scope, select, time};

use go_tests::support::eventually;

/// What a program keeps until the end.
type Kept = Box<dyn Send>;

type Program = fn() -> Kept;

/// The programs, with the numbers of goroutines that leak: certainly, and at least perhaps.
#[rustfmt::skip]
const PROGRAMS: [(&str, Program, usize, usize); 35] = [
    ("own_sender", own_sender, 1, 0), ("each_other", each_other, 2, 0),
    ("select_own", select_own, 1, 0), ("no_arms", no_arms, 1, 0), ("never", of_never, 1, 0),
    ("two_locks", two_locks, 2, 0), ("own_wait_group", own_wait_group, 1, 0),
    ("in_a_scope", in_a_scope, 3, 0), ("condvar", condvar, 1, 0), ("rw_lock", rw_lock, 1, 0),
    ("semaphore", semaphore, 1, 0), ("joins", joins, 2, 0), ("in_the_heap", in_the_heap, 1, 0),
    ("in_a_message", in_a_message, 1, 0), ("after_a_sleep", after_a_sleep, 1, 0),
    ("holds_a_known_lock", holds_a_known_lock, 1, 0), ("many", many, 1000, 0),
    ("forgotten", forgotten, 0, 1),
    // What can go on.
    ("in_a_static", in_a_static, 0, 0), ("in_a_box", in_a_box, 0, 0),
    ("in_a_thread", in_a_thread, 0, 0), ("in_a_thread_local", in_a_thread_local, 0, 0),
    ("in_a_deadline", in_a_deadline, 0, 0), ("not_started", not_started, 0, 0),
    ("in_blocking", in_blocking, 0, 0), ("in_a_chain", in_a_chain, 0, 0),
    ("in_a_frame_of_a_scope", in_a_frame_of_a_scope, 0, 0), ("tagged", tagged, 0, 0),
    ("passed_on", passed_on, 0, 0), ("in_a_large_vector", in_a_large_vector, 0, 0),
    ("thread_to_thread", thread_to_thread, 0, 0), ("in_a_register", in_a_register, 0, 0),
    ("below_a_stack", below_a_stack, 0, 0), ("on_an_old_stack", on_an_old_stack, 0, 0),
    ("in_a_copied_page", in_a_copied_page, 0, 0),
];

/// The name of the goroutine that starts the others, and of those that do not come to rest.
const STARTS: &str = "starts";
const FOR_EVER: &str = "goes on for ever";

const HOUR: Duration = Duration::from_secs(3600);

#[go_runtime::main]
fn main() -> ExitCode {
    if env::args().nth(1).is_some_and(|first| first == "heap") {
        measure_heap();
        return ExitCode::SUCCESS;
    }
    // The goroutine's stack has copies of what it has made, and is gone afterwards.
    let (kept, expected) = Builder::new()
        .name(STARTS)
        .spawn(start_all)
        .unwrap()
        .join()
        .unwrap();
    if env::var_os("GODEBUG").is_some_and(|list| list == "leaks=1") {
        // The runtime is to find them.
        return ExitCode::SUCCESS;
    }
    let found = debug::leaks().unwrap();
    let sure = found.iter().filter(|leak| leak.is_certain()).count();
    let (certain, perhaps) = expected;
    // Old copies count as ends that were found; and some of very many may be missed.
    let (too_few, too_many) = (ExitCode::from(3), ExitCode::from(4));
    let code = if found.len() > certain + perhaps {
        too_many
    } else if 10 * sure < 9 * certain || found.len() < perhaps {
        too_few
    } else {
        return ExitCode::SUCCESS;
    };
    eprintln!("{certain} and {perhaps} have leaked, and these were found:");
    found.iter().for_each(|leak| eprintln!("{leak}\n"));
    drop(kept);
    code
}

/// Measures searches through a heap: `leaking heap MIB BYTES` has so many MiB in such objects.
fn measure_heap() {
    let number = |index| env::args().nth(index).unwrap().parse::<usize>().unwrap();
    let (size, object) = (number(2) << 20, number(3));
    let heap: Vec<_> = (0..size / object).map(|_| vec![1_u8; object]).collect();
    let tx = waiting();
    for _ in 0..3 {
        let begun = Instant::now();
        debug::leaks().unwrap();
        println!("{:?}", begun.elapsed());
    }
    drop((heap, tx));
}

/// Starts the programs that are named as arguments, and waits until all their goroutines wait.
/// Returns what they keep, and how many have leaked, certainly and perhaps.
fn start_all() -> (Vec<Kept>, (usize, usize)) {
    let (mut certain, mut perhaps) = (0, 0);
    let mut kept = Vec::new();
    for name in env::args().skip(1) {
        let program = PROGRAMS.iter().find(|program| program.0 == name);
        let Some(&(_, start, leaked, may_have)) = program else {
            panic!("there is no program {name}");
        };
        kept.push(start());
        (certain, perhaps) = (certain + leaked, perhaps + may_have);
    }
    eventually(|| !debug::goroutines().iter().any(goes_on));
    (kept, (certain, perhaps))
}

/// Returns whether the goroutine can go on, and is neither `main` nor one that does so for ever.
fn goes_on(one: &Goroutine) -> bool {
    let waits = matches!(one.state(), GoroutineState::Waiting(_));
    !waits && one.name() != Some(FOR_EVER) && one.name() != Some(STARTS)
}

/// Starts a goroutine that waits for a message, of which this is the only sender.
fn waiting() -> Sender<u32> {
    let (tx, rx) = unbounded();
    go! {
        let _ = rx.recv();
    };
    tx
}

fn nothing() -> Kept {
    Box::new(())
}

// --- leaks ---

fn own_sender() -> Kept {
    let (tx, rx) = unbounded::<u32>();
    go! {
        for number in rx {
            tx.send(number).unwrap();
        }
    };
    nothing()
}

fn each_other() -> Kept {
    let (to_a, a) = bounded::<u32>(0);
    let (to_b, b) = bounded::<u32>(0);
    go! {
        let _ = a.recv();
        let _ = to_b.send(1);
    };
    go! {
        let _ = b.recv();
        let _ = to_a.send(1);
    };
    nothing()
}

fn select_own() -> Kept {
    let (to_a, a) = bounded::<u32>(0);
    let (to_b, b) = bounded::<u32>(1);
    go! {
        let _ends = (to_a, to_b);
        select! {
            recv(a) -> _ => {},
            recv(b) -> _ => {},
        }
    };
    nothing()
}

fn no_arms() -> Kept {
    go! { select! {} };
    nothing()
}

fn of_never() -> Kept {
    go! {
        let _ = never::<()>().recv();
    };
    nothing()
}

fn two_locks() -> Kept {
    let locks = Arc::new((Mutex::new(()), Mutex::new(())));
    let both = WaitGroup::new();
    both.add(2);
    go!(clone(locks, both) {
        let _first = locks.0.lock().unwrap();
        both.done();
        both.wait();
        let _second = locks.1.lock().unwrap();
    });
    go!(clone(locks, both) {
        let _second = locks.1.lock().unwrap();
        both.done();
        both.wait();
        let _first = locks.0.lock().unwrap();
    });
    nothing()
}

fn own_wait_group() -> Kept {
    let group = WaitGroup::new();
    group.add(1);
    go!(clone(group) { group.wait() });
    nothing()
}

fn in_a_scope() -> Kept {
    go! {
        let (tx, rx) = bounded::<u32>(0);
        scope(|scope| {
            scope.spawn(|| rx.recv().is_ok());
            scope.spawn(|| rx.recv().is_ok());
        });
        drop(tx);
    };
    nothing()
}

fn condvar() -> Kept {
    go! {
        let pair = Arc::new((Mutex::new(()), Condvar::new()));
        let guard = pair.0.lock().unwrap();
        drop(pair.1.wait(guard));
    };
    nothing()
}

fn rw_lock() -> Kept {
    go! {
        let lock = Box::new(RwLock::new(()));
        let _read = lock.read().unwrap();
        drop(lock.write());
    };
    nothing()
}

fn semaphore() -> Kept {
    go! {
        let none = Arc::new(Semaphore::new(0));
        drop(none.acquire());
    };
    nothing()
}

fn joins() -> Kept {
    go! {
        let other = go! { select! {} };
        drop(other.join());
    };
    nothing()
}

/// The sender lies in the heap, where only the goroutine that waits knows it.
fn in_the_heap() -> Kept {
    let (tx, rx) = unbounded::<u32>();
    let senders = Box::new(vec![vec![tx.clone()], vec![tx]]);
    go! {
        let _ = rx.recv();
        drop(senders);
    };
    nothing()
}

/// The sender is a message in a channel of which only the goroutine that waits has an end.
fn in_a_message() -> Kept {
    let (tx, rx) = unbounded::<u32>();
    let (to_other, other) = unbounded();
    to_other.send(tx).unwrap();
    go! {
        let _ = rx.recv();
        drop((to_other, other));
    };
    nothing()
}

/// A timer that has fired does not wake the goroutine again.
fn after_a_sleep() -> Kept {
    let (tx, rx) = unbounded::<u32>();
    let (slept, has_slept) = bounded::<()>(0);
    go! {
        time::sleep(Duration::from_millis(1));
        let _ = rx.recv_timeout(Duration::from_millis(1));
        drop(slept);
        let _ = rx.recv();
        drop(tx);
    };
    let _ = has_slept.recv();
    nothing()
}

/// The lock knows its holder, but cannot wake it.
fn holds_a_known_lock() -> Kept {
    static LOCK: Mutex<u32> = Mutex::new(0);
    let (tx, rx) = unbounded::<u32>();
    go! {
        let _guard = LOCK.lock().unwrap();
        let _ = rx.recv();
        drop(tx);
    };
    nothing()
}

fn many() -> Kept {
    for _ in 0..1000 {
        own_sender();
    }
    nothing()
}

/// A sender is somewhere, but no memory has it.
fn forgotten() -> Kept {
    let (tx, rx) = unbounded::<u32>();
    go! {
        mem::forget(tx);
        let _ = rx.recv();
    };
    nothing()
}

// --- no leaks ---

fn in_a_static() -> Kept {
    static KNOWN: std::sync::Mutex<Option<Sender<u32>>> = std::sync::Mutex::new(None);
    *KNOWN.lock().unwrap() = Some(waiting());
    nothing()
}

fn in_a_box() -> Kept {
    Box::new(vec![Box::new(waiting()), Box::new(waiting())])
}

fn in_a_thread() -> Kept {
    let tx = waiting();
    std::thread::spawn(move || {
        std::thread::sleep(HOUR);
        drop(tx);
    });
    nothing()
}

fn in_a_thread_local() -> Kept {
    thread_local! {
        static KNOWN: RefCell<Vec<Sender<u32>>> = const { RefCell::new(Vec::new()) };
    }
    let tx = waiting();
    std::thread::spawn(move || {
        KNOWN.with_borrow_mut(|known| known.push(tx));
        loop {
            std::thread::park();
        }
    });
    nothing()
}

/// A timer ends the wait.
fn in_a_deadline() -> Kept {
    let (tx, rx) = unbounded::<u32>();
    go! {
        let _ = rx.recv_timeout(HOUR);
        drop(tx);
    };
    let (tx, rx) = unbounded::<u32>();
    go! {
        select! {
            recv(rx) -> _ => {},
            default(HOUR) => {},
        }
        drop(tx);
    };
    nothing()
}

/// The goroutine that has the sender starts later.
fn not_started() -> Kept {
    let tx = waiting();
    Box::new(after_func(HOUR, move || drop(tx)))
}

fn in_blocking() -> Kept {
    let tx = waiting();
    go! {
        blocking(move || {
            std::thread::sleep(HOUR);
            drop(tx);
        });
    };
    nothing()
}

/// A goroutine that can go on wakes one that wakes the next.
fn in_a_chain() -> Kept {
    let mut tx = waiting();
    for _ in 0..100 {
        let (next, rx) = unbounded::<u32>();
        go! {
            let _ = rx.recv();
            drop(tx);
        };
        tx = next;
    }
    go! {
        time::sleep(HOUR);
        drop(tx);
    };
    nothing()
}

/// The sender lies in the frame of a goroutine that waits for one that borrows it.
fn in_a_frame_of_a_scope() -> Kept {
    let tx = waiting();
    go! {
        scope(|scope| {
            scope.spawn(|| {
                time::sleep(HOUR);
                let _ = tx.send(1);
            });
        });
    };
    nothing()
}

/// The pointer has flags in its lowest and its highest bits.
fn tagged() -> Kept {
    let address = Box::into_raw(Box::new(waiting())).expose_provenance();
    Box::new(address | 3 | 7 << 56)
}

/// Two goroutines pass a sender to each other all the time.
fn passed_on() -> Kept {
    let tx = waiting();
    let (to_a, a) = bounded::<Sender<u32>>(0);
    let (to_b, b) = bounded::<Sender<u32>>(0);
    let passes_on = || Builder::new().name(FOR_EVER);
    let first = passes_on().spawn(move || {
        for tx in a {
            to_b.send(tx).unwrap();
        }
    });
    let second = passes_on().spawn(move || {
        to_a.send(tx).unwrap();
        for tx in b {
            to_a.send(tx).unwrap();
        }
    });
    drop((first, second));
    nothing()
}

/// The vector has a mapping of its own.
fn in_a_large_vector() -> Kept {
    let mut senders: Vec<Option<Sender<u32>>> = Vec::new();
    senders.resize_with(1 << 20, || None);
    senders[1 << 19] = Some(waiting());
    Box::new(senders)
}

/// Each thread passes the sender to a new one and ends.
fn thread_to_thread() -> Kept {
    fn pass_on(tx: Sender<u32>) {
        assert!(!tx.is_closed());
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_micros(100));
            pass_on(tx);
        });
    }
    pass_on(waiting());
    nothing()
}

/// Only a register of a thread that computes has the pointer.
fn in_a_register() -> Kept {
    let address = Box::into_raw(Box::new(waiting())).expose_provenance();
    if cfg!(not(target_arch = "x86_64")) {
        return Box::new(address);
    }
    let hidden = !address;
    std::thread::spawn(move || compute_with(hidden));
    nothing()
}

#[inline(never)]
fn compute_with(hidden: usize) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the instructions change a register, and go round for ever.
    unsafe {
        std::arch::asm!(
            "not r12",
            "2:",
            "pause",
            "jmp 2b",
            in("r12") hidden,
            options(noreturn)
        )
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = hidden;
}

/// Returns memory of which the first page cannot be read, and the rest is zero.
fn guarded_memory(size: usize) -> *mut u8 {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping takes no memory that is in use, and its first page is not in use
    // either.
    unsafe {
        let memory = libc::mmap(ptr::null_mut(), size, access, flags, -1, 0);
        assert_ne!(memory, libc::MAP_FAILED);
        assert_eq!(libc::mprotect(memory, 4096, libc::PROT_NONE), 0);
        memory.cast()
    }
}

extern "C" fn wait_for_ever(_: *mut libc::c_void) -> *mut libc::c_void {
    loop {
        std::thread::park();
    }
}

extern "C" fn end(_: *mut libc::c_void) -> *mut libc::c_void {
    ptr::null_mut()
}

/// Starts a thread on this stack, with a page of the program's own below it that has a sender.
fn start_above_a_sender(start: extern "C" fn(*mut libc::c_void) -> *mut libc::c_void) -> u64 {
    const STACK: usize = 1 << 20;
    let memory = guarded_memory(2 * 4096 + STACK);
    let mut thread = 0;
    // SAFETY: the second page can be written, and is aligned. The memory after it is large enough
    // for a stack, and is used for nothing else.
    unsafe {
        memory.add(4096).cast::<Sender<u32>>().write(waiting());
        let mut attributes = mem::zeroed();
        assert_eq!(libc::pthread_attr_init(&raw mut attributes), 0);
        let stack = memory.add(2 * 4096).cast();
        assert_eq!(
            libc::pthread_attr_setstack(&raw mut attributes, stack, STACK),
            0
        );
        let made = libc::pthread_create(
            &raw mut thread,
            &raw const attributes,
            start,
            ptr::null_mut(),
        );
        assert_eq!(made, 0);
    }
    thread
}

/// The sender lies below the stack that the program has made for a thread, in the same mapping.
fn below_a_stack() -> Kept {
    start_above_a_sender(wait_for_ever);
    nothing()
}

/// The program has the stack again once its thread has ended.
fn on_an_old_stack() -> Kept {
    let thread = start_above_a_sender(end);
    // SAFETY: the thread has been made, and is neither joined nor detached elsewhere.
    assert_eq!(unsafe { libc::pthread_join(thread, ptr::null_mut()) }, 0);
    nothing()
}

/// The sender lies in a copy of a file's page that cannot be written any more.
fn in_a_copied_page() -> Kept {
    let program = std::fs::File::open("/proc/self/exe").unwrap();
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping takes no memory that is in use. Its only page can be written, until the
    // last call, and is aligned.
    unsafe {
        let descriptor = program.as_raw_fd();
        let page = libc::mmap(
            ptr::null_mut(),
            4096,
            access,
            libc::MAP_PRIVATE,
            descriptor,
            0,
        );
        assert_ne!(page, libc::MAP_FAILED);
        page.cast::<Sender<u32>>().write(waiting());
        assert_eq!(libc::mprotect(page, 4096, libc::PROT_READ), 0);
    }
    nothing()
}
