//! Guard pages on old kernels, where their number is limited, and in locked memory.

use super::process::*;
use super::*;

/// Returns the maximum number of mappings of a process.
fn most_mappings() -> usize {
    let text = fs::read_to_string("/proc/sys/vm/max_map_count").unwrap();
    text.trim().parse().unwrap()
}

/// Blocked goroutines, up to as many as possible.
struct Blocked {
    handles: Vec<JoinHandle<bool>>,
    started: Arc<AtomicUsize>,
}

impl Blocked {
    fn new() -> Blocked {
        Blocked {
            handles: Vec::new(),
            started: Arc::new(AtomicUsize::new(0)),
        }
    }

    /// Spawns goroutines until a spawn is refused.
    fn spawn_until_refused(&mut self, done: &Receiver<()>) -> io::Error {
        /// A spawn is refused only after earlier goroutines have failed to start, so the loop does
        /// not get further ahead of them than this.
        const AHEAD: usize = 64;
        loop {
            let (done, count) = (done.clone(), Arc::clone(&self.started));
            let spawned = Builder::new().spawn(move || {
                count.fetch_add(1, Ordering::Relaxed);
                done.recv().is_err()
            });
            match spawned {
                Ok(handle) => self.handles.push(handle),
                Err(error) => break error,
            }
            if self.handles.len() > self.started() + AHEAD {
                thread::yield_now();
            }
            assert!(self.handles.len() < most_mappings(), "nothing is refused");
        }
    }

    /// Spawns goroutines until `attempt`, which spawns a goroutine that ends by itself, is refused
    /// too. That may take several rounds: the first shortages pass, because each worker makes
    /// stacks in advance, and gives some back when it gets fewer than it has asked for.
    fn refuse<T, E>(
        &mut self,
        done: &Receiver<()>,
        attempt: impl Fn() -> Result<JoinHandle<T>, E>,
    ) -> E {
        loop {
            self.spawn_until_refused(done);
            match attempt() {
                Ok(handle) => drop(handle.join()),
                Err(error) => break error,
            }
        }
    }

    fn started(&self) -> usize {
        self.started.load(Ordering::Relaxed)
    }

    /// Waits for all goroutines, and returns whether all have seen that `done` is closed.
    fn all_end(self) -> bool {
        let mut handles = self.handles.into_iter();
        handles.all(|handle| handle.join().unwrap())
    }
}

#[test]
#[ignore = "run by guards_of_old_kernels_are_counted"]
fn counted_guards() {
    let start = Usage::at_start();
    for _ in 0..2 {
        let (stop, done) = bounded::<()>(0);
        let mut blocked = Blocked::new();
        let error = blocked.spawn_until_refused(&done);
        assert_eq!(error.kind(), ErrorKind::OutOfMemory);
        assert!(error.to_string().contains("vm.max_map_count"), "{error}");
        let refused = blocked.refuse(&done, || panic::catch_unwind(|| go!({})));
        let started = blocked.started();
        println!("\nstarted: {started}");
        let message = refused.downcast_ref::<String>().unwrap();
        assert!(message.contains("vm.max_map_count"), "{message}");
        assert!(started < most_mappings() / 2, "{started}");
        assert!(started > most_mappings() / 4, "{started}");
        // The rest of the process still has mappings.
        assert_eq!(thread::spawn(|| 6 * 7).join().unwrap(), 42);
        assert_eq!(black_box(vec![1_u8; 64 * MIB])[64 * MIB - 1], 1);

        // No goroutine is lost, and none is refused any more.
        drop(stop);
        assert!(blocked.all_end());
        assert_eq!(num_goroutines(), 0);
        assert_eq!(go!({ 6 * 7 }).join().unwrap(), 42);
        Crowd::gather(100, Builder::new, 100 * KIB).disperse();
        start.comes_back(Usage {
            // The few stacks that are kept also keep their slabs: 2,048 mappings and 512 KiB of
            // page tables for each worker. On a loaded machine there may be more workers than
            // GOMAXPROCS. At the peak the page tables took 15 MiB.
            mappings: most_mappings() / 5,
            resident_kib: 20 * KIB,
            tables_kib: 3 * KIB,
        });
    }
}

