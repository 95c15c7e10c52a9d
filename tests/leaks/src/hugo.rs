//! Bugs of Hugo.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use go_runtime::channel::bounded;
use go_runtime::context;
use go_runtime::debug::WaitReason::*;
use go_runtime::sync::{Mutex, Once, RwLock, WaitGroup};
use go_runtime::{go, select};

use crate::{Event, Kernel, parked};

pub(crate) const KERNELS: [Kernel; 2] = [
    Kernel::new(
        "hugo#3251",
        k3251,
        &[
            ("first", RwLockRead),
            ("second", MutexLock),
            ("test", WaitGroupWait),
        ],
    ),
    Kernel::new(
        "hugo#5379",
        k5379,
        &[
            ("content", MutexLock),
            ("renderer", Once),
            ("renderer", Once),
            ("test", WaitGroupWait),
        ],
    ),
];

/// Locks by URL.
#[derive(Default)]
struct Locks {
    by_url: RwLock<HashMap<&'static str, Arc<Mutex<()>>>>,
}

impl Locks {
    /// Calls `f` with the URL locked.
    fn with(&self, url: &'static str, fixed: bool, f: impl FnOnce()) {
        let mut by_url = self.by_url.write().unwrap();
        let lock = Arc::clone(by_url.entry(url).or_default());
        let guard;
        if fixed {
            drop(by_url);
            guard = lock.lock().unwrap();
        } else {
            guard = lock.lock().unwrap();
            drop(by_url);
        }
        f();
        let by_url = self.by_url.read().unwrap();
        assert!(by_url.contains_key(url));
        drop(guard);
    }
}

/// hugo#3251: a goroutine waits for the lock of a URL with all URLs locked, which the holder of the
/// lock needs to unlock it.
fn k3251(fixed: bool) {
    let locks = Arc::new(Locks::default());
    let group = WaitGroup::new();
    group.add(2);
    let locked = Event::default();
    go!(name = "first"; clone(locks, group, locked) {
        locks.with("http://foo", fixed, || {
            locked.set();
            if !fixed {
                parked("second", MutexLock);
            }
        });
        group.done();
    });
    go!(name = "second"; clone(group) {
        locked.wait();
        locks.with("http://foo", fixed, || {});
        group.done();
    });
    go!(name = "test"; { group.wait() });
}

/// A page, whose parts are made once.
struct Page {
    content: Once,
    plain: Once,
    content_mutex: Mutex<()>,
    fixed: bool,
}

impl Page {
    fn init_content(self: &Arc<Self>) {
        self.content.call_once(|| {
            let (ctx, _cancel) = context::background().with_timeout(Duration::from_millis(1));
            let (done, is_done) = bounded(1);
            let page = Arc::clone(self);
            go!(name = "content"; {
                let _guard = page.content_mutex.lock().unwrap();
                // A shortcode counts the page's words.
                page.init_content();
                page.init_plain();
                let _left = done.send(());
            });
            select! {
                recv(ctx.done()) -> _ => {}
                recv(is_done) -> _ => {}
            }
        });
    }

    fn init_plain(&self) {
        self.plain.call_once(|| {
            if !self.fixed {
                drop(self.content_mutex.lock().unwrap());
            }
        });
    }
}

/// hugo#5379: the goroutine that makes the content has locked the page, and a shortcode in it has
/// the page's words counted, which locks the page.
fn k5379(fixed: bool) {
    let page = Arc::new(Page {
        content: Once::new(),
        plain: Once::new(),
        content_mutex: Mutex::new(()),
        fixed,
    });
    let group = WaitGroup::new();
    group.add(2);
    for _ in 0..2 {
        go!(name = "renderer"; clone(page, group) {
            page.init_content();
            if !fixed {
                parked("content", MutexLock);
            }
            page.init_plain();
            group.done();
        });
    }
    go!(name = "test"; { group.wait() });
}
