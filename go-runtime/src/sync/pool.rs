//! Go's `sync.Pool`: values to be used again.
//!
//! Each worker has a shard, which others reach into only if their own is of no use. Under a shard's
//! lock values are moved in or out, and nothing else happens: none is made or dropped there. Nobody
//! waits for the lock: a shard that is locked is passed over.

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

/// The most values that a shard keeps.
const SHARD_BOUND: usize = 64;
/// With more workers than this, some share a shard.
const MAX_SHARDS: usize = 64;

/// Keeps values that are costly to make, buffers for example, to be used again.
///
/// [`get`](Pool::get) takes one from the pool, or makes one if it has none at hand; it goes back
/// when it is dropped. A value comes back as it was left, not as new: clear it before use. Nobody
/// ever waits for the pool.
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
/// It keeps up to 64 values for each of `GOMAXPROCS` workers (of more than 64, some share), and
/// drops what is put in beyond that. What it keeps it keeps until it is dropped itself: there is no
/// garbage collector that would empty it, as Go's.
///
/// Plain threads use it as goroutines do.
pub struct Pool<T> {
    shards: Box<[CachePadded<Shard<T>>]>,
    make: Box<dyn Fn() -> T + Send + Sync>,
}

struct Shard<T> {
    /// As many as there were when the lock was last given back, so that nobody locks in vain.
    len: AtomicUsize,
    values: Mutex<Vec<T>>,
}

impl<T> Pool<T> {
    /// An empty pool, whose values `make` makes.
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
    /// Of several it is any one. That others are in the pool is no promise that none is made.
    ///
    /// # Panics
    /// If `make` does.
    pub fn get(&self) -> Pooled<'_, T> {
        let value = self.take().unwrap_or_else(|| (self.make)());
        Pooled {
            pool: self,
            value: Some(value),
        }
    }

    /// Puts a value into the pool, or drops it if there is no room. It need not have come from
    /// there.
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
        // No lock is held here.
        drop(value);
    }

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

    fn shards_from_ours(&self) -> impl Iterator<Item = &Shard<T>> {
        let (before, from) = self.shards.split_at(place() % self.shards.len());
        from.iter().chain(before).map(|shard| &**shard)
    }
}

impl<T> Shard<T> {
    fn try_lock(&self) -> Option<MutexGuard<'_, Vec<T>>> {
        match self.values.try_lock() {
            Ok(values) => Some(values),
            Err(TryLockError::Poisoned(poison)) => Some(poison.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

/// Which shard is the caller's, but for a division: its worker's, or one that its thread has drawn.
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

/// A value of a [`Pool`], which goes back when this is dropped.
///
/// Dropped by a panic it does not: nobody is to find what the panic has left half done. The value
/// is dropped instead.
#[must_use = "the value goes back to the pool at once if it is not used"]
pub struct Pooled<'a, T> {
    pool: &'a Pool<T>,
    /// There until it is taken out by `detach` or the drop.
    value: Option<T>,
}

impl<T> Pooled<'_, T> {
    /// Keeps the value, which does not go back.
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
