//! The output of the programs in `examples/by_example/`, with one worker, with several, and with
//! one for each CPU.
#![cfg(unix)]

use go_tests::support::programs::{
    Ended, Running, exactly, has_lines, in_any_order, program, programs_of,
};

programs_of! { "by_example", tested below: signals;
    atomic_counters => exactly(&["visitors: 50000"]),
    channel_buffering => exactly(&[
        "waiting: 2 of at most Some(2)",
        "a third: Err(\"Full(..)\")",
        "received: first, second",
        "waiting: 1000 of at most None",
    ]),
    channel_directions => exactly(&["the heron sleeps.", "the otter sleeps."]),
    channel_synchronization => exactly(&[
        "developing a harbour",
        "a message: Ok(())",
        "developing a lighthouse",
        "the end of the sender: Err(RecvError)",
        "developing a gull",
        "the handle: 6",
    ]),
    channels => exactly(&[
        "received: Dear main, all is well.",
        "and sent: Ok(())",
        "then: Err(RecvError)",
    ]),
    closing_channels => exactly(&[
        "job 1",
        "job 2",
        "job 3",
        "3 jobs are done",
        "a send after that: Err(\"SendError(..)\")",
        "job 4",
        "1 more",
    ]),
    context => exactly(&[
        "quick: Ok(\"done for Ann\")",
        "slow: Err(DeadlineExceeded)",
        "the server: None",
        "under way: Err(Canceled)",
        "under way: Err(Canceled)",
        "the server: Some(Canceled)",
    ]),
    goroutines => in_any_order(&[
        "main: lay the table",
        "soup: step 1",
        "soup: step 2",
        "soup: step 3",
        "bread: heat the oven",
        "bread: step 1",
        "bread: step 2",
        "tea: step 1",
        "main: dinner, after [3, 2, 1] steps",
    ]),
    mutexes => exactly(&["{\"Lima\": 1000, \"Oslo\": 2000}"]),
    non_blocking => exactly(&[
        "no news",
        "sent rain: Ok(())",
        "no room for snow",
        "news: Ok(\"rain\")",
        "Err(Empty)",
        "Err(Disconnected)",
        "nobody reads of hail",
    ]),
    range_over_channels => exactly(&[
        "310 cm",
        "-120 cm",
        "295 cm",
        "-105 cm",
        "high tides: [310, 295]",
        "the first two 190, the others 190",
        "there now: [1, 2]",
    ]),
    rate_limiting => exactly(&[
        "steady: request 1",
        "steady: request 2",
        "steady: request 3",
        "steady: request 4",
        "steady: request 5",
        "no faster than that: true",
        "in a burst: request 1",
        "in a burst: request 2",
        "in a burst: request 3",
        "in a burst: request 4",
        "in a burst: request 5",
        "two had to wait: true",
    ]),
    select => in_any_order(&[
        "by road: bread",
        "by road: milk",
        "by road: post",
        "by sea: tea",
        "by sea: oranges",
        "everything has come",
    ]),
    stateful_goroutines => exactly(&[
        "[5050, 5050, 5050]",
        "nobody has account 4: 0",
        "the bank closes with 3 accounts",
    ]),
    timeouts => exactly(&[
        "the slow one has not answered in time",
        "the quick one says yes",
        "0 of 2 answers within the limit",
        "for one channel: Err(Timeout)",
        "for a function: Err(TimedOut)",
    ]),
    tickers => exactly(&[
        "beat 1",
        "beat 2",
        "beat 3",
        "no faster than it should: true",
        "a slow beat",
        "stopped: Err(Empty)",
        "2 ticks",
    ]),
    timers => exactly(&[
        "the egg is done, not too early: true",
        "stopped in time: true",
        "again: false",
        "so nothing comes: Err(Empty)",
        "it was pending: false",
        "the bus is here",
        "ding",
        "silenced: true",
    ]),
    wait_groups => in_any_order(&[
        "the red lamp is lit",
        "the green lamp is lit",
        "the white lamp is lit",
        "lit: 3",
        "a result: Some(14)",
        "the lighthouse is lit",
        "lit: 4",
    ]),
    worker_pools => |ended: &Ended| {
        has_lines(
            ended,
            &["longest Collatz sequence up to 1000000: 524 steps from 837799"],
        );
        let jobs = |line: &str| {
            let (_, jobs) = line.strip_prefix("  go-worker-")?.split_once(": ")?;
            jobs.strip_suffix(" jobs")?.parse::<u32>().ok()
        };
        let all: u32 = ended.out.lines().filter_map(jobs).sum();
        assert_eq!(all, 1000, "{}", ended.out);
    },
}

#[test]
fn signals() {
    for workers in ["1", "2", "4"] {
        for (signal, what) in [("INT", "interrupt"), ("TERM", "terminated")] {
            let mut command = program("signals");
            command.env("GOMAXPROCS", workers);
            let mut shop = Running::start(command);
            shop.wait_for(|line| line.starts_with("the shop is open"));
            shop.send_signal(signal);
            let ended = shop.end_by_itself();
            assert_eq!(ended.code, Some(0), "{}", ended.errors);
            let expected = format!("closing: {what}\nthe till is counted, the lights are off\n");
            assert_eq!(ended.out, expected);
        }
    }
}
