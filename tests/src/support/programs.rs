//! The example programs, built once and run as a user runs them.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Far longer than any of the programs takes: a program that takes longer counts as hanging.
const LIMIT: Duration = Duration::from_secs(120);

/// Builds the programs once, with the profile of this test, and returns their folder.
fn programs() -> &'static Path {
    static PROGRAMS: OnceLock<PathBuf> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        // target/<profile's folder>/deps/<this test>-<hash>
        let this = env::current_exe().expect("the path of this test");
        let built = this.ancestors().nth(2).expect("a target folder");
        let target = built.parent().expect("a target folder");
        let profile = match built.file_name().and_then(OsStr::to_str) {
            Some("debug") => "dev",
            Some(profile) => profile,
            None => panic!("no profile in {}", this.display()),
        };
        let mut cargo = Command::new(env!("CARGO"));
        // A build script that reads cargo's variables about its package (ring's does) would see
        // this test's, and that package and its dependents would be built again.
        for (name, _) in env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
                cargo.env_remove(&*name);
            }
        }
        // Builds the whole workspace, and a test that depends on packages only for tests: so the
        // dependencies have the same features as in `cargo test --workspace`, and are not built
        // again.
        let output = cargo
            .args(["build", "--workspace", "--examples", "--test=ui"])
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

/// Returns a command that runs this example program, with none of the runtime's variables set.
pub fn program(name: &str) -> Command {
    let mut command = Command::new(programs().join(name));
    for variable in [
        "GOMAXPROCS",
        "GOSTACK",
        "GODEBUG",
        "GOTRACEBACK",
        "RUST_BACKTRACE",
    ] {
        command.env_remove(variable);
    }
    command
}

/// A running program that does not outlive its test.
pub struct Running {
    what: String,
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: JoinHandle<String>,
    stderr: mpsc::Receiver<String>,
    errors: String,
    deadline: Instant,
}

/// A program that has ended, and its output.
pub struct Ended {
    /// The exit code; `None` if a signal ended the program.
    pub code: Option<i32>,
    /// The signal that ended the program, if one did.
    pub signal: Option<i32>,
    /// The program's standard output.
    pub out: String,
    /// The program's standard error.
    pub errors: String,
}

impl Running {
    /// Starts the program, with pipes for its input and output.
    pub fn start(mut command: Command) -> Running {
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

    /// Writes to the program's standard input.
    pub fn type_in(&mut self, text: &[u8]) {
        let stdin = self.stdin.as_mut().expect("stdin is open");
        stdin.write_all(text).expect("the program reads");
    }

    /// Waits for a line on stderr that `wanted` accepts.
    pub fn wait_for(&mut self, wanted: impl Fn(&str) -> bool) -> String {
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

    /// Returns the process's number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends the signal that Ctrl-C sends.
    pub fn press_ctrl_c(&self) {
        self.send_signal("INT");
    }

    /// Sends a signal, by its name without `SIG`.
    pub fn send_signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let kill = Command::new("sh")
            .args(["-c", "kill -\"$0\" \"$1\"", name, &pid])
            .status();
        assert!(kill.expect("sh starts").success());
    }

    /// Closes the standard input, and waits for the end.
    pub fn end(mut self) -> Ended {
        self.stdin = None;
        self.end_by_itself()
    }

    /// Waits for the end, with stdin left open.
    pub fn end_by_itself(mut self) -> Ended {
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                break status;
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
            code: status.code(),
            signal: status.signal(),
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

/// Runs a program to its end, with an empty standard input.
pub fn run(command: Command) -> Ended {
    Running::start(command).end()
}

/// Runs a program with several numbers of workers; it has to succeed.
pub fn succeeds(name: &str, args: &[&str], check: impl Fn(&Ended)) {
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

/// Checks that a program refuses its arguments, and gives the reason.
pub fn refuses(name: &str, args: &[&str], reason: &str) {
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

/// Checks that a program explains its use when it is asked.
pub fn helps(name: &str) {
    let ended = run({
        let mut command = program(name);
        command.arg("--help");
        command
    });
    assert_eq!(ended.code, Some(0), "{name}: {}", ended.errors);
    assert!(
        ended.out.starts_with(&format!("usage: {name} ")),
        "{}",
        ended.out
    );
}

/// Checks that each of these lines is in the program's output.
pub fn has_lines(ended: &Ended, wanted: &[&str]) {
    for wanted in wanted {
        let found = ended.out.lines().any(|line| line == *wanted);
        assert!(found, "no line {wanted:?} in\n{}", ended.out);
    }
}

/// Returns a check of the whole output, line by line.
pub fn exactly(lines: &[&str]) -> impl Fn(&Ended) {
    move |ended| assert_eq!(ended.out.lines().collect::<Vec<_>>(), lines)
}

/// Returns the same check for lines in any order, as goroutines may print them.
pub fn in_any_order(lines: &[&str]) -> impl Fn(&Ended) {
    let sorted = |mut lines: Vec<&str>| {
        lines.sort_unstable();
        lines.join("\n")
    };
    let wanted = sorted(lines.to_vec());
    move |ended| assert_eq!(sorted(ended.out.lines().collect()), wanted)
}

/// Makes a test for each program of a folder. The test checks the program's output, and that it
/// prints no errors. Another test finds programs that have no test.
#[macro_export]
macro_rules! programs_of {
    ($folder:literal $(, tested below: $($own:ident),+)?; $($name:ident => $check:expr,)*) => {
        $(
            #[test]
            fn $name() {
                let check = $check;
                $crate::support::programs::succeeds(stringify!($name), &[], |ended| {
                    assert_eq!(ended.errors, "");
                    check(ended);
                });
            }
        )*

        #[test]
        fn each_program_has_a_test() {
            let _tested_below: &[fn()] = &[$($($own),+)?];
            let tested = [$(stringify!($name),)* $($(stringify!($own)),+)?];
            $crate::support::programs::are_all_of($folder, &tested);
        }
    };
}
pub use crate::programs_of;

/// Checks that these are the programs of a folder of the examples.
pub fn are_all_of(folder: &str, tested: &[&str]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../examples")
        .join(folder);
    let mut files: Vec<String> = fs::read_dir(&folder)
        .expect("the folder can be read")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension() == Some(OsStr::new("rs")))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    files.sort();
    let mut tested = tested.to_vec();
    tested.sort_unstable();
    assert_eq!(
        files,
        tested,
        "left: {}, right: what is tested",
        folder.display()
    );
}

/// A directory for one test, removed at its end.
pub struct Folder(PathBuf);

impl Folder {
    /// Makes a new directory.
    pub fn create() -> Folder {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("go-programs-{}-{number}", std::process::id());
        let path = env::temp_dir().join(name);
        fs::create_dir(&path).expect("a new folder");
        Folder(path)
    }

    /// Returns the directory's path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Returns the directory's path as text.
    pub fn text(&self) -> &str {
        self.0.to_str().expect("a path in UTF-8")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
