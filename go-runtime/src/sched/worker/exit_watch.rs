//! Keeps the destructors of a worker's thread-locals from parking when a goroutine calls
//! [`std::process::exit`].
//!
//! glibc's `exit` first runs the destructors of the calling thread's thread-locals, on the stack of
//! the caller, here a goroutine. If a destructor parked, other goroutines of this worker would
//! continue, and might use references into thread-locals that have just been destroyed. So the
//! runtime registers a destructor of its own, the *mark*, which ends all parking on the worker:
//! from then on, operations that would park block the thread.
//!
//! Destructors run in the reverse order of their registration (the Itanium C++ ABI says so of
//! `__cxa_thread_atexit`), so the mark has to be registered last. Whenever a destructor has been
//! registered during a turn, another mark is registered at the end of that turn:
//!
//! ```text
//!   registered   ... a  b  MARK | turn: c  d  MARK | turn: e  exit()
//!   exit() runs                                            e, then MARK: no parking from here on,
//!                                                          then d, c, MARK, b, a, ...
//! ```
//!
//! Hence, when a goroutine calls `exit`, only thread-locals that the goroutine itself has
//! initialized in its present turn (`e`) are destroyed before the mark runs. No other goroutine has
//! run since they were initialized, so no other goroutine borrows from them. None can do so
//! afterwards, because `LocalKey` refuses access to a destroyed thread-local.
//!
//! No function tells whether a destructor has been registered. But glibc keeps a thread's
//! destructors in a list, whose head is a thread-local of its own. [`ExitWatch::new`] finds that
//! word by trial: it is the only word among libc's thread-locals that changes at each of two
//! consecutive registrations. If there is not exactly one such word, the worker registers no marks.
//! (The C library musl does not run destructors of thread-locals in `exit`.)
//!
//! An `ExitWatch` belongs to its worker's thread.

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::mem;
use std::ptr;

use super::Worker;

pub(super) struct ExitWatch {
    /// The head of the thread's list of destructors, or [`UNKNOWN`].
    head: Cell<*const usize>,
    /// The value of the head while the mark is the latest destructor.
    marked: Cell<usize>,
    /// Number of marks registered so far.
    marks: Cell<usize>,
    register: Option<Register>,
}

/// A word that never changes, which stands for the head of the list if the head is not known.
static UNKNOWN: usize = 0;

/// Maximum number of marks. A thread initializes each of its thread-locals once, and no program has
/// that many: if there are more marks, the word is not the head of the list.
const MOST: usize = 10_000;

type Register = unsafe extern "C" fn(Destructor, *mut c_void, *mut c_void) -> c_int;
type Destructor = unsafe extern "C" fn(*mut c_void);

impl ExitWatch {
    /// Finds the head of the thread's list. Called on the worker's thread.
    pub(super) fn new() -> ExitWatch {
        let watch = ExitWatch {
            head: Cell::new(&raw const UNKNOWN),
            marked: Cell::new(UNKNOWN),
            marks: Cell::new(0),
            register: find_register(),
        };
        let words = watch
            .register
            .map(|register| thread_locals_beside(register as usize));
        if let Some(words) = words {
            watch.find_head(&words);
        }
        watch
    }

    /// Makes sure, at the end of a turn, that the mark is the latest destructor.
    #[inline(always)]
    pub(super) fn renew(&self) {
        // SAFETY: `head` points to a static, or to a thread-local of libc that belongs to this
        // thread: `new` and every method of the worker run on the same thread, and libc is never
        // unloaded. The read is volatile, since libc changes the word.
        if unsafe { self.head.get().read_volatile() } != self.marked.get() {
            self.renew_mark();
        }
    }

    #[cold]
    fn renew_mark(&self) {
        let before = self.marked.get();
        let registered = self.register.is_some_and(mark);
        self.marks.set(self.marks.get() + 1);
        // SAFETY: `head` points to a static, or to a thread-local of libc that belongs to this
        // thread: `new` and every method of the worker run on the same thread, and libc is never
        // unloaded.
        self.marked.set(unsafe { self.head.get().read_volatile() });
        if !registered || self.marked.get() == before || self.marks.get() > MOST {
            self.head.set(&raw const UNKNOWN);
            self.marked.set(UNKNOWN);
        }
    }

