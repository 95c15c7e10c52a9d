//! The pages of this server.

use std::io::Write;
use std::time::Duration;

use go_runtime::channel::{Receiver, after};
use go_runtime::select;

use crate::answer::{
    Answer, BAD_REQUEST, BYTES, Form, HTML, METHOD_NOT_ALLOWED, NOT_FOUND, OK, PLAIN,
    SERVICE_UNAVAILABLE,
};
use crate::date;
use crate::request::Method;

/// Maximum pause of `/slow`.
const MAX_PAUSE_MS: u64 = 600_000;
/// Number of pages of links.
const PAGES: u64 = 200;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Route {
    Hello,
    Time,
    /// `/slow`, with its pause in milliseconds.
    Slow(Option<u64>),
    Echo,
    /// `/links`, with the number of its page.
    Links(Option<u64>),
    Unknown,
    /// The page exists, but only for these methods.
    NotFor(&'static str),
}

impl Route {
    pub(crate) fn new(method: Method, target: &[u8]) -> Route {
        let (path, query) = split(target);
        let route = match path {
            b"/" => Route::Hello,
            b"/time" => Route::Time,
            b"/slow" => Route::Slow(parameter(query, "ms", MAX_PAUSE_MS)),
            b"/echo" => Route::Echo,
            b"/links" => Route::Links(parameter(query, "n", PAGES - 1)),
            _ => return Route::Unknown,
        };
        match (route, method) {
            (Route::Echo, Method::Post) => route,
            (Route::Echo, _) => Route::NotFor("POST"),
            (_, Method::Get | Method::Head) => route,
            _ => Route::NotFor("GET, HEAD"),
        }
    }

    /// Returns whether the goroutine may park before it has the answer. Earlier answers should then
    /// be sent first.
    pub(crate) fn parks(self) -> bool {
        matches!(self, Route::Slow(Some(_)))
    }

    /// Appends the answer.
    pub(crate) fn answer(
        self,
        body: &[u8],
        form: Form,
        done: &Receiver<()>,
        out: &mut Vec<u8>,
    ) -> Next {
        let plain = |status, text| Answer::new(status, PLAIN, text);
        match self {
            Route::Hello => plain(OK, b"hello, gopher\n").put(form, out),
            Route::Time => {
                let mut text = [b'\n'; 30];
                text[..29].copy_from_slice(&date::now());
                plain(OK, &text).put(form, out);
            }
            Route::Slow(Some(ms)) => {
                let stopped = select! {
                    recv(after(Duration::from_millis(ms))) -> _ => false,
                    recv(done) -> _ => true,
                };
                if stopped {
                    let last = Form {
                        keep_alive: false,
                        ..form
                    };
                    plain(SERVICE_UNAVAILABLE, b"the server is stopping\n").put(last, out);
                    return Next::Close;
                }
                plain(OK, b"that was slow\n").put(form, out);
            }
            Route::Echo => Answer::new(OK, BYTES, body).put(form, out),
            Route::Links(Some(n)) => Answer::new(OK, HTML, &links(n)).put(form, out),
            Route::Slow(None) => {
                plain(
                    BAD_REQUEST,
                    b"give a number of milliseconds: /slow?ms=100\n",
                )
                .put(form, out);
            }
            Route::Links(None) => {
                plain(BAD_REQUEST, b"give the number of a page: /links?n=0\n").put(form, out);
            }
            Route::Unknown => plain(NOT_FOUND, b"there is no such page\n").put(form, out),
            Route::NotFor(methods) => Answer {
                allow: Some(methods),
                ..plain(METHOD_NOT_ALLOWED, b"not with this method\n")
            }
            .put(form, out),
        }
        Next::AsSaid
    }
}

/// What happens to the connection after an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Next {
    /// The connection stays open or is closed as the answer's `Form` says.
    AsSaid,
    Close,
}

/// Splits a target into the path and the query, without the host that a proxy's client writes
/// before them.
fn split(target: &[u8]) -> (&[u8], &[u8]) {
    let target = match target.strip_prefix(b"http://") {
        Some(rest) => match rest.iter().position(|&byte| byte == b'/') {
            Some(slash) => &rest[slash..],
            None => b"/",
        },
        None => target,
    };
    match target.iter().position(|&byte| byte == b'?') {
        Some(mark) => (&target[..mark], &target[mark + 1..]),
        None => (target, b""),
    }
}

/// Returns the number with this name in a query, if it is at most `max`.
fn parameter(query: &[u8], name: &str, max: u64) -> Option<u64> {
    let query = str::from_utf8(query).ok()?;
    let (_, value) = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(this, _)| *this == name)?;
    value.parse().ok().filter(|n| *n <= max)
}

/// Returns a page of a site for crawlers: page n links to the pages 2n + 1 and 2n + 2 if they
/// exist, back to its parent, and every tenth page to one that does not exist.
fn links(n: u64) -> Vec<u8> {
    let mut page = format!("<!doctype html>\n<title>Page {n}</title>\n").into_bytes();
    let further = [2 * n + 1, 2 * n + 2];
    let back = n.checked_sub(1).map(|before| before / 2);
    for to in further.into_iter().filter(|to| *to < PAGES).chain(back) {
        // Writing to a vector cannot fail.
        let _ = writeln!(page, "<a href=\"/links?n={to}\">page {to}</a>");
    }
    if n.is_multiple_of(10) {
        let _ = writeln!(page, "<a href=\"/nowhere/{n}\">a dead end</a>");
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets() {
        for (method, target, route) in [
            (Method::Get, "/", Route::Hello),
            (Method::Head, "/?x=1", Route::Hello),
            (Method::Get, "http://host:80/time", Route::Time),
            (Method::Get, "http://host", Route::Hello),
            (Method::Get, "/slow?a=1&ms=5", Route::Slow(Some(5))),
            (Method::Get, "/slow?ms=600001", Route::Slow(None)),
            (Method::Get, "/slow?ms=-5", Route::Slow(None)),
            (Method::Get, "/links?n=199", Route::Links(Some(199))),
            (Method::Get, "/links?n=200", Route::Links(None)),
            (Method::Post, "/echo", Route::Echo),
            (Method::Get, "/echo", Route::NotFor("POST")),
            (Method::Post, "/", Route::NotFor("GET, HEAD")),
            (Method::Get, "/Time", Route::Unknown),
            (Method::Other, "*", Route::Unknown),
        ] {
            assert_eq!(Route::new(method, target.as_bytes()), route, "{target}");
        }
    }
}
