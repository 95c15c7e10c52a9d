//! A tour of goroutines in Rust: each feature once, in the order in which a reader meets them.
//!
//! ```sh
//! cargo run --release --example tour
//! GOMAXPROCS=1 cargo run --release --example tour
//! ```

mod channels;
mod goroutines;
mod together;

use go_runtime::gomaxprocs;

type Error = Box<dyn std::error::Error>;
type Section = fn() -> Result<(), Error>;

const SECTIONS: [(&str, Section); 18] = [
    ("Starting goroutines", goroutines::starting),
    ("Options", goroutines::options),
    ("Joining, and panics", goroutines::joining),
    ("Goroutines that borrow", goroutines::scoped),
    ("Unbuffered channels", channels::unbuffered),
    ("Buffered channels, and closing", channels::buffered),
    ("select!", channels::selecting),
    ("select! with Go's arrows", channels::arrows),
    ("select_biased!", channels::biased),
    ("Select, over a list", channels::select_list),
    ("Timeouts, ticks, timers", together::timing),
    ("The done channel", together::done_channel),
    ("Contexts", together::contexts),
    ("WaitGroup", together::wait_group),
    ("Mutex", together::mutex),
    ("Threads and goroutines on one channel", channels::threads),
    ("Async tasks on the same channels", channels::async_tasks),
    ("golang!", goroutines::go_syntax),
];

#[go_runtime::main]
fn main() -> Result<(), Error> {
    println!("{} workers run the goroutines", gomaxprocs());
    for (heading, section) in SECTIONS {
        println!("\n== {heading}");
        section()?;
    }
    Ok(())
}
