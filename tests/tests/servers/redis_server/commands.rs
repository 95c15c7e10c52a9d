//! The server's commands, in one long dialogue.

use std::thread;

use crate::redis_server::{WRONG_TYPE, ask, reply, with_server};

use go_tests::support::client::Client;

const NO_INTEGER: &str = "-ERR value is not an integer or out of range";

#[test]
fn commands() {
    let dialogue = [
        ("PING", "+PONG"),
        ("ping hello", "$5|hello"),
        ("ECHO hello", "$5|hello"),
        ("SELECT 0", "+OK"),
        ("SELECT 1", "-ERR DB index is out of range"),
        ("CONFIG GET save", "*2|$4|save|$0|"),
        ("CONFIG GET appendonly", "*2|$10|appendonly|$2|no"),
        ("CONFIG GET nothing", "*0"),
        ("COMMAND DOCS", "*0"),
        // Strings and numbers.
        ("GET a", "$-1"),
        ("SET a 1", "+OK"),
        ("get a", "$1|1"),
        ("SET a 2 NX", "$-1"),
        ("SET b 2 XX", "$-1"),
        ("SET a 3 xx", "+OK"),
        ("GETSET a 4", "$1|3"),
        ("GETSET z 4", "$-1"),
        ("INCR a", ":5"),
        ("DECR a", ":4"),
        ("INCRBY a -14", ":-10"),
        ("DECRBY a 10", ":-20"),
        ("INCR new", ":1"),
        ("INCRBY a 1.5", NO_INTEGER),
        ("SET a 9223372036854775807", "+OK"),
        ("INCR a", "-ERR increment or decrement would overflow"),
        (
            "DECRBY a -9223372036854775808",
            "-ERR increment or decrement would overflow",
        ),
        ("SET a 05", "+OK"),
        ("INCR a", NO_INTEGER),
        ("APPEND a x", ":3"),
        ("APPEND b yz", ":2"),
        ("MSET c 1 d 2", "+OK"),
        (
            "MSET c 1 d",
            "-ERR wrong number of arguments for 'mset' command",
        ),
        ("MGET a c nothing d", "*4|$3|05x|$1|1|$-1|$1|2"),
        ("EXISTS a b a nothing", ":3"),
        ("DEL a b nothing", ":2"),
        ("DBSIZE", ":4"),
        // Expiry times.
        ("TTL c", ":-1"),
        ("TTL nothing", ":-2"),
        ("EXPIRE nothing 100", ":0"),
        ("EXPIRE c 100", ":1"),
        ("TTL c", ":100"),
        ("PERSIST c", ":1"),
        ("PTTL c", ":-1"),
        ("SET c 1 EX 1000", "+OK"),
        ("TTL c", ":1000"),
        ("INCR c", ":2"),
        ("TTL c", ":1000"),
        ("SET c 1", "+OK"),
        ("TTL c", ":-1"),
        ("EXPIRE c -1", ":1"),
        ("GET c", "$-1"),
        ("SET c 1 PX 0", "-ERR invalid expire time in 'set' command"),
        (
            "SET c 1 EX 9223372036854775807",
            "-ERR invalid expire time in 'set' command",
        ),
        ("EXPIRE d 9223372036854775807", "-ERR invalid expire time"),
        ("SET c 1 EX x", NO_INTEGER),
        ("SET c 1 EX", "-ERR syntax error"),
        ("SET c 1 NX XX", "-ERR syntax error"),
        ("SET c 1 EX 1 PX 1", "-ERR syntax error"),
        // Lists.
        ("RPUSH l c d e", ":3"),
        ("LPUSH l b a", ":5"),
        ("LLEN l", ":5"),
        ("LRANGE l 0 -1", "*5|$1|a|$1|b|$1|c|$1|d|$1|e"),
        ("LRANGE l 1 2", "*2|$1|b|$1|c"),
        ("LRANGE l -2 100", "*2|$1|d|$1|e"),
        ("LRANGE l -100 0", "*1|$1|a"),
        ("LRANGE l 3 1", "*0"),
        ("LRANGE l 9 9", "*0"),
        ("LRANGE l 0 -100", "*0"),
        (
            "LRANGE l -9223372036854775808 9223372036854775807",
            "*5|$1|a|$1|b|$1|c|$1|d|$1|e",
        ),
        ("LRANGE nothing 0 -1", "*0"),
        ("LRANGE l a b", NO_INTEGER),
        ("LPOP l", "$1|a"),
        ("RPOP l", "$1|e"),
        ("LPOP nothing", "$-1"),
        ("GET l", WRONG_TYPE),
        ("INCR l", WRONG_TYPE),
        ("SADD l a", WRONG_TYPE),
        ("MGET l", "*1|$-1"),
        ("SET l a", "+OK"),
        ("LPUSH l a", WRONG_TYPE),
        // Sets and hashes.
        ("SADD s a a b", ":2"),
        ("SADD s b", ":0"),
        ("SCARD s", ":2"),
        ("SPOP nothing", "$-1"),
        ("HSET h f 1 g 2", ":2"),
        ("HSET h f 3 i 4", ":1"),
        (
            "HSET h f 3 i",
            "-ERR wrong number of arguments for 'hset' command",
        ),
        ("HGET h f", "$1|3"),
        ("HGET h nothing", "$-1"),
        ("HGET s a", WRONG_TYPE),
        // Wrong arguments and unknown commands.
        ("GET", "-ERR wrong number of arguments for 'get' command"),
        (
            "GET a b",
            "-ERR wrong number of arguments for 'get' command",
        ),
        ("FLY away", "-ERR unknown command 'FLY'"),
        ("FLUSHALL", "+OK"),
        ("DBSIZE", ":0"),
    ];
    with_server(|server| {
        let mut client = Client::new(server.address);
        for (text, expected) in dialogue {
            assert_eq!(ask(&mut client, text), expected, "{text}");
        }
        // When the last member is popped the key is removed.
        ask(&mut client, "SADD s a b");
        let mut popped = [ask(&mut client, "SPOP s"), ask(&mut client, "SPOP s")];
        popped.sort();
        assert_eq!(popped, ["$1|a", "$1|b"]);
        assert_eq!(ask(&mut client, "EXISTS s"), ":0");
        // A key expires.
        assert_eq!(ask(&mut client, "SET t 1 PX 20"), "+OK");
        while ask(&mut client, "EXISTS t") == ":1" {
            thread::yield_now();
        }
        assert_eq!(ask(&mut client, "TTL t"), ":-2");
        assert_eq!(ask(&mut client, "SET t 1 NX"), "+OK");
        // Commands as a person types them.
        client.send("set a  b\r\nGET\ta\n\r\nquit\r\n");
        let replies: Vec<_> = (0..3).map(|_| reply(&mut client)).collect();
        assert_eq!(replies, ["+OK", "$1|b", "+OK"]);
        client.is_at_its_end();
    });
}
