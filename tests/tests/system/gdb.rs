//! The commands for gdb, in a process and in its core file: `src/bin/debugged.rs` is the program.
//! The tests skip what gdb may not do on this machine, and say so.

use std::process::{Command, Stdio};
use std::{env, fs, thread};

use go_tests::support::programs::{Folder, Running};
use go_tests::support::tools;

const PROGRAM: &str = env!("CARGO_BIN_EXE_debugged");
const WORKERS: [&str; 2] = ["1", "8"];

/// What each of the goroutines that wait says, and calls of its own code, the innermost first.
const WAITING: [(&str, &str, &[&str]); 7] = [
    (
        "deep",
        "chan receive",
        &["innermost", "middle", "outermost", "closure"],
    ),
    ("sender", "chan send", &["closure"]),
    ("selects", "select", &["closure"]),
    ("sleeper", "sleep", &["closure"]),
    ("locks", "sync.Mutex.Lock", &["closure"]),
    ("waits for a group", "sync.WaitGroup.Wait", &["closure"]),
    // What a terminal takes for commands is escaped.
    (r"evil\u{1b}[2J\nname", "chan receive", &["closure"]),
];

/// Returns a command that runs gdb's commands and ends it.
fn gdb(commands: &[&str]) -> Command {
    let mut gdb = Command::new("gdb");
    gdb.args(["-nx", "-batch", "-iex", "set auto-load safe-path /"]);
    gdb.args(["-iex", "set debuginfod enabled off"]);
    for command in commands {
        gdb.args(["-ex", command]);
    }
    for variable in ["GOSTACK", "GODEBUG", "RUST_BACKTRACE"] {
        gdb.env_remove(variable);
    }
    gdb
}

/// Runs gdb to its end, and returns what it wrote; `None` if there is no gdb that runs scripts, or
/// if it may not look into a process.
#[track_caller]
fn run(mut gdb: Command) -> Option<String> {
    gdb.stdin(Stdio::piped());
    gdb.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = gdb.spawn().expect("gdb starts");
    // The program that gdb has started reads it, and goes on as long as it is open.
    let input = child.stdin.take();
    let ended = child.wait_with_output().expect("gdb ends");
    drop(input);
    let text = String::from_utf8_lossy(&ended.stdout).into_owned();
    let errors = String::from_utf8_lossy(&ended.stderr);
    let forbidden = ["Operation not permitted", "Could not trace the inferior"];
    if forbidden.iter().any(|words| errors.contains(words)) {
        eprintln!("gdb may not trace processes here: skipped");
        return None;
    }
    for wrong in ["Python Exception", "Error occurred in Python", "Traceback"] {
        assert!(!errors.contains(wrong), "{text}\n{errors}");
        assert!(!text.contains(wrong), "{text}\n{errors}");
    }
    Some(text + &errors)
}

fn is_there() -> bool {
    if !tools::is_installed("gdb") {
        return false;
    }
    let said = gdb(&["python print('scripts')"]).output().unwrap();
    let runs_scripts = said.stdout == b"scripts\n";
    if !runs_scripts {
        eprintln!("this gdb runs no scripts: skipped");
    }
    runs_scripts
}

/// Starts the program, and waits until all of its goroutines wait but one.
fn start(args: &[&str], workers: &str) -> Running {
    start_program(PROGRAM, args, workers)
}

fn start_program(program: &str, args: &[&str], workers: &str) -> Running {
    let mut command = Command::new(program);
    command.args(args).env("GOMAXPROCS", workers);
    for variable in ["GOSTACK", "GODEBUG", "RUST_BACKTRACE"] {
        command.env_remove(variable);
    }
    let mut running = Running::start(command);
    running.wait_for(|line| line == "ready");
    running
}

/// Checks what `info goroutines` and `goroutine all bt` have written.
#[track_caller]
fn shows_all(text: &str, what: &str) {
    let find = |name: &str| {
        let name = format!("{{name: {name}}}");
        let is_it = |line: &&str| line.contains("goroutine ") && line.contains(&name);
        let mut found = text.match_indices(&name).map(|(at, _)| {
            let begin = text[..at].rfind('\n').map_or(0, |at| at + 1);
            &text[begin..]
        });
        let (listed, traced) = (found.next(), found.next());
        let listed = listed.and_then(|text| text.lines().next()).filter(is_it);
        let listed = listed.unwrap_or_else(|| panic!("{what}: no {name} in {text}"));
        let traced = traced.unwrap_or_else(|| panic!("{what}: {name} is not traced: {text}"));
        let frames = traced.lines().skip(1);
        let frames: Vec<_> = frames.take_while(|line| line.starts_with('#')).collect();
        (listed, frames)
    };
    let check = |name: &str, state: &str, calls: &[&str]| {
        let (listed, frames) = find(name);
        assert!(listed.contains(&format!(" [{state}] ")), "{what}: {listed}");
        let (_, site) = listed.split_once(" created at ").unwrap_or_default();
        assert!(
            site.contains("tests/src/bin/debugged.rs:"),
            "{what}: {listed}"
        );
        assert!(listed.contains(", on worker "), "{what}: {listed}");
        assert_eq!(frames.len(), calls.len(), "{what}: {frames:?}\nin {text}");
        for (frame, call) in frames.iter().zip(calls) {
            assert!(frame.contains(call), "{what}: {frame} for {call}");
            let place = frame.contains("src/bin/debugged.rs:");
            assert!(place, "{what}: {frame} has no line");
        }
    };
    for (name, reason, calls) in WAITING {
        check(name, reason, calls);
    }
    let nameless = text.lines().filter(|line| {
        line.contains("[chan receive] created at") && line.contains("src/bin/debugged.rs:")
    });
    assert_eq!(nameless.count(), 2, "{what}: {text}");
}

