//! Stacks for goroutines: their sizes, and where they come from.
//!
//! A stack is reserved, lazily committed memory with a guard page below it. Only this module knows
//! how it is made; `sched` keeps idle ones with their fibers. On Linux they are the slots of
//! [`slab`]s, which lie in the [`lowlands`] of the address space, guarded by [`guards`], with
//! [`memory`] for the system calls; elsewhere each is a mapping of corosensei's ([`own_mapping`]).

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
use std::mem::{self, MaybeUninit};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};

use corosensei::stack::StackPointer;

#[cfg(target_os = "linux")]
pub(crate) use memory::Room;

/// The default size of a goroutine's stack, in bytes. Memory is only taken for the pages that are
/// touched.
pub(crate) const DEFAULT_SIZE: usize = 256 << 10;
/// The least size: below it not even a panic with its backtrace fits.
pub(crate) const MIN_SIZE: usize = 32 << 10;
/// The size for `main`: what the system gives a program's first thread as a rule.
pub(crate) const MAIN_SIZE: usize = 8 << 20;
/// The largest size.
pub(crate) const MAX_SIZE: usize = 1 << 30;

/// The tops of stacks are offset against each other by multiples of a cache line, for all of them
/// lie at the same place of a page else, and caches choose where to keep a line by just that.
const COLOURS: usize = 32;
const COLOUR: usize = 64;
/// What a switch uses at the very top of a stack, in bytes; no less than a stack's alignment.
const WAY_BACK: usize = 16;
static COLOURED: AtomicBool = AtomicBool::new(true);

/// A goroutine's stack.
pub(crate) struct Stack {
    /// Valgrind wants to know what is a stack. (Elsewhere corosensei tells it.)
    #[cfg(target_os = "linux")]
    _known: corosensei::stack::valgrind::ValgrindStackRegistration,
    slot: place::Slot,
    /// Where it begins; it grows downwards.
    base: StackPointer,
}

impl Stack {
    /// Makes up to `most` stacks of `size` bytes, which [`round_size`] has given, and at least one.
    ///
    /// # Errors
    /// There is no memory, or no mappings; the message says what to do.
    pub(crate) fn new_batch(size: usize, most: usize) -> io::Result<Vec<Stack>> {
        debug_assert_eq!(size, round_size(size));
        let slots = place::take(size, most)?;
        Ok(slots.into_iter().map(Stack::at).collect())
    }

    fn at(slot: place::Slot) -> Stack {
        let colour = if COLOURED.load(Ordering::Relaxed) {
            slot.start().addr().get() / slot.size() % COLOURS
        } else {
            0
        };
        let top = slot.start().addr().saturating_add(slot.size());
        let mut stack = Stack {
            #[cfg(target_os = "linux")]
            _known: corosensei::stack::valgrind::ValgrindStackRegistration::new(
                slot.start().as_ptr(),
                slot.size(),
            ),
            slot,
            base: top,
        };
        stack.lower(colour * COLOUR, 0);
        stack
    }

    /// Moves the top down by at least so many bytes, to `offset` behind the start of a cache line.
    fn lower(&mut self, bytes: usize, offset: usize) {
        let base = self.base.get() - bytes - offset;
        if let Some(base) = StackPointer::new((base & !(COLOUR - 1)) + offset) {
            self.base = base;
        }
    }

    /// Cuts off the top, for a `T` that lies beside the stack, in memory that is touched anyway. It
    /// is there as long as the stack. Its start shares a cache line with the last [`WAY_BACK`]
    /// bytes of the stack, where corosensei keeps where to switch back to.
    pub(crate) fn carve<T>(&mut self) -> NonNull<MaybeUninit<T>> {
        const {
            assert!(align_of::<T>() <= WAY_BACK && size_of::<T>() <= MIN_SIZE / 8);
        }
        self.lower(mem::size_of::<T>(), WAY_BACK);
        let offset = self.base.get() - self.slot.start().addr().get();
        // SAFETY: what has been cut off so far lies within the slot.
        unsafe { self.slot.start().add(offset) }.cast()
    }

    /// Where it lies.
    pub(crate) fn extent(&self) -> Extent {
        Extent {
            start: self.slot.start(),
            size: self.slot.size(),
        }
    }
}

