//! Stacks for goroutines: their sizes, their layout and their memory.
//!
//! A stack is reserved memory, committed page by page when it is touched, with a guard page at its
//! low end:
//!
//! ```text
//!   start                                              base                top
//!     +-------+------------------------------+----------+-----------+--------+
//!     | guard |   free   <-- frames grow     | WAY_BACK | carved T  | color  |
//!     +-------+------------------------------+----------+-----------+--------+
//!      1 page                                  16 bytes               0 to 31 cache lines
//! ```
//!
//! On Linux a stack is a slot of a slab ([`slab`](place)): a large reservation that is cut into
//! slots of one size. Slabs lie in the [`lowlands`] of the address space:
//!
//! ```text
//!   slab    +---------+---------+---------+---------+---------
//!           |g| slot 0|g| slot 1|g| slot 2|  slot 3 |  ...
//!           +---------+---------+---------+---------+---------
//!            guarded when first given out  never given out yet: no guard, no memory
//! ```
//!
//! [`guards`] makes the guard pages, [`memory`] has the system calls, and [`directory`] is what
//! debuggers follow. On other systems each stack
//! is a mapping that corosensei makes (`own_mapping.rs`).
//!
//! A [`Stack`] has one owner; its memory may be used by the thread that runs on it only. The table
//! of slabs is shared by all threads, under a lock. Only this module knows how a stack is made;
//! `sched` keeps idle stacks with their fibers.

#[cfg(target_os = "linux")]
pub(crate) mod directory;
#[cfg(target_os = "linux")]
mod guards;
#[cfg(target_os = "linux")]
mod lowlands;
#[cfg(target_os = "linux")]
mod memory;
#[cfg(not(target_os = "linux"))]
#[path = "own_mapping.rs"]
mod place;
#[cfg(target_os = "linux")]
#[path = "slab.rs"]
mod place;

use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};

use corosensei::stack::StackPointer;

#[cfg(target_os = "linux")]
pub(crate) use memory::Room;

/// Default size of a goroutine's stack, in bytes. Only the pages that are touched take memory.
pub(crate) const DEFAULT_SIZE: usize = 256 << 10;
/// Minimum size of a stack, in bytes: in less, not even a panic with its backtrace fits.
pub(crate) const MIN_SIZE: usize = 32 << 10;
/// Size of the stack of `main`, in bytes: what the system usually gives a program's first thread.
pub(crate) const MAIN_SIZE: usize = 8 << 20;
/// Maximum size of a stack, in bytes.
pub(crate) const MAX_SIZE: usize = 1 << 30;

/// Number of different offsets (colors) of the tops of stacks, in units of a cache line. Without
/// offsets all tops would lie at the same place of a page, and compete for the same cache sets: row
/// `yield1000` takes 4 to 8 % longer then, and `ring` 2 to 15 %.
pub(crate) const COLORS: usize = 32;
pub(crate) const COLOR: usize = 64;
/// Number of bytes that a switch uses at the very top of a stack; at least a stack's alignment.
pub(crate) const WAY_BACK: usize = 16;
pub(crate) static COLORED: AtomicBool = AtomicBool::new(true);

/// A goroutine's stack.
pub(crate) struct Stack {
    /// Tells valgrind where the stack is. (On other systems corosensei does so.)
    #[cfg(target_os = "linux")]
    _known: corosensei::stack::valgrind::ValgrindStackRegistration,
    slot: place::Slot,
    /// The address where the stack begins; it grows downwards.
    base: StackPointer,
}

impl Stack {
    /// Makes at least one and up to `most` stacks of `size` bytes, a size that [`round_size`] has
    /// returned.
    ///
    /// # Errors
    /// There is no memory, or there are no mappings; the message says what to do.
    pub(crate) fn new_batch(size: usize, most: usize) -> io::Result<Vec<Stack>> {
        debug_assert_eq!(size, round_size(size));
        let slots = place::take(size, most)?;
        Ok(slots.into_iter().map(Stack::at).collect())
    }

    fn at(slot: place::Slot) -> Stack {
        let Some(base) = StackPointer::new(colored_top(slot.start(), slot.size())) else {
            unreachable!("the end of a slot is not null");
        };
        Stack {
            #[cfg(target_os = "linux")]
            _known: corosensei::stack::valgrind::ValgrindStackRegistration::new(
                slot.start().as_ptr(),
                slot.size(),
            ),
            slot,
            base,
        }
    }

