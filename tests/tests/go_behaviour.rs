//! What Go documents of channels and `select`, and tests in its `test/chan` and
//! `runtime/chan_test.go`: the same meaning, in tests of our own. Each names the program, or the
//! test, of Go's that it corresponds to. Where we differ by design (a send on a closed channel is
//! an error and no panic; closing twice is nothing; `nil` is [`never`](go_runtime::channel::never);
//! the value of a `send` arm is evaluated when the arm is chosen) the test says so.

mod support;

#[path = "go_behaviour/crowds.rs"]
mod crowds;
#[path = "go_behaviour/evaluation_once.rs"]
mod evaluation_once;
#[path = "go_behaviour/evaluation_order.rs"]
mod evaluation_order;
#[path = "go_behaviour/power_series.rs"]
mod power_series;
#[path = "go_behaviour/programs.rs"]
mod programs;
#[path = "go_behaviour/queues.rs"]
mod queues;
#[path = "go_behaviour/races.rs"]
mod races;
#[path = "go_behaviour/select.rs"]
mod select;
#[path = "go_behaviour/sieve.rs"]
mod sieve;
#[path = "go_behaviour/zero_size.rs"]
mod zero_size;
