//! Pools: more goroutines than connections, and what a connection is held over parks.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use go_runtime::JoinHandle;
use go_runtime::channel::RecvTimeoutError;
use go_runtime::time::sleep;

use crate::recipes::pool::Pool;

/// Connections of a pool.
const SIZE: u32 = 4;
/// Goroutines that use it.
const USERS: usize = 16;
/// How often each takes a connection.
const GETS: usize = 5;
/// How long a connection is held.
const HELD: Duration = Duration::from_millis(10);

/// What r2d2 manages here: nothing that could fail.
struct Manager;

impl r2d2::ManageConnection for Manager {
    type Connection = ();
    type Error = Infallible;

    fn connect(&self) -> Result<(), Infallible> {
        Ok(())
    }

    fn is_valid(&self, (): &mut ()) -> Result<(), Infallible> {
        Ok(())
    }

    fn has_broken(&self, (): &mut ()) -> bool {
        false
    }
}

/// Has the goroutines take connections of r2d2, which wait for one for `limit` at most. Returns
/// how many times none came, and how many times one was asked for.
///
/// # Panics
/// If a goroutine does.
pub fn r2d2(
    limit: Duration,
    start: fn(Box<dyn FnOnce() -> usize + Send>) -> JoinHandle<usize>,
) -> (usize, usize) {
    let builder = r2d2::Pool::builder()
        .max_size(SIZE)
        .connection_timeout(limit);
    let pool = builder.build(Manager).unwrap();
    missed(start, move || {
        let connection = pool.get();
        sleep(HELD);
        connection.is_ok()
    })
}

/// The same with the recipe's pool.
///
/// # Panics
/// If a goroutine does.
pub fn recipe(limit: Duration) -> (usize, usize) {
    let pool = Pool::new(SIZE as usize, || Ok(()), |()| false);
    missed(go_runtime::spawn, move || {
        let held = pool.with(limit, |()| {
            sleep(HELD);
            Ok::<_, RecvTimeoutError>(())
        });
        held.is_ok()
    })
}

fn missed(
    start: fn(Box<dyn FnOnce() -> usize + Send>) -> JoinHandle<usize>,
    get: impl Fn() -> bool + Send + Sync + 'static,
) -> (usize, usize) {
    let get = Arc::new(get);
    let users: Vec<_> = (0..USERS)
        .map(|_| {
            let get = Arc::clone(&get);
            start(Box::new(move || (0..GETS).filter(|_| !get()).count()))
        })
        .collect();
    let missed = users.into_iter().map(|user| user.join().unwrap()).sum();
    (missed, USERS * GETS)
}