    /// Cuts off the top of the stack for a `T`, in memory that is touched anyway, and returns its
    /// place, which lives as long as the stack. The start of the `T` shares a cache line with the
    /// last [`WAY_BACK`] bytes of the stack, where corosensei keeps the context to switch back to.
    ///
    /// Called once for a stack; [`for_each_carved`] finds the place again.
    pub(crate) fn carve<T>(&mut self) -> NonNull<MaybeUninit<T>> {
        let place = carved::<T>(self.slot.start(), self.slot.size());
        debug_assert!(place.addr() < self.base);
        self.base = place.addr();
        place.cast()
    }

    /// Returns the range of memory of this stack.
    pub(crate) fn extent(&self) -> Extent {
        Extent {
            start: self.slot.start(),
            size: self.slot.size(),
        }
    }
}

/// Returns the address of the end of the stack in a slot, below the slot's color.
fn colored_top(start: NonNull<u8>, size: usize) -> usize {
    let start = start.addr().get();
    let color = if COLORED.load(Ordering::Relaxed) {
        start / size % COLORS
    } else {
        0
    };
    start + size - color * COLOR
}

/// Returns the place that [`Stack::carve`] gives a `T` in a slot. (`debug/gdb.py` does the same.)
fn carved<T>(start: NonNull<u8>, size: usize) -> NonNull<T> {
    const {
        assert!(align_of::<T>() <= WAY_BACK && size_of::<T>() <= MIN_SIZE / 8);
    }
    let highest = colored_top(start, size) - size_of::<T>() - WAY_BACK;
    let place = (highest & !(COLOR - 1)) + WAY_BACK;
    // SAFETY: the color and the `T` take far less than the slot, so the place lies within it.
    unsafe { start.add(place - start.addr().get()) }.cast()
}

/// Calls `f` with the place that [`Stack::carve`] gives a `T` in each stack that exists, with the
/// stack's number, which stays the same as long as the stack exists, and with its range of memory.
///
/// The stack exists during the call. The memory at the place is what the stack's owner has made of
/// it: zeroed, or with a `T` in it. `f` runs under the lock that guards all stacks: it must neither
/// make nor drop a stack, nor wait for anybody who does.
#[cfg(target_os = "linux")]
pub(crate) fn for_each_carved<T>(mut f: impl FnMut(usize, Extent, NonNull<T>)) {
    let mut from = Some(0);
    while let Some(start) = from {
        from = for_each_carved_of_slab(start, &mut f);
    }
}

/// Does what [`for_each_carved`] does for the stacks of one slab, the first that begins at the
/// address `from` or above. Returns from where to go on, or `None` if there is no such slab.
#[cfg(target_os = "linux")]
pub(crate) fn for_each_carved_of_slab<T>(
    from: usize,
    mut f: impl FnMut(usize, Extent, NonNull<T>),
) -> Option<usize> {
    place::for_each_taken(from, |number, start, size| {
        f(number, Extent { start, size }, carved::<T>(start, size));
    })
}

/// Returns the size of all stacks that exist, in bytes of address space, whether a goroutine uses
/// them or not; `None` on systems where the runtime keeps no table of them.
pub(crate) fn bytes() -> Option<usize> {
    #[cfg(target_os = "linux")]
    return Some(place::taken_bytes());
    #[cfg(not(target_os = "linux"))]
    None
}

/// The range of memory of a stack, for code that does not own the stack itself.
#[derive(Clone, Copy)]
pub(crate) struct Extent {
    start: NonNull<u8>,
    size: usize,
}

impl Extent {
    /// Returns the size in bytes, guard page included.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Returns the addresses of the stack, guard page included.
    pub(crate) fn addresses(&self) -> Range<usize> {
        let start = self.start.addr().get();
        start..start + self.size
    }

    /// Returns the place that [`Stack::carve`] has given a `T` in the stack.
    pub(crate) fn carved<T>(&self) -> NonNull<T> {
        carved(self.start, self.size)
    }

    /// Returns the number of the stack, by which [`for_each_carved`] knows it, unless other code
    /// holds the lock that guards all stacks. This neither waits nor allocates, so a signal handler
    /// may call it.
    #[cfg(target_os = "linux")]
    pub(crate) fn try_number(&self) -> Option<usize> {
        place::try_number(self.start.addr().get())
    }