#[test]
fn at_a_breakpoint() {
    if !is_there() {
        return;
    }
    for workers in WORKERS {
        let mut gdb = gdb(&[
            "break everything_waits",
            "run",
            "info goroutines",
            "goroutine all bt",
            "echo --\\n",
            "goroutine runs bt",
            "goroutine deep frame",
            "goroutine deep up",
            "echo --\\n",
            "frame",
        ]);
        gdb.args(["--args", PROGRAM, "parked"])
            .env("GOMAXPROCS", workers);
        let Some(text) = run(gdb) else { return };
        shows_all(&text, workers);
        let mut parts = text.split("--\n").skip(1);
        let of_one = parts.next().expect("the second part");
        let calls = ["everything_waits", "caller_of_the_breakpoint", "closure"];
        let mut frames = of_one.lines().filter(|line| line.starts_with('#'));
        assert!(of_one.starts_with("* goroutine "), "{of_one}");
        for call in calls {
            let frame = frames.next().unwrap_or_default();
            assert!(frame.contains(call), "{workers}: {frame}");
        }
        for call in ["innermost", "middle"] {
            let frame = frames.next().unwrap_or_default();
            assert!(frame.contains(call), "{workers}: {frame}");
        }
        // The thread is what it was.
        let after = parts.next().expect("the third part");
        assert!(after.starts_with("#0 "), "{after}");
        assert!(after.contains("everything_waits"), "{after}");
    }
}

#[test]
fn in_a_process_and_in_its_core_file() {
    if !is_there() {
        return;
    }
    for workers in WORKERS {
        if !process_and_core_file(PROGRAM, workers) {
            return;
        }
    }
}

/// A release build with lines: `debug = "line-tables-only"`. docs/testing.md has the command.
#[test]
#[ignore = "needs the program's release build"]
fn a_release_build() {
    let Ok(program) = env::var("DEBUGGED_RELEASE") else {
        eprintln!("DEBUGGED_RELEASE does not name the program: skipped");
        return;
    };
    if is_there() {
        let _ = WORKERS.map(|workers| process_and_core_file(&program, workers));
    }
}

/// Checks what the commands say of the program's process, and of a core file of it. Returns whether
/// gdb may look into the process.
#[track_caller]
fn process_and_core_file(program: &str, workers: &str) -> bool {
    let folder = Folder::create();
    let core = format!("{}/core", folder.text());
    let running = start_program(program, &["parked"], workers);
    let write = format!("generate-goroutine-core-file {core}");
    let mut in_process = gdb(&["info goroutines", "goroutine all bt", &write]);
    in_process.args(["-p", &running.id().to_string()]);
    let Some(text) = run(in_process) else {
        return false;
    };
    shows_all(&text, &format!("process, {workers} workers"));
    assert!(text.contains(" [running] {name: runs} "), "{text}");
    let by_number = format!("goroutine {} bt", number_of("deep", &text));
    let mut in_process = gdb(&[&by_number]);
    in_process.args(["-p", &running.id().to_string()]);
    let text = run(in_process).expect("gdb has just looked into it");
    shows_the_line(&text);
    // The process goes on as if nothing had been.
    assert_eq!(running.end().code, Some(0), "{text}");

    let mut in_core = gdb(&[
        "info goroutines",
        "goroutine all bt",
        "echo --\\n",
        &by_number,
    ]);
    in_core.args([program, &core]);
    let text = run(in_core).expect("a core file needs no right");
    let (all, one) = text.split_once("--\n").expect("two parts");
    shows_all(all, &format!("core file, {workers} workers"));
    assert!(all.contains(" [running] {name: runs} "), "{text}");
    assert!(
        all.contains("caller_of_the_breakpoint") || all.contains("{closure"),
        "{text}"
    );
    shows_the_line(one);
    true
}

/// Returns the number of the goroutine with the name, as `info goroutines` has written it.
fn number_of<'a>(name: &str, text: &'a str) -> &'a str {
    let name = format!("{{name: {name}}}");
    let line = text.lines().find(|line| line.contains(&name));
    let after = line.and_then(|line| line.split_once("goroutine "));
    let number = after.and_then(|(_, rest)| rest.split_once(' '));
    number.expect("a line with a number").0
}

