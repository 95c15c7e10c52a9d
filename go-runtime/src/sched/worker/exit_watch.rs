//! Keeps the destructors of a worker's thread-locals from parking when a goroutine calls
//! [`std::process::exit`].
//!
//! glibc's `exit` first runs the destructors of the calling thread's thread-locals, on the stack
//! that it was called on: a goroutine's. If one of them parked, goroutines of this worker would go
//! on, and with them references into thread-locals that have just been destroyed. So a destructor
//! of the runtime's, the *mark*, ends all parking on the worker; from then on what would park
//! blocks the thread.
//!
//! Destructors run in the reverse order of their registration (the Itanium C++ ABI says so of
//! `__cxa_thread_atexit`), so the mark has to be the latest: whenever a turn has registered a
//! destructor, another mark is registered at the end of that turn. Hence, when a goroutine calls
//! `exit`, only thread-locals that it has itself initialized in its present turn are destroyed
//! before the mark runs. No other goroutine has run since they were initialized, so none borrows
//! from them, and none can afterwards, as `LocalKey` refuses what is destroyed.
//!
//! There is no call that tells whether a destructor has been registered. But glibc keeps a thread's
//! destructors in a list, whose head is a thread-local of its own. [`ExitWatch::new`] finds that
//! word by trial: it is the one among libc's thread-locals that two registrations in a row change
//! both times. If there is not exactly one such word, the worker does without marks. (The C library
//! musl runs no destructors of thread-locals in `exit`.)

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::mem;
use std::ptr;

use super::Worker;

pub(super) struct ExitWatch {
    /// The head of the thread's list of destructors, or [`UNKNOWN`].
    head: Cell<*const usize>,
    /// What is there when the mark is the latest destructor.
    marked: Cell<usize>,
    /// Number of marks.
    marks: Cell<usize>,
    register: Option<Register>,
}

/// Stands for the head of the list where that is not known; it never changes.
static UNKNOWN: usize = 0;

/// Maximum number of marks. A thread initializes each of its thread-locals once, and no program has
/// so many: if there are more marks, the word is not the head of the list.
const MOST: usize = 10_000;

type Register = unsafe extern "C" fn(Destructor, *mut c_void, *mut c_void) -> c_int;
type Destructor = unsafe extern "C" fn(*mut c_void);

impl ExitWatch {
    /// Called on the worker's thread.
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

    /// Sees to it, at the end of a turn, that the mark is the latest destructor.
    #[inline(always)]
    pub(super) fn renew(&self) {
        // SAFETY: a static, or a thread-local of libc's and of this thread, which `new` and all of
        // the worker run on. Volatile, since libc changes it.
        if unsafe { self.head.get().read_volatile() } != self.marked.get() {
            self.renew_mark();
        }
    }

    #[cold]
    fn renew_mark(&self) {
        let before = self.marked.get();
        let registered = self.register.is_some_and(mark);
        self.marks.set(self.marks.get() + 1);
        // SAFETY: `head` is a static, or a thread-local of libc's and of this thread (see `renew`).
        self.marked.set(unsafe { self.head.get().read_volatile() });
        if !registered || self.marked.get() == before || self.marks.get() > MOST {
            self.head.set(&raw const UNKNOWN);
            self.marked.set(UNKNOWN);
        }
    }

    /// Looks for the head among `words`, the thread-locals of libc.
    fn find_head(&self, words: &[*const usize]) {
        let read = || -> Vec<usize> {
            let words = words.iter();
            // SAFETY: within the thread-locals of a library that is never unloaded, of this thread.
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

/// Registers the mark, and returns whether it has been.
fn mark(register: Register) -> bool {
    // It belongs to the library that this code is in, which any address in it names.
    let here = &raw const UNKNOWN;
    // SAFETY: the function takes what C++ compilers give it: a destructor, its argument, and an
    // address in the library of the destructor. `end_parking` may be called with any argument.
    unsafe { register(end_parking, ptr::null_mut(), here.cast_mut().cast()) == 0 }
}

/// The mark: `exit` has been called on this worker's thread.
unsafe extern "C" fn end_parking(_: *mut c_void) {
    if let Some(worker) = Worker::current() {
        worker.current.forbid_parking();
    }
}

/// The function of glibc that std registers destructors by.
fn find_register() -> Option<Register> {
    let name = c"__cxa_thread_atexit_impl";
    // SAFETY: a look-up of a name that ends with a zero.
    let function = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    // SAFETY: the ABI gives the function of this name this type.
    (!function.is_null()).then(|| unsafe { mem::transmute::<*mut c_void, Register>(function) })
}

/// The thread-locals of the library that `address` lies in, as words: those of the calling thread.
fn thread_locals_beside(address: usize) -> Vec<*const usize> {
    struct Search {
        address: usize,
        found: Vec<*const usize>,
    }
    unsafe extern "C" fn look(
        info: *mut libc::dl_phdr_info,
        _: libc::size_t,
        search: *mut c_void,
    ) -> c_int {
        // SAFETY: `dl_iterate_phdr` gives both: the library, and what it was given, below.
        let (info, search) = unsafe { (&*info, &mut *search.cast::<Search>()) };
        let count = info.dlpi_phnum.into();
        // SAFETY: so many headers are there while the callback runs.
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
    // SAFETY: the callback has the type that is asked for, and takes the argument for a `Search`.
    unsafe { libc::dl_iterate_phdr(Some(look), (&raw mut search).cast()) };
    search.found
}
