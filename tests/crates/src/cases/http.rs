//! HTTP clients and servers.

use std::io::{Read, Write};
use std::thread;

use go_runtime::channel;
use go_runtime::net::TcpStream;
use go_runtime::{block_on, go};

use super::Task;
use crate::recipes::ureq_net;
use crate::servers::http::BODY;
use crate::world::{Wait, World};

fn get(agent: &::ureq::Agent, url: &str) {
    let mut answer = agent.get(url).call().unwrap();
    assert_eq!(answer.body_mut().read_to_string().unwrap(), BODY);
}

pub(super) fn ureq(world: &'static World) -> Task {
    let agent = ::ureq::Agent::new_with_defaults();
    Box::new(move |wait| get(&agent, &world.url(wait)))
}

pub(super) fn ureq_net(world: &'static World) -> Task {
    let agent = ureq_net::agent(::ureq::config::Config::default());
    Box::new(move |wait| get(&agent, &world.url(wait)))
}

pub(super) fn reqwest_blocking(world: &'static World) -> Task {
    let client = go_runtime::blocking(::reqwest::blocking::Client::new);
    Box::new(move |wait| {
        assert_eq!(
            client.get(world.url(wait)).send().unwrap().text().unwrap(),
            BODY
        );
    })
}

pub(super) fn reqwest(world: &'static World) -> Task {
    let client = ::reqwest::Client::new();
    Box::new(move |wait| {
        let url = world.url(wait);
        let text = block_on(async { client.get(url).send().await.unwrap().text().await.unwrap() });
        assert_eq!(text, BODY);
    })
}

/// Tests tiny_http's server, whose accept loop waits for a connection.
pub(super) fn tiny_http(_: &'static World) -> Task {
    let server = ::tiny_http::Server::http("127.0.0.1:0").unwrap();
    let address = server.server_addr().to_ip().unwrap();
    Box::new(move |wait| {
        let wait = wait.clone();
        thread::spawn(move || {
            wait.block();
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            stream
                .write_all(b"GET /late HTTP/1.1\r\nHost: a\r\n\r\n")
                .unwrap();
            // The server reads until it has the whole request; its answer is not part of this case.
            let _ = stream.read(&mut [0; 256]);
        });
        let request = server.recv().unwrap();
        assert_eq!(request.url(), "/late");
        request
            .respond(::tiny_http::Response::from_string(BODY))
            .unwrap();
    })
}

/// Tests axum's server. Its handler is a goroutine, which parks; the client uses `net`.
pub(super) fn axum(_: &'static World) -> Task {
    let (waits, wait_of) = channel::unbounded::<Wait>();
    let address = block_on(async move {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let handler = async move || {
            go! { wait_of.recv().unwrap().park(); }.await.unwrap();
            BODY
        };
        let app = ::axum::Router::new().route("/", ::axum::routing::get(handler));
        tokio::spawn(async { ::axum::serve(listener, app).await });
        address
    });
    Box::new(move |wait| {
        waits.send(wait.clone()).unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 200 ") && answer.ends_with(BODY),
            "{answer}"
        );
    })
}