/// Checks that the backtrace of `deep` has the line in which it waits, and no other.
#[track_caller]
fn shows_the_line(text: &str) {
    let source = include_str!("../../src/bin/debugged.rs");
    let waits = |line: &str| line.contains("let received = rx.recv()");
    let line = source.lines().position(waits).expect("the line") + 1;
    let innermost = text.lines().find(|frame| frame.starts_with('#'));
    let innermost = innermost.unwrap_or_else(|| panic!("no frames in {text}"));
    assert!(innermost.contains("innermost"), "{innermost}");
    let place = format!("src/bin/debugged.rs:{line}");
    assert!(innermost.ends_with(&place), "{innermost}");
}

#[test]
fn many_goroutines() {
    if !is_there() {
        return;
    }
    let running = start(&["parked", "10000"], "2");
    let mut gdb = gdb(&["info goroutines", "info goroutines {name: deep}"]);
    gdb.args(["-p", &running.id().to_string()]);
    let Some(text) = run(gdb) else { return };
    let count = text.matches(" [chan receive] created at").count();
    assert_eq!(count, 10_001, "{text}");
    assert_eq!(text.matches("{name: deep}").count(), 2, "{text}");
}

/// Wherever the process has stopped, there is something to see and nothing fails: here in calls
/// that make and release stacks, and after some steps from there on.
#[test]
fn in_the_middle_of_a_spawn() {
    if !is_there() {
        return;
    }
    let steps = "python
for _ in range(8):
    gdb.execute('continue')
    for _ in range(8):
        gdb.execute('info goroutines')
        gdb.execute('goroutine all bt')
        gdb.execute('stepi 7')
end";
    let folder = Folder::create();
    let script = format!("{}/steps", folder.text());
    fs::write(&script, steps).unwrap();
    let tests = WORKERS.map(|workers| {
        let script = script.clone();
        thread::spawn(move || {
            let mut gdb = gdb(&["catch syscall mmap munmap madvise mprotect"]);
            gdb.args(["-ex", "set scheduler-locking step", "-x", &script]);
            let running = start(&["spawns"], workers);
            gdb.args(["-p", &running.id().to_string()]);
            // (gdb runs `-x` and `-ex` in their order.)
            let text = run(gdb)?;
            let seen = text.matches("goroutine ").count();
            assert!(seen >= 64, "{workers}: {text}");
            assert!(text.contains("debugged.rs:"), "{workers}: {text}");
            assert_eq!(running.end().code, Some(0), "{workers}: {text}");
            Some(())
        })
    });
    for test in tests {
        test.join().unwrap();
    }
}

/// What makes no sense is left out, and a list without an end ends.
#[test]
fn in_damaged_memory() {
    if !is_there() {
        return;
    }
    // (The order of the words is that of the runtime's `debug/gdb.rs`.)
    let damage = "python
inferior = gdb.selected_inferior()
files = gdb.execute('info files', to_string=True).splitlines()
at = [int(line.split()[0], 16) for line in files if line.endswith('is go_runtime_gdb')][0]
def read(address):
    return int.from_bytes(bytes(inferior.read_memory(address, 8)), 'little')
def look():
    for command in ('info goroutines', 'goroutine all bt', 'goroutine 1', 'goroutine deep bt'):
        try:
            gdb.execute(command)
        except gdb.error as error:
            print('refused:', error)
def look_with(address, value):
    before = read(address)
    inferior.write_memory(address, value.to_bytes(8, 'little'))
    look()
    inferior.write_memory(address, before.to_bytes(8, 'little'))
words = [read(at + 8 * index) for index in range(read(at + 8))]
first = read(words[2])
start, size = read(first + words[4]), read(first + words[5])
# The directory, each word of the first entry, and those of the layout that are addresses.
values = (0, 1, 8, first, first + 4, 1 << 47, (1 << 63) + 8, (1 << 64) - 1)
for value in values:
    look_with(words[2], value)
    for word in range(5):
        look_with(first + 8 * word, value)
    for word in (2, 8, 26, 27, 31, 34):
        look_with(at + 8 * word, value)
# The stacks themselves: what the fibers lie in, and what the frames do.
for index in range(2):
    for offset in range(8, 2600, 56):
        look_with(start + (index + 1) * size - offset, values[offset // 8 % len(values)])
print('all of it')
look()
end";
    let folder = Folder::create();
    let script = format!("{}/damage", folder.text());
    fs::write(&script, damage).unwrap();
    let running = start(&["parked"], "2");
    let mut gdb = gdb(&[]);
    gdb.args(["-p", &running.id().to_string(), "-x", &script]);
    let Some(text) = run(gdb) else { return };
    let (_, undamaged) = text.split_once("all of it\n").expect("it came to the end");
    shows_all(undamaged, "undamaged");
    assert_eq!(running.end().code, Some(0));
}

#[test]
fn without_a_process() {
    if !is_there() {
        return;
    }
    let mut gdb = gdb(&["info goroutines"]);
    gdb.arg(PROGRAM);
    let text = run(gdb).expect("it looks into no process");
    assert!(
        text.contains("no goroutines: the program is not running"),
        "{text}"
    );
}
