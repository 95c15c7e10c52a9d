//! Guard pages: how they are made here, and how many there may be.
//!
//! Linux 6.13 and newer marks a page as a guard at no cost. On older kernels a guard is a page
//! without access, which splits its mapping in three, and a process may have so many mappings only
//! (vm.max_map_count). So these are counted, and what goes beyond the budget is refused with
//! advice, while the rest of the process still has mappings to live on.

use std::fs;
use std::io;
use std::ptr::NonNull;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::memory::{self, GuardKind};

/// A guard of the old kind and the stack above it are a mapping each.
const MAPPINGS_A_GUARD: usize = 2;
/// What Linux allows unless it is told otherwise.
const USUAL_MAPPINGS: usize = 65_530;
/// Mappings that are left to the rest of the process, up to a quarter of all.
const OTHERS: usize = 4096;

static BUDGET: OnceLock<Budget> = OnceLock::new();
/// Guards of the old kind that there are.
static MADE: AtomicUsize = AtomicUsize::new(0);

struct Budget {
    kind: GuardKind,
    /// How many mappings a process may have.
    mappings: usize,
}

impl Budget {
    /// How many guards there may be.
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

/// Has guards made in the old way, whatever the kernel can do. Before the first guard is made.
pub(super) fn use_mappings() {
    let _ = BUDGET.set(new_budget(true));
}

/// What [`make`] has done.
pub(super) struct Made {
    /// So many of the pages, from the first on, are guarded now.
    pub(super) all: usize,
    /// Those of them, the last, that take mappings.
    pub(super) mapped: usize,
    /// Why not all are.
    pub(super) result: io::Result<()>,
}

/// Guards the first page of each of `starts`.
///
/// # Safety
/// The pages are the caller's, and nobody needs what is in them.
pub(super) unsafe fn make(starts: &[NonNull<u8>]) -> Made {
    let budget = budget();
    let mut marked = 0;
    if budget.kind == GuardKind::Marks {
        // SAFETY: passed on.
        let (done, result) = unsafe { memory::guard(GuardKind::Marks, starts) };
        // Memory that is locked (mlockall) takes no marks.
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
    // SAFETY: passed on.
    let (mapped, mut result) = unsafe { memory::guard(GuardKind::Mappings, &starts[..allowed]) };
    MADE.fetch_sub(starts.len() - mapped, Ordering::Relaxed);
    if mapped < starts.len() {
        // No memory here means no mappings: others may have more of them than we left.
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

/// So many guards that took mappings are gone with their memory.
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
