//! Reads the system's information about this process.

/// Memory in kilobytes, and counts. All are 0 where there is no `/proc`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Process {
    pub(super) resident: usize,
    pub(super) page_tables: usize,
    pub(super) mappings: usize,
    pub(super) threads: usize,
}

impl Process {
    pub(super) fn read() -> Process {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let maps = std::fs::read("/proc/self/maps").unwrap_or_default();
        Process {
            resident: number(&status, "VmRSS:"),
            page_tables: number(&status, "VmPTE:"),
            mappings: maps.iter().filter(|byte| **byte == b'\n').count(),
            threads: number(&status, "Threads:"),
        }
    }
}

/// Returns how many kilobytes the system could still provide without swapping; `None` if it does
/// not say.
pub(super) fn available() -> Option<usize> {
    let memory = std::fs::read_to_string("/proc/meminfo").ok()?;
    Some(number(&memory, "MemAvailable:")).filter(|n| *n > 0)
}

fn number(text: &str, name: &str) -> usize {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}
