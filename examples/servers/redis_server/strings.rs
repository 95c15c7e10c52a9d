//! Commands on values that are strings, and on numbers, which are stored as strings.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::db::{Db, Value};
use crate::reply::{self, Failure, NOT_AN_INTEGER, OVERFLOW, SYNTAX, TOO_LONG};
use crate::request::{MAX_BYTES, Words, number};

type Text = Vec<u8>;

/// `SET key value [EX seconds | PX milliseconds] [NX | XX]`
pub(crate) fn set(db: &mut Db, words: Words<'_>, out: &mut Vec<u8>) -> Result<(), Failure> {
    let (mut expires, mut there) = (None, None);
    let mut options = words.from(3);
    while let Some(option) = options.next() {
        let unit = match option.to_ascii_uppercase().as_slice() {
            b"NX" if there.is_none() => {
                there = Some(false);
                continue;
            }
            b"XX" if there.is_none() => {
                there = Some(true);
                continue;
            }
            b"EX" if expires.is_none() => 1000,
            b"PX" if expires.is_none() => 1,
            _ => return Err(SYNTAX),
        };
        let time = number(options.next().ok_or(SYNTAX)?).ok_or(NOT_AN_INTEGER)?;
        let ms = u64::try_from(time).ok().filter(|time| *time > 0);
        expires = Some(
            ms.and_then(|time| time.checked_mul(unit))
                .and_then(|ms| Instant::now().checked_add(Duration::from_millis(ms)))
                .ok_or(Failure::new("ERR invalid expire time in 'set' command"))?,
        );
    }
    if there.is_some_and(|there| db.entry(&words[1]).is_some() != there) {
        reply::null(out);
        return Ok(());
    }
    db.set(&words[1], Value::Text(words[2].to_vec()), expires);
    reply::ok(out);
    Ok(())
}

/// `GET key`
pub(crate) fn get(db: &mut Db, words: Words<'_>, out: &mut Vec<u8>) -> Result<(), Failure> {
    match db.get::<Text>(&words[1])? {
        Some(text) => reply::bulk(out, text),
        None => reply::null(out),
    }
    Ok(())
}

/// `GETSET key value`
pub(crate) fn getset(db: &mut Db, words: Words<'_>, out: &mut Vec<u8>) -> Result<(), Failure> {
    get(db, words, out)?;
    db.set(&words[1], Value::Text(words[2].to_vec()), None);
    Ok(())
}

/// `MGET key...`
pub(crate) fn mget(db: &mut Db, words: Words<'_>, out: &mut Vec<u8>) -> Result<(), Failure> {
    let start = out.len();
    reply::array(out, words.len() - 1);
    for key in words.from(1) {
        // A value of another kind counts as missing.
        match db.get::<Text>(key).ok().flatten() {
            Some(text) => reply::bulk_within(out, start, text)?,
            None => reply::null(out),
        }
    }
    Ok(())
}

/// `MSET key value [key value]...`
pub(crate) fn mset(db: &mut Db, words: Words<'_>, out: &mut Vec<u8>) -> Result<(), Failure> {
    if words.len().is_multiple_of(2) {
        return Err(Failure::arity("mset"));
    }
    for (key, value) in words.pairs(1) {
        db.set(key, Value::Text(value.to_vec()), None);
    }
    reply::ok(out);
    Ok(())
}

/// `APPEND key value`
pub(crate) fn append(db: &mut Db, words: Words<'_>, out: &mut Vec<u8>) -> Result<(), Failure> {
    let text = db.get_or_make::<Text>(&words[1])?;
    if text.len() + words[2].len() > MAX_BYTES {
        return Err(TOO_LONG);
    }
    text.extend_from_slice(&words[2]);
    reply::count(out, text.len());
    Ok(())
}

/// `INCR key`
pub(crate) fn incr(db: &mut Db, words: Words<'_>, out: &mut Vec<u8>) -> Result<(), Failure> {
    add(db, &words[1], 1, out)
}

/// `DECR key`
pub(crate) fn decr(db: &mut Db, words: Words<'_>, out: &mut Vec<u8>) -> Result<(), Failure> {
    add(db, &words[1], -1, out)
}

/// `INCRBY key increment`
pub(crate) fn incrby(db: &mut Db, words: Words<'_>, out: &mut Vec<u8>) -> Result<(), Failure> {
    let by = number(&words[2]).ok_or(NOT_AN_INTEGER)?;
    add(db, &words[1], by, out)
}

/// `DECRBY key decrement`
pub(crate) fn decrby(db: &mut Db, words: Words<'_>, out: &mut Vec<u8>) -> Result<(), Failure> {
    let by = number(&words[2]).ok_or(NOT_AN_INTEGER)?;
    add(db, &words[1], by.checked_neg().ok_or(OVERFLOW)?, out)
}

fn add(db: &mut Db, key: &[u8], by: i64, out: &mut Vec<u8>) -> Result<(), Failure> {
    let old = match db.get::<Text>(key)? {
        Some(text) => number(text).ok_or(NOT_AN_INTEGER)?,
        None => 0,
    };
    let new = old.checked_add(by).ok_or(OVERFLOW)?;
    let text = db.get_or_make::<Text>(key)?;
    text.clear();
    // Writing to a vector cannot fail.
    let _ = write!(text, "{new}");
    reply::integer(out, new);
    Ok(())
}
