//! The servers that the cases use, and what a case waits for.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{env, io, thread};

use postgres::NoTls;

use crate::gate::Gate;
use crate::servers::{self, Server, http};

/// How long a timed wait takes.
pub const TIME: Duration = Duration::from_millis(100);

const POSTGRESQL: &str = "GO_CRATES_POSTGRESQL";
const REDIS: &str = "GO_CRATES_REDIS";

/// The servers of this run. They end with it.
#[derive(Debug)]
pub struct Servers {
    /// PostgreSQL, or why it is not there.
    pub postgresql: io::Result<Server>,
    /// Redis, or why it is not there.
    pub redis: io::Result<Server>,
}

impl Servers {
    /// Starts those that are installed.
    pub fn start() -> Servers {
        // The supervisors' ends do not depend on the threads that start them.
        thread::scope(|scope| {
            let redis = scope.spawn(Server::redis);
            Servers {
                postgresql: Server::postgresql(),
                redis: redis.join().unwrap(),
            }
        })
    }

    /// The variables by which a child's [`World`] finds them.
    pub fn variables(&self) -> impl Iterator<Item = (&'static str, String)> {
        [(POSTGRESQL, &self.postgresql), (REDIS, &self.redis)]
            .into_iter()
            .filter_map(|(name, server)| Some((name, server.as_ref().ok()?.address().to_string())))
    }

    /// Says on stderr what is not there, and why.
    pub fn report(&self) {
        for (name, server) in [("PostgreSQL", &self.postgresql), ("Redis", &self.redis)] {
            if let Err(error) = server {
                eprintln!("{name} is not available: {error}");
            }
        }
    }
}

/// What a case needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Needs {
    /// Nothing that could be missing.
    Nothing,
    /// PostgreSQL.
    Postgresql,
    /// Redis.
    Redis,
}

/// The servers, as a case sees them.
#[derive(Debug)]
pub struct World {
    postgresql: Option<SocketAddr>,
    redis: Option<SocketAddr>,
    http: SocketAddr,
    gates: http::Gates,
    keeper: Mutex<Keeper>,
}

/// Holds the locks in PostgreSQL that stand for gates.
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
    /// The servers that the parent process has started, and an HTTP server of its own.
    ///
    /// # Panics
    /// If a variable is no address, or there is no port.
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

    /// Whether the server is there.
    pub fn has(&self, needs: Needs) -> bool {
        match needs {
            Needs::Nothing => true,
            Needs::Postgresql => self.postgresql.is_some(),
            Needs::Redis => self.redis.is_some(),
        }
    }

    /// How clients connect to PostgreSQL.
    ///
    /// # Panics
    /// If it is not there.
    pub fn postgresql(&self) -> tokio_postgres::Config {
        servers::postgresql_config(self.postgresql.expect("the case needs PostgreSQL"))
    }

    /// A client of the crate postgres.
    ///
    /// # Panics
    /// If PostgreSQL is not there, or ends.
    pub fn client(&self) -> postgres::Client {
        let config = postgres::Config::from(self.postgresql());
        config.connect(NoTls).expect("PostgreSQL takes a client")
    }

    /// Redis's address.
    ///
    /// # Panics
    /// If it is not there.
    pub fn redis(&self) -> SocketAddr {
        self.redis.expect("the case needs Redis")
    }

    /// The URL of the slow server's answer after this wait.
    pub fn url(&self, wait: &Wait) -> String {
        match wait {
            Wait::Time => format!("http://{}/ms/{}", self.http, TIME.as_millis()),
            Wait::Gate(number, _) => format!("http://{}/gate/{number}", self.http),
        }
    }

    /// Makes a gate, and shuts it.
    ///
    /// # Panics
    /// If PostgreSQL is there, and ends.
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

    /// Opens the gate, for whichever server's client waits for it.
    ///
    /// # Panics
    /// If the server ends.
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

/// What a task waits for.
#[derive(Clone, Debug)]
pub enum Wait {
    /// [`TIME`].
    Time,
    /// A gate, with its number.
    Gate(u64, Arc<Gate>),
}

impl Wait {
    /// The statement that takes so long in PostgreSQL. It is to be followed by the end of its
    /// connection, which gives the lock back.
    pub fn sql(&self) -> String {
        match self {
            Wait::Time => format!("SELECT pg_sleep({})", TIME.as_secs_f64()),
            Wait::Gate(number, _) => format!("SELECT pg_advisory_lock({number})"),
        }
    }

    /// The key to wait for in Redis, by [`seconds`](Self::seconds).
    pub fn key(&self) -> String {
        match self {
            Wait::Time => "time".to_owned(),
            Wait::Gate(number, _) => format!("gate:{number}"),
        }
    }

    /// Redis's timeout, where zero is none.
    pub fn seconds(&self) -> f64 {
        match self {
            Wait::Time => TIME.as_secs_f64(),
            Wait::Gate(..) => 0.0,
        }
    }

    /// Waits as a crate does that blocks its thread.
    pub fn block(&self) {
        match self {
            Wait::Time => thread::sleep(TIME),
            Wait::Gate(_, gate) => gate.wait(),
        }
    }

    /// Waits as a goroutine does.
    pub fn park(&self) {
        match self {
            Wait::Time => go_runtime::time::sleep(TIME),
            Wait::Gate(_, gate) => gate.park(),
        }
    }
}
