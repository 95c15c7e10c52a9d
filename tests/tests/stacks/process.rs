//! Crowds of goroutines with deep stacks, and the memory that the process uses for them.

use super::*;

/// Goroutines that are blocked until they are released.
pub(super) struct Crowd {
    stop: Sender<()>,
    handles: Vec<JoinHandle<()>>,
}

impl Crowd {
    /// Starts `count` goroutines, each blocked `depth` bytes deep in its stack, and waits until all
    /// of them are.
    #[track_caller]
    pub(super) fn gather(count: usize, builder: impl Fn() -> Builder, depth: usize) -> Crowd {
        let (stop, done) = bounded::<()>(0);
        let (arrive, arrived) = unbounded();
        let spawn = |_| {
            let (done, arrive): (Receiver<()>, Sender<()>) = (done.clone(), arrive.clone());
            let wait = move || {
                arrive.send(()).unwrap();
                assert!(done.recv().is_err());
            };
            builder().spawn(move || go_deep(depth, &wait)).unwrap()
        };
        let handles = (0..count).map(spawn).collect();
        assert_eq!(arrived.iter().take(count).count(), count);
        Crowd { stop, handles }
    }

    /// Releases all goroutines, and asserts that all end well.
    #[track_caller]
    pub(super) fn disperse(self) {
        drop(self.stop);
        for handle in self.handles {
            handle.join().unwrap();
        }
    }
}

/// Returns a line of this process's status, in KiB.
pub(super) fn status(field: &str) -> usize {
    let text = fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.unwrap().parse().unwrap()
}

/// Returns the number of mappings, without those that each thread has for itself: the runtime adds
/// workers beside busy processes.
pub(super) fn mappings() -> usize {
    const OF_THREAD: usize = 8;
    let all = fs::read_to_string("/proc/self/maps").unwrap();
    let all = all.lines().count();
    all.saturating_sub(OF_THREAD * status("Threads"))
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Usage {
    pub(super) mappings: usize,
    pub(super) resident_kib: usize,
    pub(super) tables_kib: usize,
}

impl Usage {
    pub(super) fn now() -> Usage {
        Usage {
            mappings: mappings(),
            resident_kib: status("VmRSS"),
            tables_kib: status("VmPTE"),
        }
    }

    /// Returns the usage of the process after the runtime has started, and has run a few
    /// goroutines.
    pub(super) fn at_start() -> Usage {
        Crowd::gather(8, Builder::new, 4 * KIB).disperse();
        Usage::now()
    }

    /// Waits until the process uses at most as much as this, plus `more`.
    #[track_caller]
    pub(super) fn comes_back(self, more: Usage) {
        let mut now = Usage::now();
        let begun = Instant::now();
        while now.mappings > self.mappings + more.mappings
            || now.resident_kib > self.resident_kib + more.resident_kib
            || now.tables_kib > self.tables_kib + more.tables_kib
        {
            // This limit is shorter than the parent's timeout, so that this message is seen.
            assert!(
                begun.elapsed() < NET / 3,
                "it stays: {self:?} at the start, {more:?} more is allowed, but {now:?}"
            );
            thread::yield_now();
            now = Usage::now();
        }
    }
}
