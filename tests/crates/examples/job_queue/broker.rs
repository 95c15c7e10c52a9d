//! The broker, which is Redis: a stream of jobs, a consumer group whose pending entries are leases,
//! a stream of dead letters, and a key for each job, which holds the job's state.
//!
//! Every operation may be repeated: the answer to a command may be lost with its connection, and
//! then the client cannot tell whether the command has run. Operations that change something are
//! scripts. Redis runs each script, and writes it to its file, as a whole.

use std::io;
use std::time::Duration;

use go_crates::recipes::redis_net::NetConnection;
use go_runtime::time::sleep;
use redis::streams::{StreamAutoClaimReply, StreamId, StreamReadReply};
use redis::{Cmd, ErrorKind, FromRedisValue, RedisError, cmd};

use crate::job::Job;

const JOBS: &str = "jobs";
const DEAD: &str = "jobs:dead";
const GROUP: &str = "workers";
/// How long a job's state is kept, in seconds.
const KEPT: u64 = 86_400;

const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Adds a job whose key does not exist, if the backlog has room. KEYS: jobs, key. ARGV: job,
/// backlog, seconds. Returns whether the job exists afterwards.
const ENQUEUE: &str = "
    if redis.call('EXISTS', KEYS[2]) == 1 then return 1 end
    if redis.call('XLEN', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
    redis.call('SET', KEYS[2], 'queued', 'EX', ARGV[3])
    redis.call('XADD', KEYS[1], '*', 'job', ARGV[1])
    return 1";

/// Makes the lease of an entry start again. KEYS: jobs. ARGV: group, consumer, entry. Returns
/// whether the consumer has it.
const RENEW: &str = "
    if #redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1, ARGV[2]) == 0 then
        return 0
    end
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[3], 'JUSTID')
    return 1";

/// Ends an entry. KEYS: jobs, key, dead letters. ARGV: group, consumer, entry, seconds, new state,
/// and for a dead letter the job and the reason. Returns whether the consumer had it.
const END: &str = "
    if redis.call('GET', KEYS[2]) == ARGV[5] then return 1 end
    if #redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1, ARGV[2]) == 0 then
        return 0
    end
    redis.call('XACK', KEYS[1], ARGV[1], ARGV[3])
    redis.call('XDEL', KEYS[1], ARGV[3])
    redis.call('SET', KEYS[2], ARGV[5], 'EX', ARGV[4])
    if ARGV[6] then
        redis.call('XADD', KEYS[3], '*', 'job', ARGV[6], 'reason', ARGV[7])
    end
    return 1";

/// A job that a worker has taken from the broker.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    /// The entry's id in the stream.
    pub(crate) entry: String,
    pub(crate) job: Job,
    /// The number of this attempt, from 1 on.
    pub(crate) attempt: u64,
}

/// How a job ends.
pub(crate) enum End<'a> {
    Done,
    Dead(&'a str),
}

/// A connection to the broker, which is reestablished when it breaks.
pub(crate) struct Broker {
    address: String,
    connection: Option<NetConnection>,
    /// The position where the next search for lapsed leases begins.
    cursor: String,
}

impl Broker {
    /// Connects, and creates the group if it does not exist.
    ///
    /// # Errors
    /// Returns the errors of Redis. A broker that cannot be reached is not an error, here and in
    /// all operations: the goroutine waits until it can be reached.
    pub(crate) fn new(address: &str) -> io::Result<Broker> {
        let mut broker = Broker {
            address: address.to_owned(),
            connection: None,
            cursor: "0-0".to_owned(),
        };
        let mut create = cmd("XGROUP");
        create
            .arg("CREATE")
            .arg(JOBS)
            .arg(GROUP)
            .arg(0)
            .arg("MKSTREAM");
        match broker.call::<()>(&create) {
            Err(error) if error.code() != Some("BUSYGROUP") => Err(io::Error::other(error)),
            _ => Ok(broker),
        }
    }

    /// Adds a job, unless one of its id was added before. Returns `false` if the backlog is full.
    pub(crate) fn enqueue(&mut self, job: &Job, backlog: u64) -> io::Result<bool> {
        let json = serde_json::to_string(job)?;
        let mut enqueue = script(ENQUEUE, &[JOBS, &key(job)]);
        self.change(enqueue.arg(json).arg(backlog).arg(KEPT))
    }

