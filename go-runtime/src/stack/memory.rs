//! The system calls that stacks are made of: reserving memory, guarding it, giving it back.
//!
//! Nothing here keeps anything: who owns which range is `slab`'s to know.

use std::io;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// Makes pages fault without splitting the mapping that they lie in (Linux 6.13; not in `libc` for
/// all targets).
const MADV_GUARD_INSTALL: libc::c_int = 102;
/// Stands for the calling thread, and so for its memory, where a system call wants a file
/// descriptor of one (Linux 6.14).
const PIDFD_SELF_THREAD: libc::c_int = -10000;
/// So many ranges go into one call; the kernel would take 1,024.
const RANGES: usize = 64;

/// The size of a page, in bytes.
pub(super) fn page_size() -> usize {
    static SIZE: OnceLock<usize> = OnceLock::new();
    // SAFETY: a plain question.
    *SIZE.get_or_init(|| unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize)
}

/// Reserves `len` bytes, a multiple of the page size, that take memory when they are touched.
pub(super) fn reserve(len: usize) -> io::Result<NonNull<u8>> {
    map(ptr::null_mut(), len, 0)
}

/// Reserves `len` bytes at address `at`, both multiples of the page size; `None` if something else
/// lies there.
pub(super) fn reserve_at(at: usize, len: usize) -> io::Result<Option<NonNull<u8>>> {
    let wish = ptr::without_provenance_mut(at);
    // Linux before 4.17 does not know the flag, takes the address for a hint, and may choose
    // another.
    match map(wish, len, libc::MAP_FIXED_NOREPLACE) {
        Ok(start) if start.addr().get() == at => Ok(Some(start)),
        Ok(start) => {
            // SAFETY: mapped a moment ago, and known to this function only.
            unsafe { release(start, len) }?;
            Ok(None)
        }
        Err(error) if error.raw_os_error() == Some(libc::EEXIST) => Ok(None),
        Err(error) => Err(error),
    }
}

fn map(at: *mut libc::c_void, len: usize, how: libc::c_int) -> io::Result<NonNull<u8>> {
    // NORESERVE: a reservation is no promise to use it, so it does not count against the memory
    // that the system may promise (vm.overcommit_memory).
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | how;
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping that replaces none: without MAP_FIXED an address is a hint, and with
    // MAP_FIXED_NOREPLACE the call fails where something is mapped.
    let start = unsafe { libc::mmap(at, len, access, flags, -1, 0) };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // A huge page would give every eight stacks two megabytes. A system that has none says EINVAL,
    // and that is fine. SAFETY: about our own new mapping; it changes no contents.
    unsafe { libc::madvise(start, len, libc::MADV_NOHUGEPAGE) };
    NonNull::new(start.cast()).ok_or_else(|| io::Error::other("mmap returned null"))
}

/// Ends a reservation.
///
/// # Safety
/// The range is the caller's, whole pages, and not used again if this succeeds.
pub(super) unsafe fn release(start: NonNull<u8>, len: usize) -> io::Result<()> {
    // SAFETY: as the caller says.
    check(unsafe { libc::munmap(start.as_ptr().cast(), len) })
}

/// Gives the memory of a range back to the system; it reads as zero afterwards. Guards stay.
///
/// # Safety
/// The range is the caller's, whole pages, and nobody needs what is in it.
pub(super) unsafe fn discard(start: NonNull<u8>, len: usize) {
    // Should it fail, the memory merely stays where it is.
    // SAFETY: as the caller says.
    unsafe { libc::madvise(start.as_ptr().cast(), len, libc::MADV_DONTNEED) };
}

/// [`discard`]s `len` bytes from each of `starts`, in one call where that is possible: each call
/// has to tell all CPUs that run threads of this process.
///
/// # Safety
/// As for [`discard`], for each.
pub(super) unsafe fn discard_all(starts: &[NonNull<u8>], len: usize) {
    // SAFETY: passed on.
    let done = unsafe { advise_all(starts, len, libc::MADV_DONTNEED) };
    for &start in &starts[done..] {
        // SAFETY: passed on.
        unsafe { discard(start, len) };
    }
}

/// A reservation that keeps others from taking the last of the memory; dropped, it is there for
/// them.
pub(crate) struct Room {
    start: NonNull<u8>,
    len: usize,
}

impl Room {
    /// # Errors
    /// If `len` bytes, a multiple of the page size, cannot be reserved.
    pub(crate) fn reserve(len: usize) -> io::Result<Room> {
        reserve(len).map(|start| Room { start, len })
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // SAFETY: reserved by this one, and used by nobody. Should it fail, the reservation merely
        // stays.
        let _ = unsafe { release(self.start, self.len) };
    }
}

/// How many pages the calling thread has been given; `None` if the system does not say.
pub(super) fn pages_given() -> Option<usize> {
    let mut usage = MaybeUninit::<libc::rusage>::uninit();
    // SAFETY: writes `usage` if it returns 0.
    if unsafe { libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: written, as said.
    let faults = unsafe { usage.assume_init() }.ru_minflt;
    usize::try_from(faults).ok()
}

/// How guards are made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum GuardKind {
    /// As marks in the page tables: they cost nothing.
    Marks,
    /// As pages without access: each splits a mapping, and mappings are counted.
    Mappings,
}

