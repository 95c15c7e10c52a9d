//! Writing of Protocol Buffers, as far as profiles and traces need it.
//!
//! A message is a row of fields, each of which is a key (the field's number, and how its value is
//! encoded) and a value: a number as a *varint*, seven bits a byte, or bytes with their length
//! before them: a text or a message. The wire format is that of
//! <https://protobuf.dev/programming-guides/encoding/>.
//!
//! (The crates for Protocol Buffers turn a schema into code when a program is built, which would
//! take longer than the rest of this crate does, for two schemas of which few fields are needed.)

/// A message that is being written.
#[derive(Default, Clone)]
pub(crate) struct Message {
    bytes: Vec<u8>,
}

/// How the value of a field is encoded.
#[derive(Clone, Copy)]
enum Encoding {
    Varint = 0,
    Fixed64 = 1,
    Bytes = 2,
}

impl Message {
    pub(crate) fn new() -> Message {
        Message::default()
    }

    /// Adds a field with a number.
    pub(crate) fn number(&mut self, field: u32, value: u64) -> &mut Message {
        self.key(field, Encoding::Varint);
        self.varint(value);
        self
    }

    /// Adds a field with a number that always takes eight bytes.
    pub(crate) fn fixed64(&mut self, field: u32, value: u64) -> &mut Message {
        self.key(field, Encoding::Fixed64);
        self.bytes.extend(value.to_le_bytes());
        self
    }

    /// Adds a field with text.
    pub(crate) fn text(&mut self, field: u32, value: &str) -> &mut Message {
        self.bytes(field, value.as_bytes())
    }

    /// Adds a field with a message, which `fill` writes.
    pub(crate) fn message(&mut self, field: u32, fill: impl FnOnce(&mut Message)) -> &mut Message {
        let mut message = Message::new();
        fill(&mut message);
        self.bytes(field, &message.bytes)
    }

    /// Adds a field with bytes.
    pub(crate) fn bytes(&mut self, field: u32, value: &[u8]) -> &mut Message {
        self.key(field, Encoding::Bytes);
        self.varint(value.len() as u64);
        self.bytes.extend_from_slice(value);
        self
    }

    /// Returns the encoded message.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn key(&mut self, field: u32, encoding: Encoding) {
        self.varint(u64::from(field) << 3 | encoding as u64);
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of the encoding's description.
    #[test]
    fn as_described() {
        let mut message = Message::new();
        message.number(1, 150);
        assert_eq!(message.as_bytes(), [0x08, 0x96, 0x01]);

        let mut message = Message::new();
        message.text(2, "testing");
        assert_eq!(message.as_bytes(), b"\x12\x07testing");

        let mut message = Message::new();
        message.message(3, |inner| {
            inner.number(1, 150);
        });
        assert_eq!(message.as_bytes(), [0x1a, 0x03, 0x08, 0x96, 0x01]);
    }

    #[test]
    fn eight_bytes() {
        let mut message = Message::new();
        message.fixed64(1, 0x0102);
        assert_eq!(message.as_bytes(), [0x09, 2, 1, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn largest_number() {
        let mut message = Message::new();
        message.number(16, u64::MAX);
        let mut expected = vec![0x80, 0x01];
        expected.extend([0xff; 9]);
        expected.push(0x01);
        assert_eq!(message.as_bytes(), expected);
    }
}
