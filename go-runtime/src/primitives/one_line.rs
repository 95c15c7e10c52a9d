//! Names as parts of a line.

use std::fmt::{self, Write};

/// A name as part of a line that is written for people. Its control characters are escaped, since
/// they could end the line, or control a terminal. A precision cuts it off after as many characters
/// of the name. Writing it allocates nothing, so a signal handler may do so.
pub(crate) struct OneLine<'a>(pub(crate) &'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let longest = f.precision().unwrap_or(usize::MAX);
        for sign in self.0.chars().take(longest) {
            if sign.is_control() {
                write!(f, "{}", sign.escape_debug())?;
            } else {
                f.write_char(sign)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        let name = OneLine("two\nlines, \u{1b}[31m red\0, größer");
        assert_eq!(name.to_string(), r"two\nlines, \u{1b}[31m red\0, größer");
        assert_eq!(format!("{name:.4}"), r"two\n");
    }
}
