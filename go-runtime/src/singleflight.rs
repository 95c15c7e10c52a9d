//! One call at a time for each key, whose result all its callers share: Go's
//! [`golang.org/x/sync/singleflight`].
//!
//! [`golang.org/x/sync/singleflight`]: https://pkg.go.dev/golang.org/x/sync/singleflight

// The locks here are held for steps on a map and a list only. No user code runs under the locks:
// hashes are computed before, keys are compared and dropped outside, on handles that have been
// copied out, and a value is cloned by the caller that has made it. So user code cannot deadlock
// on these locks, and a value need not be `Sync`.
//
// Invariant: of the calls in the map no two have the same key. A call is taken out of the map
// before its list of waiting callers is closed, so that a caller that finds the list closed will
// not find the call again.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use smallvec::SmallVec;

use crate::channel::{self, Receiver, Sender};
use crate::goroutine::{caller, spawn};

/// Keeps calls with the same key from running at the same time: a caller that finds one running
/// waits for it, and gets a clone of its value.
///
/// Results are not kept: when the call is over, the next call with that key runs its closure again.
/// Clones share the calls. Values that cannot be cloned, errors for example, go into an `Arc`.
///
/// ```
/// use std::sync::Arc;
/// use go_runtime::{go, scope, singleflight::Group};
///
/// fn load(name: &str) -> Result<String, Arc<std::io::Error>> {
///     Ok(format!("the page of {name}"))
/// }
///
/// let pages = Group::new();
/// scope(|s| {
///     for _ in 0..10 {
///         go!(s; {
///             // However many ask at the same time, `load` runs once for them all.
///             let (page, _shared) = pages.run("gopher", || load("gopher"));
///             assert_eq!(page.unwrap(), "the page of gopher");
///         });
///     }
/// });
/// ```
///
/// The hash and the comparison of keys may run more often than a map would need. They, and what
/// clones and drops keys and values, may use the group: it holds no lock meanwhile.
pub struct Group<K, V> {
    shared: Arc<Shared<K, V>>,
}

/// Calls whose keys have the same hash: one, as a rule.
type Bucket<K, V> = SmallVec<[Arc<Call<K, V>>; 1]>;
type Waiting<V> = Vec<Sender<(V, bool)>>;

struct Shared<K, V> {
    hasher: RandomState,
    /// The running calls, by the hashes of their keys.
    calls: Mutex<HashMap<u64, Bucket<K, V>>>,
}

struct Call<K, V> {
    key: K,
    hash: u64,
    /// The goroutine or thread that runs the closure (see `caller`).
    runner: OnceLock<usize>,
    /// The channels of the callers that wait for the value; `None` when the call is over.
    waiting: Mutex<Option<Waiting<V>>>,
}

/// The result of looking a key up.
enum Found<K, V> {
    /// No call was running for the key. A new call is in the map now.
    New(Lead<K, V>),
    /// A call is running for the key; the key comes back.
    Running(Arc<Call<K, V>>, K),
}

impl<K, V> Group<K, V> {
    /// Makes a group in which no call runs.
    #[must_use]
    pub fn new() -> Group<K, V> {
        let shared = Shared {
            hasher: RandomState::new(),
            calls: Mutex::default(),
        };
        Group {
            shared: Arc::new(shared),
        }
    }
}

