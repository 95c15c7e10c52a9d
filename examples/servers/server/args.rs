//! Command lines: an address, and options that have a value each.

use std::process::ExitCode;
use std::time::Duration;

use lexopt::{Arg, Parser, ValueExt};

/// A day, in milliseconds; a longer time is surely a typing error.
const LONGEST_MS: u64 = 86_400_000;

/// A parsed command line.
#[derive(Debug)]
pub struct Args {
    address: Option<String>,
    values: Vec<(String, String)>,
}

/// Why the program ends instead of running.
#[derive(Debug)]
pub enum Refused {
    /// The user asks for help.
    Help,
    /// Which argument is wrong, and why.
    Wrong(String),
}

impl Args {
    /// Parses the program's command line, with the options in `known`. The last value of an option
    /// counts.
    ///
    /// # Errors
    /// Which argument is wrong, or that the user asks for help.
    pub fn new(known: &[&str]) -> Result<Args, Refused> {
        Args::parse(Parser::from_env(), known)
    }

    fn parse(mut parser: Parser, known: &[&str]) -> Result<Args, Refused> {
        let (mut address, mut values) = (None, Vec::new());
        while let Some(arg) = parser.next()? {
            let option = match arg {
                Arg::Short('h') | Arg::Long("help") => return Err(Refused::Help),
                Arg::Value(value) => {
                    if let Some(first) = address.replace(value.string()?) {
                        return Err(format!("a second address after {first}").into());
                    }
                    continue;
                }
                Arg::Short(letter) => format!("-{letter}"),
                Arg::Long(name) => format!("--{name}"),
            };
            if !known.contains(&&*option) {
                return Err(format!("there is no option {option}").into());
            }
            values.push((option, parser.value()?.string()?));
        }
        Ok(Args { address, values })
    }

    /// Returns the argument that is no option.
    pub fn address(&self) -> Option<&str> {
        self.address.as_deref()
    }

    /// Returns the value of this option.
    pub fn value(&self, option: &str) -> Option<&str> {
        let given = self.values.iter().rev().find(|(name, _)| name == option);
        given.map(|(_, value)| &**value)
    }

    /// Returns the number of this option, or `default`.
    ///
    /// # Errors
    /// If the value is no number from 1 to `most`.
    pub fn number(&self, option: &str, default: u64, most: u64) -> Result<u64, Refused> {
        let Some(value) = self.value(option) else {
            return Ok(default);
        };
        match value.parse() {
            Ok(n) if (1..=most).contains(&n) => Ok(n),
            _ => Err(format!("{option} takes a number from 1 to {most}, not {value:?}").into()),
        }
    }

    /// Returns the time of this option, given in milliseconds, or `default`.
    ///
    /// # Errors
    /// The errors of [`Args::number`].
    pub fn milliseconds(&self, option: &str, default: Duration) -> Result<Duration, Refused> {
        let default = u64::try_from(default.as_millis()).unwrap_or(LONGEST_MS);
        self.number(option, default, LONGEST_MS)
            .map(Duration::from_millis)
    }
}

impl Refused {
    /// Prints the reason and the usage to stdout or stderr, and returns the exit code: 0 for help,
    /// or 2.
    pub fn exit(self, program: &str, usage: &str) -> ExitCode {
        match self {
            Refused::Help => {
                println!("{usage}");
                ExitCode::SUCCESS
            }
            Refused::Wrong(what) => {
                eprintln!("{program}: {what}\n{usage}");
                ExitCode::from(2)
            }
        }
    }
}

impl From<String> for Refused {
    fn from(what: String) -> Refused {
        Refused::Wrong(what)
    }
}

impl From<lexopt::Error> for Refused {
    fn from(error: lexopt::Error) -> Refused {
        Refused::Wrong(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str]) -> Result<Args, Refused> {
        Args::parse(Parser::from_args(args), &["--number", "--file"])
    }

    fn wrong(result: Result<impl Sized, Refused>) -> String {
        match result {
            Err(Refused::Wrong(what)) => what,
            Err(Refused::Help) => panic!("nobody asked for help"),
            Ok(_) => panic!("nothing was wrong"),
        }
    }

    #[test]
    fn options_and_an_address_in_any_order() {
        let args = parsed(&["--number=7", "here:1", "--file", "--x", "--number", "8"]).unwrap();
        assert_eq!(args.address(), Some("here:1"));
        assert_eq!(args.value("--file"), Some("--x"));
        assert_eq!(args.number("--number", 1, 8).unwrap(), 8);
        let none = parsed(&[]).unwrap();
        assert_eq!((none.address(), none.value("--file")), (None, None));
        assert_eq!(none.number("--number", 1, 8).unwrap(), 1);
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!(wrong(parsed(&["a", "b"])), "a second address after a");
        assert_eq!(
            wrong(parsed(&["--other", "1"])),
            "there is no option --other"
        );
        assert_eq!(wrong(parsed(&["-x"])), "there is no option -x");
        assert!(wrong(parsed(&["--file"])).contains("--file"));
        for bad in ["0", "9", "-1", "", "x", "99999999999999999999"] {
            let args = parsed(&["--number", bad]).unwrap();
            let said = wrong(args.number("--number", 1, 8));
            assert!(
                said.contains("--number takes a number from 1 to 8"),
                "{said}"
            );
        }
    }

    #[test]
    fn help_comes_first() {
        for args in [&["--help"][..], &["-h"], &["a", "--help", "--other"]] {
            assert!(matches!(parsed(args), Err(Refused::Help)), "{args:?}");
        }
    }
}
