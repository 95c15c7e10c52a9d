//! The crates, each waiting for something in every way in which programs may use it.

mod http;
mod own;
mod sockets;
mod sql;

use go_runtime::{Builder, JoinHandle, blocking, without_parking};

use crate::world::{Needs, Wait, World};

/// A function that waits by means of a crate, and checks the result. It is created before the
/// measurement.
pub type Task = Box<dyn FnOnce(&Wait) + Send>;

/// A crate, used in one way.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Name of the crate.
    pub name: &'static str,
    /// How the crate is used.
    pub way: Way,
    /// The server that the case requires.
    pub needs: Needs,
    /// Makes a task.
    pub task: fn(&'static World) -> Task,
}

/// How a crate is used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// In a goroutine, and the call blocks the worker.
    Plain,
    /// In a goroutine, in [`blocking`].
    Blocking,
    /// In a goroutine with its own thread.
    Thread,
    /// In a goroutine, in [`without_parking`], and the call blocks the worker.
    WithoutParking,
    /// In a goroutine, which parks because the call uses this API.
    Parks(&'static str),
}

impl Way {
    /// Returns the name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Way::Plain => "as it is",
            Way::Blocking => "in `blocking`",
            Way::Thread => "in `go!(thread; ...)`",
            Way::WithoutParking => "in `without_parking`",
            Way::Parks(means) => means,
        }
    }
}

impl Case {
    /// Makes a task and starts its goroutine, which calls `before` and `after` right before and
    /// right after it waits.
    pub fn start(
        &self,
        world: &'static World,
        wait: Wait,
        before: impl FnOnce() + Send + 'static,
        after: impl FnOnce() + Send + 'static,
    ) -> JoinHandle<()> {
        let task = (self.task)(world);
        let way = self.way;
        let run = move || {
            before();
            match way {
                Way::Blocking => blocking(|| task(&wait)),
                Way::WithoutParking => without_parking(|| task(&wait)),
                Way::Plain | Way::Thread | Way::Parks(_) => task(&wait),
            }
            after();
        };
        if way == Way::Thread {
            thread(run)
        } else {
            go_runtime::spawn(run)
        }
    }

    /// Returns whether the worker's other goroutines wait as long as the call.
    pub fn holds_worker(&self) -> bool {
        matches!(self.way, Way::Plain | Way::WithoutParking)
    }
}

/// Starts a goroutine with its own thread.
pub fn thread<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    Builder::new().thread().spawn(f).expect("there is a thread")
}

/// Returns all cases, in the table's order.
pub fn all() -> Vec<Case> {
    let mut all = Vec::new();
    let mut blocks = |name, needs, task| {
        let ways = [Way::Plain, Way::WithoutParking, Way::Blocking, Way::Thread];
        all.extend(ways.map(|way| Case {
            name,
            way,
            needs,
            task,
        }));
    };
    blocks(
        "postgres",
        Needs::Postgresql,
        sql::postgres as fn(&'static World) -> Task,
    );
    blocks("redis", Needs::Redis, sql::redis);
    blocks("rusqlite", Needs::Nothing, sql::rusqlite);
    blocks("ureq", Needs::Nothing, http::ureq);
    blocks("reqwest::blocking", Needs::Nothing, http::reqwest_blocking);
    blocks("rayon", Needs::Nothing, own::rayon);
    blocks("tiny_http", Needs::Nothing, http::tiny_http);
    let mut parks = |name, means, needs, task| {
        all.push(Case {
            name,
            way: Way::Parks(means),
            needs,
            task,
        });
    };
    parks(
        "redis",
        "over `net`",
        Needs::Redis,
        sql::redis_net as fn(&'static World) -> Task,
    );
    parks("ureq", "over `net`", Needs::Nothing, http::ureq_net);
    parks(
        "tokio-postgres",
        "by `block_on`",
        Needs::Postgresql,
        sql::tokio_postgres,
    );
    #[cfg(feature = "sqlx")]
    parks("sqlx", "by `block_on`", Needs::Postgresql, sql::sqlx);
    parks("reqwest", "by `block_on`", Needs::Nothing, http::reqwest);
    parks("axum", "in front", Needs::Nothing, http::axum);
    parks("rustls", "over `net`", Needs::Nothing, sockets::rustls);
    parks(
        "tungstenite",
        "over `net`",
        Needs::Nothing,
        sockets::tungstenite,
    );
    #[cfg(feature = "native-tls")]
    parks(
        "native-tls",
        "over `net`",
        Needs::Nothing,
        sockets::native_tls,
    );
    #[cfg(feature = "openssl")]
    parks("openssl", "over `net`", Needs::Nothing, sockets::openssl);
    all.sort_by_key(|case| position(case.name));
    all
}

/// Returns the position of a crate's first row.
fn position(name: &str) -> usize {
    const ORDER: [&str; 15] = [
        "postgres",
        "tokio-postgres",
        "sqlx",
        "rusqlite",
        "redis",
        "ureq",
        "reqwest",
        "reqwest::blocking",
        "axum",
        "tiny_http",
        "tungstenite",
        "rustls",
        "native-tls",
        "openssl",
        "rayon",
    ];
    ORDER
        .iter()
        .position(|this| *this == name)
        .expect("the crate has a place")
}
