//! Crawls a site: a goroutine for each page, a limited number of which use the server at once.
//!
//! ```sh
//! cargo run --release --example http_server &
//! cargo run --release --example crawler -- 'http://127.0.0.1:8080/links?n=0'
//! ```
//!
//! Ctrl-C or the time limit ends it early: all goroutines, including those that wait for the
//! server, see that their context has ended, and the results so far are printed.

mod crawl;
mod fetch;
mod url;

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use go_example_servers::server::{self, Refused};
use go_runtime::context;
use go_runtime::signal::{SIGINT, SIGTERM, notify_context};

use crate::crawl::{Summary, crawl};
use crate::url::Url;

const USAGE: &str = "usage: crawler [--at-once N] [--timeout-ms N] http://HOST[:PORT]/[PATH]";

struct Args {
    start: Url,
    at_once: usize,
    timeout: Duration,
}

fn args() -> Result<Args, Refused> {
    let args = server::Args::new(&["--at-once", "--timeout-ms"])?;
    let start = args.address().ok_or_else(|| "where to start?".to_owned())?;
    Ok(Args {
        start: Url::parse(start)?,
        at_once: args.number("--at-once", 8, 1000)? as usize,
        timeout: args.milliseconds("--timeout-ms", Duration::from_secs(30))?,
    })
}

#[go_runtime::main]
fn main() -> ExitCode {
    let args = match args() {
        Ok(args) => args,
        Err(refused) => return refused.exit("crawler", USAGE),
    };
    match run(args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("crawler: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns whether the whole site was crawled.
fn run(args: Args) -> io::Result<bool> {
    let (ctx, _release_signals) = notify_context(&context::background(), &[SIGINT, SIGTERM])?;
    let (ctx, _cancel) = ctx.with_timeout(args.timeout);
    let Summary {
        pages,
        bytes,
        links,
        broken,
        left,
    } = crawl(&ctx, args.start, args.at_once);
    for (url, reason) in &broken {
        println!("broken: {url}: {reason}");
    }
    println!(
        "{pages} pages with {bytes} bytes and {links} links, {} broken",
        broken.len()
    );
    if left == 0 {
        return Ok(pages > 0);
    }
    let cause = ctx
        .cause()
        .map_or_else(String::new, |cause| cause.to_string());
    println!("ended early, with {left} pages to go: {cause}");
    Ok(false)
}
