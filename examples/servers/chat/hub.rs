//! The hub knows the names of all clients, and distributes their lines.
//!
//! All clients, including the author of a line, get all lines in the same order.

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::sync::Arc;

use go_runtime::channel::{Receiver, Sender, TrySendError};
use go_runtime::{select, yield_now};

/// Maximum length of a name, in characters.
const MAX_NAME: usize = 20;

/// Identifies a client, whatever its name.
pub(crate) type Id = u64;

pub(crate) enum Event {
    Joined(Member, Sender<Id>),
    Wrote(Id, String),
    Left(Id),
}

/// A client as seen by the hub.
pub(crate) struct Member {
    pub(crate) outbox: Sender<Arc<str>>,
    /// Closed when the client is to leave; it may carry a last line for a client that could not be
    /// told everything.
    pub(crate) farewell: Sender<&'static str>,
}

#[derive(Default)]
pub(crate) struct Hub {
    members: BTreeMap<Id, (String, Member)>,
    last: Id,
}

impl Hub {
    /// Runs until all senders of events are gone, or the server stops.
    pub(crate) fn run(mut self, events: &Receiver<Event>, done: &Receiver<()>) {
        loop {
            select! {
                recv(events) -> event => match event {
                    Ok(Event::Joined(member, id)) => self.join(member, &id),
                    Ok(Event::Wrote(id, line)) => self.line(id, &line),
                    Ok(Event::Left(id)) => self.leave(id, "has left"),
                    Err(_) => return,
                },
                recv(done) -> _ => {
                    self.tell_all("* the server is stopping".to_owned());
                    return;
                }
            }
            // The next event may be there already. The writers of this event's lines run first, so
            // that an outbox does not fill up only because many clients write.
            yield_now();
        }
    }

    fn join(&mut self, member: Member, told: &Sender<Id>) {
        self.last += 1;
        let id = self.last;
        let name = (id..)
            .map(|n| format!("guest{n}"))
            .find(|name| !self.is_taken(name))
            .expect("there are fewer clients than numbers");
        self.members.insert(id, (name.clone(), member));
        // The client's goroutine waits for its id.
        let _ = told.try_send(id);
        self.tell(
            id,
            &format!(
                "* you are {name}; /name NAME changes that, /who tells who is here, /quit ends it"
            ),
        );
        self.tell_all(format!("* {name} has joined"));
    }

    fn leave(&mut self, id: Id, how: &str) {
        // (A client that has been dropped is no longer in the map.)
        if let Some((name, _)) = self.members.remove(&id) {
            self.tell_all(format!("* {name} {how}"));
        }
    }

    fn line(&mut self, id: Id, line: &str) {
        let Some((name, _)) = self.members.get(&id) else {
            return;
        };
        let (command, argument) = line.split_once(' ').unwrap_or((line, ""));
        match command {
            "/name" => self.rename(id, argument.trim()),
            "/who" => {
                let names: Vec<_> = self.members.values().map(|(name, _)| &**name).collect();
                self.tell(id, &format!("* here are {}", names.join(", ")));
            }
            "/quit" => {
                self.tell(id, "* good bye");
                self.leave(id, "has left");
            }
            _ if command.starts_with('/') => {
                self.tell(
                    id,
                    "* there is no such command, only /name NAME, /who and /quit",
                );
            }
            _ => self.tell_all(format!("{name}: {line}")),
        }
    }

    fn rename(&mut self, id: Id, new: &str) {
        let allowed = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
        if new.is_empty() || new.chars().count() > MAX_NAME || !new.chars().all(allowed) {
            let rule = format!("* a name has 1 to {MAX_NAME} letters, digits, - and _");
            return self.tell(id, &rule);
        }
        if self.is_taken(new) {
            return self.tell(id, &format!("* the name {new} is taken"));
        }
        if let Some((name, _)) = self.members.get_mut(&id) {
            let old = mem::replace(name, new.to_owned());
            self.tell_all(format!("* {old} is now {new}"));
        }
    }

    fn is_taken(&self, name: &str) -> bool {
        self.members.values().any(|(other, _)| other == name)
    }

    fn tell(&mut self, id: Id, line: &str) {
        let Some((name, member)) = self.members.get(&id) else {
            return;
        };
        if !member.offer(&Arc::from(format!("{line}\n"))) {
            let said = format!("* {name} was too slow, and has been dropped");
            self.members.remove(&id);
            self.tell_all(said);
        }
    }

    fn tell_all(&mut self, line: String) {
        // Dropping a client produces another line, for which a further client may be too slow.
        let mut lines = VecDeque::from([line]);
        while let Some(line) = lines.pop_front() {
            let line = Arc::from(line + "\n");
            self.members.retain(|_, (name, member)| {
                let keeps_up = member.offer(&line);
                if !keeps_up {
                    lines.push_back(format!("* {name} was too slow, and has been dropped"));
                }
                keeps_up
            });
        }
    }
}

impl Member {
    /// Puts the line into the client's outbox, if there is room. Returns whether the client stays.
    fn offer(&self, line: &Arc<str>) -> bool {
        match self.outbox.try_send(Arc::clone(line)) {
            Ok(()) => true,
            // The client's writer has ended, and the client's `Left` event will follow.
            Err(TrySendError::Disconnected(_)) => true,
            Err(TrySendError::Full(_)) => {
                let _ = self
                    .farewell
                    .try_send("* you were too slow, and have been dropped");
                false
            }
        }
    }
}