    /// Takes a job for the time of a lease: a job whose lease has lapsed, or else a new one. Waits
    /// for at most `wait`.
    pub(crate) fn take(
        &mut self,
        consumer: &str,
        lease: Duration,
        wait: Duration,
    ) -> io::Result<Option<Delivery>> {
        let mut claim = cmd("XAUTOCLAIM");
        claim
            .arg(JOBS)
            .arg(GROUP)
            .arg(consumer)
            .arg(lease.as_millis() as u64);
        claim.arg(&self.cursor).arg("COUNT").arg(1);
        let claimed: StreamAutoClaimReply = self.call(&claim).map_err(io::Error::other)?;
        self.cursor = claimed.next_stream_id;
        if let Some(entry) = claimed.claimed.into_iter().next() {
            let mut pending = cmd("XPENDING");
            pending
                .arg(JOBS)
                .arg(GROUP)
                .arg(&entry.id)
                .arg(&entry.id)
                .arg(1);
            let pending: Vec<(String, String, u64, u64)> =
                self.call(&pending).map_err(io::Error::other)?;
            // If there is no entry, the worker that had the job ended the job meanwhile.
            let attempt = pending.first().map(|(_, _, _, deliveries)| *deliveries);
            return attempt.map(|attempt| delivery(&entry, attempt)).transpose();
        }
        let mut read = cmd("XREADGROUP");
        read.arg("GROUP")
            .arg(GROUP)
            .arg(consumer)
            .arg("COUNT")
            .arg(1);
        read.arg("BLOCK").arg(wait.as_millis().max(1) as u64);
        read.arg("STREAMS").arg(JOBS).arg(">");
        let reply: Option<StreamReadReply> = self.call(&read).map_err(io::Error::other)?;
        let entry = reply.and_then(|reply| reply.keys.into_iter().next()?.ids.into_iter().next());
        entry.map(|entry| delivery(&entry, 1)).transpose()
    }

    /// Makes the lease start again. Returns `false` if the worker has lost the lease.
    pub(crate) fn renew(&mut self, consumer: &str, delivery: &Delivery) -> io::Result<bool> {
        let mut renew = script(RENEW, &[JOBS]);
        self.change(renew.arg(GROUP).arg(consumer).arg(&delivery.entry))
    }

    /// Ends a job. Returns `false` if the worker has lost the lease; another worker then ends the
    /// job.
    pub(crate) fn end(
        &mut self,
        consumer: &str,
        delivery: &Delivery,
        end: &End<'_>,
    ) -> io::Result<bool> {
        let state = match end {
            End::Done => format!("done:{consumer}:{}", delivery.attempt),
            End::Dead(_) => format!("dead:{consumer}:{}", delivery.attempt),
        };
        let mut command = script(END, &[JOBS, &key(&delivery.job), DEAD]);
        command
            .arg(GROUP)
            .arg(consumer)
            .arg(&delivery.entry)
            .arg(KEPT)
            .arg(state);
        if let End::Dead(reason) = end {
            command
                .arg(serde_json::to_string(&delivery.job)?)
                .arg(*reason);
        }
        self.change(&command)
    }

    /// Returns the lengths of the backlog, of its part that is being worked on, and of the dead
    /// letters.
    pub(crate) fn state(&mut self) -> io::Result<(u64, u64, u64)> {
        let mut length = |key| self.call(cmd("XLEN").arg(key)).map_err(io::Error::other);
        let (backlog, dead) = (length(JOBS)?, length(DEAD)?);
        let pending: redis::Value = self
            .call(cmd("XPENDING").arg(JOBS).arg(GROUP))
            .map_err(io::Error::other)?;
        let in_work = match pending {
            redis::Value::Array(parts) => parts.into_iter().next(),
            other => Some(other),
        };
        let in_work = in_work.and_then(|count| u64::from_redis_value(count).ok());
        Ok((backlog, in_work.unwrap_or(0), dead))
    }

    fn change(&mut self, script: &Cmd) -> io::Result<bool> {
        self.call(script).map_err(io::Error::other)
    }

    /// Runs a command, and repeats it while the broker cannot be reached.
    fn call<T: FromRedisValue>(&mut self, command: &Cmd) -> Result<T, RedisError> {
        let mut pause = SHORTEST_PAUSE;
        loop {
            match self.try_call(command) {
                Err(error) if is_passing(&error) => {
                    self.connection = None;
                    sleep(pause);
                    pause = LONGEST_PAUSE.min(pause * 2);
                }
                other => return other,
            }
        }
    }

    fn try_call<T: FromRedisValue>(&mut self, command: &Cmd) -> Result<T, RedisError> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(NetConnection::connect(self.address.as_str())?),
        };
        command.query(connection)
    }
}

/// Returns whether the command may succeed a little later: the broker cannot be reached, or is
/// loading its files.
fn is_passing(error: &RedisError) -> bool {
    error.is_io_error() || error.kind() == ErrorKind::Parse || error.code() == Some("LOADING")
}

fn script(text: &str, keys: &[&str]) -> Cmd {
    let mut command = cmd("EVAL");
    command.arg(text).arg(keys.len()).arg(keys);
    command
}

fn key(job: &Job) -> String {
    format!("job:{}", job.id)
}

fn delivery(entry: &StreamId, attempt: u64) -> io::Result<Delivery> {
    let json: Option<String> = entry.get("job");
    let json = json.ok_or_else(|| io::Error::other(format!("no job in {}", entry.id)))?;
    Ok(Delivery {
        entry: entry.id.clone(),
        job: serde_json::from_str(&json)?,
        attempt,
    })
}
