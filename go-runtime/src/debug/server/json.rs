//! Writes JSON.
//!
//! Only a few shapes are written, and nothing is read, so this is less than the five crates that
//! serde_json would bring.

use std::fmt::{Display, Write};

/// An object that is being written.
pub(super) struct Object<'a> {
    out: &'a mut String,
    is_empty: bool,
}

/// Returns an object as text.
pub(super) fn object(members: impl FnOnce(&mut Object<'_>)) -> String {
    let mut out = String::new();
    put_object(&mut out, members);
    out
}

fn put_object(out: &mut String, members: impl FnOnce(&mut Object<'_>)) {
    out.push('{');
    members(&mut Object {
        out,
        is_empty: true,
    });
    out.push('}');
}

impl Object<'_> {
    fn key(&mut self, key: &str) -> &mut String {
        if !self.is_empty {
            self.out.push(',');
        }
        self.is_empty = false;
        put_string(self.out, key);
        self.out.push(':');
        self.out
    }

    pub(super) fn string(&mut self, key: &str, value: &str) {
        put_string(self.key(key), value);
    }

    /// Writes a string, or null.
    pub(super) fn maybe(&mut self, key: &str, value: Option<impl AsRef<str>>) {
        match value {
            Some(value) => put_string(self.key(key), value.as_ref()),
            None => self.key(key).push_str("null"),
        }
    }

    /// Writes what JSON writes as Rust does: a whole number, or a boolean.
    pub(super) fn plain(&mut self, key: &str, value: impl Plain) {
        put_plain(self.key(key), value);
    }

    /// Writes a whole number or a boolean, or null.
    pub(super) fn maybe_plain(&mut self, key: &str, value: Option<impl Plain>) {
        match value {
            Some(value) => put_plain(self.key(key), value),
            None => self.key(key).push_str("null"),
        }
    }

    pub(super) fn object(&mut self, key: &str, members: impl FnOnce(&mut Object<'_>)) {
        put_object(self.key(key), members);
    }

    /// Writes an object for each item.
    pub(super) fn objects<T>(
        &mut self,
        key: &str,
        items: impl IntoIterator<Item = T>,
        mut members: impl FnMut(&mut Object<'_>, T),
    ) {
        self.list(key, items, |out, item| {
            put_object(out, |o| members(o, item))
        });
    }

    pub(super) fn strings<S: AsRef<str>>(&mut self, key: &str, items: impl IntoIterator<Item = S>) {
        self.list(key, items, |out, item| put_string(out, item.as_ref()));
    }

    pub(super) fn plains<P: Plain>(&mut self, key: &str, items: impl IntoIterator<Item = P>) {
        self.list(key, items, put_plain);
    }

    fn list<T>(
        &mut self,
        key: &str,
        items: impl IntoIterator<Item = T>,
        mut put: impl FnMut(&mut String, T),
    ) {
        let out = self.key(key);
        out.push('[');
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            put(out, item);
        }
        out.push(']');
    }
}

/// A type whose `Display` is JSON.
pub(super) trait Plain: Display {}

impl Plain for bool {}
impl Plain for usize {}
impl Plain for u64 {}
impl Plain for u128 {}
impl Plain for u32 {}

fn put_plain(out: &mut String, value: impl Plain) {
    // Writing to a string cannot fail.
    let _ = write!(out, "{value}");
}

/// Writes a string. Beside what JSON asks for, it escapes what could end a script or begin a tag if
/// the text came into a page.
fn put_string(out: &mut String, text: &str) {
    out.push('"');
    for sign in text.chars() {
        match sign {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..' ' | '\u{7f}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(sign));
            }
            sign => out.push(sign),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_shapes() {
        let text = object(|o| {
            o.string("text", "a\"b\\c\nd\u{1}é<script>&\u{2028}");
            o.maybe("none", None::<&str>);
            o.plain("number", 7_u64);
            o.maybe_plain("flag", Some(true));
            o.object("empty", |_| {});
            o.objects("list", [1_usize, 2], |o, n| o.plain("n", n));
            o.strings("strings", ["x", "y"]);
            o.plains("numbers", [1_u64; 0]);
        });
        let expected = concat!(
            r#"{"text":"a\"b\\c\nd\u0001é\u003cscript\u003e\u0026\u2028","none":null,"number":7,"#,
            r#""flag":true,"empty":{},"list":[{"n":1},{"n":2}],"strings":["x","y"],"numbers":[]}"#,
        );
        assert_eq!(text, expected);
    }
}
