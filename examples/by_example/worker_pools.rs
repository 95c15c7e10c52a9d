//! A worker pool: three goroutines take jobs from one channel, and send what they find through another.
//!
//! Go: the same, but it has to count results to know when to stop, or close their channel behind a WaitGroup. Here the results end
//! with the last worker, whose sender goes with it.

use std::time::Duration;

use go_runtime::channel::{self, Receiver, Sender};
use go_runtime::{go, time};

struct Job {
    word: &'static str,
}

struct Done {
    worker: usize,
    palindrome: Option<&'static str>,
}

fn work(worker: usize, jobs: Receiver<Job>, results: Sender<Done>) {
    for Job { word } in jobs {
        time::sleep(Duration::from_millis(2)); // Palindromes are hard.
        let palindrome = word.chars().eq(word.chars().rev()).then_some(word);
        results.send(Done { worker, palindrome }).unwrap();
    }
}

#[go_runtime::main]
fn main() {
    let (job, jobs) = channel::bounded(3);
    let (result, results) = channel::bounded(3);
    for worker in 0..3 {
        go!(work(worker, jobs.clone(), result.clone()));
    }
    drop(result); // The workers have theirs.

    go! {
        for word in ["level", "canal", "radar", "tiger", "noon", "moon", "civic"] {
            job.send(Job { word }).unwrap();
        }
    };

    let mut palindromes = Vec::new();
    let mut jobs_of = [0; 3];
    for Done { worker, palindrome } in results {
        jobs_of[worker] += 1;
        palindromes.extend(palindrome);
    }
    palindromes.sort();
    println!("palindromes: {palindromes:?}");
    println!("jobs: {}", jobs_of.iter().sum::<u32>());
}
