//! Guard pages: how this system makes them, and how many there may be.
//!
//! Linux 6.13 and newer marks a page as a guard at no cost (`MADV_GUARD_INSTALL`). On older kernels
//! a guard is a page without access. Such a guard splits its mapping in three, and the number of
//! mappings of a process is limited (vm.max_map_count). So these guards are counted, and guards
//! beyond the budget are refused with advice, while the rest of the process still has mappings to
//! use.
//!
//! The budget is determined once; the count is an atomic. Any thread may call this module.

use std::fs;
use std::io;
use std::ptr::NonNull;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::memory::{self, GuardKind};

/// Mappings that a guard costs if it is a page without access: one for the guard, and one for the
/// stack above it.
const MAPPINGS_A_GUARD: usize = 2;
/// Linux's default for vm.max_map_count.
const USUAL_MAPPINGS: usize = 65_530;
/// Mappings that are left to the rest of the process, but at most a quarter of all.
const OTHERS: usize = 4096;

static BUDGET: OnceLock<Budget> = OnceLock::new();
/// Number of existing guards that are pages without access.
static MADE: AtomicUsize = AtomicUsize::new(0);

struct Budget {
    kind: GuardKind,
    /// Maximum number of mappings of a process.
    mappings: usize,
}

impl Budget {
    /// Returns the maximum number of guards that are pages without access.
    fn guards(&self) -> usize {
        (self.mappings - OTHERS.min(self.mappings / 4)) / MAPPINGS_A_GUARD
    }

    fn exceeded(&self, made: usize) -> io::Error {
        io::Error::new(
            io::ErrorKind::OutOfMemory,
            format!(
                "{} guard pages take {} of the {} mappings that vm.max_map_count allows a process: \
                 raise it (sysctl -w vm.max_map_count={}), or use Linux 6.13 or newer, where guard \
                 pages take none",
                made,
                made * MAPPINGS_A_GUARD,
                self.mappings,
                self.mappings.max(USUAL_MAPPINGS) * 8,
            ),
        )
    }
}

fn budget() -> &'static Budget {
    BUDGET.get_or_init(|| new_budget(false))
}

fn new_budget(old_kind: bool) -> Budget {
    let text = fs::read_to_string("/proc/sys/vm/max_map_count");
    Budget {
        kind: if old_kind {
            GuardKind::Mappings
        } else {
            memory::probe_guards()
        },
        mappings: text
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(USUAL_MAPPINGS),
    }
}

/// Makes all guards as pages without access, whatever the kernel supports. Must be called before
/// the first guard is made.
pub(super) fn use_mappings() {
    let _ = BUDGET.set(new_budget(true));
}

/// The result of [`make`].
pub(super) struct Made {
    /// Number of pages that are guarded now, from the first one on.
    pub(super) all: usize,
    /// Number of those pages, the last ones, whose guards take mappings.
    pub(super) mapped: usize,
    /// The error if not all pages are guarded.
    pub(super) result: io::Result<()>,
}

/// Guards the first page of each of `starts`.
///
/// # Safety
/// The caller owns the pages, and their contents are not needed.
pub(super) unsafe fn make(starts: &[NonNull<u8>]) -> Made {
    let budget = budget();
    let mut marked = 0;
    if budget.kind == GuardKind::Marks {
        // SAFETY: the caller of `make` owns these pages and does not need their contents, which is
        // what `guard` requires.
        let (done, result) = unsafe { memory::guard(GuardKind::Marks, starts) };
        // `MADV_GUARD_INSTALL` fails for memory that is locked (mlockall(2)).
        let is_locked =
            result.as_ref().err().and_then(io::Error::raw_os_error) == Some(libc::EINVAL);
        if !is_locked {
            return Made {
                all: done,
                mapped: 0,
                result,
            };
        }
        marked = done;
    }
    let starts = &starts[marked..];
    let made = MADE.fetch_add(starts.len(), Ordering::Relaxed);
    let allowed = budget.guards().saturating_sub(made).min(starts.len());
    // SAFETY: these are some of the pages of `starts`, which the caller of `make` owns, and whose
    // contents are not needed.
    let (mapped, mut result) = unsafe { memory::guard(GuardKind::Mappings, &starts[..allowed]) };
    MADE.fetch_sub(starts.len() - mapped, Ordering::Relaxed);
    if mapped < starts.len() {
        // ENOMEM means here that the process has no mappings left: the rest of it may use more
        // mappings than the budget reserves for it.
        let error = result.as_ref().err().and_then(io::Error::raw_os_error);
        if matches!(error, None | Some(libc::ENOMEM)) {
            result = Err(budget.exceeded(MADE.load(Ordering::Relaxed)));
        }
    }
    Made {
        all: marked + mapped,
        mapped,
        result,
    }
}

/// Subtracts guards that took mappings, after their memory was released.
pub(super) fn forget(mapped: usize) {
    MADE.fetch_sub(mapped, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_leaves_mappings_to_others() {
        let budget = |mappings| Budget {
            kind: GuardKind::Mappings,
            mappings,
        };
        assert_eq!(budget(65_530).guards(), (65_530 - 4096) / 2);
        assert_eq!(budget(4000).guards(), 1500);
        let error = budget(65_530).exceeded(30_717).to_string();
        for part in ["30717", "61434", "65530", "vm.max_map_count=524240"] {
            assert!(error.contains(part), "{part}: {error}");
        }
    }
}
