//! Go's `sync.Pool`: a pool of values for reuse.
//!
//! Each worker has a shard. A caller uses the shards of other workers only if its own shard has no
//! value (or no room), or is locked. Under a shard's lock values are only moved in or out; no value
//! is made or dropped there. No caller waits for the lock: it skips a shard that is locked.

use std::cell::Cell;
use std::fmt;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::sync::TryLockError;
use std::thread;

use crossbeam_utils::CachePadded;

use crate::primitives::atomic::{AtomicUsize, Ordering};
use crate::primitives::lock::{Mutex, MutexGuard};
use crate::sched::{Worker, global};

/// Maximum number of values that a shard keeps.
const SHARD_BOUND: usize = 64;
/// Maximum number of shards. If there are more workers than this, some share a shard.
const MAX_SHARDS: usize = 64;

/// A pool that keeps values that are costly to make, such as buffers, for reuse.
///
/// [`get`](Pool::get) takes a value from the pool, or makes one if the pool has none at hand. The
/// value goes back when its guard is dropped. A pooled value is in the state in which its last user
/// left it: clear the value before use. No call waits for the pool.
///
/// ```
/// use std::sync::LazyLock;
/// use go_runtime::{go, sync::Pool};
///
/// static BUFFERS: LazyLock<Pool<Vec<u8>>> =
///     LazyLock::new(|| Pool::new(|| Vec::with_capacity(1 << 16)));
///
/// let length = go! {
///     let mut buffer = BUFFERS.get();
///     buffer.clear();
///     buffer.extend_from_slice(b"gophers");
///     buffer.len()
/// };
/// assert_eq!(length.join().unwrap(), 7);
/// ```
///
/// The pool keeps up to 64 values for each of `GOMAXPROCS` workers (if there are more than 64
/// workers, some share), and drops the values that are put in beyond that. The pool keeps its
/// values until it is dropped itself: unlike Go, there is no garbage collector that would empty it.
///
/// Plain threads may use the pool just as goroutines do.
pub struct Pool<T> {
    shards: Box<[CachePadded<Shard<T>>]>,
    make: Box<dyn Fn() -> T + Send + Sync>,
}

struct Shard<T> {
    /// Number of values when the lock was last released. Callers read this hint without the lock,
    /// so that they do not lock an empty or a full shard.
    len: AtomicUsize,
    values: Mutex<Vec<T>>,
}

impl<T> Pool<T> {
    /// Returns an empty pool, whose values `make` makes.
    #[must_use]
    pub fn new(make: impl Fn() -> T + Send + Sync + 'static) -> Pool<T> {
        let workers = global::expected_gomaxprocs();
        let shard = || {
            CachePadded::new(Shard {
                len: AtomicUsize::new(0),
                values: Mutex::new(Vec::new()),
            })
        };
        Pool {
            shards: (0..workers.min(MAX_SHARDS)).map(|_| shard()).collect(),
            make: Box::new(make),
        }
    }

    /// Takes a value out of the pool, or makes one.
    ///
    /// If the pool has several values, the call returns any of them. It may make a value even if
    /// there are values in the pool.
    ///
    /// # Panics
    /// If `make` panics.
    pub fn get(&self) -> Pooled<'_, T> {
        let value = self.take().unwrap_or_else(|| (self.make)());
        Pooled {
            pool: self,
            value: Some(value),
        }
    }

    /// Puts a value into the pool, or drops it if there is no room.
    ///
    /// The value need not have come from the pool.
    ///
    /// ```
    /// let pool = go_runtime::sync::Pool::new(String::new);
    /// pool.put(String::from("used"));
    /// assert_eq!(*pool.get(), "used");
    /// ```
    pub fn put(&self, value: T) {
        for shard in self.shards_from_ours() {
            if shard.len.load(Ordering::Relaxed) >= SHARD_BOUND {
                continue;
            }
            if let Some(mut values) = shard.try_lock()
                && values.len() < SHARD_BOUND
            {
                values.push(value);
                shard.len.store(values.len(), Ordering::Relaxed);
                return;
            }
        }
        // No lock is held here, while the value's `Drop` runs.
        drop(value);
    }

    /// Takes a value out of the first shard that has one and is not locked.
    fn take(&self) -> Option<T> {
        self.shards_from_ours().find_map(|shard| {
            if shard.len.load(Ordering::Relaxed) == 0 {
                return None;
            }
            let mut values = shard.try_lock()?;
            let value = values.pop();
            shard.len.store(values.len(), Ordering::Relaxed);
            value
        })
    }

    /// Returns all shards, beginning with the caller's.
    fn shards_from_ours(&self) -> impl Iterator<Item = &Shard<T>> {
        let (before, from) = self.shards.split_at(place() % self.shards.len());
        from.iter().chain(before).map(|shard| &**shard)
    }
}

impl<T> Shard<T> {
    /// Locks the values, or returns `None` if they are locked.
    fn try_lock(&self) -> Option<MutexGuard<'_, Vec<T>>> {
        match self.values.try_lock() {
            Ok(values) => Some(values),
            Err(TryLockError::Poisoned(poison)) => Some(poison.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

/// Returns the number of the caller's shard, modulo the number of shards: the index of the caller's
/// worker, or a number that a plain thread draws at its first call.
fn place() -> usize {
    thread_local! {
        static DRAWN: Cell<Option<usize>> = const { Cell::new(None) };
    }
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    if let Some(worker) = Worker::current() {
        return worker.index();
    }
    DRAWN.get().unwrap_or_else(|| {
        let drawn = NEXT.fetch_add(1, Ordering::Relaxed);
        DRAWN.set(Some(drawn));
        drawn
    })
}

impl<T> fmt::Debug for Pool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lens = self
            .shards
            .iter()
            .map(|shard| shard.len.load(Ordering::Relaxed));
        f.debug_struct("Pool")
            .field("values", &lens.sum::<usize>())
            .finish()
    }
}

/// A guard of a value of a [`Pool`], which puts the value back when dropped.
///
/// If a panic drops the guard, the value is dropped instead, so that no later user finds a value
/// that the panic left half changed.
#[must_use = "the value goes back to the pool at once if it is not used"]
pub struct Pooled<'a, T> {
    pool: &'a Pool<T>,
    /// The value; `Some` until `detach` or `drop` takes it out.
    value: Option<T>,
}

impl<T> Pooled<'_, T> {
    /// Takes the value out of the guard; it does not go back to the pool.
    ///
    /// ```
    /// use go_runtime::sync::{Pool, Pooled};
    /// let pool = Pool::new(|| String::from("mine"));
    /// let mine: String = Pooled::detach(pool.get());
    /// assert_eq!(mine, "mine");
    /// ```
    pub fn detach(mut this: Self) -> T {
        match mem::take(&mut this.value) {
            Some(value) => value,
            None => unreachable!("it is taken out once"),
        }
    }
}

impl<T> Deref for Pooled<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.value {
            Some(value) => value,
            None => unreachable!("it is there until the end"),
        }
    }
}

impl<T> DerefMut for Pooled<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        match &mut self.value {
            Some(value) => value,
            None => unreachable!("it is there until the end"),
        }
    }
}

impl<T> Drop for Pooled<'_, T> {
    fn drop(&mut self) {
        let value = mem::take(&mut self.value);
        if let Some(value) = value
            && !thread::panicking()
        {
            self.pool.put(value);
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Pooled<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
