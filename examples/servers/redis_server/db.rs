//! The keys and their values.
//!
//! One lock guards them all, and a command holds it from its beginning to its end, so commands are
//! atomic. No goroutine parks while it holds the lock, usually for less than a microsecond, so it
//! may be a lock that blocks the thread.
//!
//! An expired key is removed when a command names it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use indexmap::IndexSet;

use crate::reply::{Failure, WRONG_TYPE};

pub(crate) enum Value {
    Text(Vec<u8>),
    List(VecDeque<Box<[u8]>>),
    /// Ordered, so that a member can be found by number: SPOP draws a random one.
    Set(IndexSet<Box<[u8]>>),
    Hash(HashMap<Box<[u8]>, Box<[u8]>>),
}

pub(crate) struct Entry {
    pub(crate) value: Value,
    pub(crate) expires: Option<Instant>,
}

impl Entry {
    fn is_over(&self) -> bool {
        // The clock is read only if the key can expire.
        self.expires.is_some_and(|time| time <= Instant::now())
    }
}

#[derive(Default)]
pub(crate) struct Store(Mutex<Db>);

impl Store {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Db> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Default)]
pub(crate) struct Db(HashMap<Box<[u8]>, Entry>);

/// A kind of value: how it is created, and how it is found in a [`Value`].
pub(crate) trait Kind: Sized {
    fn of(value: &Value) -> Option<&Self>;
    fn of_mut(value: &mut Value) -> Option<&mut Self>;
    fn empty() -> Value;
    fn is_empty(&self) -> bool;
}

macro_rules! kinds {
    ($($variant:ident: $kind:ty;)*) => {
        $(impl Kind for $kind {
            fn of(value: &Value) -> Option<&Self> {
                match value {
                    Value::$variant(this) => Some(this),
                    _ => None,
                }
            }
            fn of_mut(value: &mut Value) -> Option<&mut Self> {
                match value {
                    Value::$variant(this) => Some(this),
                    _ => None,
                }
            }
            fn empty() -> Value {
                Value::$variant(<$kind>::default())
            }
            fn is_empty(&self) -> bool {
                <$kind>::is_empty(self)
            }
        })*
    };
}

kinds! {
    Text: Vec<u8>;
    List: VecDeque<Box<[u8]>>;
    Set: IndexSet<Box<[u8]>>;
    Hash: HashMap<Box<[u8]>, Box<[u8]>>;
}

impl Db {
    pub(crate) fn entry(&mut self, key: &[u8]) -> Option<&mut Entry> {
        if self.0.get(key)?.is_over() {
            self.0.remove(key);
            return None;
        }
        self.0.get_mut(key)
    }

    /// Returns the value of this key, if it exists. It has to be of this kind.
    pub(crate) fn get<K: Kind>(&mut self, key: &[u8]) -> Result<Option<&K>, Failure> {
        match self.entry(key) {
            Some(entry) => K::of(&entry.value).map(Some).ok_or(WRONG_TYPE),
            None => Ok(None),
        }
    }

    /// Returns the value of this key, and creates it if it does not exist.
    pub(crate) fn get_or_make<K: Kind>(&mut self, key: &[u8]) -> Result<&mut K, Failure> {
        // (An existing key is looked up twice, which costs less than copying the key each time.)
        if self.entry(key).is_none() {
            self.set(key, K::empty(), None);
        }
        let entry = self.0.get_mut(key).expect("it is there now");
        K::of_mut(&mut entry.value).ok_or(WRONG_TYPE)
    }

    /// Removes something from a value; a value that becomes empty is removed with its key.
    pub(crate) fn take<K: Kind, T>(
        &mut self,
        key: &[u8],
        take: impl FnOnce(&mut K) -> Option<T>,
    ) -> Result<Option<T>, Failure> {
        let Some(entry) = self.entry(key) else {
            return Ok(None);
        };
        let value = K::of_mut(&mut entry.value).ok_or(WRONG_TYPE)?;
        let taken = take(value);
        if value.is_empty() {
            self.0.remove(key);
        }
        Ok(taken)
    }

    pub(crate) fn set(&mut self, key: &[u8], value: Value, expires: Option<Instant>) {
        let entry = Entry { value, expires };
        match self.0.get_mut(key) {
            Some(old) => *old = entry,
            None => {
                self.0.insert(key.into(), entry);
            }
        }
    }

    pub(crate) fn remove(&mut self, key: &[u8]) -> bool {
        self.0.remove(key).is_some_and(|entry| !entry.is_over())
    }

    /// Returns the number of keys, including expired ones that no command has named since.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn clear(&mut self) {
        self.0 = HashMap::new();
    }
}
