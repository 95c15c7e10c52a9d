//! A JSON API with PostgreSQL: accounts, and transfers between them.
//!
//! axum handles HTTP in front. A goroutine answers each request, in ordinary code.
//!
//! ```sh
//! cargo run --manifest-path tests/crates/Cargo.toml --release --bin service -- \
//!     127.0.0.1:8080 postgres://postgres@127.0.0.1:5432/postgres
//! curl -d '{"owner": "ann", "balance": 100}' -H 'Content-Type: application/json' \
//!     127.0.0.1:8080/accounts
//! curl 127.0.0.1:8080/accounts/1
//! curl -d '{"from": 1, "to": 2, "amount": 30}' -H 'Content-Type: application/json' \
//!     127.0.0.1:8080/transfers
//! ```
//!
//! Ctrl-C or SIGTERM stops it: it accepts no more connections, and answers running requests. A
//! second signal ends it at once.

mod api;
mod store;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;
use std::{env, io};

use go_runtime::context;
use go_runtime::signal::{SIGINT, SIGTERM, notify_context};
use go_runtime::{block_on, go};
use tokio::net::TcpListener;

use crate::store::Store;

/// How long running requests may take when the service stops.
const STOP: Duration = Duration::from_secs(10);

#[go_runtime::main]
fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let (Some(address), Some(database), None) = (args.next(), args.next(), args.next()) else {
        eprintln!("usage: service ADDRESS DATABASE-URL");
        return ExitCode::from(2);
    };
    match run(&address, &database) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("service: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(address: &str, database: &str) -> Result<(), Box<dyn Error>> {
    let (ctx, signals) = notify_context(&context::background(), &[SIGINT, SIGTERM])?;
    // Never dropped: a client of the crate postgres blocks when it is dropped, which is not allowed
    // on a thread that runs async tasks.
    let store: &'static Store = Box::leak(Box::new(Store::open(database)?));
    let done = ctx.done().clone();
    let (stopping, stopped) = (ctx.done().clone(), ctx.done().clone());
    go! {
        // Waits for the first signal. From then on a second signal ends the process.
        let _ = stopping.recv();
        drop(signals);
    };
    block_on(async {
        let listener = TcpListener::bind(address).await?;
        println!("listening on {}", listener.local_addr()?);
        let serve = axum::serve(listener, api::routes(store))
            .with_graceful_shutdown(async move { _ = stopped.recv_async().await });
        let serve = serve.into_future();
        let late = async {
            let _ = done.recv_async().await;
            tokio::time::sleep(STOP).await;
        };
        tokio::select! {
            served = serve => served?,
            () = late => eprintln!("some requests took too long, and were cut off"),
        }
        Ok::<(), io::Error>(())
    })?;
    Ok(())
}
