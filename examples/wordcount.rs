//! Counts the words of all text files below some directories, with a goroutine for each CPU.
//!
//! ```sh
//! cargo run --release --example wordcount -- PATH...
//! find . -name '*.md' | cargo run --release --example wordcount -- -
//! ```
//!
//! One goroutine walks the directories and sends the files' paths. The counters share that channel,
//! each with its own tally, and report every file to `main`, which shows the progress. Ctrl-C
//! closes the done channel: all goroutines end after their current file, and the counts so far are
//! printed. Reading a file blocks a worker, so more counters than workers would not help.

use std::env;
use std::ffi::OsString;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::iter;
use std::panic;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use go_examples::{Size, Tally, files};
use go_runtime::channel::{self, Receiver, Sender, TryRecvError};
use go_runtime::signal::{self, SIGINT};
use go_runtime::{go, gomaxprocs, select, select_biased};

const USAGE: &str = "\
usage: wordcount [--serial] [--progress] [--jobs N] PATH...
Counts the words of the text files below each PATH; `-` reads more paths from standard input, one a
line.
  --serial    count without goroutines
  --progress  show how far it is even if standard error is no terminal
  --jobs N    count with N goroutines (default: GOMAXPROCS)";

/// The exit code after Ctrl-C, as of a program that the signal ends: 128 + SIGINT.
const INTERRUPTED: u8 = 130;

