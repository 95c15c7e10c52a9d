//! Writing answers.

use std::io::Write;

use crate::date;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Status {
    pub(crate) code: u16,
    /// The code and the reason of the status line: `200 OK`.
    text: &'static str,
}

macro_rules! statuses {
    ($($name:ident = $code:literal $reason:literal;)*) => {
        $(pub(crate) const $name: Status = Status {
            code: $code,
            text: concat!($code, " ", $reason),
        };)*
    };
}

statuses! {
    OK = 200 "OK";
    BAD_REQUEST = 400 "Bad Request";
    NOT_FOUND = 404 "Not Found";
    METHOD_NOT_ALLOWED = 405 "Method Not Allowed";
    REQUEST_TIMEOUT = 408 "Request Timeout";
    CONTENT_TOO_LARGE = 413 "Content Too Large";
    HEADER_TOO_LARGE = 431 "Request Header Fields Too Large";
    NOT_IMPLEMENTED = 501 "Not Implemented";
    SERVICE_UNAVAILABLE = 503 "Service Unavailable";
    VERSION_NOT_SUPPORTED = 505 "HTTP Version Not Supported";
}

pub(crate) const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

pub(crate) const PLAIN: &str = "text/plain; charset=utf-8";
pub(crate) const HTML: &str = "text/html; charset=utf-8";
pub(crate) const BYTES: &str = "application/octet-stream";

/// The properties of a request that determine the form of its answer.
#[derive(Clone, Copy)]
pub(crate) struct Form {
    pub(crate) version_1_1: bool,
    pub(crate) keep_alive: bool,
    /// Whether the answer is to HEAD, and so has everything except the body.
    pub(crate) without_body: bool,
}

impl Form {
    /// The form of an answer after which the connection is closed.
    pub(crate) const LAST: Form = Form {
        version_1_1: true,
        keep_alive: false,
        without_body: false,
    };
}

pub(crate) struct Answer<'a> {
    pub(crate) status: Status,
    pub(crate) content_type: &'static str,
    pub(crate) body: &'a [u8],
    /// The allowed methods, in the answer `METHOD_NOT_ALLOWED`.
    pub(crate) allow: Option<&'static str>,
}

impl<'a> Answer<'a> {
    pub(crate) fn new(status: Status, content_type: &'static str, body: &'a [u8]) -> Self {
        Answer {
            status,
            content_type,
            body,
            allow: None,
        }
    }

    /// Appends the answer to `out`, which may collect several answers for one write.
    pub(crate) fn put(&self, form: Form, out: &mut Vec<u8>) {
        // An answer has the version of the server, whatever the request's version.
        out.extend_from_slice(b"HTTP/1.1 ");
        out.extend_from_slice(self.status.text.as_bytes());
        out.extend_from_slice(b"\r\nDate: ");
        out.extend_from_slice(&date::now());
        out.extend_from_slice(b"\r\nContent-Type: ");
        out.extend_from_slice(self.content_type.as_bytes());
        out.extend_from_slice(b"\r\nContent-Length: ");
        // Writing to a vector cannot fail.
        let _ = write!(out, "{}", self.body.len());
        if let Some(methods) = self.allow {
            out.extend_from_slice(b"\r\nAllow: ");
            out.extend_from_slice(methods.as_bytes());
        }
        match (form.keep_alive, form.version_1_1) {
            (false, _) => out.extend_from_slice(b"\r\nConnection: close"),
            (true, false) => out.extend_from_slice(b"\r\nConnection: keep-alive"),
            (true, true) => {}
        }
        out.extend_from_slice(b"\r\n\r\n");
        if !form.without_body {
            out.extend_from_slice(self.body);
        }
    }
}
