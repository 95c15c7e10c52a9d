//! Commands that concern the connection and not the keys.

use crate::commands;
use crate::connection::Connection;
use crate::reply::{self, Failure, SYNTAX};
use crate::request::Words;

/// `PING [message]`
pub(crate) fn ping(connection: &mut Connection<'_>, words: Words<'_>) -> Result<(), Failure> {
    let message = words.from(1).next();
    let subscribed = connection.is_subscriber();
    let out = &mut connection.out;
    match (message, words.len()) {
        (_, 3..) => return Err(Failure::arity("ping")),
        // While the connection is subscribed, the reply looks like a message.
        (message, _) if subscribed => {
            reply::array(out, 2);
            reply::bulk(out, b"pong");
            reply::bulk(out, message.unwrap_or_default());
        }
        (Some(message), _) => reply::bulk(out, message),
        (None, _) => reply::simple(out, "PONG"),
    }
    Ok(())
}

/// `ECHO message`
pub(crate) fn echo(connection: &mut Connection<'_>, words: Words<'_>) -> Result<(), Failure> {
    reply::bulk(&mut connection.out, &words[1]);
    Ok(())
}

/// `SUBSCRIBE channel...`
pub(crate) fn subscribe(connection: &mut Connection<'_>, words: Words<'_>) -> Result<(), Failure> {
    for channel in words.from(1) {
        connection.subscribe(channel)?;
    }
    Ok(())
}

/// `UNSUBSCRIBE [channel...]`: from all channels if none is named.
pub(crate) fn unsubscribe(
    connection: &mut Connection<'_>,
    words: Words<'_>,
) -> Result<(), Failure> {
    if words.len() == 1 {
        connection.unsubscribe_from_all();
    }
    for channel in words.from(1) {
        connection.unsubscribe(channel);
    }
    Ok(())
}

/// `PUBLISH channel message`
pub(crate) fn publish(connection: &mut Connection<'_>, words: Words<'_>) -> Result<(), Failure> {
    let receivers = connection.server.hub.publish(&words[1], &words[2]);
    reply::count(&mut connection.out, receivers);
    Ok(())
}

/// `SELECT 0`: there is one database.
pub(crate) fn select(connection: &mut Connection<'_>, words: Words<'_>) -> Result<(), Failure> {
    match &words[1] {
        b"0" => reply::ok(&mut connection.out),
        _ => return Err(Failure::new("ERR DB index is out of range")),
    }
    Ok(())
}

/// `CONFIG GET parameter...`, for the parameters that `redis-benchmark` asks for.
pub(crate) fn config(connection: &mut Connection<'_>, words: Words<'_>) -> Result<(), Failure> {
    const SETTINGS: [(&str, &str); 2] = [("save", ""), ("appendonly", "no")];
    if !words[1].eq_ignore_ascii_case(b"get") || words.len() < 3 {
        return Err(SYNTAX);
    }
    let found = |setting: &&(&str, &str)| {
        words
            .from(2)
            .any(|name| name.eq_ignore_ascii_case(setting.0.as_bytes()))
    };
    let out = &mut connection.out;
    reply::array(out, 2 * SETTINGS.iter().filter(found).count());
    for (name, value) in SETTINGS.iter().filter(found) {
        reply::bulk(out, name.as_bytes());
        reply::bulk(out, value.as_bytes());
    }
    Ok(())
}

/// `COMMAND [COUNT | DOCS]`: `redis-cli` sends it, and accepts an empty answer.
pub(crate) fn command(connection: &mut Connection<'_>, words: Words<'_>) -> Result<(), Failure> {
    match words.from(1).next() {
        Some(what) if what.eq_ignore_ascii_case(b"count") => {
            reply::count(&mut connection.out, commands::COUNT);
        }
        _ => reply::array(&mut connection.out, 0),
    }
    Ok(())
}

/// `QUIT`
pub(crate) fn quit(connection: &mut Connection<'_>, _: Words<'_>) -> Result<(), Failure> {
    reply::ok(&mut connection.out);
    connection.quits = true;
    Ok(())
}
