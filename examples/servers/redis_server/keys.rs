//! Commands on keys with any kind of value.

use std::time::{Duration, Instant};

use crate::db::Db;
use crate::reply::{self, Failure, NOT_AN_INTEGER};
use crate::request::{Words, number};

/// `DEL key...`
pub(crate) fn del(db: &mut Db, words: Words<'_>, out: &mut Vec<u8>) -> Result<(), Failure> {
    reply::count(out, words.from(1).filter(|key| db.remove(key)).count());
    Ok(())
}

/// `EXISTS key...`
pub(crate) fn exists(db: &mut Db, words: Words<'_>, out: &mut Vec<u8>) -> Result<(), Failure> {
    let there = words.from(1).filter(|key| db.entry(key).is_some());
    reply::count(out, there.count());
    Ok(())
}

/// `EXPIRE key seconds`
pub(crate) fn expire(db: &mut Db, words: Words<'_>, out: &mut Vec<u8>) -> Result<(), Failure> {
    expire_within(db, words, out, 1000)
}

/// `PEXPIRE key milliseconds`
pub(crate) fn pexpire(db: &mut Db, words: Words<'_>, out: &mut Vec<u8>) -> Result<(), Failure> {
    expire_within(db, words, out, 1)
}

fn expire_within(
    db: &mut Db,
    words: Words<'_>,
    out: &mut Vec<u8>,
    unit: u64,
) -> Result<(), Failure> {
    let time = number(&words[2]).ok_or(NOT_AN_INTEGER)?;
    // A time in the past means now.
    let expires = u64::try_from(time)
        .unwrap_or(0)
        .checked_mul(unit)
        .and_then(|ms| Instant::now().checked_add(Duration::from_millis(ms)))
        .ok_or(Failure::new("ERR invalid expire time"))?;
    let entry = db.entry(&words[1]);
    reply::count(out, usize::from(entry.is_some()));
    if let Some(entry) = entry {
        entry.expires = Some(expires);
    }
    Ok(())
}

/// `TTL key`
pub(crate) fn ttl(db: &mut Db, words: Words<'_>, out: &mut Vec<u8>) -> Result<(), Failure> {
    let left = time_left(db, &words[1]);
    // Rounded to the nearest second.
    reply::integer(out, left.map_or_else(|code| code, |ms| (ms + 500) / 1000));
    Ok(())
}

/// `PTTL key`
pub(crate) fn pttl(db: &mut Db, words: Words<'_>, out: &mut Vec<u8>) -> Result<(), Failure> {
    let left = time_left(db, &words[1]);
    reply::integer(out, left.unwrap_or_else(|code| code));
    Ok(())
}

/// Returns the remaining milliseconds, or the reply in their place.
fn time_left(db: &mut Db, key: &[u8]) -> Result<i64, i64> {
    let expires = db.entry(key).ok_or(-2)?.expires.ok_or(-1)?;
    let left = expires.saturating_duration_since(Instant::now());
    Ok(i64::try_from(left.as_millis()).unwrap_or(i64::MAX - 500))
}

/// `PERSIST key`
pub(crate) fn persist(db: &mut Db, words: Words<'_>, out: &mut Vec<u8>) -> Result<(), Failure> {
    let expires = db.entry(&words[1]).and_then(|entry| entry.expires.take());
    reply::count(out, usize::from(expires.is_some()));
    Ok(())
}

/// `DBSIZE`
pub(crate) fn dbsize(db: &mut Db, _: Words<'_>, out: &mut Vec<u8>) -> Result<(), Failure> {
    reply::count(out, db.len());
    Ok(())
}

/// `FLUSHALL`
pub(crate) fn flushall(db: &mut Db, _: Words<'_>, out: &mut Vec<u8>) -> Result<(), Failure> {
    db.clear();
    reply::ok(out);
    Ok(())
}
