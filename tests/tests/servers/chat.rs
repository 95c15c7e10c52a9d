//! The example `chat`: which client reads which lines, which clients are dropped, and how the
//! server stops. Clients are plain sockets.
#![cfg(target_os = "linux")]

use go_tests::support::{client::Client, programs, server, server::Server};

fn with_server(test: impl Fn(&Server)) {
    server::with_one_and_four("chat", &[], test);
}

/// Connects a client that joins under this name, and reads all lines up to the one that announces
/// it. The other clients may not have been sent these lines yet.
fn enter(server: &Server, name: &str) -> Client {
    let mut client = Client::new(server.address);
    let hello = client.line();
    let guest = hello
        .strip_prefix("* you are ")
        .and_then(|rest| rest.split_once(';'));
    let guest = guest.expect("a name").0.to_owned();
    assert_eq!(client.line(), format!("* {guest} has joined"));
    client.send(format!("/name {name}\n"));
    assert_eq!(client.line(), format!("* {guest} is now {name}"));
    client
}

/// Reads lines until this one.
fn skip_to(client: &mut Client, line: &str) {
    while client.line() != line {}
}

#[test]
fn all_read_the_same_in_the_same_order() {
    with_server(|server| {
        let names = ["ann", "bob", "cleo", "dan"];
        let mut clients = names.map(|name| enter(server, name));
        for client in &mut clients[..3] {
            skip_to(client, "* guest4 is now dan");
        }
        for n in 0..50 {
            for client in &mut clients {
                client.send(format!("{n}\n"));
            }
        }
        let heard = clients
            .each_mut()
            .map(|client| (0..200).map(|_| client.line()).collect::<Vec<_>>());
        assert!(heard.iter().all(|lines| *lines == heard[0]));
        for name in names {
            let own = heard[0]
                .iter()
                .filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            let numbers: Vec<usize> = own.flat_map(str::parse).collect();
            assert_eq!(numbers, (0..50).collect::<Vec<_>>(), "{name}");
        }
    });
}

#[test]
fn names_and_commands() {
    with_server(|server| {
        let mut ann = enter(server, "ann");
        let mut bob = enter(server, "bob");
        skip_to(&mut ann, "* guest2 is now bob");
        let rule = "* a name has 1 to 20 letters, digits, - and _";
        for (line, answer) in [
            ("/name ann", "* the name ann is taken"),
            ("/name", rule),
            ("/name a b", rule),
            ("/name 123456789012345678901", rule),
            ("/who", "* here are ann, bob"),
            ("/who else", "* here are ann, bob"),
            (
                "/nonsense",
                "* there is no such command, only /name NAME, /who and /quit",
            ),
        ] {
            assert_eq!(bob.send(format!("{line}\r\n")).line(), answer, "{line}");
        }
        assert_eq!(bob.send("/name grüße-1_\n").line(), "* bob is now grüße-1_");
        assert_eq!(bob.send("/quit\n").line(), "* good bye");
        bob.is_at_its_end();
        // The other client has received only the lines that are for all clients.
        assert_eq!(ann.line(), "* bob is now grüße-1_");
        assert_eq!(ann.line(), "* grüße-1_ has left");
        assert_eq!(enter(server, "bob").send("x\n").line(), "bob: x");
    });
}

#[test]
fn lines_of_all_kinds() {
    with_server(|server| {
        let mut ann = enter(server, "ann");
        for byte in b"one by one\n" {
            ann.send([*byte]);
        }
        assert_eq!(ann.line(), "ann: one by one");
        ann.send("two\nlines\n");
        assert_eq!(
            (ann.line(), ann.line()),
            ("ann: two".into(), "ann: lines".into())
        );
        // Empty lines are left out, and bytes that are not text do no harm.
        ann.send(b"\n\xff\x1b[2J\n");
        assert_eq!(ann.line(), "ann: \u{fffd}\u{fffd}[2J");
        ann.send("x".repeat(1 << 20)).send("\nafter\n");
        let refusal = ann.line();
        assert!(refusal.ends_with("that one was thrown away"), "{refusal}");
        assert_eq!(ann.line(), "ann: after");
        // A client's last line may lack its newline.
        ann.send("good bye").close_half();
        assert_eq!(ann.line(), "ann: good bye");
    });
}

#[test]
fn those_who_go_without_a_word() {
    with_server(|server| {
        let mut ann = enter(server, "ann");
        let before = server.sockets();
        let mut others: Vec<_> = ["bob", "cleo", "dan"]
            .map(|name| enter(server, name))
            .into();
        skip_to(&mut ann, "* guest4 is now dan");
        others.pop().unwrap().reset();
        assert_eq!(ann.line(), "* dan has left");
        drop(others.pop());
        assert_eq!(ann.line(), "* cleo has left");
        others[0].send("half a li").close_half();
        assert_eq!(ann.line(), "bob: half a li");
        assert_eq!(ann.line(), "* bob has left");
        drop(others);
        server.wait_for_sockets(before);
        assert_eq!(ann.send("/who\n").line(), "* here are ann");
    });
}

/// A client that does not read is dropped, and does not hold up the others.
#[test]
fn a_slow_client_is_dropped() {
    with_server(|server| {
        let mut ann = enter(server, "ann");
        let before = server.sockets();
        let slow = enter(server, "slow");
        skip_to(&mut ann, "* guest2 is now slow");
        let text = "x".repeat(1000);
        let lines = (0..).find(|lines| {
            assert!(*lines < 100_000, "it is still waited for");
            ann.send(format!("{text}\n"));
            let mut said = ann.line();
            let is_dropped = said == "* slow was too slow, and has been dropped";
            if is_dropped {
                said = ann.line();
            }
            assert_eq!(said, format!("ann: {text}"));
            is_dropped || has_dropped(&mut ann, "slow")
        });
        assert!(lines.is_some());
        server.wait_for_sockets(before);
        drop(slow);
        assert_eq!(ann.send("/who\n").line(), "* here are ann");
    });
}

/// Returns whether the next line, if it has arrived already, says that `name` was dropped, and
/// reads that line.
fn has_dropped(client: &mut Client, name: &str) -> bool {
    let said = format!("* {name} was too slow, and has been dropped\n");
    let has = client.unread.starts_with(said.as_bytes());
    if has {
        client.line();
    }
    has
}

#[test]
fn a_stop_is_told_to_all() {
    for (workers, signal) in [("1", libc::SIGINT), ("4", libc::SIGTERM)] {
        let server = Server::start("chat", &[], workers);
        let mut ann = enter(&server, "ann");
        let mut bob = enter(&server, "bob");
        skip_to(&mut ann, "* guest2 is now bob");
        server.signal(signal);
        for client in [&mut ann, &mut bob] {
            assert_eq!(client.line(), "* the server is stopping");
            client.is_at_its_end();
        }
        drop((ann, bob));
        let stopped = server.ended();
        assert_eq!((stopped.status.code(), stopped.errors.len()), (Some(0), 0));
    }
}

#[test]
fn arguments_that_are_refused() {
    programs::helps("chat");
    programs::refuses("chat", &["a", "b"], "usage: chat");
    programs::refuses("chat", &["--nonsense"], "usage: chat");
}
