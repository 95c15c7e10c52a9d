//! Commands on lists, sets and hashes.

use std::collections::{HashMap, VecDeque};

use indexmap::IndexSet;

use crate::db::{Db, Kind};
use crate::reply::{self, Failure, NOT_AN_INTEGER};
use crate::request::{Words, number};

type List = VecDeque<Box<[u8]>>;
type Set = IndexSet<Box<[u8]>>;
type Hash = HashMap<Box<[u8]>, Box<[u8]>>;

/// `LPUSH key value...`
pub(crate) fn lpush(db: &mut Db, words: Words<'_>, out: &mut Vec<u8>) -> Result<(), Failure> {
    let list = db.get_or_make::<List>(&words[1])?;
    for value in words.from(2) {
        list.push_front(value.into());
    }
    reply::count(out, list.len());
    Ok(())
}

/// `RPUSH key value...`
pub(crate) fn rpush(db: &mut Db, words: Words<'_>, out: &mut Vec<u8>) -> Result<(), Failure> {
    let list = db.get_or_make::<List>(&words[1])?;
    list.extend(words.from(2).map(Box::from));
    reply::count(out, list.len());
    Ok(())
}

/// `LPOP key`
pub(crate) fn lpop(db: &mut Db, words: Words<'_>, out: &mut Vec<u8>) -> Result<(), Failure> {
    pop(db, words, out, List::pop_front)
}

/// `RPOP key`
pub(crate) fn rpop(db: &mut Db, words: Words<'_>, out: &mut Vec<u8>) -> Result<(), Failure> {
    pop(db, words, out, List::pop_back)
}

/// `LLEN key`
pub(crate) fn llen(db: &mut Db, words: Words<'_>, out: &mut Vec<u8>) -> Result<(), Failure> {
    let list = db.get::<List>(&words[1])?;
    reply::count(out, list.map_or(0, VecDeque::len));
    Ok(())
}

/// `LRANGE key first last`: both are included; negative positions count from the end.
pub(crate) fn lrange(db: &mut Db, words: Words<'_>, out: &mut Vec<u8>) -> Result<(), Failure> {
    let first = number(&words[2]).ok_or(NOT_AN_INTEGER)?;
    let last = number(&words[3]).ok_or(NOT_AN_INTEGER)?;
    let Some(list) = db.get::<List>(&words[1])? else {
        reply::array(out, 0);
        return Ok(());
    };
    // Returns the position that a number denotes, if it is within the list.
    let place = |n: i64| {
        let distance = usize::try_from(n.unsigned_abs()).unwrap_or(usize::MAX);
        match n {
            0.. => distance.min(list.len()),
            _ => list.len().saturating_sub(distance),
        }
    };
    let first = place(first);
    // The position after -1 is the end.
    let end = match last {
        -1 => list.len(),
        _ => place(last.saturating_add(1)),
    };
    let start = out.len();
    reply::array(out, end.saturating_sub(first));
    for value in list.range(first..end.max(first)) {
        reply::bulk_within(out, start, value)?;
    }
    Ok(())
}

/// `SADD key member...`
pub(crate) fn sadd(db: &mut Db, words: Words<'_>, out: &mut Vec<u8>) -> Result<(), Failure> {
    let set = db.get_or_make::<Set>(&words[1])?;
    let before = set.len();
    for member in words.from(2) {
        if !set.contains(member) {
            set.insert(member.into());
        }
    }
    reply::count(out, set.len() - before);
    Ok(())
}

/// `SPOP key`: removes a random member.
pub(crate) fn spop(db: &mut Db, words: Words<'_>, out: &mut Vec<u8>) -> Result<(), Failure> {
    pop(db, words, out, |set: &mut Set| {
        set.swap_remove_index(fastrand::usize(..set.len()))
    })
}

/// `SCARD key`
pub(crate) fn scard(db: &mut Db, words: Words<'_>, out: &mut Vec<u8>) -> Result<(), Failure> {
    let set = db.get::<Set>(&words[1])?;
    reply::count(out, set.map_or(0, IndexSet::len));
    Ok(())
}

/// `HSET key field value [field value]...`
pub(crate) fn hset(db: &mut Db, words: Words<'_>, out: &mut Vec<u8>) -> Result<(), Failure> {
    if !words.len().is_multiple_of(2) {
        return Err(Failure::arity("hset"));
    }
    let hash = db.get_or_make::<Hash>(&words[1])?;
    let before = hash.len();
    for (field, value) in words.pairs(2) {
        match hash.get_mut(field) {
            Some(old) => *old = value.into(),
            None => {
                hash.insert(field.into(), value.into());
            }
        }
    }
    reply::count(out, hash.len() - before);
    Ok(())
}

/// `HGET key field`
pub(crate) fn hget(db: &mut Db, words: Words<'_>, out: &mut Vec<u8>) -> Result<(), Failure> {
    let hash = db.get::<Hash>(&words[1])?;
    match hash.and_then(|hash| hash.get(&words[2])) {
        Some(value) => reply::bulk(out, value),
        None => reply::null(out),
    }
    Ok(())
}

/// Removes a value from a collection, which is never empty.
fn pop<K: Kind>(
    db: &mut Db,
    words: Words<'_>,
    out: &mut Vec<u8>,
    take: impl FnOnce(&mut K) -> Option<Box<[u8]>>,
) -> Result<(), Failure> {
    match db.take(&words[1], take)? {
        Some(value) => reply::bulk(out, &value),
        None => reply::null(out),
    }
    Ok(())
}
