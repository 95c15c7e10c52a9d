//! Code that several examples share: listing the files below a folder, splitting text into words,
//! and counting the words of a file; for `wordcount` (with goroutines and without) and
//! `bounded_pipeline`.

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File, ReadDir};
use std::io::{self, BufRead, BufReader};
use std::iter;
use std::path::{Path, PathBuf};

/// A file with a NUL byte among this many bytes at its start is not text.
const HEAD: usize = 1024;

/// Lists the regular files below `root`, or `root` itself if it is one. A symbolic link is followed
/// only if it is the `root`, which the user named.
///
/// A folder that cannot be listed yields an error that names it and the reason; the files of the
/// other folders still follow.
pub fn files(root: &Path) -> impl Iterator<Item = Result<PathBuf, String>> + use<> {
    let failed = |path: &Path, error: io::Error| Err(format!("{}: {error}", path.display()));
    let (first, mut folders) = match fs::metadata(root) {
        Ok(data) if data.is_dir() => (None, vec![root.to_owned()]),
        Ok(data) => (data.is_file().then(|| Ok(root.to_owned())), vec![]),
        Err(error) => (Some(failed(root, error)), vec![]),
    };
    // Only one folder is open at a time, however deep the tree is.
    let mut open: Option<(PathBuf, ReadDir)> = None;
    let below = iter::from_fn(move || {
        loop {
            let Some((folder, entries)) = &mut open else {
                let folder = folders.pop()?;
                match fs::read_dir(&folder) {
                    Ok(entries) => open = Some((folder, entries)),
                    Err(error) => return Some(failed(&folder, error)),
                }
                continue;
            };
            let Some(entry) = entries.next() else {
                open = None;
                continue;
            };
            match entry.and_then(|entry| Ok((entry.file_type()?, entry.path()))) {
                Ok((kind, path)) if kind.is_dir() => folders.push(path),
                Ok((kind, path)) if kind.is_file() => return Some(Ok(path)),
                Ok(_) => {}
                Err(error) => return Some(failed(folder, error)),
            }
        }
    });
    first.into_iter().chain(below)
}

/// Returns the words of a text: its longest runs of letters and digits.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
}

/// The sizes of one file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Number of bytes.
    pub bytes: u64,
    /// Number of words.
    pub words: u64,
}

/// The result of counting so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Number of text files.
    pub files: u64,
    /// Number of files that are not text.
    pub skipped: u64,
    /// Number of files and directories that could not be read completely. The code that receives
    /// the error counts it.
    pub unreadable: u64,
    /// Total size of the text files.
    pub size: Size,
    /// Number of occurrences of each word, in lower case.
    pub counts: HashMap<String, u64>,
}

impl Tally {
    /// Counts a file. Returns `None` if it is not text.
    ///
    /// # Errors
    /// Which file could not be read, and why. The lines before the failure are in the counts.
    pub fn add_file(&mut self, path: &Path) -> Result<Option<Size>, String> {
        let size = self
            .add_lines(path)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        match size {
            Some(_) => self.files += 1,
            None => self.skipped += 1,
        }
        Ok(size)
    }

    fn add_lines(&mut self, path: &Path) -> io::Result<Option<Size>> {
        let mut reader = BufReader::new(File::open(path)?);
        let head = reader.fill_buf()?;
        if head[..head.len().min(HEAD)].contains(&0) {
            return Ok(None);
        }
        let mut size = Size::default();
        let mut line = Vec::new();
        // Neither a word nor a UTF-8 sequence continues after the end of a line.
        while reader.read_until(b'\n', &mut line)? > 0 {
            let words = self.add_text(&String::from_utf8_lossy(&line));
            let bytes = line.len() as u64;
            self.size.bytes += bytes;
            size.bytes += bytes;
            size.words += words;
            line.clear();
        }
        Ok(Some(size))
    }

    fn add_text(&mut self, text: &str) -> u64 {
        let mut number = 0;
        let mut lower = String::new();
        for word in words(text) {
            number += 1;
            lower.clear();
            lower.extend(word.chars().flat_map(char::to_lowercase));
            match self.counts.get_mut(&lower) {
                Some(count) => *count += 1,
                None => {
                    self.counts.insert(lower.clone(), 1);
                }
            }
        }
        self.size.words += number;
        number
    }

    /// Adds the counts of another tally.
    pub fn merge(&mut self, other: Tally) {
        self.files += other.files;
        self.skipped += other.skipped;
        self.unreadable += other.unreadable;
        self.size.bytes += other.size.bytes;
        self.size.words += other.size.words;
        if self.counts.is_empty() {
            self.counts = other.counts;
            return;
        }
        for (word, count) in other.counts {
            *self.counts.entry(word).or_default() += count;
        }
    }

    /// Returns the `n` most frequent words; equally frequent ones in alphabetical order.
    pub fn top(&self, n: usize) -> Vec<(&str, u64)> {
        let mut all: Vec<_> = self.counts.iter().map(|(word, n)| (&**word, *n)).collect();
        all.sort_unstable_by_key(|&(word, count)| (std::cmp::Reverse(count), word));
        all.truncate(n);
        all
    }
}

/// Prints the totals, as one line for people and programs.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally {
            files,
            skipped,
            unreadable,
            size: Size { bytes, words },
            counts,
        } = self;
        let distinct = counts.len();
        write!(
            f,
            "words={words} files={files} bytes={bytes} distinct={distinct} skipped={skipped} \
             unreadable={unreadable}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_a_run_of_letters_and_digits() {
        let mut tally = Tally::default();
        tally.add_text("Straße, straße; x1-x1 ... don't ÉTÉ été");
        let top = [("straße", 2), ("x1", 2), ("été", 2), ("don", 1), ("t", 1)];
        assert_eq!(tally.top(20), top);
        assert_eq!(tally.top(1), top[..1]);
        assert_eq!(tally.size.words, 8);
    }

    #[test]
    fn a_merge_is_the_sum() {
        let text = |text: &str| {
            let mut tally = Tally::default();
            tally.add_text(text);
            tally
        };
        let mut both = text("a b");
        both.merge(text("b c"));
        assert_eq!(both, text("a b b c"));
    }
}
