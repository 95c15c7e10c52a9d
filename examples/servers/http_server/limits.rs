//! The limits of a client, in bytes and time, and the command line that sets them.

use std::time::Duration;

use go_example_servers::server::{Args, Refused};

/// The default address to listen at.
const ADDRESS: &str = "127.0.0.1:8080";
pub(crate) const USAGE: &str = "\
usage: http_server [ADDRESS] [--header-timeout-ms N] [--body-timeout-ms N] [--idle-timeout-ms N]
                   [--write-timeout-ms N] [--stop-timeout-ms N] [--max-header-bytes N]
                   [--max-body-bytes N]
ADDRESS is 127.0.0.1:8080 if there is none.
N is 10000 for a header, 60000 for a body, 120000 for idle connections, 30000 for writes,
5000 for the stop, 16384 and 8388608 bytes.";

/// All times are absolute: they run from the first byte to the last, over any number of reads.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// Time limit from the first byte of a request to the end of its header, and from the beginning
    /// of a connection to its first byte.
    pub(crate) header_timeout: Duration,
    /// Time limit from the end of the header to the end of the body.
    pub(crate) body_timeout: Duration,
    /// Time limit from an answer to the next request's first byte.
    pub(crate) idle_timeout: Duration,
    /// Time limit for one write of answers.
    pub(crate) write_timeout: Duration,
    /// Time limit for requests that are running when the server stops.
    pub(crate) stop_timeout: Duration,
    pub(crate) max_header_bytes: usize,
    pub(crate) max_body_bytes: usize,
}

const OPTIONS: [&str; 7] = [
    "--header-timeout-ms",
    "--body-timeout-ms",
    "--idle-timeout-ms",
    "--write-timeout-ms",
    "--stop-timeout-ms",
    "--max-header-bytes",
    "--max-body-bytes",
];

/// Returns the address to listen at, and the limits.
///
/// # Errors
/// Which argument is wrong, or that the user asks for help.
pub(crate) fn from_args() -> Result<(String, Limits), Refused> {
    let args = Args::new(&OPTIONS)?;
    let time = |option, seconds| args.milliseconds(option, Duration::from_secs(seconds));
    let bytes = |option, default, most| args.number(option, default, most).map(|n| n as usize);
    let limits = Limits {
        header_timeout: time("--header-timeout-ms", 10)?,
        body_timeout: time("--body-timeout-ms", 60)?,
        idle_timeout: time("--idle-timeout-ms", 120)?,
        write_timeout: time("--write-timeout-ms", 30)?,
        stop_timeout: time("--stop-timeout-ms", 5)?,
        max_header_bytes: bytes("--max-header-bytes", 16 << 10, 1 << 20)?,
        max_body_bytes: bytes("--max-body-bytes", 8 << 20, 1 << 30)?,
    };
    Ok((args.address().unwrap_or(ADDRESS).to_owned(), limits))
}
