//! Exit codes and output of the example programs directly in `examples/`. (`wordcount` has its own
//! tests.)
#![cfg(unix)]

use go_tests::support::programs::{has_lines, program, refuses, run, succeeds};

const PROGRAMS: [&str; 6] = [
    "done_channel",
    "go_syntax",
    "pipeline",
    "sieve",
    "tour",
    "wordcount",
];

#[test]
fn tour() {
    succeeds("tour", &[], |ended| {
        let headings = ended.out.lines().filter(|line| line.starts_with("== "));
        assert_eq!(headings.count(), 18, "{}", ended.out);
        has_lines(
            ended,
            &[
                "hello, goroutine, says main",
                "the sum is 6",
                "then: Err(RecvError)",
                "it used 500000 bytes",
                "an Rc shared with a local goroutine: 2",
                "on the same thread: true",
                "join gives the panic: Some(\"no luck\")",
                "10000 round trips",
                "full: true",
                "a range over it: [2, 4, 6], then Err(RecvError)",
                "nothing within 5 ms",
                "sent: Ok(())",
                "received: Ok(7)",
                "fair: true",
                "[0, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89]",
                "it has quit: true",
                "[10, 20, 30, 1, 2, 3]",
                "ten squares: 285",
                "together: goroutines may borrow",
                "lengths: [10, 3, 6]",
                "a task asked a goroutine: 144",
                "timed out",
                "not too early: true",
                "three ticks",
                "stopped: true",
                "the bell: ding",
                "the query: Some(DeadlineExceeded)",
                "its request: None",
                "canceled: the work for Some(\"Ann\")",
                "in stock: {\"apple\": 1, \"pear\": 2}",
                "over 10000 goroutines: true",
                "released: 10000",
                "1000 are done",
                "the sum is 1220",
                "Some(144) and Some(5)",
            ],
        );
        assert!(!ended.out.contains("unexpected"), "{}", ended.out);
        assert!(ended.errors.contains("'unlucky'"), "{}", ended.errors);
    });
}

#[test]
fn pipeline() {
    succeeds("pipeline", &[], |ended| {
        has_lines(ended, &["the whole run: 1000 squares, sum 333833500"]);
        let lines: Vec<_> = ended.out.lines().collect();
        assert!(lines[1].starts_with("ten of the endless run: ["));
        assert!(lines[2].starts_with("canceled, "));
    });
}

#[test]
fn sieve() {
    let is_prime = |n: &u32| {
        (2..*n)
            .take_while(|d| d * d <= *n)
            .all(|d| !n.is_multiple_of(d))
    };
    let primes = |count| -> String {
        (2..)
            .filter(is_prime)
            .take(count)
            .map(|p| format!("{p}\n"))
            .collect()
    };
    for (args, count) in [(&[][..], 25), (&["0"], 0), (&["1"], 1), (&["500"], 500)] {
        succeeds("sieve", args, |ended| {
            assert_eq!(ended.out, primes(count));
            let n = count + 1;
            let all = format!("{n} of {n} goroutines have ended by themselves");
            assert!(ended.errors.contains(&all), "{}", ended.errors);
        });
    }
    for bad in ["abc", "-1", "10001", "", "99999999999999999999999"] {
        refuses("sieve", &[bad], "a number from 0 to 10000");
    }
    refuses("sieve", &["1", "2"], "usage");
}

#[test]
fn done_channel() {
    succeeds("done_channel", &[], |ended| {
        has_lines(
            ended,
            &[
                "one drop released 10000 goroutines",
                "mirror 3 failed: Refused",
                "7 of 8 were canceled",
            ],
        );
    });
}

#[test]
fn go_syntax() {
    succeeds("go_syntax", &[], |ended| {
        let expected = "a block sends: [1, 2, 3]\n\
                        a call: 49\n\
                        a closure: 5\n\
                        nested: 25\n\
                        comparing\n\
                        a comparison: true\n\
                        a turbofish: Some(42)\n\
                        types and matches: \"seven or more\"\n\
                        options: 64\n\
                        clones send: 5\n";
        assert_eq!(ended.out, expected);
    });
}

#[test]
fn a_bad_gomaxprocs_is_refused() {
    for name in PROGRAMS {
        for bad in ["abc", "0"] {
            let mut command = program(name);
            command.env("GOMAXPROCS", bad);
            let ended = run(command);
            assert_eq!(ended.code, Some(2), "{name}: {}", ended.errors);
            let names_it = ended.errors.contains("GOMAXPROCS") && ended.errors.contains(bad);
            assert!(names_it, "{name}: {}", ended.errors);
            assert_eq!(ended.out, "");
        }
    }
}
