//! The table of commands, and the lookup of a request's command.

use crate::connection::Connection;
use crate::db::Db;
use crate::reply::Failure;
use crate::request::Words;
use crate::{collections, keys, session, strings};

/// The number of words of a command, its name included.
enum Arity {
    Exactly(usize),
    AtLeast(usize),
}

enum Run {
    /// Runs with exclusive access to all keys. If it fails, its output is removed.
    Keys(fn(&mut Db, Words<'_>, &mut Vec<u8>) -> Result<(), Failure>),
    Session(fn(&mut Connection<'_>, Words<'_>) -> Result<(), Failure>),
    /// A command that is also allowed while the connection is subscribed to channels.
    Always(fn(&mut Connection<'_>, Words<'_>) -> Result<(), Failure>),
}

use Arity::{AtLeast, Exactly};
use Run::{Always, Keys, Session};

/// Frequent commands come first.
const COMMANDS: &[(&str, Arity, Run)] = &[
    ("get", Exactly(2), Keys(strings::get)),
    ("set", AtLeast(3), Keys(strings::set)),
    ("ping", AtLeast(1), Always(session::ping)),
    ("incr", Exactly(2), Keys(strings::incr)),
    ("lpush", AtLeast(3), Keys(collections::lpush)),
    ("rpush", AtLeast(3), Keys(collections::rpush)),
    ("lpop", Exactly(2), Keys(collections::lpop)),
    ("rpop", Exactly(2), Keys(collections::rpop)),
    ("sadd", AtLeast(3), Keys(collections::sadd)),
    ("hset", AtLeast(4), Keys(collections::hset)),
    ("spop", Exactly(2), Keys(collections::spop)),
    ("lrange", Exactly(4), Keys(collections::lrange)),
    ("mset", AtLeast(3), Keys(strings::mset)),
    ("mget", AtLeast(2), Keys(strings::mget)),
    ("del", AtLeast(2), Keys(keys::del)),
    ("exists", AtLeast(2), Keys(keys::exists)),
    ("hget", Exactly(3), Keys(collections::hget)),
    ("llen", Exactly(2), Keys(collections::llen)),
    ("scard", Exactly(2), Keys(collections::scard)),
    ("append", Exactly(3), Keys(strings::append)),
    ("getset", Exactly(3), Keys(strings::getset)),
    ("decr", Exactly(2), Keys(strings::decr)),
    ("incrby", Exactly(3), Keys(strings::incrby)),
    ("decrby", Exactly(3), Keys(strings::decrby)),
    ("expire", Exactly(3), Keys(keys::expire)),
    ("pexpire", Exactly(3), Keys(keys::pexpire)),
    ("persist", Exactly(2), Keys(keys::persist)),
    ("ttl", Exactly(2), Keys(keys::ttl)),
    ("pttl", Exactly(2), Keys(keys::pttl)),
    ("dbsize", Exactly(1), Keys(keys::dbsize)),
    ("flushall", AtLeast(1), Keys(keys::flushall)),
    ("echo", Exactly(2), Session(session::echo)),
    ("publish", Exactly(3), Session(session::publish)),
    ("subscribe", AtLeast(2), Always(session::subscribe)),
    ("unsubscribe", AtLeast(1), Always(session::unsubscribe)),
    ("select", Exactly(2), Session(session::select)),
    ("config", AtLeast(2), Session(session::config)),
    ("command", AtLeast(1), Session(session::command)),
    ("quit", AtLeast(1), Always(session::quit)),
];

/// Number of commands.
pub(crate) const COUNT: usize = COMMANDS.len();

/// Appends the reply to a request, which has at least one word, to the connection's output.
pub(crate) fn execute(connection: &mut Connection<'_>, words: Words<'_>) {
    let start = connection.out.len();
    if let Err(failure) = run(connection, words) {
        // (Nothing is removed if the beginning was already written, as SUBSCRIBE does.)
        connection.out.truncate(start);
        failure.put(&mut connection.out);
    }
}

fn run(connection: &mut Connection<'_>, words: Words<'_>) -> Result<(), Failure> {
    let named = &words[0];
    let Some((name, arity, run)) = COMMANDS
        .iter()
        .find(|(name, _, _)| named.eq_ignore_ascii_case(name.as_bytes()))
    else {
        let named = String::from_utf8_lossy(&named[..named.len().min(128)]);
        return Err(Failure::new(format!("ERR unknown command '{named}'")));
    };
    let fits = match *arity {
        Exactly(n) => words.len() == n,
        AtLeast(n) => words.len() >= n,
    };
    if !fits {
        return Err(Failure::arity(name));
    }
    match run {
        Always(run) => run(connection, words),
        _ if connection.is_subscriber() => Err(Failure::new(format!(
            "ERR Can't execute '{name}': only SUBSCRIBE / UNSUBSCRIBE / PING / QUIT are allowed in \
             this context"
        ))),
        Session(run) => run(connection, words),
        Keys(run) => {
            let server = connection.server;
            run(&mut server.store.lock(), words, &mut connection.out)
        }
    }
}
