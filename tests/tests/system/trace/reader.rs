//! Reads a trace, and checks what is true of every trace.

use std::collections::HashMap;

/// A field of a message of Protocol Buffers.
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Field<'a> {
    #[track_caller]
    fn number(&self) -> u64 {
        match self {
            Field::Number(number) => *number,
            Field::Bytes(_) => panic!("it is no number"),
        }
    }

    #[track_caller]
    fn bytes(&self) -> &'a [u8] {
        match self {
            Field::Bytes(bytes) => bytes,
            Field::Number(_) => panic!("it is a number"),
        }
    }

    #[track_caller]
    fn text(&self) -> String {
        String::from_utf8(self.bytes().to_vec()).unwrap()
    }
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first().expect("it ends within a number");
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return value;
        }
    }
    panic!("a number has more than ten bytes")
}

/// Returns a message's fields, with their numbers.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Field<'_>)> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let value = match key & 7 {
            0 => Field::Number(varint(&mut bytes)),
            1 => {
                let (number, rest) = bytes.split_at(8);
                bytes = rest;
                Field::Number(u64::from_le_bytes(number.try_into().unwrap()))
            }
            2 => {
                let length = varint(&mut bytes) as usize;
                let (value, rest) = bytes.split_at(length);
                bytes = rest;
                Field::Bytes(value)
            }
            other => panic!("no field has the encoding {other}"),
        };
        fields.push((key >> 3, value));
    }
    fields
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Type {
    Begin,
    End,
    Instant,
    Counter,
}

#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) time: u64,
    pub(super) kind: Type,
    pub(super) track: u64,
    pub(super) name: String,
    pub(super) from: Option<u64>,
    pub(super) to: Option<u64>,
    pub(super) count: Option<u64>,
}

#[derive(Default, Clone, Debug)]
pub(super) struct Track {
    pub(super) name: String,
    pub(super) parent: Option<u64>,
    pub(super) is_thread: bool,
    pub(super) is_counter: bool,
}

#[derive(Default, Debug)]
pub(super) struct Trace {
    pub(super) tracks: HashMap<u64, Track>,
    pub(super) events: Vec<Event>,
    /// From the event that a flow begins at to the one that it ends at.
    pub(super) flows: Vec<(Event, Event)>,
}

impl Trace {
    /// Reads a trace, and checks it.
    #[track_caller]
    pub(super) fn read(bytes: &[u8]) -> Trace {
        let mut trace = Trace::default();
        let (mut names, mut is_first) = (HashMap::new(), true);
        for (number, packet) in fields(bytes) {
            assert_eq!(number, 1);
            trace.packet(packet.bytes(), &mut names, is_first);
            is_first = false;
        }
        trace.check();
        trace
    }

    fn packet(&mut self, bytes: &[u8], names: &mut HashMap<u64, String>, is_first: bool) {
        let (mut time, mut event, mut sequence, mut flags) = (None, None, None, 0);
        // (The names may stand behind the event.)
        for (number, field) in fields(bytes) {
            match number {
                8 => time = Some(field.number()),
                10 => sequence = Some(field.number()),
                11 => event = Some(fields(field.bytes())),
                12 => {
                    for (kind, entry) in fields(field.bytes()) {
                        let entry = fields(entry.bytes());
                        let number = entry.iter().find(|(n, _)| *n == 1).unwrap().1.number();
                        let text = entry.iter().find(|(n, _)| *n == 2).unwrap().1.text();
                        if kind == 2 {
                            assert_eq!(names.insert(number, text), None, "named twice");
                        }
                    }
                }
                13 => flags = field.number(),
                60 => self.track(&fields(field.bytes())),
                other => panic!("a packet has no field {other}"),
            }
        }
        assert_eq!(sequence, Some(1));
        assert_eq!(flags, if is_first { 3 } else { 2 });
        let Some(event) = event else { return };
        let mut read = Event {
            time: time.expect("an event has a time"),
            kind: Type::Instant,
            track: 0,
            name: String::new(),
            from: None,
            to: None,
            count: None,
        };
        for (number, field) in event {
            match number {
                4 => {
                    let about = fields(field.bytes());
                    let is_count = about.iter().any(|(n, name)| *n == 1 && name.number() == 2);
                    let value = about.iter().find(|(n, _)| *n == 3 || *n == 7).unwrap();
                    read.count = is_count.then_some(value.1.number());
                }
                9 => {
                    read.kind = match field.number() {
                        1 => Type::Begin,
                        2 => Type::End,
                        3 => Type::Instant,
                        4 => Type::Counter,
                        other => panic!("no type is {other}"),
                    }
                }
                10 => read.name = names[&field.number()].clone(),
                11 => read.track = field.number(),
                30 => read.count = Some(field.number()),
                47 => read.from = Some(field.number()),
                48 => read.to = Some(field.number()),
                other => panic!("an event has no field {other}"),
            }
        }
        self.events.push(read);
    }

