//! Alarms, each of which is a thread that may ring at any time. A model can wait for all of them.

use std::cell::RefCell;
use std::time::Instant;

use loom::thread::{self, JoinHandle};

thread_local! {
    // (All of loom's threads run on one thread of the system.)
    static ALARMS: RefCell<Vec<JoinHandle<()>>> = const { RefCell::new(Vec::new()) };
}

pub(crate) struct AfterFunc;

impl AfterFunc {
    pub(crate) fn stop(&self) -> bool {
        false
    }
}

pub(crate) fn after_func_at(_: Instant, f: impl FnOnce() + Send + 'static) -> AfterFunc {
    let alarm = thread::spawn(f);
    ALARMS.with_borrow_mut(|alarms| alarms.push(alarm));
    AfterFunc
}

pub(crate) fn wait_for_alarms() {
    let alarms = ALARMS.take();
    alarms.into_iter().for_each(|alarm| alarm.join().unwrap());
}
