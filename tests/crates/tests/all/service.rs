//! The example `service`, under load and stopped in the middle of it.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use go_crates::recipes::ureq_net;
use go_crates::world::{Needs, World};
use go_runtime::{JoinHandle, blocking, go};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use ureq::Agent;

use crate::Named;

pub(crate) const ALL: &[Named] = &[
    (
        "service: every answer is right under load",
        &[Needs::Postgresql],
        loaded,
    ),
    ("service: mistakes are told", &[Needs::Postgresql], mistakes),
    ("service: too much to do", &[Needs::Postgresql], busy),
    (
        "service: stops in the middle of a load",
        &[Needs::Postgresql],
        stopped,
    ),
];

const CLIENTS: i64 = 32;
const REQUESTS: i64 = 20;
const BALANCE: i64 = 1000;

/// A running service, with its own database.
struct Service {
    child: Child,
    url: String,
    database: String,
}

impl Service {
    fn start(world: &World, database: &str) -> Service {
        let port = world.postgresql().get_ports()[0];
        let sql = format!("DROP DATABASE IF EXISTS {database}");
        world.client().batch_execute(&sql).unwrap();
        world
            .client()
            .batch_execute(&format!("CREATE DATABASE {database}"))
            .unwrap();
        let database = format!("postgres://postgres@127.0.0.1:{port}/{database}");
        let mut child = Command::new(env!("CARGO_BIN_EXE_service"))
            .args(["127.0.0.1:0", &database])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line
            .trim()
            .strip_prefix("listening on ")
            .expect("it listens");
        Service {
            url: format!("http://{address}"),
            child,
            database,
        }
    }

