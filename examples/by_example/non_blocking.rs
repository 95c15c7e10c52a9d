//! Operations that do not wait: `select!` with a `default`, `try_recv`, `try_send`.
//!
//! Go: only a `select` with a `default`. Here the methods also tell why they did nothing: empty,
//! full or closed. A goroutine that polls in vain for long yields now and then, so a polling loop
//! starves no other goroutine.

use go_runtime::channel::{self, TrySendError};
use go_runtime::select;

#[go_runtime::main]
fn main() {
    let (news, reader) = channel::bounded(1);
    let (stop, done) = channel::bounded::<()>(0);

    select! {
        recv(reader) -> item => println!("news: {item:?}"),
        default => println!("no news"),
    }

    // The channel has room for one message.
    for item in ["rain", "snow"] {
        select! {
            send(news, item) -> sent => println!("sent {item}: {sent:?}"),
            default => println!("no room for {item}"),
        }
    }

    // Several operations at once.
    select! {
        recv(reader) -> item => println!("news: {item:?}"),
        recv(done) -> _ => println!("done"),
        default => println!("nothing at all"),
    }

    // The same with methods, which distinguish empty from closed, and return an unsent message.
    println!("{:?}", reader.try_recv());
    drop(stop);
    println!("{:?}", done.try_recv());
    drop(reader);
    if let Err(TrySendError::Disconnected(item)) = news.try_send("hail") {
        println!("nobody reads of {item}");
    }
}