/// What this system can do, found out by trying.
pub(super) fn probe_guards() -> GuardKind {
    let len = page_size();
    let Ok(page) = reserve(len) else {
        return GuardKind::Mappings;
    };
    // SAFETY: our own page, which nobody uses.
    let accepted = unsafe { libc::madvise(page.as_ptr().cast(), len, MADV_GUARD_INSTALL) } == 0;
    // An emulator may accept advice that it does not know, and do nothing: only a page that cannot
    // be read is guarded.
    let guarded = accepted && !is_readable(page);
    // SAFETY: our own page, and the last use of it.
    let _ = unsafe { release(page, len) };
    if guarded {
        GuardKind::Marks
    } else {
        GuardKind::Mappings
    }
}

/// Whether the system itself can read the byte at `address`: asked by a call that fails, where an
/// access of ours would fault.
fn is_readable(address: NonNull<u8>) -> bool {
    let Ok((_reader, writer)) = io::pipe() else {
        return true;
    };
    let fd = std::os::fd::AsRawFd::as_raw_fd(&writer);
    // SAFETY: the kernel checks the address, which is one byte, and says EFAULT if it is not to be
    // read.
    unsafe { libc::write(fd, address.as_ptr().cast(), 1) == 1 }
}

/// Guards the first page of each of `starts`. Returns how many have been, from the first on, and
/// why not all.
///
/// # Safety
/// The pages are the caller's, and nobody needs what is in them.
pub(super) unsafe fn guard(kind: GuardKind, starts: &[NonNull<u8>]) -> (usize, io::Result<()>) {
    let len = page_size();
    let mut done = 0;
    if kind == GuardKind::Marks && starts.len() > 1 {
        // SAFETY: passed on.
        done = unsafe { advise_all(starts, len, MADV_GUARD_INSTALL) };
    }
    for start in &starts[done..] {
        let page = start.as_ptr().cast();
        // SAFETY: as the caller says.
        let result = check(unsafe {
            match kind {
                GuardKind::Marks => libc::madvise(page, len, MADV_GUARD_INSTALL),
                GuardKind::Mappings => libc::mprotect(page, len, libc::PROT_NONE),
            }
        });
        if result.is_err() {
            return (done, result);
        }
        done += 1;
    }
    (done, Ok(()))
}

/// Gives each of these pages its memory, in one call, where that is possible; else they get it when
/// they are touched.
///
/// # Safety
/// The pages are mapped.
pub(super) unsafe fn populate(pages: &[NonNull<u8>]) {
    // SAFETY: passed on; contents do not change.
    unsafe { advise_all(pages, page_size(), libc::MADV_POPULATE_WRITE) };
}

/// One `madvise` for many ranges of `len` bytes. Returns for how many, from the first on, it was
/// done.
///
/// # Safety
/// As for the advice on each of the ranges.
unsafe fn advise_all(starts: &[NonNull<u8>], len: usize, advice: libc::c_int) -> usize {
    /// Old kernels, and filters of system calls, refuse always; then it is not tried again.
    static REFUSED: AtomicBool = AtomicBool::new(false);
    let mut ranges = [libc::iovec {
        iov_base: ptr::null_mut(),
        iov_len: 0,
    }; RANGES];
    let mut done = 0;
    for chunk in starts.chunks(ranges.len()) {
        if REFUSED.load(Ordering::Relaxed) {
            break;
        }
        for (range, start) in ranges.iter_mut().zip(chunk) {
            range.iov_base = start.as_ptr().cast();
            range.iov_len = len;
        }
        // SAFETY: as the caller says; the kernel reads as many ranges as there are.
        let bytes = unsafe {
            libc::syscall(
                libc::SYS_process_madvise,
                PIDFD_SELF_THREAD,
                ranges.as_ptr(),
                chunk.len(),
                advice,
                0,
            )
        };
        if bytes < 0 && done == 0 {
            let error = io::Error::last_os_error().raw_os_error();
            let refused = [libc::EBADF, libc::ENOSYS, libc::EPERM];
            if error.is_some_and(|error| refused.contains(&error)) {
                REFUSED.store(true, Ordering::Relaxed);
            }
        }
        let whole = usize::try_from(bytes).unwrap_or(0) / len;
        done += whole;
        if whole < chunk.len() {
            break;
        }
    }
    done
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The way of old kernels and the way of new ones make pages that cannot be read, and nothing
    /// else changes.
    #[test]
    fn guards_guard_their_page_only() {
        for kind in [probe_guards(), GuardKind::Mappings] {
            let page = page_size();
            let start = reserve(4 * page).unwrap();
            // SAFETY: inside the reservation.
            let pages: [_; 4] = std::array::from_fn(|i| unsafe { start.add(i * page) });
            // SAFETY: our own memory.
            let (done, result) = unsafe { guard(kind, &[pages[0], pages[2]]) };
            assert_eq!((done, result.is_ok()), (2, true), "{kind:?}");
            assert_eq!(
                pages.map(is_readable),
                [false, true, false, true],
                "{kind:?}"
            );
            // SAFETY: as above.
            unsafe { discard(start, 4 * page) };
            assert!(!is_readable(pages[2]), "guards outlive a discard");
            // SAFETY: as above, for the last time.
            unsafe { release(start, 4 * page) }.unwrap();
        }
    }
}
