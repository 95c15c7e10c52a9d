//! What a client may ask of the server, in bytes and time, and the command line that says so.

use std::env;
use std::time::Duration;

pub(crate) const USAGE: &str = "\
usage: http_server [ADDRESS] [--header-timeout-ms N] [--body-timeout-ms N] [--idle-timeout-ms N] [--write-timeout-ms N]
                   [--stop-timeout-ms N] [--max-header-bytes N] [--max-body-bytes N]
ADDRESS is 127.0.0.1:8080 if there is none.";

/// All times are absolute: they run from the first byte to the last, however many reads that takes.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// From the first byte of a request to the end of its header, and from the beginning of a connection to its first byte.
    pub(crate) header_timeout: Duration,
    /// From the end of the header to the end of the body.
    pub(crate) body_timeout: Duration,
    /// From an answer to the next request's first byte.
    pub(crate) idle_timeout: Duration,
    /// For one write of answers.
    pub(crate) write_timeout: Duration,
    /// For requests that run when the server stops.
    pub(crate) stop_timeout: Duration,
    pub(crate) max_header_bytes: usize,
    pub(crate) max_body_bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(120),
            write_timeout: Duration::from_secs(30),
            stop_timeout: Duration::from_secs(5),
            max_header_bytes: 16 << 10,
            max_body_bytes: 8 << 20,
        }
    }
}

/// The address to listen at, and the limits.
///
/// # Errors
/// What is wrong with which argument.
pub(crate) fn from_args() -> Result<(String, Limits), String> {
    let mut limits = Limits::default();
    let mut address = None;
    let mut args = env::args_os().skip(1).map(|arg| {
        arg.into_string()
            .map_err(|arg| format!("{} is not UTF-8", arg.display()))
    });
    while let Some(arg) = args.next() {
        let arg = arg?;
        if !arg.starts_with("--") {
            if let Some(first) = address.replace(arg) {
                return Err(format!("a second address after {first}"));
            }
            continue;
        }
        let value = args
            .next()
            .ok_or_else(|| format!("{arg} takes a number after it, if it is an option"))??;
        let number = |most: u64| match value.parse() {
            Ok(n) if (1..=most).contains(&n) => Ok(n),
            _ => Err(format!(
                "{arg} takes a number from 1 to {most}, not {value:?}"
            )),
        };
        // A day; longer ones would only hide a slip of the pen.
        let time = || number(86_400_000).map(Duration::from_millis);
        match &*arg {
            "--header-timeout-ms" => limits.header_timeout = time()?,
            "--body-timeout-ms" => limits.body_timeout = time()?,
            "--idle-timeout-ms" => limits.idle_timeout = time()?,
            "--write-timeout-ms" => limits.write_timeout = time()?,
            "--stop-timeout-ms" => limits.stop_timeout = time()?,
            "--max-header-bytes" => limits.max_header_bytes = number(1 << 20)? as usize,
            "--max-body-bytes" => limits.max_body_bytes = number(1 << 30)? as usize,
            _ => return Err(format!("there is no option {arg}")),
        }
    }
    Ok((
        address.unwrap_or_else(|| "127.0.0.1:8080".to_owned()),
        limits,
    ))
}
