//! The servers that the cases use, and the things that a case waits for.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{env, io, thread};

use postgres::NoTls;

use crate::gate::Gate;
use crate::servers::{self, Server, http};

/// The duration of a timed wait.
pub const TIME: Duration = Duration::from_millis(100);

const POSTGRESQL: &str = "GO_CRATES_POSTGRESQL";
const REDIS: &str = "GO_CRATES_REDIS";

/// The servers of this run, which end when this is dropped.
#[derive(Debug)]
pub struct Servers {
    /// PostgreSQL, or the reason why it is missing.
    pub postgresql: io::Result<Server>,
    /// Redis, or the reason why it is missing.
    pub redis: io::Result<Server>,
}

impl Servers {
    /// Starts the servers that are installed.
    pub fn start() -> Servers {
        // The supervisors survive the threads that start them.
        thread::scope(|scope| {
            let redis = scope.spawn(Server::redis);
            Servers {
                postgresql: Server::postgresql(),
                redis: redis.join().unwrap(),
            }
        })
    }

    /// Returns the environment variables by which a child's [`World`] finds the servers.
    pub fn variables(&self) -> impl Iterator<Item = (&'static str, String)> {
        [(POSTGRESQL, &self.postgresql), (REDIS, &self.redis)]
            .into_iter()
            .filter_map(|(name, server)| Some((name, server.as_ref().ok()?.address().to_string())))
    }

    /// Reports on stderr which servers are missing, and why.
    pub fn report(&self) {
        for (name, server) in [("PostgreSQL", &self.postgresql), ("Redis", &self.redis)] {
            if let Err(error) = server {
                eprintln!("{name} is not available: {error}");
            }
        }
    }
}

/// The server that a case needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Needs {
    /// None.
    Nothing,
    /// PostgreSQL.
    Postgresql,
    /// Redis.
    Redis,
}

/// The servers, as seen by a case.
#[derive(Debug)]
pub struct World {
    postgresql: Option<SocketAddr>,
    redis: Option<SocketAddr>,
    http: SocketAddr,
    gates: http::Gates,
    keeper: Mutex<Keeper>,
}

/// A connection that holds the locks in PostgreSQL that stand for gates.
#[derive(Default)]
struct Keeper {
    client: Option<postgres::Client>,
    count: u64,
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper")
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

impl World {
    /// Finds the servers that the parent process has started, and starts its own HTTP server.
    ///
    /// # Panics
    /// Panics if a variable is not an address, or no port is free.
    pub fn from_env() -> World {
        let address = |name| env::var(name).ok().map(|text| text.parse().expect(name));
        let gates = http::Gates::default();
        World {
            postgresql: address(POSTGRESQL),
            redis: address(REDIS),
            http: http::start(gates.clone()).expect("there is a port"),
            gates,
            keeper: Mutex::default(),
        }
    }

    /// Returns whether the server is available.
    pub fn has(&self, needs: Needs) -> bool {
        match needs {
            Needs::Nothing => true,
            Needs::Postgresql => self.postgresql.is_some(),
            Needs::Redis => self.redis.is_some(),
        }
    }

    /// Returns the configuration of a client of PostgreSQL.
    ///
    /// # Panics
    /// Panics if the server is missing.
    pub fn postgresql(&self) -> tokio_postgres::Config {
        servers::postgresql_config(self.postgresql.expect("the case needs PostgreSQL"))
    }

    /// Returns a client of the crate postgres.
    ///
    /// # Panics
    /// Panics if PostgreSQL is missing, or ends.
    pub fn client(&self) -> postgres::Client {
        let config = postgres::Config::from(self.postgresql());
        config.connect(NoTls).expect("PostgreSQL takes a client")
    }

    /// Returns the address of Redis.
    ///
    /// # Panics
    /// Panics if the server is missing.
    pub fn redis(&self) -> SocketAddr {
        self.redis.expect("the case needs Redis")
    }

    /// Returns the URL whose answer takes as long as this wait.
    pub fn url(&self, wait: &Wait) -> String {
        match wait {
            Wait::Time => format!("http://{}/ms/{}", self.http, TIME.as_millis()),
            Wait::Gate(number, _) => format!("http://{}/gate/{number}", self.http),
        }
    }

    /// Creates a gate that is shut.
    ///
    /// # Panics
    /// Panics if PostgreSQL is available, but ends.
    pub fn shut(&self, needs: Needs) -> Wait {
        let mut keeper = self.keeper.lock().unwrap();
        keeper.count += 1;
        let number = keeper.count;
        if needs == Needs::Postgresql {
            let client = keeper.client.get_or_insert_with(|| self.client());
            client
                .batch_execute(&format!("SELECT pg_advisory_lock({number})"))
                .unwrap();
        }
        Wait::Gate(number, self.gates.get(number))
    }

    /// Opens the gate for the clients of any server that wait for it.
    ///
    /// # Panics
    /// Panics if the server ends.
    pub fn open(&self, wait: &Wait, needs: Needs) {
        let Wait::Gate(number, gate) = wait else {
            return;
        };
        match needs {
            Needs::Nothing => gate.open(),
            Needs::Postgresql => {
                let mut keeper = self.keeper.lock().unwrap();
                let client = keeper.client.as_mut().expect("it has shut the gate");
                client
                    .batch_execute(&format!("SELECT pg_advisory_unlock({number})"))
                    .unwrap();
            }
            Needs::Redis => {
                let client = redis::Client::open(format!("redis://{}", self.redis())).unwrap();
                let mut connection = client.get_connection().unwrap();
                redis::cmd("RPUSH")
                    .arg(wait.key())
                    .arg(1)
                    .exec(&mut connection)
                    .unwrap();
            }
        }
    }
}

/// The thing that a task waits for.
#[derive(Clone, Debug)]
pub enum Wait {
    /// The duration [`TIME`].
    Time,
    /// A gate, with its number.
    Gate(u64, Arc<Gate>),
}

impl Wait {
    /// Returns the statement that waits in PostgreSQL. The connection has to be closed afterwards,
    /// which releases the lock.
    pub fn sql(&self) -> String {
        match self {
            Wait::Time => format!("SELECT pg_sleep({})", TIME.as_secs_f64()),
            Wait::Gate(number, _) => format!("SELECT pg_advisory_lock({number})"),
        }
    }

    /// Returns the key to wait for in Redis, for at most [`seconds`](Self::seconds).
    pub fn key(&self) -> String {
        match self {
            Wait::Time => "time".to_owned(),
            Wait::Gate(number, _) => format!("gate:{number}"),
        }
    }

    /// Returns the timeout for Redis, where zero means none.
    pub fn seconds(&self) -> f64 {
        match self {
            Wait::Time => TIME.as_secs_f64(),
            Wait::Gate(..) => 0.0,
        }
    }

    /// Waits like a crate that blocks its thread.
    pub fn block(&self) {
        match self {
            Wait::Time => thread::sleep(TIME),
            Wait::Gate(_, gate) => gate.wait(),
        }
    }

    /// Waits like a goroutine, by parking.
    pub fn park(&self) {
        match self {
            Wait::Time => go_runtime::time::sleep(TIME),
            Wait::Gate(_, gate) => gate.park(),
        }
    }
}