/// Where a stack lies, for those who have no hold of the stack itself.
#[derive(Clone, Copy)]
pub(crate) struct Extent {
    start: NonNull<u8>,
    size: usize,
}

impl Extent {
    /// In bytes, guard page included.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Whether an access of `address` has run over the end of this stack.
    pub(crate) fn is_overflow(&self, address: usize) -> bool {
        let start = self.start.addr().get();
        (start..start + guard_size()).contains(&address)
    }

    /// Gives the memory of the pages below `address` back to the system; they read as zero
    /// afterwards.
    ///
    /// # Safety
    /// The stack is there, and nothing is in use on it below `address`.
    pub(crate) unsafe fn discard_below(&self, address: usize) {
        #[cfg(target_os = "linux")]
        {
            let page = guard_size();
            let start = self.start.addr().get();
            // An address that is none of the stack's says nothing.
            let Some(len) = address.checked_sub(start).filter(|len| *len < self.size) else {
                return;
            };
            let len = len / page * page;
            if len > page {
                // SAFETY: between the guard and what is in use, as the caller says.
                unsafe { memory::discard(self.start.add(page), len - page) };
            }
        }
        #[cfg(not(target_os = "linux"))]
        let _ = address;
    }
}

/// Where the stack of the calling function ends, whatever function that is once calls have been
/// inlined: what it has lies above, but for what it calls.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(crate) fn pointer() -> *const u8 {
    let pointer;
    // SAFETY: copies a register.
    unsafe {
        std::arch::asm!("mov {}, rsp", out(reg) pointer, options(nomem, nostack, preserves_flags));
    }
    pointer
}

/// Where the stack of the calling function ends: below all that it has, as this function is never
/// part of it.
#[cfg(not(target_arch = "x86_64"))]
#[inline(never)]
pub(crate) fn pointer() -> *const u8 {
    let here = 0_u8;
    std::hint::black_box(&raw const here)
}

/// How many pages of memory the calling thread has been given by touching them, on stacks or
/// elsewhere; `None` if the system does not say.
pub(crate) fn pages_given() -> Option<usize> {
    #[cfg(target_os = "linux")]
    return memory::pages_given();
    #[cfg(not(target_os = "linux"))]
    None
}

/// Gives some of the memory of free stacks back to the system, so much as takes a moment. `true`:
/// there is more.
pub(crate) fn trim() -> bool {
    #[cfg(target_os = "linux")]
    return place::trim();
    #[cfg(not(target_os = "linux"))]
    false
}

/// Memory for a signal stack of `len` bytes, with a guard page below it. It is not given back.
#[cfg(target_os = "linux")]
pub(crate) fn signal_stack(len: usize) -> io::Result<NonNull<u8>> {
    let guard = guard_size();
    let memory = memory::reserve(guard + len.next_multiple_of(guard))?;
    // SAFETY: new memory, which nobody uses. Should the guard not be made, the stack is still
    // there.
    let _ = unsafe { guards::make(&[memory]) };
    // SAFETY: behind the guard there are `len` bytes.
    Ok(unsafe { memory.add(guard) })
}

/// For tests and comparisons: does without something that stacks have. Before the first stack is
/// made.
pub(crate) fn do_without(colours: bool, marks: bool) {
    if colours {
        COLOURED.store(false, Ordering::Relaxed);
    }
    #[cfg(target_os = "linux")]
    if marks {
        guards::use_mappings();
    }
}

// SAFETY: the slot has a guard page at its start. That page, a colour and what `carve` takes are
// less than half of the least size, which leaves more than corosensei's least.
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

/// A size for a stack that cannot be.
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

/// Says whether a stack may have this size, in bytes.
pub(crate) fn check_size(size: usize) -> Result<usize, BadSize> {
    if (MIN_SIZE..=MAX_SIZE).contains(&size) {
        Ok(size)
    } else {
        Err(BadSize(size))
    }
}

/// The size that a stack of `size` bytes really gets: the next power of two, so that stacks of
/// about the same size can take each other's place.
pub(crate) fn round_size(size: usize) -> usize {
    size.max(MIN_SIZE).max(8 * guard_size()).next_power_of_two()
}

/// The size of the guard, one page.
fn guard_size() -> usize {
    #[cfg(target_os = "linux")]
    return memory::page_size();
    #[cfg(not(target_os = "linux"))]
    4096
}