    fn track(&mut self, described: &[(u64, Field<'_>)]) {
        let (mut number, mut track) = (0, Track::default());
        for (field, value) in described {
            match field {
                1 => number = value.number(),
                2 => track.name = value.text(),
                3 => {}
                4 => {
                    track.is_thread = true;
                    let thread = fields(value.bytes());
                    track.name = thread.iter().find(|(n, _)| *n == 5).unwrap().1.text();
                }
                5 => track.parent = Some(value.number()),
                8 => track.is_counter = true,
                other => panic!("a track has no field {other}"),
            }
        }
        assert!(number != 0);
        assert!(
            self.tracks.insert(number, track).is_none(),
            "described twice"
        );
    }

    #[track_caller]
    fn check(&mut self) {
        let (mut last, mut open) = (HashMap::new(), HashMap::new());
        let (mut begins, mut ends) = (HashMap::new(), HashMap::new());
        for event in &self.events {
            let track = &self.tracks[&event.track];
            assert!(
                track
                    .parent
                    .is_none_or(|parent| self.tracks.contains_key(&parent))
            );
            assert_eq!(track.is_counter, event.kind == Type::Counter, "{event:?}");
            let open: &mut u32 = open.entry(event.track).or_default();
            match event.kind {
                Type::Begin => {
                    *open += 1;
                    assert!(!event.name.is_empty(), "{event:?}");
                }
                Type::End => *open = open.checked_sub(1).expect("what ends has begun"),
                Type::Counter => assert!(event.count.is_some()),
                Type::Instant => assert!(!event.name.is_empty(), "{event:?}"),
            }
            assert!(*open <= 1, "turns do not nest, nor do states: {event:?}");
            if event.kind != Type::Instant {
                let last = last.entry(event.track).or_insert(0);
                assert!(
                    event.time >= *last,
                    "{track:?}: {event:?} comes after {last}"
                );
                *last = event.time;
            }
            if let Some(flow) = event.from {
                assert!(begins.insert(flow, event.clone()).is_none());
                assert!(event.kind == Type::Instant && track.is_thread);
            }
            if let Some(flow) = event.to {
                assert!(ends.insert(flow, event.clone()).is_none());
                assert!(event.kind == Type::Begin && track.is_thread);
            }
        }
        assert!(open.values().all(|open| *open == 0), "all slices end");
        for (flow, begin) in begins {
            let end = ends.remove(&flow).expect("a flow has two ends");
            assert!(begin.time <= end.time, "{begin:?} {end:?}");
            self.flows.push((begin, end));
        }
        assert!(ends.is_empty(), "a flow has two ends: {ends:?}");
    }

    /// Returns the tracks of goroutines whose names contain `text`.
    pub(super) fn goroutines(&self, text: &str) -> Vec<u64> {
        let is_it = |track: &Track| {
            let is_goroutine = track.name.starts_with("goroutine ") && !track.is_thread;
            is_goroutine && track.name.contains(text)
        };
        let tracks = self.tracks.iter().filter(|(_, track)| is_it(track));
        tracks.map(|(number, _)| *number).collect()
    }

    /// Returns the names of the slices of a track, in their order.
    pub(super) fn slices(&self, track: u64) -> Vec<&str> {
        let events = self.events.iter();
        let begins = events.filter(|event| event.track == track && event.kind == Type::Begin);
        begins.map(|event| event.name.as_str()).collect()
    }

    /// Returns the instants and the slices on tracks of threads whose names contain `text`.
    pub(super) fn on_threads(&self, text: &str) -> Vec<&Event> {
        let is_it = |event: &&Event| {
            self.tracks[&event.track].is_thread
                && event.kind != Type::End
                && event.name.contains(text)
        };
        self.events.iter().filter(is_it).collect()
    }

    /// Returns how many events were lost.
    pub(super) fn lost(&self) -> u64 {
        let events = self.on_threads("events lost");
        events.iter().map(|event| event.count.unwrap()).sum()
    }
}
