//! The example programs, run as people run them: exit codes, what they print, Ctrl-C.
#![cfg(unix)]

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Far longer than any of the programs takes: who needs more hangs.
const LIMIT: Duration = Duration::from_secs(120);

const PROGRAMS: [&str; 7] = [
    "done_channel",
    "go_syntax",
    "pipeline",
    "sieve",
    "tour",
    "wordcount",
    "worker_pool",
];

// --- building and running ---

/// Builds the programs as this test was built, once, and says where they are.
fn programs() -> &'static Path {
    static PROGRAMS: OnceLock<PathBuf> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        // target/<profile's folder>/deps/programs-<hash>
        let this = env::current_exe().expect("the path of this test");
        let built = this.ancestors().nth(2).expect("a target folder");
        let target = built.parent().expect("a target folder");
        let profile = match built.file_name().and_then(OsStr::to_str) {
            Some("debug") => "dev",
            Some(profile) => profile,
            None => panic!("no profile in {}", this.display()),
        };
        let output = Command::new(env!("CARGO"))
            .args(["build", "--examples", "--package=go-examples"])
            .args(["--profile", profile, "--target-dir"])
            .arg(target)
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
            .output()
            .expect("cargo starts");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "the examples do not build:\n{errors}"
        );
        built.join("examples")
    })
}

fn program(name: &str) -> Command {
    let mut command = Command::new(programs().join(name));
    for variable in ["GOMAXPROCS", "GOSTACK", "RUST_BACKTRACE"] {
        command.env_remove(variable);
    }
    command
}

/// A running program that does not outlive its test.
struct Running {
    what: String,
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: JoinHandle<String>,
    stderr: mpsc::Receiver<String>,
    errors: String,
    deadline: Instant,
}

struct Ended {
    code: Option<i32>,
    out: String,
    errors: String,
}

impl Running {
    fn start(mut command: Command) -> Running {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let (mut out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let stdout = thread::spawn(move || {
            let mut text = String::new();
            out.read_to_string(&mut text).expect("the output is UTF-8");
            text
        });
        let (line, stderr) = mpsc::channel();
        thread::spawn(move || {
            BufReader::new(err)
                .lines()
                .map_while(Result::ok)
                .try_for_each(|text| line.send(text))
        });
        Running {
            what: format!("{command:?}"),
            stdin: child.stdin.take(),
            child,
            stdout,
            stderr,
            errors: String::new(),
            deadline: Instant::now() + LIMIT,
        }
    }

    fn type_in(&mut self, text: &[u8]) {
        let stdin = self.stdin.as_mut().expect("stdin is open");
        stdin.write_all(text).expect("the program reads");
    }

    /// Waits for a line on stderr.
    fn wait_for(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.stderr.recv_timeout(left) else {
                panic!("{}: the line did not come, but\n{}", self.what, self.errors);
            };
            self.errors += &format!("{line}\n");
            if wanted(&line) {
                return line;
            }
        }
    }

    fn press_ctrl_c(&self) {
        let pid = self.child.id().to_string();
        let kill = Command::new("sh")
            .args(["-c", "kill -INT \"$0\"", &pid])
            .status();
        assert!(kill.expect("sh starts").success());
    }

    fn end(mut self) -> Ended {
        self.stdin = None;
        self.end_by_itself()
    }

