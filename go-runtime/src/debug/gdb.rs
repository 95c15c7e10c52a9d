//! What the script for gdb, `gdb.py`, has to know: where the runtime keeps its goroutines.
//!
//! The script is part of every program that is built with debug information, and finds [`LAYOUT`]
//! by its section. With it the script needs no type information, which most release builds lack.
//! The runtime itself never reads what is here.
//!
//! [`Layout`] has one word for each thing, and the script lists the words by the same names in the
//! same order; a test compares them. A change of what a word means takes another value of
//! [`VERSION`], here and in the script.

use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicPtr};

use super::frames::SOURCES;
use crate::sched::{Fiber, NAMED, Options};
use crate::stack::{self, directory};
use crate::wait::reason;

const VERSION: usize = 1;

/// A text. (The layout of `&str` is not specified.)
#[repr(C)]
pub(super) struct Text {
    first: Option<&'static u8>,
    len: usize,
}

impl Text {
    const fn new(text: &'static str) -> Text {
        Text {
            first: text.as_bytes().first(),
            len: text.len(),
        }
    }
}

/// Defines a struct of words, and the list of their names.
macro_rules! layout {
    (
        $(#[$attribute:meta])*
        $visible:vis struct $name:ident;
        $($(#[$doc:meta])* $field:ident: $type:ty,)*
    ) => {
        $(#[$attribute])*
        #[repr(C)]
        $visible struct $name {
            $($(#[$doc])* $field: $type,)*
        }

        #[cfg(test)]
        const NAMES: &[&str] = &[$(stringify!($field)),*];

        const _: () = {
            $(assert!(size_of::<$type>() == size_of::<usize>());)*
        };
    };
}

layout! {
    /// Addresses, and sizes and offsets in bytes.
    pub(super) struct Layout;

    version: usize,
    /// The number of the words.
    words: usize,

    // The directory of slabs.
    slab_list: &'static AtomicPtr<directory::Entry>,
    slab_next: usize,
    slab_start: usize,
    slab_size: usize,
    slab_first: usize,
    slab_begun: usize,

    // The place of a fiber in its stack (see `stack::carved`).
    colored: &'static AtomicBool,
    colors: usize,
    color: usize,
    way_back: usize,

    // A fiber.
    fiber_size: usize,
    fiber_task: usize,
    fiber_label: usize,
    fiber_waiting: usize,
    fiber_end: usize,
    fiber_outer: usize,
    fiber_worker: usize,
    fiber_coroutine: usize,
    coroutine_size: usize,
    margin: usize,

    // A label: a place in the sources, or, with a bit set, options.
    label_named: usize,
    options_name: usize,
    options_spawned_at: usize,

    /// The size of a `Location`, and one whose parts are known: their places are found in it, since
    /// std does not say where they are.
    location_size: usize,
    sample: &'static Location<'static>,
    sample_file: Option<&'static u8>,
    sample_file_len: usize,
    sample_line: usize,
    sample_column: usize,

    // Reasons to wait.
    reasons: &'static [Text; reason::ALL.len()],
    reason_count: usize,
    reason_shift: usize,

    // The folder of the runtime's sources.
    sources: Option<&'static u8>,
    sources_len: usize,
}

static REASONS: [Text; reason::ALL.len()] = {
    let mut reasons = [const { Text::new("") }; reason::ALL.len()];
    let mut index = 0;
    while index < reasons.len() {
        reasons[index] = Text::new(reason::ALL[index].as_str());
        index += 1;
    }
    reasons
};

const SAMPLE: &Location<'static> = Location::caller();

/// The script finds it by its section, which it has for itself: so there may be two versions of
/// this crate in a program, and the program's symbols may be stripped.
#[used]
#[unsafe(link_section = "go_runtime_gdb")]
pub(super) static LAYOUT: Layout = Layout {
    version: VERSION,
    words: size_of::<Layout>() / size_of::<usize>(),

    slab_list: &directory::FIRST,
    slab_next: directory::NEXT,
    slab_start: directory::START,
    slab_size: directory::SIZE,
    slab_first: directory::NUMBER,
    slab_begun: directory::BEGUN,

    colored: &stack::COLORED,
    colors: stack::COLORS,
    color: stack::COLOR,
    way_back: stack::WAY_BACK,

    fiber_size: size_of::<Fiber>(),
    fiber_task: Fiber::OFFSETS.task,
    fiber_label: Fiber::OFFSETS.label,
    fiber_waiting: Fiber::OFFSETS.waiting,
    fiber_end: Fiber::OFFSETS.end,
    fiber_outer: Fiber::OFFSETS.outer,
    fiber_worker: Fiber::OFFSETS.worker,
    fiber_coroutine: Fiber::OFFSETS.coroutine,
    coroutine_size: Fiber::OFFSETS.coroutine_size,
    margin: Fiber::OFFSETS.margin,

    label_named: NAMED,
    options_name: Options::NAME,
    options_spawned_at: Options::SPAWNED_AT,

    location_size: size_of::<Location<'static>>(),
    sample: SAMPLE,
    sample_file: SAMPLE.file().as_bytes().first(),
    sample_file_len: SAMPLE.file().len(),
    sample_line: SAMPLE.line() as usize,
    sample_column: SAMPLE.column() as usize,

    reasons: &REASONS,
    reason_count: REASONS.len(),
    reason_shift: reason::REASON_SHIFT as usize,

    sources: SOURCES.as_bytes().first(),
    sources_len: SOURCES.len(),
};

// Else the script could not tell them apart in the sample.
const _: () = {
    let (line, column) = (LAYOUT.sample_line, LAYOUT.sample_column);
    assert!(line != column && line != LAYOUT.sample_file_len && column != LAYOUT.sample_file_len);
};

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &str = include_str!("gdb.py");

    #[test]
    fn the_script_has_the_same_layout() {
        let between = |start: &str, end: &str| {
            let (_, rest) = SCRIPT.split_once(start).expect("the start");
            rest.split_once(end).expect("the end").0
        };
        let version = between("\n    VERSION = ", "\n");
        assert_eq!(version.parse(), Ok(VERSION));
        let names: Vec<_> = between("\n    WORDS = \"\"\"", "\"\"\"")
            .split_whitespace()
            .collect();
        assert_eq!(names, NAMES);
    }

    #[test]
    fn the_script_can_be_embedded() {
        // A zero byte ends it in the section where gdb finds it.
        assert!(!SCRIPT.contains('\0'));
    }
}