    /// Searches for the head among `words`, the thread-locals of libc.
    fn find_head(&self, words: &[*const usize]) {
        let read = || -> Vec<usize> {
            let words = words.iter();
            // SAFETY: each word lies within this thread's thread-locals of libc, which is never
            // unloaded; `thread_locals_beside` has checked their alignment.
            words.map(|word| unsafe { word.read_volatile() }).collect()
        };
        let Some(register) = self.register else {
            return;
        };
        let first = read();
        let marked = mark(register);
        let second = read();
        if !(marked && mark(register)) {
            return;
        }
        let third = read();
        let mut changed =
            (0..words.len()).filter(|&i| first[i] != second[i] && second[i] != third[i]);
        if let (Some(i), None) = (changed.next(), changed.next()) {
            self.marked.set(third[i]);
            self.head.set(words[i]);
        }
    }
}

/// Registers the mark. Returns whether the registration succeeded.
fn mark(register: Register) -> bool {
    // The mark belongs to the library that contains this code; any address in that library names
    // it.
    let here = &raw const UNKNOWN;
    // SAFETY: the function has the contract of `__cxa_thread_atexit`: it takes a destructor, its
    // argument, and an address in the destructor's library. `end_parking` accepts any argument.
    unsafe { register(end_parking, ptr::null_mut(), here.cast_mut().cast()) == 0 }
}

/// The mark, a destructor, which runs when a goroutine calls `exit` on this worker's thread.
unsafe extern "C" fn end_parking(_: *mut c_void) {
    if let Some(worker) = Worker::current() {
        worker.current.forbid_parking();
    }
}

/// Returns the function of glibc with which std registers destructors.
fn find_register() -> Option<Register> {
    let name = c"__cxa_thread_atexit_impl";
    // SAFETY: `name` is a C string, and `dlsym` requires nothing else.
    let function = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    // SAFETY: glibc defines the function of this name with this type.
    (!function.is_null()).then(|| unsafe { mem::transmute::<*mut c_void, Register>(function) })
}

/// Returns the calling thread's thread-locals of the library that contains `address`, as words.
fn thread_locals_beside(address: usize) -> Vec<*const usize> {
    struct Search {
        address: usize,
        found: Vec<*const usize>,
    }
    unsafe extern "C" fn visit(
        info: *mut libc::dl_phdr_info,
        _: libc::size_t,
        search: *mut c_void,
    ) -> c_int {
        // SAFETY: `dl_iterate_phdr` passes a valid description of a library, and the pointer to the
        // `Search` below, which nothing else uses during the call.
        let (info, search) = unsafe { (&*info, &mut *search.cast::<Search>()) };
        let count = info.dlpi_phnum.into();
        // SAFETY: the library has `dlpi_phnum` headers, which stay in place during the callback.
        let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, count) };
        let is_here = headers.iter().any(|header| {
            let start = (info.dlpi_addr as usize).wrapping_add(header.p_vaddr as usize);
            header.p_type == libc::PT_LOAD
                && search.address.wrapping_sub(start) < header.p_memsz as usize
        });
        if !is_here {
            return 0;
        }
        let block = info.dlpi_tls_data.cast::<usize>().cast_const();
        let thread_locals = headers.iter().find(|header| header.p_type == libc::PT_TLS);
        if let Some(header) = thread_locals
            && block.is_aligned()
            && !block.is_null()
        {
            let words = header.p_memsz as usize / size_of::<usize>();
            search.found = (0..words).map(|i| block.wrapping_add(i)).collect();
        }
        1
    }
    let mut search = Search {
        address,
        found: Vec::new(),
    };
    // SAFETY: `visit` has the type that the function requires, and uses its argument as the
    // `Search` that it is.
    unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut search).cast()) };
    search.found
}
