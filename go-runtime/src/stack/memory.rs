//! The system calls for stack memory: reserving it, guarding it, returning it to the system.
//!
//! This module keeps no state about ranges: `slab` knows which range belongs to which stack. Any
//! thread may call it.

use std::io;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::ptr::{self, NonNull};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// Makes pages fault without splitting the mapping that they lie in (Linux 6.13; `libc` lacks it
/// for some targets).
const MADV_GUARD_INSTALL: libc::c_int = 102;
/// Stands for the calling thread, and so for its address space, where a system call takes a pidfd
/// (Linux 6.14).
const PIDFD_SELF_THREAD: libc::c_int = -10000;
/// Maximum number of ranges in one call; the kernel accepts up to 1,024.
const RANGES: usize = 64;

/// Returns the size of a page, in bytes.
pub(super) fn page_size() -> usize {
    static SIZE: OnceLock<usize> = OnceLock::new();
    // SAFETY: `sysconf` only reads a system constant.
    *SIZE.get_or_init(|| unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize)
}

/// Reserves `len` bytes, a multiple of the page size. A page takes memory only when it is touched.
pub(super) fn reserve(len: usize) -> io::Result<NonNull<u8>> {
    map(ptr::null_mut(), len, 0)
}

/// Reserves `len` bytes at address `at`, both multiples of the page size. Returns `None` if the
/// range is not free.
pub(super) fn reserve_at(at: usize, len: usize) -> io::Result<Option<NonNull<u8>>> {
    let wish = ptr::without_provenance_mut(at);
    // Linux before 4.17 ignores the flag, treats the address as a hint, and may choose another one.
    match map(wish, len, libc::MAP_FIXED_NOREPLACE) {
        Ok(start) if start.addr().get() == at => Ok(Some(start)),
        Ok(start) => {
            // SAFETY: this function has just mapped the range, and no other code knows its address.
            unsafe { release(start, len) }?;
            Ok(None)
        }
        Err(error) if error.raw_os_error() == Some(libc::EEXIST) => Ok(None),
        Err(error) => Err(error),
    }
}

fn map(at: *mut libc::c_void, len: usize, how: libc::c_int) -> io::Result<NonNull<u8>> {
    // NORESERVE: reserved memory may never be used, so it should not count against the memory that
    // the system may commit (vm.overcommit_memory).
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | how;
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: the call creates a mapping and replaces none: without MAP_FIXED an address is a hint,
    // and with MAP_FIXED_NOREPLACE the call fails where something is mapped.
    let start = unsafe { libc::mmap(at, len, access, flags, -1, 0) };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // With huge pages, every eight stacks would take two megabytes. A system without huge pages
    // returns EINVAL, which is ignored.
    // SAFETY: the range is the new mapping, which no other code knows yet; the advice changes no
    // contents.
    unsafe { libc::madvise(start, len, libc::MADV_NOHUGEPAGE) };
    NonNull::new(start.cast()).ok_or_else(|| io::Error::other("mmap returned null"))
}

/// Releases a reservation.
///
/// # Safety
/// The caller owns the range, which consists of whole pages, and does not use it again if this
/// succeeds.
pub(super) unsafe fn release(start: NonNull<u8>, len: usize) -> io::Result<()> {
    // SAFETY: the caller owns the range and does not use it again, so unmapping it invalidates no
    // live reference.
    check(unsafe { libc::munmap(start.as_ptr().cast(), len) })
}

/// Returns the memory of a range to the system; the range reads as zero afterwards. Guards stay.
///
/// # Safety
/// The caller owns the range, which consists of whole pages, and its contents are not needed.
pub(super) unsafe fn discard(start: NonNull<u8>, len: usize) {
    // If the call fails, the memory stays committed, which is harmless.
    // SAFETY: the caller owns the range and does not need its contents, so zeroing it is allowed.
    unsafe { libc::madvise(start.as_ptr().cast(), len, libc::MADV_DONTNEED) };
}

/// Discards `len` bytes from each of `starts` like [`discard`], in one call where possible: each
/// call interrupts all CPUs that run threads of this process.
///
/// # Safety
/// Each range meets the conditions of [`discard`].
pub(super) unsafe fn discard_all(starts: &[NonNull<u8>], len: usize) {
    // SAFETY: the caller owns all ranges and does not need their contents, as `MADV_DONTNEED`
    // requires.
    let done = unsafe { advise_all(starts, len, libc::MADV_DONTNEED) };
    for &start in &starts[done..] {
        // SAFETY: `start` is one of the caller's ranges, which it owns and whose contents it does
        // not need.
        unsafe { discard(start, len) };
    }
}

/// A reservation that keeps other allocations from taking the last of the memory; dropping it
/// releases the memory for them.
pub(crate) struct Room {
    start: NonNull<u8>,
    len: usize,
}

impl Room {
    /// Reserves `len` bytes, a multiple of the page size.
    ///
    /// # Errors
    /// If the system cannot reserve them.
    pub(crate) fn reserve(len: usize) -> io::Result<Room> {
        reserve(len).map(|start| Room { start, len })
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // SAFETY: `reserve` has reserved the range for this `Room`, no code uses it, and it is
        // dropped once. If the call fails, the reservation stays, which is harmless.
        let _ = unsafe { release(self.start, self.len) };
    }
}

