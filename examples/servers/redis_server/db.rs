//! The keys and their values.
//!
//! All are behind one lock, which a command has from its beginning to its end: so commands are
//! atomic. Nothing parks meanwhile, and it takes less than a microsecond as a rule; so it may be a
//! lock that blocks the thread.
//!
//! A key whose time is up goes when somebody names it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use indexmap::IndexSet;

use crate::reply::{Failure, WRONG_TYPE};

pub(crate) enum Value {
    Text(Vec<u8>),
    List(VecDeque<Box<[u8]>>),
    /// Ordered, so that any of its members is found by number: the one to pop is drawn at random.
    Set(IndexSet<Box<[u8]>>),
    Hash(HashMap<Box<[u8]>, Box<[u8]>>),
}

pub(crate) struct Entry {
    pub(crate) value: Value,
    pub(crate) expires: Option<Instant>,
}

impl Entry {
    fn is_over(&self) -> bool {
        // The clock is looked at only if it matters.
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

/// A kind of value: how it is made, and how it is found in a [`Value`].
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

    /// The value of this key, if there is one, which has to be of this kind.
    pub(crate) fn get<K: Kind>(&mut self, key: &[u8]) -> Result<Option<&K>, Failure> {
        match self.entry(key) {
            Some(entry) => K::of(&entry.value).map(Some).ok_or(WRONG_TYPE),
            None => Ok(None),
        }
    }

    /// The same, made if there is none.
    pub(crate) fn get_or_make<K: Kind>(&mut self, key: &[u8]) -> Result<&mut K, Failure> {
        // (Looked up twice if it is there, which costs less than to make the key's copy each time.)
        if self.entry(key).is_none() {
            self.set(key, K::empty(), None);
        }
        let entry = self.0.get_mut(key).expect("it is there now");
        K::of_mut(&mut entry.value).ok_or(WRONG_TYPE)
    }

    /// Takes something out of a value; one that is empty then goes.
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

    /// How many keys there are, with those whose time is up and that nobody has named since.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn clear(&mut self) {
        self.0 = HashMap::new();
    }
}