    /// Returns whether an access to `address` has run over the end of this stack, into its guard
    /// page.
    pub(crate) fn is_overflow(&self, address: usize) -> bool {
        let start = self.start.addr().get();
        (start..start + guard_size()).contains(&address)
    }

    /// Returns how many bytes of the stack lie below `address`, or 0 if that is outside of it.
    pub(crate) fn room_below(&self, address: usize) -> usize {
        let lowest = self.start.addr().get() + guard_size();
        if address > self.start.addr().get() + self.size {
            return 0;
        }
        address.saturating_sub(lowest)
    }

    /// Returns the memory of the pages below `address` to the system; they read as zero afterwards.
    ///
    /// # Safety
    /// The stack exists, and no data below `address` on it is in use.
    pub(crate) unsafe fn discard_below(&self, address: usize) {
        #[cfg(target_os = "linux")]
        {
            let page = guard_size();
            let start = self.start.addr().get();
            // An address outside of the stack gives no information.
            let Some(len) = address.checked_sub(start).filter(|len| *len < self.size) else {
                return;
            };
            let len = len / page * page;
            if len > page {
                // SAFETY: the range lies within the stack, above its guard page and below
                // `address`, where no data is in use.
                unsafe { memory::discard(self.start.add(page), len - page) };
            }
        }
        #[cfg(not(target_os = "linux"))]
        let _ = address;
    }
}

/// Returns the stack pointer of the calling function, or of the function into which the caller was
/// inlined. That function's own data lies above the pointer; data of the functions that it calls
/// lies below. (The address of a local variable would not say that: once calls have been inlined,
/// it may lie anywhere in a large frame.)
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(crate) fn pointer() -> *const u8 {
    let pointer;
    // SAFETY: the instruction only copies a register.
    unsafe {
        std::arch::asm!("mov {}, rsp", out(reg) pointer, options(nomem, nostack, preserves_flags));
    }
    pointer
}

/// Returns the stack pointer, as [`pointer`] does, plus `OFFSET`.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(crate) fn pointer_plus<const OFFSET: usize>() -> *const u8 {
    let pointer;
    // SAFETY: the instruction only computes from a register.
    unsafe {
        std::arch::asm!(
            "lea {}, [rsp + {offset}]",
            out(reg) pointer,
            offset = const OFFSET,
            options(nomem, nostack, preserves_flags)
        );
    }
    pointer
}

/// Returns an address on the stack, a multiple of 16, plus `OFFSET`.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
pub(crate) fn pointer_plus<const OFFSET: usize>() -> *const u8 {
    pointer().map_addr(|address| (address & !15) + OFFSET)
}

/// Returns an address below all data of the calling function, which this function is never inlined
/// into.
#[cfg(not(target_arch = "x86_64"))]
#[inline(never)]
pub(crate) fn pointer() -> *const u8 {
    let here = 0_u8;
    std::hint::black_box(&raw const here)
}