    /// Waits for the end, with stdin left open.
    fn end_by_itself(mut self) -> Ended {
        let code = loop {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                break status.code();
            }
            if Instant::now() > self.deadline {
                let _ = self.child.kill();
                self.errors.extend(self.stderr.try_iter());
                panic!("{}: it hangs. stderr:\n{}", self.what, self.errors);
            }
            thread::sleep(Duration::from_millis(2));
        };
        let stdout = std::mem::replace(&mut self.stdout, thread::spawn(String::new));
        for line in &self.stderr {
            self.errors += &format!("{line}\n");
        }
        Ended {
            code,
            out: stdout.join().expect("the output was read"),
            errors: std::mem::take(&mut self.errors),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(command: Command) -> Ended {
    Running::start(command).end()
}

/// Runs a program with several numbers of workers; it has to succeed.
fn succeeds(name: &str, args: &[&str], check: impl Fn(&Ended)) {
    for workers in [None, Some("1"), Some("4")] {
        let mut command = program(name);
        command.args(args);
        if let Some(workers) = workers {
            command.env("GOMAXPROCS", workers);
        }
        let what = format!("{command:?}");
        let ended = run(command);
        assert_eq!(ended.code, Some(0), "{what}:\n{}", ended.errors);
        check(&ended);
    }
}

/// Checks that a program refuses its arguments, and says why.
fn refuses(name: &str, args: &[&str], reason: &str) {
    let mut command = program(name);
    let ended = run({
        command.args(args);
        command
    });
    assert_eq!(ended.code, Some(2), "{name} {args:?}: {}", ended.errors);
    assert!(
        ended.errors.contains(reason),
        "{name} {args:?}: {}",
        ended.errors
    );
    assert_eq!(ended.out, "", "{name} {args:?}");
}

fn has_lines(ended: &Ended, wanted: &[&str]) {
    for wanted in wanted {
        let found = ended.out.lines().any(|line| line == *wanted);
        assert!(found, "no line {wanted:?} in\n{}", ended.out);
    }
}

// --- the programs ---

#[test]
fn tour() {
    succeeds("tour", &[], |ended| {
        let headings = ended.out.lines().filter(|line| line.starts_with("== "));
        assert_eq!(headings.count(), 16, "{}", ended.out);
        has_lines(
            ended,
            &[
                "hello, goroutine, says main",
                "the sum is 6",
                "then: Err(RecvError)",
                "it used 500000 bytes",
                "an Rc shared with a local goroutine: 2",
                "on the same thread: true",
                "join gives the panic: Some(\"no luck\")",
                "10000 round trips",
                "full: true",
                "a range over it: [2, 4, 6], then Err(RecvError)",
                "nothing within 5 ms",
                "sent: Ok(())",
                "received: Ok(7)",
                "fair: true",
                "[0, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89]",
                "it has quit: true",
                "[10, 20, 30, 1, 2, 3]",
                "ten squares: 285",
                "lengths: [10, 3, 6]",
                "a task asked a goroutine: 144",
                "timed out",
                "not too early: true",
                "three ticks",
                "goroutines: 10000",
                "released: 10000",
                "1000 are done",
                "the sum is 1220",
                "Some(144) and Some(5)",
            ],
        );
        assert!(!ended.out.contains("unexpected"), "{}", ended.out);
        assert!(ended.errors.contains("'unlucky'"), "{}", ended.errors);
    });
}

#[test]
fn pipeline() {
    succeeds("pipeline", &[], |ended| {
        has_lines(ended, &["the whole run: 1000 squares, sum 333833500"]);
        let lines: Vec<_> = ended.out.lines().collect();
        assert!(lines[1].starts_with("ten of the endless run: ["));
        assert!(lines[2].starts_with("cancelled, "));
    });
}

#[test]
fn worker_pool() {
    succeeds("worker_pool", &[], |ended| {
        has_lines(
            ended,
            &["longest Collatz sequence up to 1000000: 524 steps from 837799"],
        );
        let jobs = |line: &str| {
            let (_, jobs) = line.strip_prefix("  go-worker-")?.split_once(": ")?;
            jobs.strip_suffix(" jobs")?.parse::<u32>().ok()
        };
        let all: u32 = ended.out.lines().filter_map(jobs).sum();
        assert_eq!(all, 1000, "{}", ended.out);
    });
}

#[test]
fn sieve() {
    let is_prime = |n: &u32| {
        (2..*n)
            .take_while(|d| d * d <= *n)
            .all(|d| !n.is_multiple_of(d))
    };
    let primes = |count| -> String {
        (2..)
            .filter(is_prime)
            .take(count)
            .map(|p| format!("{p}\n"))
            .collect()
    };
    for (args, count) in [(&[][..], 25), (&["0"], 0), (&["1"], 1), (&["500"], 500)] {
        succeeds("sieve", args, |ended| {
            assert_eq!(ended.out, primes(count));
            let n = count + 1;
            let all = format!("{n} of {n} goroutines have ended by themselves");
            assert!(ended.errors.contains(&all), "{}", ended.errors);
        });
    }
    for bad in ["abc", "-1", "10001", "", "99999999999999999999999"] {
        refuses("sieve", &[bad], "a number from 0 to 10000");
    }
    refuses("sieve", &["1", "2"], "usage");
}

#[test]
fn done_channel() {
    succeeds("done_channel", &[], |ended| {
        has_lines(
            ended,
            &[
                "one drop released 10000 goroutines",
                "mirror 3 failed: Refused",
                "7 of 8 were cancelled",
            ],
        );
    });
}

#[test]
fn go_syntax() {
    succeeds("go_syntax", &[], |ended| {
        let expected = "a block sends: [1, 2, 3]\n\
                        a call: 49\n\
                        a closure: 5\n\
                        nested: 25\n\
                        comparing\n\
                        a comparison: true\n\
                        a turbofish: Some(42)\n\
                        types and matches: \"seven or more\"\n\
                        options: 64\n\
                        clones send: 5\n";
        assert_eq!(ended.out, expected);
    });
}

#[test]
fn a_bad_gomaxprocs_is_refused() {
    for name in PROGRAMS {
        for bad in ["abc", "0"] {
            let mut command = program(name);
            command.env("GOMAXPROCS", bad);
            let ended = run(command);
            assert_eq!(ended.code, Some(2), "{name}: {}", ended.errors);
            let names_it = ended.errors.contains("GOMAXPROCS") && ended.errors.contains(bad);
            assert!(names_it, "{name}: {}", ended.errors);
            assert_eq!(ended.out, "");
        }
    }
}

// --- wordcount ---

/// A directory of its own, gone at the end of the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("go-programs-{}-{number}", std::process::id());
        let path = env::temp_dir().join(name);
        fs::create_dir(&path).expect("a new folder");
        Folder(path)
    }

