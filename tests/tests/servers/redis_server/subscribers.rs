//! Publish and subscribe.

use crate::redis_server::{ask, reply, with_server, words};

use go_tests::support::client::Client;

#[test]
fn subscribers() {
    with_server(|server| {
        let mut publisher = Client::new(server.address);
        assert_eq!(ask(&mut publisher, "PUBLISH a x"), ":0");
        let before = server.sockets();
        let mut both = Client::new(server.address);
        // Earlier requests are answered first.
        both.send([words("PING"), words("SUBSCRIBE a b"), words("PING")].concat());
        let replies: Vec<_> = (0..4).map(|_| reply(&mut both)).collect();
        assert_eq!(
            replies,
            [
                "+PONG",
                "*3|$9|subscribe|$1|a|:1",
                "*3|$9|subscribe|$1|b|:2",
                "*2|$4|pong|$0|"
            ]
        );
        let mut one = Client::new(server.address);
        assert_eq!(ask(&mut one, "SUBSCRIBE a"), "*3|$9|subscribe|$1|a|:1");
        for n in 0..500 {
            assert_eq!(ask(&mut publisher, &format!("PUBLISH a {n:03}")), ":2");
            assert_eq!(ask(&mut publisher, &format!("PUBLISH b {n:03}")), ":1");
        }
        for n in 0..500 {
            let message = |channel| format!("*3|$7|message|$1|{channel}|$3|{n:03}");
            assert_eq!(reply(&mut one), message("a"));
            assert_eq!(reply(&mut both), message("a"));
            assert_eq!(reply(&mut both), message("b"));
        }
        // Other commands are refused while a subscription lasts.
        let error = ask(&mut both, "GET a");
        assert!(error.starts_with("-ERR Can't execute 'get'"), "{error}");
        assert_eq!(ask(&mut both, "SUBSCRIBE a"), "*3|$9|subscribe|$1|a|:2");
        assert_eq!(
            ask(&mut both, "UNSUBSCRIBE a"),
            "*3|$11|unsubscribe|$1|a|:1"
        );
        assert_eq!(ask(&mut publisher, "PUBLISH a x"), ":1");
        assert_eq!(reply(&mut one), "*3|$7|message|$1|a|$1|x");
        both.send([words("UNSUBSCRIBE"), words("GET a"), words("UNSUBSCRIBE")].concat());
        assert_eq!(reply(&mut both), "*3|$11|unsubscribe|$1|b|:0");
        assert_eq!(reply(&mut both), "$-1");
        assert_eq!(reply(&mut both), "*3|$11|unsubscribe|$-1|:0");
        assert_eq!(ask(&mut both, "SUBSCRIBE c"), "*3|$9|subscribe|$1|c|:1");
        // A long list of channels, in one batch.
        let names: Vec<_> = (0..5000).map(|n| format!("c{n}")).collect();
        both.send(words(&format!("SUBSCRIBE {}", names.join(" "))));
        for n in 0..5000 {
            assert!(reply(&mut both).ends_with(&format!("|c{n}|:{}", n + 2)));
        }
        assert_eq!(ask(&mut both, "QUIT"), "+OK");
        both.is_at_its_end();
        drop(one);
        server.wait_for_sockets(before);
        assert_eq!(ask(&mut publisher, "PUBLISH a x"), ":0");
    });
}

/// The server does not wait for a subscriber that does not read.
#[test]
fn slow_subscribers_are_dropped() {
    with_server(|server| {
        let mut publisher = Client::new(server.address);
        let mut reader = Client::new(server.address);
        assert_eq!(ask(&mut reader, "SUBSCRIBE a"), "*3|$9|subscribe|$1|a|:1");
        let before = server.sockets();
        let mut slow = Client::new(server.address);
        assert_eq!(ask(&mut slow, "SUBSCRIBE a"), "*3|$9|subscribe|$1|a|:1");
        let text = "x".repeat(1 << 20);
        let message = words(&format!("PUBLISH a {text}"));
        let received = format!("*3|$7|message|$1|a|$1048576|{text}");
        let mut sent = 0;
        loop {
            let told = reply(publisher.send(&message));
            assert!(reply(&mut reader) == received);
            if told == ":1" {
                break;
            }
            assert_eq!(told, ":2");
            sent += 1;
            assert!(sent < 200, "it is still waited for");
        }
        server.wait_for_sockets(before);
    });
}