#[test]
fn guards_of_old_kernels_are_counted() {
    let most = most_mappings();
    if most > 300_000 {
        println!(
            "skipped: vm.max_map_count = {most} is more than this test could use up in good time"
        );
        return;
    }
    for workers in ["1", "2"] {
        let ended = child::succeed(
            "counted_guards",
            &[("GOMAXPROCS", workers), ("GODEBUG", "mprotect=1")],
        );
        let limit = most.to_string();
        ended.says(&["no memory for a stack", "vm.max_map_count", &limit]);
    }
}

/// Unused stacks of one size must not keep the guards that another size needs.
#[test]
#[ignore = "run by guards_go_from_size_to_size"]
fn guards_of_two_sizes() {
    let most = most_mappings() / 2;
    for size in [32 * KIB, 64 * KIB, 128 * KIB] {
        let builder = || Builder::new().stack_size(size);
        Crowd::gather(most * 3 / 4, builder, 0).disperse();
    }
}

#[test]
fn guards_go_from_size_to_size() {
    if most_mappings() > 300_000 {
        println!("skipped: vm.max_map_count is large");
        return;
    }
    let ended = child::succeed("guards_of_two_sizes", &[("GODEBUG", "mprotect=1")]);
    ended.does_not_say(&["no memory for a stack"]);
}

/// When stacks of one size have taken all guards, another size is refused. It works again
/// afterwards.
#[test]
#[ignore = "run by another_size_when_guards_have_run_out"]
fn no_guard_for_another_size() {
    let (stop, done) = bounded::<()>(0);
    let large = || Builder::new().stack_size(512 * KIB).spawn(|| 6 * 7);
    let mut blocked = Blocked::new();
    let refused = blocked.refuse(&done, large);
    assert_eq!(refused.kind(), ErrorKind::OutOfMemory);
    drop(stop);
    assert!(blocked.all_end());
    // The idle stacks of the first size make room.
    eventually(|| large().is_ok_and(|handle| handle.join().unwrap() == 42));

    // The first goroutine of another size is not refused but waits, and so do the goroutines that
    // are spawned after it.
    let (stop, done) = bounded::<()>(0);
    let few = most_mappings() / 2 - 4096 / 2 - 200;
    let blocked: Vec<_> = (0..few)
        .map(|_| go!(clone(done) { done.recv().is_err() }))
        .collect();
    let waiting: Vec<_> = (0..300)
        .filter_map(|_| {
            let done = done.clone();
            let builder = Builder::new().stack_size(512 * KIB);
            builder.spawn(move || done.recv().is_err()).ok()
        })
        .collect();
    drop(stop);
    let all = blocked.into_iter().chain(waiting);
    assert!(all.into_iter().all(|handle| handle.join().unwrap()));
}

#[test]
fn another_size_when_guards_have_run_out() {
    if most_mappings() > 300_000 {
        println!("skipped: vm.max_map_count is large");
        return;
    }
    for workers in ["1", "2"] {
        let variables = [("GOMAXPROCS", workers), ("GODEBUG", "mprotect=1")];
        child::succeed("no_guard_for_another_size", &variables);
    }
}

/// Locked memory takes no guard marks, so guards are made by protecting pages.
#[test]
#[ignore = "run by stacks_in_locked_memory"]
fn locked_memory() {
    assert_eq!(go!({ 6 * 7 }).join().unwrap(), 42);
    // SAFETY: `mlockall` changes no memory, and takes no pointers.
    if unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE) } != 0 {
        println!("skipped: {}", io::Error::last_os_error());
        return;
    }
    for size in [DEFAULT, 512 * KIB] {
        Crowd::gather(100, || Builder::new().stack_size(size), 100 * KIB).disperse();
    }
}

#[test]
fn stacks_in_locked_memory() {
    let ended = child::succeed("locked_memory", &[]);
    ended.does_not_say(&["no memory for a stack"]);
}
