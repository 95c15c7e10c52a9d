//! `time`: timers, tickers, functions that run later, timeouts. The tests wait for events, and do
//! not measure how long these take.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use go_runtime::channel::{RecvTimeoutError, Select, bounded, never, unbounded};
use go_runtime::time::{
    Ticker, TimedOut, Timer, after_func, after_func_at, sleep, sleep_until, tick, timeout,
};
use go_runtime::{go, num_goroutines, scope, select, yield_now};

use go_tests::support;

mod after_funcs;

const HOUR: Duration = Duration::from_secs(3600);
const MOMENT: Duration = Duration::from_millis(1);

#[test]
fn a_timer_has_one_message() {
    support::in_both(|| {
        let start = Instant::now();
        let timer = Timer::new(MOMENT);
        let message = timer.channel().recv().unwrap();
        assert!(message >= start + MOMENT && Instant::now() >= message);
        let again = timer.channel().recv_timeout(MOMENT);
        assert_eq!(again, Err(RecvTimeoutError::Timeout));
        assert!(!timer.stop());
    });
}

#[test]
fn a_timer_of_no_time_and_one_of_all_time() {
    support::in_both(|| {
        assert!(Timer::new(Duration::ZERO).channel().try_recv().is_ok());
        let never = Timer::new(Duration::MAX);
        assert!(never.channel().recv_timeout(MOMENT).is_err());
        assert!(never.stop() && !never.stop());
        assert!(!never.reset(Duration::MAX) && never.reset(Duration::ZERO));
        assert!(never.channel().recv().is_ok());
        assert!(!never.stop());
        let started = after_func(Duration::MAX, || {});
        assert!(started.reset(Duration::MAX) && started.stop() && !started.stop());
        let endless = Ticker::new(Duration::MAX);
        assert!(endless.channel().recv_timeout(MOMENT).is_err());
        endless.reset(MOMENT);
        assert!(endless.channel().recv().is_ok());
    });
}

/// As in Go 1.23, no value from before a call of `stop` or `reset` is received after it.
#[test]
fn nothing_stale_is_received() {
    support::in_both(|| {
        let timer = Timer::new(Duration::ZERO);
        let channel = timer.channel().clone();
        assert!(channel.is_full());
        assert!(timer.reset(HOUR));
        assert!(channel.try_recv().is_err() && channel.is_empty());
        assert!(timer.reset(Duration::ZERO));
        assert!(timer.stop());
        assert!(channel.try_recv().is_err());
        assert!(!timer.stop());
        assert!(!timer.reset(Duration::ZERO));
        assert!(channel.recv().is_ok());
    });
}

/// Each kind of wait sees the new moment, even if the old one is far away.
#[test]
fn a_reset_is_seen_by_who_waits() {
    fn receive(timer: &Timer) {
        timer.channel().recv().unwrap();
    }
    fn receive_in_time(timer: &Timer) {
        timer.channel().recv_timeout(2 * HOUR).unwrap();
    }
    fn select(timer: &Timer) {
        select! {
            recv(timer.channel()) -> moment => moment.unwrap(),
            recv(never::<Instant>()) -> _ => unreachable!(),
        };
    }
    fn ready(timer: &Timer) {
        let mut select = Select::new();
        select.recv(timer.channel());
        // The other waiter may receive the message first.
        while timer.channel().try_recv().is_err() {
            assert_eq!(select.ready(), 0);
        }
    }
    fn future(timer: &Timer) {
        block_on(timer.channel().recv_async()).unwrap();
    }
    support::in_both(|| {
        for wait in [receive, receive_in_time, select, ready] {
            let timer = Arc::new(Timer::new(HOUR));
            let theirs = Arc::clone(&timer);
            let waiting = go!(move || wait(&theirs));
            let theirs = Arc::clone(&timer);
            let thread = thread::spawn(move || wait(&theirs));
            // The goroutine and the thread get one message each.
            for _ in 0..2 {
                timer.reset(HOUR);
                assert!(timer.stop());
                yield_now();
                assert!(!timer.reset(Duration::ZERO));
                support::eventually(|| timer.channel().is_empty());
            }
            waiting.join().unwrap();
            thread.join().unwrap();
        }
    });
    for _ in 0..100 {
        let timer = Arc::new(Timer::new(HOUR));
        let theirs = Arc::clone(&timer);
        let thread = thread::spawn(move || future(&theirs));
        timer.reset(2 * HOUR);
        timer.stop();
        timer.reset(Duration::ZERO);
        thread.join().unwrap();
    }
}

/// A message that is postponed again and again arrives once, after the last reset, whichever
/// goroutine receives it.
#[test]
fn resets_race_with_receivers() {
    support::in_both(|| {
        for round in 0..300 {
            let timer = Arc::new(Timer::new(Duration::from_micros(round % 50)));
            let taken = Arc::new(AtomicUsize::new(0));
            let (stop, done) = bounded::<()>(0);
            let receivers: Vec<_> = (0..3)
                .map(|_| {
                    go!(clone(timer, taken, done) {
                        loop {
                            select! {
                                recv(timer.channel()) -> _ => taken.fetch_add(1, Ordering::Relaxed),
                                recv(done) -> _ => break,
                            };
                        }
                    })
                })
                .collect();
            let mut due = 0;
            for pause in [3, 20, 0, 7] {
                // `true` means that the earlier message was not received, and never will be.
                due += usize::from(!timer.reset(Duration::from_micros(pause)));
                yield_now();
            }
            due += usize::from(!timer.stop());
            drop(stop);
            receivers.into_iter().for_each(|r| r.join().unwrap());
            assert_eq!(taken.load(Ordering::Relaxed), due);
        }
    });
}