    fn text(&self) -> &str {
        self.0.to_str().expect("a path in UTF-8")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A tree of text files, and what is in it.
struct Tree {
    folder: Folder,
    files: u64,
    words: u64,
    bytes: u64,
    skipped: u64,
    counts: BTreeMap<String, u64>,
}

impl Tree {
    fn new(files: u64) -> Tree {
        // As written in the files, and as counted.
        const WORDS: [(&str, &str); 6] = [
            ("Goroutine", "goroutine"),
            ("CHANNEL", "channel"),
            ("select", "select"),
            ("Ärger", "ärger"),
            ("данные", "данные"),
            ("Go2", "go2"),
        ];
        const BETWEEN: [&str; 6] = [" ", ", ", "\n", "-", ".\r\n\r\n", " \u{2014} "];
        let mut tree = Tree {
            folder: Folder::new(),
            files: 0,
            words: 0,
            bytes: 0,
            skipped: 0,
            counts: BTreeMap::new(),
        };
        let mut state = 1_u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1);
            (state >> 33) % below
        };
        for file in 0..files {
            let mut text = Vec::new();
            for _ in 0..random(50) {
                let (written, counted) = match random(8) {
                    n @ 0..6 => {
                        let (written, counted) = WORDS[n as usize];
                        (written.to_owned(), counted.to_owned())
                    }
                    // Most words are rare.
                    _ => {
                        let word = format!("w{}", random(2000));
                        (word.clone(), word)
                    }
                };
                text.extend_from_slice(written.as_bytes());
                text.extend_from_slice(BETWEEN[random(6) as usize].as_bytes());
                tree.words += 1;
                *tree.counts.entry(counted).or_default() += 1;
            }
            let folder = tree
                .folder
                .0
                .join(format!("a{}/b{}", file % 10, file % 100));
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(format!("{file}.txt")), &text).unwrap();
            tree.files += 1;
            tree.bytes += text.len() as u64;
        }
        tree
    }

    /// Files and others that need care.
    fn with_oddities(mut self) -> Tree {
        let root = self.folder.0.clone();
        fs::write(root.join("image"), b"not\0text").unwrap();
        fs::write(root.join("late"), [&[b'x'; 1023][..], b"\0"].concat()).unwrap();
        self.skipped += 2;
        // A NUL that comes late, a byte that is no UTF-8, no end of line, and a name that is no UTF-8.
        let text = [&[b' '; 1024][..], b"\0odd\xff1"].concat();
        fs::write(root.join(OsStr::from_bytes(b"n\xffme")), &text).unwrap();
        self.files += 1;
        self.bytes += text.len() as u64;
        for word in ["odd", "1"] {
            self.words += 1;
            *self.counts.entry(word.to_owned()).or_default() += 1;
        }
        fs::create_dir(root.join("empty")).unwrap();
        symlink(&root, root.join("empty/loop")).unwrap();
        symlink(root.join("nothing"), root.join("dangling")).unwrap();
        let fifo = Command::new("mkfifo").arg(root.join("fifo")).status();
        assert!(fifo.expect("mkfifo starts").success());
        self
    }

    /// What the program prints of the tree if it reads it once.
    fn report(&self, unreadable: u64) -> String {
        let mut all: Vec<_> = self.counts.iter().collect();
        // A stable sort: words that are equally frequent stay in the order of the alphabet.
        all.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let top: String = all
            .iter()
            .take(20)
            .map(|(word, count)| format!("{count:>10}  {word}\n"))
            .collect();
        let Tree {
            files,
            words,
            bytes,
            skipped,
            counts,
            ..
        } = self;
        let distinct = counts.len();
        format!(
            "{top}total: words={words} files={files} bytes={bytes} distinct={distinct} skipped={skipped} \
             unreadable={unreadable}"
        )
    }
}

