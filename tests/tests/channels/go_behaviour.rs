//! What Go documents of channels and `select`, and tests in its `test/chan` and
//! `runtime/chan_test.go`: the same meaning, in tests of our own. Each names the program, or the
//! test, of Go's that it corresponds to. Where we differ by design (a send on a closed channel is
//! an error and no panic; closing twice is nothing; `nil` is [`never`](go_runtime::channel::never);
//! the value of a `send` arm is evaluated when the arm is chosen) the test says so.

mod crowds;
mod evaluation_once;
mod evaluation_order;
mod power_series;
mod programs;
mod queues;
mod races;
mod select;
mod sieve;
mod zero_size;