impl<K: Hash + Eq, V> Group<K, V> {
    /// Runs `f`, or waits for a call that is running for this key. Go's `Group.Do`.
    ///
    /// `f` runs in the caller, and may borrow. The second value says whether other callers got the
    /// value, too.
    ///
    /// ```
    /// let group = go_runtime::singleflight::Group::new();
    /// assert_eq!(group.run("key", || 1), (1, false));
    /// assert_eq!(group.run("key", || 2), (2, false));
    /// ```
    ///
    /// # Panics
    /// If `f` panics, with its panic; the callers that wait for it panic too, with a message that
    /// says so. If cloning the value panics, the callers that have not got their clones panic in
    /// the same way. If `f` itself calls this with the same key, because it would wait for itself.
    /// (Only a direct call is noticed: two keys that run each other, or a goroutine that `f` joins,
    /// wait for ever.)
    #[track_caller]
    pub fn run<F>(&self, mut key: K, f: F) -> (V, bool)
    where
        F: FnOnce() -> V,
        V: Clone,
    {
        loop {
            match self.shared.enter(key, Vec::new()) {
                Found::New(lead) => return lead.run(f),
                Found::Running(call, same) => {
                    assert!(
                        call.runner.get() != Some(&caller()),
                        "singleflight: the closure that runs for a key has run that same key, and \
                         would wait for itself"
                    );
                    let (sender, value) = channel::bounded(1);
                    if call.follow(sender).is_ok() {
                        return value.recv().unwrap_or_else(|_| {
                            panic!(
                                "singleflight: the call that this one has waited for, for the \
                                    same key, panicked"
                            )
                        });
                    }
                    key = same;
                }
            }
        }
    }

    /// Runs `f` without waiting: a channel gives the value, and is then closed. Go's
    /// `Group.DoChan`.
    ///
    /// `f` runs in a goroutine of its own. If the receiver is dropped it runs all the same, and
    /// others get the value. The channel is closed without a message if `f` panics.
    ///
    /// ```
    /// use std::time::Duration;
    /// use go_runtime::{channel::after, select, singleflight::Group};
    ///
    /// let group = Group::new();
    /// let answer = group.run_chan("question", || 42);
    /// select! {
    ///     recv(answer) -> message => assert_eq!(message.unwrap(), (42, false)),
    ///     recv(after(Duration::from_secs(60))) -> _ => panic!("no answer for a minute"),
    /// }
    /// ```
    ///
    /// # Panics
    /// Where [`spawn`] panics. Callers that began to wait meanwhile are then treated as if `f` had
    /// panicked.
    #[track_caller]
    pub fn run_chan<F>(&self, mut key: K, f: F) -> Receiver<(V, bool)>
    where
        F: FnOnce() -> V + Send + 'static,
        K: Send + Sync + 'static,
        V: Clone + Send + 'static,
    {
        let (sender, value) = channel::bounded(1);
        loop {
            match self.shared.enter(key, vec![sender.clone()]) {
                Found::New(lead) => {
                    // The sender is dropped, because the channel would stay open otherwise.
                    drop(sender);
                    spawn(move || lead.run_for_others(f));
                    return value;
                }
                Found::Running(call, same) => {
                    if call.follow(sender.clone()).is_ok() {
                        return value;
                    }
                    key = same;
                }
            }
        }
    }

    /// Makes the next [`run`](Self::run) of this key start a new call, even if one is running. Go's
    /// `Group.Forget`.
    ///
    /// The callers that wait for the running call go on waiting, and get its value.
    ///
    /// ```
    /// let group = go_runtime::singleflight::Group::<String, i32>::new();
    /// group.forget("key");
    /// ```
    pub fn forget<Q>(&self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.shared.hasher.hash_one(key);
        let bucket = self.shared.lock().get(&hash).cloned().unwrap_or_default();
        let call = bucket.iter().find(|call| call.key.borrow() == key);
        if let Some(call) = call {
            self.shared.remove(call);
        }
    }
}

impl<K, V> Shared<K, V> {
    /// Locks the map. Only steps on the map may run under this lock.
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Bucket<K, V>>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remove(&self, call: &Arc<Call<K, V>>) {
        let mut calls = self.lock();
        let Some(bucket) = calls.get_mut(&call.hash) else {
            return;
        };
        let at = bucket.iter().position(|other| Arc::ptr_eq(other, call));
        // (This drops a handle that is not the last, because the caller has another one.)
        if let Some(at) = at {
            bucket.swap_remove(at);
        }
        if bucket.is_empty() {
            calls.remove(&call.hash);
        }
    }
}

