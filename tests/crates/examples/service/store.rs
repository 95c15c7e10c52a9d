//! The accounts, in PostgreSQL.

use std::fmt;
use std::time::Duration;

use go_crates::recipes::pool::Pool;
use go_runtime::blocking;
use go_runtime::channel::RecvTimeoutError;
use postgres::error::SqlState;
use postgres::{Client, Config, NoTls, Row};
use serde::{Deserialize, Serialize};

/// Number of connections to the database.
const CONNECTIONS: usize = 8;
/// How long a request waits for a connection.
const WAIT: Duration = Duration::from_secs(2);
/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);
/// Time limits of a statement and of an idle transaction, which the server enforces, in
/// milliseconds.
const LIMITS: &str = "-c statement_timeout=5000 -c idle_in_transaction_session_timeout=10000";

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS accounts (
        id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        owner TEXT NOT NULL,
        balance BIGINT NOT NULL CHECK (balance >= 0)
    );
    CREATE TABLE IF NOT EXISTS transfers (
        source BIGINT NOT NULL REFERENCES accounts (id),
        target BIGINT NOT NULL REFERENCES accounts (id),
        amount BIGINT NOT NULL CHECK (amount > 0)
    )";

#[derive(Deserialize)]
pub(crate) struct NewAccount {
    owner: String,
    balance: i64,
}

#[derive(Serialize)]
pub(crate) struct Account {
    id: i64,
    owner: String,
    balance: i64,
}

impl From<Row> for Account {
    fn from(row: Row) -> Account {
        Account {
            id: row.get("id"),
            owner: row.get("owner"),
            balance: row.get("balance"),
        }
    }
}

#[derive(Deserialize, Serialize)]
pub(crate) struct Transfer {
    from: i64,
    to: i64,
    amount: i64,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    NoAccount(i64),
    Invalid(&'static str),
    NotCovered,
    /// No connection was free in time, or the statement exceeded its time limit.
    Busy,
    Database(postgres::Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::NoAccount(id) => write!(f, "there is no account {id}"),
            Failure::Invalid(why) => f.write_str(why),
            Failure::NotCovered => f.write_str("the balance does not cover the amount"),
            Failure::Busy => f.write_str("too much to do; try again"),
            Failure::Database(_) => f.write_str("the database failed"),
        }
    }
}

impl From<RecvTimeoutError> for Failure {
    fn from(_: RecvTimeoutError) -> Failure {
        Failure::Busy
    }
}

impl From<postgres::Error> for Failure {
    fn from(error: postgres::Error) -> Failure {
        match error.code() {
            Some(&SqlState::QUERY_CANCELED) => Failure::Busy,
            _ => Failure::Database(error),
        }
    }
}

pub(crate) struct Store {
    pool: Pool<Client, Failure>,
}

impl Store {
    /// Connects, and creates missing tables.
    pub(crate) fn open(database: &str) -> Result<Store, postgres::Error> {
        let mut config: Config = database.parse()?;
        config.connect_timeout(CONNECT).options(LIMITS);
        blocking(|| config.connect(NoTls)?.batch_execute(SCHEMA))?;
        let connect = move || blocking(|| config.connect(NoTls)).map_err(Failure::from);
        Ok(Store {
            pool: Pool::new(CONNECTIONS, connect, Client::is_closed),
        })
    }

    /// Runs `f`, which blocks its thread, with a connection; the goroutine parks.
    fn with<T: Send>(
        &self,
        f: impl FnOnce(&mut Client) -> Result<T, Failure> + Send,
    ) -> Result<T, Failure> {
        self.pool.with(WAIT, |client| blocking(|| f(client)))
    }

    pub(crate) fn list(&self) -> Result<Vec<Account>, Failure> {
        self.with(|client| {
            let rows = client.query("SELECT * FROM accounts ORDER BY id LIMIT 1000", &[])?;
            Ok(rows.into_iter().map(Account::from).collect())
        })
    }

    pub(crate) fn create(&self, new: &NewAccount) -> Result<Account, Failure> {
        if new.owner.trim().is_empty() || new.balance < 0 {
            return Err(Failure::Invalid(
                "an account needs an owner and a balance of 0 or more",
            ));
        }
        self.with(|client| {
            let insert = "INSERT INTO accounts (owner, balance) VALUES ($1, $2) RETURNING *";
            Ok(client
                .query_one(insert, &[&new.owner, &new.balance])?
                .into())
        })
    }

    pub(crate) fn show(&self, id: i64) -> Result<Account, Failure> {
        self.with(|client| {
            let row = client.query_opt("SELECT * FROM accounts WHERE id = $1", &[&id])?;
            row.map(Account::from).ok_or(Failure::NoAccount(id))
        })
    }

    pub(crate) fn transfer(
        &self,
        &Transfer { from, to, amount }: &Transfer,
    ) -> Result<(), Failure> {
        if amount <= 0 || from == to {
            return Err(Failure::Invalid(
                "a transfer takes an amount, and two accounts",
            ));
        }
        self.with(|client| {
            let mut transaction = client.transaction()?;
            // The rows are locked in the order of their ids, so that transfers cannot deadlock.
            let lock = "SELECT id, balance FROM accounts WHERE id IN ($1, $2)
                        ORDER BY id FOR UPDATE";
            let rows = transaction.query(lock, &[&from, &to])?;
            let balance = |id: i64| {
                let row = rows.iter().find(|row| row.get::<_, i64>(0) == id);
                row.map(|row| row.get::<_, i64>(1))
                    .ok_or(Failure::NoAccount(id))
            };
            if balance(from)? < amount {
                return Err(Failure::NotCovered);
            }
            balance(to)?
                .checked_add(amount)
                .ok_or(Failure::Invalid("the balance is too large"))?;
            let add = "UPDATE accounts SET balance = balance + $2 WHERE id = $1";
            transaction.execute(add, &[&from, &-amount])?;
            transaction.execute(add, &[&to, &amount])?;
            let insert = "INSERT INTO transfers (source, target, amount) VALUES ($1, $2, $3)";
            transaction.execute(insert, &[&from, &to, &amount])?;
            Ok(transaction.commit()?)
        })
    }
}
