//! Pools with more users than connections, whose users hold connections while they park.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use go_runtime::JoinHandle;
use go_runtime::channel::RecvTimeoutError;
use go_runtime::time::sleep;
use postgres::NoTls;

use crate::recipes::pool::Pool;
use crate::world::World;

/// Number of connections of a pool.
const SIZE: u32 = 4;
/// Number of goroutines that use the pool.
const USERS: usize = 16;
/// Number of times that each goroutine takes a connection.
const GETS: usize = 5;
/// How long a connection is held.
const HELD: Duration = Duration::from_millis(10);

/// The manager of r2d2's connections here, which cannot fail.
#[derive(Debug)]
pub struct Manager;

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

/// Makes a pool with this number of connections, whose `get` waits for `limit` at most.
///
/// # Panics
/// Never panics, because these connections cannot fail.
pub fn of_r2d2(size: u32, limit: Duration) -> r2d2::Pool<Manager> {
    let builder = r2d2::Pool::builder()
        .max_size(size)
        .connection_timeout(limit);
    builder.build(Manager).unwrap()
}

/// A pool of PostgreSQL's clients.
#[derive(Debug)]
pub struct Postgresql(pub &'static World);

impl r2d2::ManageConnection for Postgresql {
    type Connection = postgres::Client;
    type Error = postgres::Error;

    fn connect(&self) -> Result<postgres::Client, postgres::Error> {
        postgres::Config::from(self.0.postgresql()).connect(NoTls)
    }

    fn is_valid(&self, client: &mut postgres::Client) -> Result<(), postgres::Error> {
        client.is_valid(Duration::from_secs(10))
    }

    fn has_broken(&self, client: &mut postgres::Client) -> bool {
        client.is_closed()
    }
}

/// Lets the goroutines take connections from r2d2, each waiting for `limit` at most. Returns the
/// number of failed and of all requests for a connection.
///
/// # Panics
/// Panics if a goroutine panics.
pub fn r2d2(
    limit: Duration,
    start: fn(Box<dyn FnOnce() -> usize + Send>) -> JoinHandle<usize>,
) -> (usize, usize) {
    let pool = of_r2d2(SIZE, limit);
    missed(start, move || {
        let connection = pool.get();
        sleep(HELD);
        connection.is_ok()
    })
}

/// Lets the goroutines take connections from the recipe's pool, as [`r2d2()`] does from r2d2's.
///
/// # Panics
/// Panics if a goroutine panics.
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
