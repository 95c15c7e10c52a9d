//! Tests of what Go documents about channels and `select`, with the same meaning as Go's own tests
//! in `test/chan` and `runtime/chan_test.go`.
//!
//! Each test names the corresponding program or test of Go. Where this crate differs by design (a
//! send on a closed channel is an error, not a panic; closing twice does nothing; `nil` is
//! [`never`](go_runtime::channel::never); the value of a `send` arm is evaluated when the arm is
//! chosen), the test says so.

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
