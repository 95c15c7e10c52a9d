//! Runs every case and every recipe, with one worker and with four, in separate processes.
//!
//! Tests that need a server that could not be started are skipped, and the skipped tests are listed
//! and counted at the end.

mod cases;
mod job_queue;
mod page;
mod recipes;
mod runner;
mod service;
mod sqlite;
mod supervisor;

use std::env;
use std::process::{Command, ExitCode};

use go_crates::nesting::{self, Region};
use go_crates::world::{Needs, Servers, World};

use crate::runner::Test;

/// A test: its name, the servers that it needs, and its function.
type Named = (&'static str, &'static [Needs], fn(&'static World));

/// Set to the number of workers in a child of the process that has started the servers.
const CHILD: &str = "GO_CRATES_CHILD";
/// The crates of the feature `heavy`, each with whether it is built.
const HEAVY: [(&str, bool); 5] = [
    ("mlua", cfg!(feature = "mlua")),
    ("native-tls", cfg!(feature = "native-tls")),
    ("openssl", cfg!(feature = "openssl")),
    ("sqlx", cfg!(feature = "sqlx")),
    ("wasmtime", cfg!(feature = "wasmtime")),
];

fn main() -> ExitCode {
    if let Some(code) = supervisor::sleeper() {
        return code;
    }
    if let Some(workers) = env::var_os(CHILD) {
        return child(workers == "1");
    }
    let servers = Servers::start();
    servers.report();
    let mut failed = false;
    for workers in ["1", "4"] {
        println!("\nGOMAXPROCS={workers}");
        let mut child = Command::new(env::current_exe().expect("this program has a path"));
        child.args(env::args_os().skip(1)).envs(servers.variables());
        let status = child
            .env("GOMAXPROCS", workers)
            .env(CHILD, workers)
            .status();
        failed |= !status.expect("it starts again").success();
    }
    if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

fn child(single: bool) -> ExitCode {
    let world: &'static World = Box::leak(Box::new(World::from_env()));
    let mut tests = Vec::new();
    let mut add = |name: String, needs: &[Needs], run: Box<dyn FnOnce()>| {
        let lacks = needs.iter().find(|needs| !world.has(**needs));
        tests.push(Test {
            name,
            lacks: lacks.map(|needs| format!("{needs:?}")),
            run,
        });
    };
    for case in go_crates::cases::all() {
        let name = format!("{}, {}", case.name, case.way.name());
        add(
            name,
            &[case.needs],
            Box::new(move || cases::check(world, case)),
        );
    }
    for region in Region::ALL {
        for (name, check) in nesting::ALL {
            add(
                format!("{name}, nesting in {}", region.name()),
                &[],
                Box::new(move || check(region)),
            );
        }
    }
    // The programs have their own workers, so they run once.
    let programs = [service::ALL, job_queue::ALL, supervisor::ALL, page::ALL].concat();
    let programs = programs.into_iter().filter(|_| !single);
    let goroutines = [recipes::ALL, sqlite::ALL].concat();
    for (name, needs, test) in goroutines.into_iter().chain(programs) {
        add(name.to_owned(), needs, Box::new(move || test(world)));
    }
    let code = runner::run(tests);
    let not_built = HEAVY.iter().filter(|(_, built)| !built);
    let not_built: Vec<_> = not_built.map(|(name, _)| *name).collect();
    if !not_built.is_empty() {
        println!(
            "not built without --features heavy: {}",
            not_built.join(", ")
        );
    }
    code
}