/// Calls `f` with an address of the stack above which lie all pointers that the callers have on it,
/// and those that they have in registers.
#[cfg(target_os = "linux")]
#[inline(never)]
pub(crate) fn with_registers<T>(f: impl FnOnce(usize) -> T) -> T {
    // The registers that a function must save before it uses them. A function that has done so
    // before has saved them higher on the stack.
    let mut saved = [0_usize; 11];
    let to = saved.as_mut_ptr();
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the instructions write six words to `saved`, which has more.
    unsafe {
        std::arch::asm!(
            "mov [{to}], rbx",
            "mov [{to} + 8], rbp",
            "mov [{to} + 16], r12",
            "mov [{to} + 24], r13",
            "mov [{to} + 32], r14",
            "mov [{to} + 40], r15",
            to = in(reg) to,
            options(nostack, preserves_flags)
        );
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: the instructions write eleven words to `saved`, which has as many.
    unsafe {
        std::arch::asm!(
            "stp x19, x20, [{to}]",
            "stp x21, x22, [{to}, 16]",
            "stp x23, x24, [{to}, 32]",
            "stp x25, x26, [{to}, 48]",
            "stp x27, x28, [{to}, 64]",
            "str x29, [{to}, 80]",
            to = in(reg) to,
            options(nostack, preserves_flags)
        );
    }
    // On other architectures the registers may be saved lower.
    let is_known = cfg!(any(target_arch = "x86_64", target_arch = "aarch64"));
    let result = f(if is_known { to.addr() } else { 0 });
    std::hint::black_box(&saved);
    result
}

/// Returns where the stack of the calling thread is; an empty range if the system does not say.
pub(crate) fn of_thread() -> Range<usize> {
    #[cfg(target_os = "linux")]
    return memory::stack_of_thread().unwrap_or_default();
    #[cfg(not(target_os = "linux"))]
    (0..0)
}

/// Returns how many pages of memory the calling thread has got from the system by touching them, on
/// stacks or elsewhere; `None` if the system does not say.
pub(crate) fn pages_given() -> Option<usize> {
    #[cfg(target_os = "linux")]
    return memory::pages_given();
    #[cfg(not(target_os = "linux"))]
    None
}

/// Returns some of the memory of free stacks to the system, in a step that takes a moment. Returns
/// whether there is more to return.
pub(crate) fn trim() -> bool {
    #[cfg(target_os = "linux")]
    return place::trim();
    #[cfg(not(target_os = "linux"))]
    false
}

/// Reserves a signal stack of `len` bytes, with a guard page below it. It is never released.
#[cfg(target_os = "linux")]
pub(crate) fn signal_stack(len: usize) -> io::Result<NonNull<u8>> {
    let guard = guard_size();
    let memory = memory::reserve(guard + len.next_multiple_of(guard))?;
    // SAFETY: the memory has just been reserved and is not in use. If the guard cannot be made, the
    // stack is usable without it.
    let _ = unsafe { guards::make(&[memory]) };
    // SAFETY: the reservation has `guard` bytes and at least `len` bytes after them.
    Ok(unsafe { memory.add(guard) })
}

/// Switches off a feature of stacks, for tests and comparisons. Call it before the first stack is
/// made.
pub(crate) fn do_without(colors: bool, marks: bool) {
    if colors {
        COLORED.store(false, Ordering::Relaxed);
    }
    #[cfg(target_os = "linux")]
    if marks {
        guards::use_mappings();
    }
    #[cfg(not(target_os = "linux"))]
    let _ = marks;
}

// SAFETY: the slot has a guard page at its start (where the slot is a `DefaultStack` of
// corosensei's, below its start), and lives as long as the `Stack`. The guard page, the color and
// what `carve` takes are less than half of the minimum size, which leaves more than corosensei's
// minimum.
unsafe impl corosensei::stack::Stack for Stack {
    #[inline]
    fn base(&self) -> StackPointer {
        self.base
    }

    #[inline]
    fn limit(&self) -> StackPointer {
        self.slot.limit()
    }

    #[cfg(windows)]
    fn teb_fields(&self) -> corosensei::stack::StackTebFields {
        self.slot.teb_fields()
    }

    #[cfg(windows)]
    fn update_teb_fields(&mut self, stack_limit: usize, guaranteed_stack_bytes: usize) {
        self.slot
            .update_teb_fields(stack_limit, guaranteed_stack_bytes)
    }
}

/// The error for a stack size that is not allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadSize(usize);

impl fmt::Display for BadSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a stack of {} bytes cannot be made: it takes at least {MIN_SIZE} (32 KiB) and at most \
             {MAX_SIZE} (1 GiB). Only the pages that are touched take memory",
            self.0
        )
    }
}

/// Checks that a stack may have this size, in bytes.
pub(crate) fn check_size(size: usize) -> Result<usize, BadSize> {
    if (MIN_SIZE..=MAX_SIZE).contains(&size) {
        Ok(size)
    } else {
        Err(BadSize(size))
    }
}

/// Returns the size that a stack of `size` bytes really gets: the next power of two, so that stacks
/// of about the same size can replace each other.
pub(crate) fn round_size(size: usize) -> usize {
    size.max(MIN_SIZE).max(8 * guard_size()).next_power_of_two()
}

/// Returns the ranges of memory that stacks are cut out of.
#[cfg(target_os = "linux")]
pub(crate) fn slabs() -> Vec<Range<usize>> {
    place::ranges()
}

/// Returns the size of a page, in bytes.
#[cfg(target_os = "linux")]
pub(crate) fn page_size() -> usize {
    memory::page_size()
}

/// Returns the size of the guard, one page.
fn guard_size() -> usize {
    #[cfg(target_os = "linux")]
    return memory::page_size();
    #[cfg(not(target_os = "linux"))]
    4096
}