/// The number after `name=` in a line.
fn number(line: &str, name: &str) -> u64 {
    line.split_whitespace()
        .find_map(|field| field.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
        .unwrap_or_else(|| panic!("no {name}= in {line:?}"))
}

#[test]
fn wordcount_agrees_with_a_plain_count() {
    let tree = Tree::new(10_000).with_oddities();
    let expected = tree.report(0) + "\n";
    for args in [&[][..], &["--serial"], &["--jobs", "7"], &["--progress"]] {
        succeeds(
            "wordcount",
            &[args, &[tree.folder.text()]].concat(),
            |ended| {
                assert_eq!(ended.out, expected);
                let silent = ended.errors.is_empty();
                assert!(silent || args == ["--progress"], "{}", ended.errors);
            },
        );
    }
}

#[test]
fn wordcount_goes_on_after_what_it_cannot_read() {
    let tree = Tree::new(20);
    let expected = tree.report(2) + "\n";
    for args in [&["-"][..], &["--serial", "-"]] {
        let mut command = program("wordcount");
        command.args(args);
        let mut wordcount = Running::start(command);
        let list = [b"/no/such/file\n\xff\n", tree.folder.text().as_bytes()].concat();
        wordcount.type_in(&list);
        let ended = wordcount.end();
        assert_eq!(ended.code, Some(0), "{}", ended.errors);
        assert_eq!(ended.out, expected);
        let reason = "wordcount: /no/such/file: No such file";
        assert!(ended.errors.contains(reason), "{}", ended.errors);
        assert!(ended.errors.contains("UTF-8"), "{}", ended.errors);
    }
}

#[test]
fn wordcount_refuses_bad_arguments() {
    refuses("wordcount", &[], "usage: wordcount");
    refuses("wordcount", &["/no/such/path"], "/no/such/path");
    refuses("wordcount", &[".", "/no/such/path"], "/no/such/path");
    refuses("wordcount", &["--fast", "."], "unknown option --fast");
    refuses("wordcount", &["--jobs", "0", "."], "--jobs");
    refuses("wordcount", &["--jobs"], "--jobs");
}

/// Starts a count that has everything of the tree but never comes to an end, since its list of paths stays open.
fn endless_wordcount(tree: &Tree, workers: &str) -> Running {
    let mut command = program("wordcount");
    command.env("GOMAXPROCS", workers).args(["--progress", "-"]);
    let mut wordcount = Running::start(command);
    wordcount.type_in(format!("{}\n", tree.folder.text()).as_bytes());
    wordcount
}

#[test]
fn ctrl_c_while_wordcount_waits_loses_nothing() {
    let tree = Tree::new(30);
    let expected = format!(
        "partial result: stopped by Ctrl-C\n{} (partial)\n",
        tree.report(0)
    );
    for workers in ["1", "4"] {
        let mut wordcount = endless_wordcount(&tree, workers);
        wordcount
            .wait_for(|line| line.starts_with("counting: ") && number(line, "files") == tree.files);
        wordcount.press_ctrl_c();
        let ended = wordcount.end_by_itself();
        assert_eq!(ended.code, Some(130), "{}", ended.errors);
        assert_eq!(ended.out, expected);
    }
}

#[test]
fn ctrl_c_while_wordcount_counts_gives_what_there_is() {
    let tree = Tree::new(5_000);
    for workers in ["1", "4"] {
        let mut wordcount = endless_wordcount(&tree, workers);
        let progress =
            wordcount.wait_for(|line| line.starts_with("counting: ") && number(line, "files") > 0);
        wordcount.press_ctrl_c();
        let ended = wordcount.end_by_itself();
        assert_eq!(ended.code, Some(130), "{}", ended.errors);
        let first = ended.out.lines().next();
        assert_eq!(first, Some("partial result: stopped by Ctrl-C"));
        let last = ended.out.lines().last().unwrap_or_default();
        assert!(
            last.starts_with("total: ") && last.ends_with(" (partial)"),
            "{last}"
        );
        for (name, all) in [
            ("files", tree.files),
            ("words", tree.words),
            ("bytes", tree.bytes),
        ] {
            let counted = number(last, name);
            assert!(
                (number(&progress, name)..=all).contains(&counted),
                "{progress}\n{last}"
            );
        }
    }
}
