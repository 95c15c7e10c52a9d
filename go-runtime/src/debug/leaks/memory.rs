//! The memory of this process, as it is read: through the system, which fails where there is none.
//!
//! What is read may be written, freed or unmapped at the same time by other threads. So no
//! reference to it is made, and what is found in it is taken as a hint.

use std::fs::{self, File};
use std::io;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use crate::stack;

pub(super) const WORD: usize = size_of::<usize>();

/// Number of bytes that are read at once.
pub(super) const PIECE: usize = 256 << 10;

/// A copy of memory, which is wiped at its end: a search would find the pointers in it.
pub(super) struct Piece(pub(super) Box<[usize]>);

impl Piece {
    pub(super) fn new(words: usize) -> Piece {
        Piece(vec![0; words].into())
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        // The next owner of this memory may leave it as it is.
        self.0.fill(0);
        std::hint::black_box(&mut self.0);
    }
}

/// Maximum number of ranges that are read at once.
pub(super) const RANGES: usize = 512;

/// Reads words from `address` on, as many as `to` has room for. Returns the number that were read:
/// fewer if memory ends before.
pub(super) fn read(address: usize, to: &mut [usize]) -> usize {
    let local = libc::iovec {
        iov_base: to.as_mut_ptr().cast(),
        iov_len: size_of_val(to),
    };
    let remote = libc::iovec {
        iov_base: std::ptr::without_provenance_mut(address),
        iov_len: local.iov_len,
    };
    // SAFETY: `local` is `to`, which the system writes. The system checks whether there is memory
    // at `remote`, and stops where there is none.
    let read = unsafe {
        libc::process_vm_readv(libc::getpid(), &raw const local, 1, &raw const remote, 1, 0)
    };
    usize::try_from(read).unwrap_or(0) / WORD
}

/// Returns an error if the system does not let the process read its memory in this way.
pub(super) fn can_be_read() -> io::Result<()> {
    let word = 7_usize;
    if read_word((&raw const word).addr()) == Some(word) {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    let text = format!("the process may not read its own memory (process_vm_readv): {error}");
    Err(io::Error::new(error.kind(), text))
}

/// Reads all of some ranges, one after the other, in a single call. Returns the number of words
/// that were read: fewer if there is no memory somewhere. `to` must have room for them all, and
/// there must be no more than [`RANGES`].
pub(super) fn read_ranges(ranges: &[Range<usize>], to: &mut [usize]) -> usize {
    let size: usize = ranges.iter().map(Range::len).sum();
    assert!(size <= size_of_val(to) && ranges.len() <= RANGES);
    let local = libc::iovec {
        iov_base: to.as_mut_ptr().cast(),
        iov_len: size,
    };
    let mut remote = [const { MaybeUninit::uninit() }; RANGES];
    for (place, range) in remote.iter_mut().zip(ranges) {
        place.write(libc::iovec {
            iov_base: std::ptr::without_provenance_mut(range.start),
            iov_len: range.len(),
        });
    }
    let (remote, count) = (remote.as_ptr().cast(), ranges.len() as libc::c_ulong);
    // SAFETY: `local` lies within `to`, by the check above, and the system writes it. The first
    // `count` elements of `remote` have been written. The system checks whether there is memory at
    // the places that they name, and stops where there is none.
    let read =
        unsafe { libc::process_vm_readv(libc::getpid(), &raw const local, 1, remote, count, 0) };
    usize::try_from(read).unwrap_or(0) / WORD
}

/// Reads a word; `None` if there is no memory.
pub(in crate::debug) fn read_word(address: usize) -> Option<usize> {
    let mut word = [0];
    (read(address, &mut word) == 1).then_some(word[0])
}

/// A range of the address space that can be read.
pub(super) struct Mapping {
    pub(super) range: Range<usize>,
    pub(super) kind: Kind,
    /// Whether a range without access lies directly below it, as below a thread's stack.
    pub(super) is_guarded: bool,
    /// Whether other processes may have the same memory. (To the system it is a file's.)
    pub(super) is_shared: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// The heap of the system call `brk`.
    Heap,
    /// The stack of the program's first thread.
    FirstStack,
    /// Memory without a name, private to the process.
    Anonymous,
    /// Static data of the program and its libraries, and whatever else may have pointers.
    Other,
}

/// Reads which memory there is that can hold pointers: all but code, and what is shared through a
/// file. (What cannot be written now may have been written before.)
pub(super) fn mappings() -> io::Result<Vec<Mapping>> {
    let text = fs::read_to_string("/proc/self/maps")?;
    let mut mappings = Vec::new();
    let mut no_access = 0;
    for line in text.lines() {
        let Some(line) = Line::parse(line) else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("/proc/self/maps has a line of an unknown form: {line}"),
            ));
        };
        if !line.access.starts_with('r') {
            no_access = line.range.end;
            continue;
        }
        let kind = match line.path {
            "[heap]" => Kind::Heap,
            "[stack]" => Kind::FirstStack,
            // (The system gives names such as [anon:...] to anonymous memory if asked to.)
            "" => Kind::Anonymous,
            path if path.starts_with("[anon:") => Kind::Anonymous,
            "[vvar]" | "[vdso]" | "[vsyscall]" | "[vvar_vclock]" => continue,
            _ => Kind::Other,
        };
        let is_shared = line.access.ends_with('s');
        let is_file = kind == Kind::Other && !line.path.starts_with('[');
        let is_code = is_file && line.access.contains('x') && !line.access.contains('w');
        let in_memory = [
            "/memfd:",
            "/dev/zero",
            "/dev/shm/",
            "/SYSV",
            "/anon_hugepage",
        ];
        let is_in_memory = in_memory.iter().any(|path| line.path.starts_with(path));
        if !is_code && (!is_shared || is_in_memory) {
            mappings.push(Mapping {
                is_guarded: no_access == line.range.start,
                range: line.range,
                kind,
                is_shared,
            });
        }
    }
    Ok(mappings)
}