#[test]
fn who_waits_need_not_keep_the_timer() {
    support::in_both(|| {
        let channel = Timer::new(MOMENT).channel().clone();
        assert!(channel.recv().is_ok());
    });
}

#[test]
fn a_ticker_keeps_in_step() {
    support::in_both(|| {
        let start = Instant::now();
        let ticker = Ticker::new(MOMENT);
        let first = ticker.channel().recv().unwrap();
        assert!(first >= start + MOMENT);
        for _ in 0..5 {
            let tick = ticker.channel().recv().unwrap();
            assert!(Instant::now() >= tick);
            assert_eq!((tick - first).as_nanos() % MOMENT.as_nanos(), 0);
        }
        // All ticks that fell due during this sleep are left out, except for one.
        sleep(5 * MOMENT);
        assert_eq!(ticker.channel().len(), 1);
        let late = ticker.channel().recv().unwrap();
        let next = ticker.channel().recv().unwrap();
        assert!(next - late >= 5 * MOMENT);
    });
}

/// With `tick`, as in Go, a late receiver does not delay later ticks.
#[test]
fn the_ticks_of_tick_keep_in_step() {
    support::in_both(|| {
        let period = Duration::from_micros(500);
        let ticks = tick(period);
        let first = ticks.recv().unwrap();
        for _ in 0..20 {
            sleep(Duration::from_micros(70));
            let since = ticks.recv().unwrap() - first;
            assert_eq!(since.as_nanos() % period.as_nanos(), 0);
        }
        // A period of zero ticks without end, and the longest period never.
        assert!(tick(Duration::ZERO).iter().take(3).count() == 3);
        assert!(tick(Duration::MAX).recv_timeout(MOMENT).is_err());
    });
}

#[test]
fn a_ticker_is_stopped_and_begun_anew() {
    support::in_both(|| {
        let ticker = Arc::new(Ticker::new(MOMENT));
        ticker.channel().recv().unwrap();
        ticker.stop();
        assert!(ticker.channel().recv_timeout(3 * MOMENT).is_err());
        let waiting = go!(clone(ticker) { ticker.channel().iter().take(3).count() });
        ticker.reset(HOUR);
        ticker.reset(MOMENT);
        assert_eq!(waiting.join().unwrap(), 3);
        ticker.reset(Duration::MAX);
        assert!(ticker.channel().try_recv().is_err());
    });
}

#[test]
fn a_period_of_nothing_is_refused() {
    support::in_both(|| {
        let message = |panic: Box<dyn std::any::Any + Send>| *panic.downcast::<String>().unwrap();
        let new = catch_unwind(|| Ticker::new(Duration::ZERO)).unwrap_err();
        assert!(message(new).starts_with("Ticker::new: a period of 0"));
        let ticker = Ticker::new(MOMENT);
        let reset = catch_unwind(AssertUnwindSafe(|| ticker.reset(Duration::ZERO))).unwrap_err();
        assert!(message(reset).starts_with("Ticker::reset: a period of 0"));
        assert!(ticker.channel().recv().is_ok());
    });
}

#[test]
fn sleeps_end() {
    support::in_both(|| {
        let start = Instant::now();
        sleep_until(start - MOMENT);
        sleep(Duration::ZERO);
        sleep_until(start + MOMENT);
        assert!(start.elapsed() >= MOMENT);
    });
}

#[test]
fn a_timeout_gives_the_result_or_tells_the_function() {
    support::in_both(|| {
        assert_eq!(timeout(HOUR, |_| 1), Ok(1));
        assert_eq!(timeout(Duration::MAX, |_| 2), Ok(2));
        for time in [Duration::ZERO, MOMENT] {
            let (tx, told) = unbounded();
            let late = timeout(time, move |done| {
                let closed = done.recv().is_err();
                tx.send(closed).unwrap();
            });
            assert_eq!(late, Err(TimedOut));
            assert_eq!(told.recv(), Ok(true));
        }
        assert_eq!(TimedOut.to_string(), "the time is over");
    });
}

#[test]
fn a_panic_passes_through_a_timeout() {
    support::in_both(|| {
        let payload = catch_unwind(|| timeout(HOUR, |_| panic!("no luck"))).unwrap_err();
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"no luck"));
        // A panic that comes after the timeout is ignored.
        let (tx, rx) = bounded::<()>(0);
        let late = timeout(MOMENT, move |done| {
            let _tx = tx;
            let _ = done.recv();
            panic!("too late");
        });
        assert_eq!(late.unwrap_err(), TimedOut);
        assert!(rx.recv().is_err());
    });
}

/// Very many goroutines wait for timers, and half of them are released early.
#[test]
fn a_hundred_thousand_sleep() {
    support::in_goroutine(|| {
        let (stop, done) = bounded::<()>(0);
        let slept = AtomicUsize::new(0);
        scope(|s| {
            for n in 0..100_000_u64 {
                let (done, slept) = (&done, &slept);
                s.spawn(move || {
                    let timer = Timer::new(if n % 2 == 0 {
                        HOUR
                    } else {
                        Duration::from_micros(n)
                    });
                    select! {
                        recv(timer.channel()) -> _ => { slept.fetch_add(1, Ordering::Relaxed); }
                        recv(done) -> _ => {}
                    }
                });
            }
            support::eventually(|| slept.load(Ordering::Relaxed) == 50_000);
            drop(stop);
        });
        assert_eq!(slept.into_inner(), 50_000);
    });
}