#[go_runtime::main]
fn main() -> ExitCode {
    let options = match Options::parse(env::args_os().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("wordcount: {error}");
            return ExitCode::from(2);
        }
    };
    if options.help {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let counted = if options.serial {
        Ok(count_serially(&options))
    } else {
        count(&options)
    };
    let count = match counted {
        Ok(count) => count,
        Err(error) => {
            eprintln!("wordcount: cannot listen for Ctrl-C: {error}");
            return ExitCode::FAILURE;
        }
    };
    match show(&count) {
        Ok(()) if count.partial => ExitCode::from(INTERRUPTED),
        Ok(()) => ExitCode::SUCCESS,
        // The reader of the output, such as `head`, needs no more.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wordcount: cannot write the result: {error}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Default)]
struct Options {
    help: bool,
    serial: bool,
    progress: bool,
    jobs: Option<usize>,
    paths: Vec<PathBuf>,
    /// More paths are read from standard input.
    stdin: bool,
}

impl Options {
    fn parse(mut args: impl Iterator<Item = OsString>) -> Result<Options, String> {
        let mut options = Options::default();
        while let Some(arg) = args.next() {
            match arg.to_str() {
                Some("--help" | "-h") => options.help = true,
                Some("--serial") => options.serial = true,
                Some("--progress") => options.progress = true,
                Some("--jobs") => {
                    let value = args.next().unwrap_or_default();
                    let jobs = value.to_str().and_then(|text| text.parse().ok());
                    options.jobs =
                        Some(jobs.filter(|n| (1..=1024).contains(n)).ok_or_else(|| {
                            format!("--jobs takes a number from 1 to 1024, not {value:?}\n{USAGE}")
                        })?);
                }
                Some("-") => options.stdin = true,
                Some(unknown) if unknown.starts_with('-') => {
                    return Err(format!("unknown option {unknown}\n{USAGE}"));
                }
                _ => options.paths.push(existing(arg)?),
            }
        }
        if options.paths.is_empty() && !options.stdin && !options.help {
            return Err(format!("no path is given\n{USAGE}"));
        }
        options.progress |= io::stderr().is_terminal();
        Ok(options)
    }
}

fn existing(arg: OsString) -> Result<PathBuf, String> {
    let path = PathBuf::from(arg);
    match path.metadata() {
        Ok(_) => Ok(path),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

struct Count {
    tally: Tally,
    /// Whether Ctrl-C came before the end.
    partial: bool,
}

/// Counts with goroutines, until all files are counted or Ctrl-C is pressed.
fn count(options: &Options) -> io::Result<Count> {
    let done = done_on_ctrl_c()?;
    let jobs = options.jobs.unwrap_or_else(gomaxprocs);
    let roots = roots(options);
    let (path_tx, paths) = channel::bounded(64 * jobs);
    let (report_tx, reports) = channel::bounded(64 * jobs);

    go!(walk(roots, path_tx, report_tx.clone(), done.clone()));
    let counters: Vec<_> = (0..jobs)
        .map(|_| go!(count_files(paths.clone(), report_tx.clone(), done.clone())))
        .collect();
    // The reports end when the walker and the counters have ended.
    drop(report_tx);

    let mut tally = Tally {
        unreadable: watch(&reports, options.progress),
        ..Tally::default()
    };
    for counter in counters {
        match counter.join() {
            Ok(counted) => tally.merge(counted),
            Err(payload) => panic::resume_unwind(payload),
        }
    }
    let partial = done.try_recv() == Err(TryRecvError::Disconnected);
    Ok(Count { tally, partial })
}

/// Returns the done channel, which Ctrl-C closes. A second Ctrl-C ends the program at once.
fn done_on_ctrl_c() -> io::Result<Receiver<()>> {
    let interrupts = signal::notify(&[SIGINT])?;
    let (stop, done) = channel::bounded(0);
    // A thread receives the signal even while the counters occupy all workers.
    thread::spawn(move || {
        if interrupts.recv().is_ok() {
            stop.close();
        }
        // The receiver is dropped, so the signal has its default effect again.
    });
    Ok(done)
}

type Root = io::Result<PathBuf>;

/// Returns where to look for files: the paths of the command line, then those of standard input.
fn roots(options: &Options) -> Receiver<Root> {
    let (tx, roots) = channel::unbounded();
    for path in &options.paths {
        let _ = tx.send(Ok(path.clone()));
    }
    if options.stdin {
        // A thread, not a goroutine: while it waits for a line, it would keep the other goroutines
        // of its worker from running.
        thread::spawn(move || {
            for line in io::stdin().lines() {
                let broken = matches!(&line, Err(error) if error.kind() != ErrorKind::InvalidData);
                if tx.send(line.map(PathBuf::from)).is_err() || broken {
                    break;
                }
            }
        });
    }
    roots
}

fn files_of(root: Root) -> Box<dyn Iterator<Item = Result<PathBuf, String>>> {
    match root {
        Ok(root) => Box::new(files(&root)),
        Err(error) => Box::new(iter::once(Err(format!("standard input: {error}")))),
    }
}

/// The report about a file: its size (`None` if it is not text), or the error.
type Report = Result<Option<Size>, String>;

/// Sends the paths of all files.
fn walk(
    roots: Receiver<Root>,
    paths: Sender<PathBuf>,
    reports: Sender<Report>,
    done: Receiver<()>,
) -> Option<()> {
    loop {
        let root = select! {
            recv(roots) -> root => root.ok()?,
            recv(done) -> _ => return None,
        };
        for file in files_of(root) {
            match file {
                Ok(path) => select! {
                    send(paths, path) -> sent => sent.ok()?,
                    recv(done) -> _ => return None,
                },
                Err(error) => reports.send(Err(error)).ok()?,
            }
        }
    }
}

/// Counts files until there are no more, or the done channel is closed.
fn count_files(paths: Receiver<PathBuf>, reports: Sender<Report>, done: Receiver<()>) -> Tally {
    let mut tally = Tally::default();
    loop {
        let path = select_biased! {
            recv(done) -> _ => break,
            recv(paths) -> path => path,
        };
        let Ok(path) = path else { break };
        if reports.send(tally.add_file(&path)).is_err() {
            break;
        }
    }
    tally
}

/// Receives all reports, prints the errors among them, and shows the progress. Returns the number
/// of errors.
fn watch(reports: &Receiver<Report>, progress: bool) -> u64 {
    let mut errors = 0;
    let (mut files, mut total) = (0_u64, Size::default());
    let every = if progress {
        channel::tick(Duration::from_millis(100))
    } else {
        channel::never()
    };
    let (start, end) = if io::stderr().is_terminal() {
        ("\r\x1b[K", "")
    } else {
        ("", "\n")
    };
    loop {
        select! {
            recv(reports) -> report => match report {
                Ok(Ok(size)) => {
                    let size = size.unwrap_or_default();
                    files += 1;
                    total.bytes += size.bytes;
                    total.words += size.words;
                }
                Ok(Err(error)) => {
                    errors += 1;
                    eprintln!("{start}wordcount: {error}");
                }
                Err(_) => break,
            },
            recv(every) -> _ => {
                let Size { bytes, words } = total;
                eprint!("{start}counting: files={files} words={words} bytes={bytes}{end}");
            }
        }
    }
    if progress {
        eprint!("{start}");
    }
    errors
}

/// Counts without goroutines.
fn count_serially(options: &Options) -> Count {
    let mut tally = Tally::default();
    for file in roots(options).iter().flat_map(files_of) {
        if let Err(error) = file.and_then(|path| tally.add_file(&path)) {
            tally.unreadable += 1;
            eprintln!("wordcount: {error}");
        }
    }
    Count {
        tally,
        partial: false,
    }
}

fn show(Count { tally, partial }: &Count) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if *partial {
        writeln!(out, "partial result: stopped by Ctrl-C")?;
    }
    for (word, count) in tally.top(20) {
        writeln!(out, "{count:>10}  {word}")?;
    }
    let mark = if *partial { " (partial)" } else { "" };
    writeln!(out, "total: {tally}{mark}")
}
