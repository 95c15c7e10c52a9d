//! The one runtime of the process: how it starts, and how a forked child loses it.
//!
//! It starts at the first use, or by `Config::start`, and never ends: workers are threads that go
//! with the process.

use std::panic::Location;
use std::ptr;
use std::sync::OnceLock;

use super::fork;
use super::hiring;
use super::monitor;
#[cfg(target_os = "linux")]
use super::overflow;
use super::runtime::Runtime;
use super::schedtrace;
#[cfg(target_os = "linux")]
use super::tuning::ERROR_MEMORY;
use crate::config::{Config, StartError};
use crate::primitives::atomic::{AtomicPtr, Ordering};
use crate::settings::{Debug, Settings};
use crate::stack;
#[cfg(target_os = "linux")]
use crate::stack::Room;

static RUNTIME: OnceLock<Result<&'static Runtime, StartError>> = OnceLock::new();

/// The runtime once it has started; null before that, and in a child process forked since.
static RUNNING: AtomicPtr<Runtime> = AtomicPtr::new(ptr::null_mut());

const ADVICE: &str =
    "lower GOMAXPROCS, or raise the limits on threads and memory (ulimit -u, ulimit -v)";

#[inline]
pub(crate) fn running() -> Option<&'static Runtime> {
    // SAFETY: the word is null, or `try_get` stored the address of a runtime there, which is never
    // freed.
    unsafe { RUNNING.load(Ordering::Acquire).as_ref() }
}

/// Returns the runtime, started if need be.
///
/// # Errors
/// The runtime cannot start, or this process was forked from the one that it runs in.
#[track_caller]
pub(crate) fn try_get() -> Result<&'static Runtime, StartError> {
    if let Some(runtime) = running() {
        return Ok(runtime);
    }
    fork::check()?;
    let at = Location::caller();
    let runtime = RUNTIME
        .get_or_init(|| start(Settings::new(&Config::new())?, at))
        .clone()?;
    RUNNING.store(ptr::from_ref(runtime).cast_mut(), Ordering::Release);
    schedtrace::start(runtime);
    Ok(runtime)
}

/// Returns the runtime, started if need be.
///
/// # Panics
/// If it cannot start; the message says why and what to do.
#[inline]
#[track_caller]
pub(crate) fn get() -> &'static Runtime {
    match running() {
        Some(runtime) => runtime,
        None => get_slow(),
    }
}

#[cold]
#[track_caller]
fn get_slow() -> &'static Runtime {
    try_get().unwrap_or_else(|error| panic!("the goroutine runtime cannot start: {error}"))
}

/// Returns the runtime for a caller that has a part of the runtime, such as a task. Unlike [`get`],
/// this does not fail in a forked child.
pub(super) fn of_part() -> &'static Runtime {
    match RUNTIME.get_or_init(|| unreachable!("it is being started")) {
        Ok(runtime) => runtime,
        Err(_) => unreachable!("a runtime that could not start has no parts"),
    }
}

/// Returns whether the runtime has been started, and has all settings of `config`.
pub(crate) fn runs_with(config: &Config) -> bool {
    matches!(RUNTIME.get(), Some(Ok(runtime)) if runtime.settings().agree_with(config))
}

/// Starts the runtime with `config`.
///
/// # Errors
/// The runtime runs already, or it cannot start. If only the settings were wrong, it can still be
/// started.
#[track_caller]
pub(crate) fn start_with(config: &Config) -> Result<(), StartError> {
    let at = Location::caller();
    // Errors in these settings do not matter if the runtime already runs with other settings.
    if RUNTIME.get().is_none() {
        let settings = Settings::new(config)?;
        let mut is_ours = false;
        let result = RUNTIME.get_or_init(|| {
            is_ours = true;
            start(settings, at)
        });
        if is_ours {
            return result.clone().map(drop);
        }
    }
    match try_get() {
        Ok(runtime) => Err(StartError::already_started(runtime.started_at())),
        Err(error) => Err(error),
    }
}

/// Returns GOMAXPROCS. If the runtime has not started, returns the value that it will have if the
/// runtime starts by itself.
pub(crate) fn expected_gomaxprocs() -> usize {
    match RUNTIME.get() {
        Some(Ok(runtime)) => runtime.gomaxprocs(),
        // The settings are wrong, which the start of the runtime will report.
        _ => Settings::new(&Config::new()).map_or(1, |settings| settings.workers),
    }
}

/// Takes the runtime away from a process that was forked from the one that it runs in. Called by
/// the child, before `fork` returns.
#[cfg(unix)]
extern "C" fn forget() {
    RUNNING.store(ptr::null_mut(), Ordering::Relaxed);
    fork::note_forked();
}

fn start(
    settings: Settings,
    started_at: &'static Location<'static>,
) -> Result<&'static Runtime, StartError> {
    // Registered first, so that a child forked at any time after the start loses the runtime.
    #[cfg(unix)]
    // SAFETY: the handler writes three atomics and a thread-local without a destructor, which may
    // be done in the child of a process with many threads. If there is no memory for the handler, a
    // child is not told.
    unsafe {
        libc::pthread_atfork(None, None, Some(forget))
    };
    Debug::tell_mistakes();
    stack::do_without(!settings.debug.color, settings.debug.mprotect);
    #[cfg(target_os = "linux")]
    overflow::install();
    let workers = settings.workers;
    let runtime: &'static Runtime = Box::leak(Box::new(Runtime::new(settings, started_at)));
    // All shared sides are made before the first thread starts, because workers read each other's.
    let queues: Vec<_> = (0..workers)
        .map(|index| runtime.make_worker(index))
        .collect();
    runtime.publish(workers, workers);
    // Reserves memory for the text of an error.
    #[cfg(target_os = "linux")]
    let mut room = Room::reserve(ERROR_MEMORY).ok();
    #[cfg_attr(
        not(target_os = "linux"),
        expect(unused_mut, reason = "it has no room there")
    )]
    let mut error = |what: String| {
        #[cfg(target_os = "linux")]
        drop(room.take());
        StartError::new(format!("{what}: {ADVICE}"))
    };
    for (index, queue) in queues.into_iter().enumerate() {
        hiring::hire(runtime, index, queue).map_err(|(cause, _)| {
            let number = index + 1;
            error(format!(
                "worker thread {number} of {workers} cannot be made ({cause})"
            ))
        })?;
    }
    monitor::start(runtime)
        .map_err(|cause| error(format!("the monitor's thread cannot be made ({cause})")))?;
    Ok(runtime)
}