/// Returns how many pages the calling thread has got from the system (minor faults); `None` if the
/// system does not say.
pub(super) fn pages_given() -> Option<usize> {
    let mut usage = MaybeUninit::<libc::rusage>::uninit();
    // SAFETY: `usage` is valid for writes; the call initializes it if it returns 0.
    if unsafe { libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: the call has returned 0, so it has initialized `usage`.
    let faults = unsafe { usage.assume_init() }.ru_minflt;
    usize::try_from(faults).ok()
}

/// The two ways to make guards.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum GuardKind {
    /// Marks in the page tables, at no cost.
    Marks,
    /// Pages without access: each splits a mapping, and the number of mappings is limited.
    Mappings,
}

/// Finds out by trying which kind of guards this system supports.
pub(super) fn probe_guards() -> GuardKind {
    let len = page_size();
    let Ok(page) = reserve(len) else {
        return GuardKind::Mappings;
    };
    // SAFETY: this function has just reserved the page, and its contents are not used.
    let accepted = unsafe { libc::madvise(page.as_ptr().cast(), len, MADV_GUARD_INSTALL) } == 0;
    // An emulator may accept advice that it does not know, and do nothing: a page is guarded only
    // if it cannot be read.
    let guarded = accepted && !is_readable(page);
    // SAFETY: this function has reserved the page, and does not use it again.
    let _ = unsafe { release(page, len) };
    if guarded {
        GuardKind::Marks
    } else {
        GuardKind::Mappings
    }
}

/// Returns whether the byte at `address` can be read. A system call finds out: it returns an error
/// where an access by the process itself would fault.
fn is_readable(address: NonNull<u8>) -> bool {
    let Ok((_reader, writer)) = io::pipe() else {
        return true;
    };
    let fd = std::os::fd::AsRawFd::as_raw_fd(&writer);
    // SAFETY: the process does not access the byte. The kernel checks the address itself, and
    // returns EFAULT if the byte cannot be read.
    unsafe { libc::write(fd, address.as_ptr().cast(), 1) == 1 }
}

/// Guards the first page of each of `starts`. Returns how many pages are guarded, from the first
/// one on, and the error if not all are.
///
/// # Safety
/// The caller owns the pages, and their contents are not needed.
pub(super) unsafe fn guard(kind: GuardKind, starts: &[NonNull<u8>]) -> (usize, io::Result<()>) {
    let len = page_size();
    let mut done = 0;
    if kind == GuardKind::Marks && starts.len() > 1 {
        // SAFETY: the caller owns the pages and does not need their contents, so they may become
        // guards.
        done = unsafe { advise_all(starts, len, MADV_GUARD_INSTALL) };
    }
    for start in &starts[done..] {
        let page = start.as_ptr().cast();
        // SAFETY: the caller owns this page and does not need its contents; both calls change the
        // access to this page only.
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

/// Commits the memory of these pages, in one call. Where the system lacks that call, each page gets
/// its memory when it is touched.
///
/// # Safety
/// The pages are mapped.
pub(super) unsafe fn populate(pages: &[NonNull<u8>]) {
    // SAFETY: the caller guarantees that the pages are mapped; the advice does not change their
    // contents.
    unsafe { advise_all(pages, page_size(), libc::MADV_POPULATE_WRITE) };
}

/// Calls `madvise` for many ranges of `len` bytes at once. Returns the number of ranges, from the
/// first one on, for which it succeeded.
///
/// # Safety
/// Each of the ranges meets the conditions of the advice.
unsafe fn advise_all(starts: &[NonNull<u8>], len: usize, advice: libc::c_int) -> usize {
    /// Whether the system has refused the call. Old kernels, and filters of system calls, always
    /// refuse it, so it is not tried again.
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
        // SAFETY: each range meets the conditions of the advice, as the caller guarantees. The
        // kernel reads `chunk.len()` entries of `ranges`, which the loop above has filled.
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

/// Returns where the stack of the calling thread is, if the system says so.
pub(super) fn stack_of_thread() -> Option<Range<usize>> {
    let mut attributes = MaybeUninit::uninit();
    // SAFETY: `pthread_self` is the calling thread, which lives, and the attributes are written to
    // memory that is large enough for them.
    if unsafe { libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()) } != 0 {
        return None;
    }
    let (mut start, mut size) = (ptr::null_mut(), 0);
    // SAFETY: the call above has succeeded, and so has initialized the attributes.
    let found =
        unsafe { libc::pthread_attr_getstack(attributes.as_ptr(), &raw mut start, &raw mut size) };
    // SAFETY: the attributes are initialized, and are not used again.
    unsafe { libc::pthread_attr_destroy(attributes.as_mut_ptr()) };
    (found == 0).then(|| start.addr()..start.addr() + size)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both kinds of guards make their pages unreadable, and change nothing else.
    #[test]
    fn guards_guard_their_page_only() {
        for kind in [probe_guards(), GuardKind::Mappings] {
            let page = page_size();
            let start = reserve(4 * page).unwrap();
            // SAFETY: the offset lies within the reservation of four pages.
            let pages: [_; 4] = std::array::from_fn(|i| unsafe { start.add(i * page) });
            // SAFETY: this test has reserved the pages, and has stored nothing in them.
            let (done, result) = unsafe { guard(kind, &[pages[0], pages[2]]) };
            assert_eq!((done, result.is_ok()), (2, true), "{kind:?}");
            assert_eq!(
                pages.map(is_readable),
                [false, true, false, true],
                "{kind:?}"
            );
            // SAFETY: the range is this test's reservation, with no contents.
            unsafe { discard(start, 4 * page) };
            assert!(!is_readable(pages[2]), "guards outlive a discard");
            // SAFETY: the range is this test's reservation, and is not used again.
            unsafe { release(start, 4 * page) }.unwrap();
        }
    }
}
