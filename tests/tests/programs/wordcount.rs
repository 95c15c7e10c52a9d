//! The example program `wordcount`: its counts compared with plain ones, unreadable files, Ctrl-C.
#![cfg(unix)]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::process::Command;

use go_tests::support::programs::{Folder, Running, program, refuses, succeeds};

/// A tree of text files, and the counts of its words.
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
        // Each word as written in the files, and as counted.
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
            folder: Folder::create(),
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
                .path()
                .join(format!("a{}/b{}", file % 10, file % 100));
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(format!("{file}.txt")), &text).unwrap();
            tree.files += 1;
            tree.bytes += text.len() as u64;
        }
        tree
    }

    /// Adds files and other entries that need care.
    fn with_oddities(mut self) -> Tree {
        let root = self.folder.path().to_owned();
        fs::write(root.join("image"), b"not\0text").unwrap();
        fs::write(root.join("late"), [&[b'x'; 1023][..], b"\0"].concat()).unwrap();
        self.skipped += 2;
        // A NUL late in the file, a byte that is not UTF-8, no final newline, and a file name that
        // is not UTF-8.
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

    /// Returns the output that the program should print if it reads the tree once.
    fn report(&self, unreadable: u64) -> String {
        let mut all: Vec<_> = self.counts.iter().collect();
        // The sort is stable, so words that are equally frequent stay in alphabetical order.
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
            "{top}total: words={words} files={files} bytes={bytes} distinct={distinct} \
             skipped={skipped} unreadable={unreadable}"
        )
    }
}

/// Returns the number after `name=` in a line.
fn number(line: &str, name: &str) -> u64 {
    line.split_whitespace()
        .find_map(|field| field.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
        .unwrap_or_else(|| panic!("no {name}= in {line:?}"))
}

#[test]
fn wordcount_agrees_with_a_plain_count() {
    let tree = Tree::new(2_000).with_oddities();
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

/// Starts a count that reads all files of the tree but never ends, because the standard input with
/// the paths stays open.
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