impl<K: Hash + Eq, V> Shared<K, V> {
    fn enter(self: &Arc<Self>, key: K, waiting: Waiting<V>) -> Found<K, V> {
        let hash = self.hasher.hash_one(&key);
        // Declared before the guard, and so dropped after it: these may then be the last handles to
        // calls whose keys are user values.
        let mut seen: Bucket<K, V> = SmallVec::new();
        loop {
            let unseen: Bucket<K, V> = {
                let mut calls = self.lock();
                let bucket = calls.entry(hash).or_default();
                let is_seen = |call: &Arc<_>| seen.iter().any(|other| Arc::ptr_eq(other, call));
                let unseen: Bucket<K, V> = bucket
                    .iter()
                    .filter(|call| !is_seen(call))
                    .cloned()
                    .collect();
                if unseen.is_empty() {
                    let call = Arc::new(Call {
                        key,
                        hash,
                        runner: OnceLock::new(),
                        waiting: Mutex::new(Some(waiting)),
                    });
                    bucket.push(Arc::clone(&call));
                    return Found::New(Lead {
                        shared: Arc::clone(self),
                        call,
                        over: false,
                    });
                }
                unseen
            };
            for call in unseen {
                if call.key == key {
                    return Found::Running(call, key);
                }
                seen.push(call);
            }
        }
    }
}

impl<K, V> Call<K, V> {
    fn lock(&self) -> MutexGuard<'_, Option<Waiting<V>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds `sender` to the channels to which the value will be sent. Returns `sender` if the call
    /// is over.
    fn follow(&self, sender: Sender<(V, bool)>) -> Result<(), Sender<(V, bool)>> {
        match &mut *self.lock() {
            Some(list) => {
                list.push(sender);
                Ok(())
            }
            None => Err(sender),
        }
    }
}

/// The duty of the caller that makes the value. When it is dropped the call is over, and the
/// waiting callers are told.
struct Lead<K, V> {
    shared: Arc<Shared<K, V>>,
    call: Arc<Call<K, V>>,
    over: bool,
}

impl<K, V: Clone> Lead<K, V> {
    fn run(mut self, f: impl FnOnce() -> V) -> (V, bool) {
        let value = self.make(f);
        let waiting = self.end();
        let shared = !waiting.is_empty();
        for sender in waiting {
            // An error means that the receiver was dropped, so its caller does not want the value
            // any more.
            let _ = sender.send((value.clone(), true));
        }
        (value, shared)
    }

    fn run_for_others(mut self, f: impl FnOnce() -> V) {
        let value = self.make(f);
        let mut waiting = self.end();
        let shared = waiting.len() > 1;
        let last = waiting.pop();
        for sender in waiting {
            let _ = sender.send((value.clone(), shared));
        }
        if let Some(last) = last {
            let _ = last.send((value, shared));
        }
    }

    fn make(&self, f: impl FnOnce() -> V) -> V {
        let first = self.call.runner.set(caller());
        debug_assert!(first.is_ok(), "a call has one runner");
        f()
    }
}

impl<K, V> Lead<K, V> {
    fn end(&mut self) -> Waiting<V> {
        self.over = true;
        self.shared.remove(&self.call);
        self.call.lock().take().unwrap_or_default()
    }
}

impl<K, V> Drop for Lead<K, V> {
    fn drop(&mut self) {
        if !self.over {
            // This closes the channels of the waiting callers.
            drop(self.end());
        }
    }
}

impl<K, V> Clone for Group<K, V> {
    fn clone(&self) -> Self {
        Group {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<K, V> Default for Group<K, V> {
    fn default() -> Self {
        Group::new()
    }
}

impl<K, V> fmt::Debug for Group<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Cloned, so that the lock of the map is free again when they are dropped: a clone may be
        // the last handle by then, and its drop would run user code.
        let calls: Vec<_> = self.shared.lock().values().flatten().cloned().collect();
        let waiting: usize = calls
            .iter()
            .map(|call| call.lock().as_ref().map_or(0, Vec::len))
            .sum();
        f.debug_struct("Group")
            .field("running", &calls.len())
            .field("waiting", &waiting)
            .finish()
    }
}