    fn interrupt(&self) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::INT).unwrap();
    }

    /// Waits for the service to end, and checks that it has printed no error.
    fn ends_well(&mut self) {
        let mut stderr = String::new();
        let mut pipe = self.child.stderr.take().unwrap();
        pipe.read_to_string(&mut stderr).unwrap();
        assert!(self.child.wait().unwrap().success(), "{stderr}");
        assert_eq!(stderr, "");
    }

    fn client(&self) -> postgres::Client {
        postgres::Client::connect(&self.database, postgres::NoTls).unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns a client that returns error statuses as answers.
fn agent() -> Agent {
    let config = Agent::config_builder().http_status_as_error(false).build();
    ureq_net::agent(config)
}

fn body(answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> (u16, Value) {
    let mut answer = answer.unwrap();
    let text = answer.body_mut().read_to_string().unwrap();
    let status = answer.status().as_u16();
    (
        status,
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status}: {text}")),
    )
}

/// Posts again while the service is overloaded, which may happen at any time on a busy machine.
fn post_until_done(agent: &Agent, url: &str, value: &Value) -> Result<(u16, Value), ureq::Error> {
    loop {
        match post(agent, url, value)? {
            (503, _) => {}
            other => return Ok(other),
        }
    }
}

fn get(agent: &Agent, url: &str) -> (u16, Value) {
    loop {
        match body(agent.get(url).call()) {
            (503, _) => {}
            other => return other,
        }
    }
}

fn post(agent: &Agent, url: &str, value: &Value) -> Result<(u16, Value), ureq::Error> {
    let request = agent.post(url).content_type("application/json");
    request
        .send(value.to_string())
        .map(|answer| body(Ok(answer)))
}

fn open_accounts(url: &str, agent: &Agent, count: i64) {
    for id in 1..=count {
        let new = json!({ "owner": format!("owner {id}"), "balance": BALANCE });
        let (status, account) = post(agent, &format!("{url}/accounts"), &new).unwrap();
        assert_eq!(status, 201);
        let right = json!({ "id": id, "owner": format!("owner {id}"), "balance": BALANCE });
        assert_eq!(account, right);
    }
}

fn join_all<T>(goroutines: Vec<JoinHandle<T>>) -> Vec<T> {
    goroutines
        .into_iter()
        .map(|goroutine| goroutine.join().unwrap())
        .collect()
}

fn loaded(world: &'static World) {
    let mut service = Service::start(world, "loaded");
    open_accounts(&service.url, &agent(), CLIENTS);
    let moved = Arc::new(AtomicI64::new(0));
    let clients = (1..=CLIENTS).map(|client| {
        let (url, moved) = (service.url.clone(), Arc::clone(&moved));
        go! {
            let agent = agent();
            for number in 0..REQUESTS {
                // All transfers use a few accounts, in both directions.
                let to = 1 + (client + number) % 5;
                let (from, amount) = (client, 1 + number);
                let transfer = json!({ "from": from, "to": to, "amount": amount });
                let transfers = format!("{url}/transfers");
                let answer = post_until_done(&agent, &transfers, &transfer).unwrap();
                if from == to {
                    assert_eq!(answer.0, 422);
                } else {
                    assert_eq!(answer, (201, transfer));
                    moved.fetch_add(amount, Ordering::Relaxed);
                }
                let (status, account) = get(&agent, &format!("{url}/accounts/{from}"));
                assert_eq!((status, &account["id"]), (200, &json!(from)));
                assert_eq!(account["owner"], json!(format!("owner {from}")));
            }
        }
    });
    join_all(clients.collect());
    let (status, accounts) = get(&agent(), &format!("{}/accounts", service.url));
    assert_eq!(status, 200);
    let accounts = accounts.as_array().unwrap();
    let balances = accounts
        .iter()
        .map(|account| account["balance"].as_i64().unwrap());
    assert_eq!(
        (accounts.len() as i64, balances.sum::<i64>()),
        (CLIENTS, CLIENTS * BALANCE)
    );
    let sum = service
        .client()
        .query_one("SELECT sum(amount)::bigint FROM transfers", &[]);
    assert_eq!(sum.unwrap().get::<_, i64>(0), moved.load(Ordering::Relaxed));
    service.interrupt();
    service.ends_well();
}

fn mistakes(world: &'static World) {
    let service = Service::start(world, "mistakes");
    let (url, agent) = (&service.url, agent());
    open_accounts(url, &agent, 2);
    let transfers = format!("{url}/transfers");
    for (value, status, why) in [
        (json!({ "from": 1, "to": 2, "amount": 0 }), 422, "amount"),
        (
            json!({ "from": 1, "to": 1, "amount": 5 }),
            422,
            "two accounts",
        ),
        (
            json!({ "from": 1, "to": 9, "amount": 5 }),
            404,
            "no account 9",
        ),
        (
            json!({ "from": 1, "to": 2, "amount": BALANCE + 1 }),
            409,
            "does not cover",
        ),
        (json!({ "from": 1, "to": 2 }), 422, "amount"),
        (
            json!({ "from": 1, "to": 2, "amount": "x".repeat(20_000) }),
            413,
            "limit",
        ),
    ] {
        let (was, error) = post(&agent, &transfers, &value).unwrap();
        assert_eq!(was, status, "{error}");
        assert!(error["error"].as_str().unwrap().contains(why), "{error}");
    }
    let broken = agent
        .post(&transfers)
        .content_type("application/json")
        .send("{");
    assert_eq!(body(broken).0, 400);
    assert_eq!(body(agent.post(&transfers).send("{}")).0, 415);
    assert_eq!(body(agent.get(format!("{url}/accounts/7")).call()).0, 404);
    assert_eq!(body(agent.get(format!("{url}/nowhere")).call()).0, 404);
    let (_, accounts) = body(agent.get(format!("{url}/accounts")).call());
    assert!(
        accounts
            .as_array()
            .unwrap()
            .iter()
            .all(|one| one["balance"] == json!(BALANCE))
    );
}

/// A lock delays all transfers until the database ends their statements. Meanwhile there is no
/// connection for other requests, which get an error; afterwards the service works again.
fn busy(world: &'static World) {
    let service = Service::start(world, "busy");
    open_accounts(&service.url, &agent(), 2);
    let mut client = service.client();
    let mut lock = client.transaction().unwrap();
    lock.batch_execute("LOCK TABLE accounts").unwrap();
    let clients = (0..12).map(|_| {
        let url = format!("{}/transfers", service.url);
        let transfer = json!({ "from": 1, "to": 2, "amount": 1 });
        go!({ post(&agent(), &url, &transfer).unwrap() })
    });
    for (status, error) in join_all(clients.collect()) {
        assert_eq!(
            (status, &error["error"]),
            (503, &json!("too much to do; try again"))
        );
    }
    lock.rollback().unwrap();
    let transfer = json!({ "from": 1, "to": 2, "amount": 1 });
    let transfers = format!("{}/transfers", service.url);
    assert_eq!(
        post_until_done(&agent(), &transfers, &transfer).unwrap().0,
        201
    );
}

/// Everything that clients were told has happened; for each client, at most one request has an
/// unknown result.
fn stopped(world: &'static World) {
    let mut service = Service::start(world, "stopped");
    open_accounts(&service.url, &agent(), 2);
    let told = Arc::new(AtomicUsize::new(0));
    let clients = (0..CLIENTS).map(|_| {
        let (url, told) = (format!("{}/transfers", service.url), Arc::clone(&told));
        go! {
            let agent = agent();
            let transfer = json!({ "from": 1, "to": 2, "amount": 1 });
            // Posts until the connection is closed, or no new one can be opened.
            while let Ok((status, _)) = post_until_done(&agent, &url, &transfer) {
                assert!(status == 201 || status == 409, "{status}");
                told.fetch_add(usize::from(status == 201), Ordering::Relaxed);
            }
        }
    });
    let clients: Vec<_> = clients.collect();
    while told.load(Ordering::Relaxed) < 100 {
        blocking(|| std::thread::sleep(Duration::from_millis(1)));
    }
    service.interrupt();
    join_all(clients);
    service.ends_well();
    let told = told.load(Ordering::Relaxed) as i64;
    let count = service
        .client()
        .query_one("SELECT count(*) FROM transfers", &[]);
    let count: i64 = count.unwrap().get(0);
    assert!(
        (told..=told + CLIENTS).contains(&count),
        "{told} were told, {count} happened"
    );
}
