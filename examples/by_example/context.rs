//! A context tells a server and each of its requests when to end, and carries a request's values.
//!
//! Go: `ctx, cancel := context.WithCancel(parent)` and `defer cancel()`. Here dropping the last
//! `Cancel` cancels the context, so the `defer` cannot be forgotten; and a value is found by its
//! type, so no two packages use the same key.

use std::time::Duration;

use go_runtime::context::{self, Context, ContextError};
use go_runtime::{go, select, time};

const QUICK: Duration = Duration::from_millis(1);
const SLOW: Duration = Duration::from_secs(60);

struct User(&'static str);

/// Works for a while, unless it is told to end.
fn serve(ctx: &Context, work: Duration) -> Result<String, ContextError> {
    let User(name) = ctx.value().unwrap_or(&User("nobody"));
    select! {
        recv(time::after(work)) -> _ => Ok(format!("done for {name}")),
        recv(ctx.done()) -> _ => Err(ctx.err().unwrap_or(ContextError::Canceled)),
    }
}

#[go_runtime::main]
fn main() {
    let (server, shut_down) = context::background().with_cancel();

    let request = server.with_value(User("Ann"));
    println!("quick: {:?}", serve(&request, QUICK));

    // A deadline for one request does not affect the others.
    let (request, _cancel) = server.with_timeout(QUICK);
    println!("slow: {:?}", serve(&request, SLOW));
    println!("the server: {:?}", server.err());

    // The end of the server ends all contexts derived from it.
    let requests = ["Bo", "Cy"].map(|name| {
        let request = server.with_value(User(name));
        go!(move || serve(&request, SLOW))
    });
    shut_down.cancel();
    for request in requests {
        println!("under way: {:?}", request.join().unwrap());
    }
    println!("the server: {:?}", server.err());
}