/// A line of /proc/self/maps: proc_pid_maps(5).
struct Line<'a> {
    range: Range<usize>,
    /// Such as `rw-p`.
    access: &'a str,
    path: &'a str,
}

impl Line<'_> {
    fn parse(line: &str) -> Option<Line<'_>> {
        let mut fields = line.splitn(6, ' ');
        let (start, end) = fields.next()?.split_once('-')?;
        let hex = |text| usize::from_str_radix(text, 16).ok();
        let access = fields.next()?;
        Some(Line {
            range: hex(start)?..hex(end)?,
            access,
            path: fields.nth(3)?.trim_start(),
        })
    }
}

/// Tells which pages hold data of their own.
pub(super) struct Pages {
    /// Absent if the system does not say; then all pages count.
    map: Option<File>,
}

impl Pages {
    pub(super) fn new() -> Pages {
        Pages {
            map: File::open("/proc/self/pagemap").ok(),
        }
    }

    /// Calls `f` for the parts of the range whose pages have been written, and are not a file's
    /// unless the range `is_shared`.
    pub(super) fn for_each_used(
        &self,
        range: Range<usize>,
        is_shared: bool,
        mut f: impl FnMut(Range<usize>),
    ) {
        /// The bits of an entry (the kernel's `admin-guide/mm/pagemap`).
        const PRESENT: u64 = 1 << 63;
        const SWAPPED: u64 = 1 << 62;
        const OF_FILE: u64 = 1 << 61;
        const ENTRY: usize = size_of::<u64>();
        let page = stack::page_size();
        let mut bytes = [0; 512 * ENTRY];
        let mut at = range.start;
        let mut used: Option<Range<usize>> = None;
        while at < range.end {
            let first = at / page;
            let count = (range.end.div_ceil(page) - first).min(bytes.len() / ENTRY);
            let bytes = &mut bytes[..count * ENTRY];
            let map = self.map.as_ref();
            let read = map.map(|map| map.read_exact_at(bytes, (first * ENTRY) as u64));
            if !matches!(read, Some(Ok(()))) {
                // Nothing is known of the rest.
                let start = used.map_or(at, |used| used.start);
                return f(start..range.end);
            }
            for (index, entry) in bytes.as_chunks::<ENTRY>().0.iter().enumerate() {
                let entry = u64::from_ne_bytes(*entry);
                let start = at.max((first + index) * page);
                let end = range.end.min((first + index + 1) * page);
                let is_used = entry & (PRESENT | SWAPPED) != 0;
                let is_used = is_used && (is_shared || entry & OF_FILE == 0);
                used = match (used, is_used) {
                    (Some(used), true) => Some(used.start..end),
                    (None, true) => Some(start..end),
                    (Some(used), false) => {
                        f(used);
                        None
                    }
                    (None, false) => None,
                };
            }
            at = (first + count) * page;
        }
        if let Some(used) = used {
            f(used);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn freed_memory_can_be_read() {
        let words = Box::new([7_usize, 8]);
        let address = (&raw const *words).addr();
        let mut two = [0; 2];
        assert_eq!(read(address, &mut two), 2);
        assert_eq!(two, [7, 8]);
        drop(words);
        let _ = read_word(address);
        assert_eq!(read_word(8), None);
        assert_eq!(read_word(usize::MAX - 8), None);
    }

    #[test]
    fn mappings_are_found() {
        static DATA: std::sync::Mutex<usize> = std::sync::Mutex::new(7);
        let large = vec![1_u8; 1 << 20];
        let local = 0_u8;
        let mappings = mappings().unwrap();
        for address in [
            (&raw const DATA).addr(),
            large.as_ptr().addr(),
            (&raw const local).addr(),
        ] {
            let at = |mapping: &&Mapping| mapping.range.contains(&address);
            assert!(mappings.iter().any(|mapping| at(&mapping)), "{address:x}");
        }
        let code = mappings_are_found as fn() as usize;
        assert!(!mappings.iter().any(|mapping| mapping.range.contains(&code)));
    }

    #[test]
    fn used_pages_are_found() {
        let page = stack::page_size();
        let mut memory = vec![0_u8; 64 * page];
        let start = memory.as_ptr().addr().next_multiple_of(page);
        let offset = start - memory.as_ptr().addr();
        memory[offset + 3 * page] = 1;
        memory[offset + 4 * page + 5] = 1;
        let mut used = Vec::new();
        Pages::new().for_each_used(start..start + 8 * page, false, |range| used.push(range));
        let (from, to) = (start + 3 * page, start + 5 * page);
        assert!(
            used.iter()
                .any(|range| range.start <= from && to <= range.end),
            "{used:x?}"
        );
        assert!(memory[offset] == 0);
    }
}
