//! A worker: goroutines that take one job at a time each, and a goroutine that renews their leases.

use std::collections::HashMap;
use std::io::{self, Write};
use std::time::Duration;

use go_runtime::context::{self, Context};
use go_runtime::signal::{SIGINT, SIGTERM, notify_context};
use go_runtime::sync::Mutex;
use go_runtime::time::Ticker;
use go_runtime::{go, scope, select};

use crate::broker::{Broker, Delivery, End};

/// How long a goroutine waits at most for a new job before it looks for lapsed leases.
const WAIT: Duration = Duration::from_millis(500);

/// The settings of a worker.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The worker's name, which is unique.
    pub(crate) name: String,
    /// Number of jobs that run at a time.
    pub(crate) goroutines: usize,
    /// How long a job that is not renewed stays with its worker.
    pub(crate) lease: Duration,
    /// Maximum number of attempts of a job.
    pub(crate) attempts: u64,
}

/// The jobs that are running, by the names of their stream entries, and their attempts.
type InWork = Mutex<HashMap<(String, u64), Delivery>>;

/// Works until Ctrl-C or SIGTERM; jobs that are running then are finished.
pub(crate) fn work(address: &str, settings: &Settings) -> io::Result<()> {
    let (ctx, signals) = notify_context(&context::background(), &[SIGINT, SIGTERM])?;
    let in_work = InWork::default();
    let (ended, renewing) = context::background().with_cancel();
    scope(|s| {
        let renewer = go!(s; renew(address, settings, &in_work, &ended));
        let workers: Vec<_> = (0..settings.goroutines)
            .map(|_| go!(s; one_by_one(address, settings, &in_work, &ctx)))
            .collect();
        let results: Vec<_> = workers.into_iter().map(|worker| worker.join()).collect();
        renewing.cancel();
        for result in results.into_iter().chain([renewer.join()]) {
            result.map_err(|_panic| io::Error::other("a goroutine has panicked"))??;
        }
        drop(signals);
        Ok(())
    })
}

/// Takes a job, runs it, ends it, and takes the next one.
fn one_by_one(
    address: &str,
    settings: &Settings,
    in_work: &InWork,
    ctx: &Context,
) -> io::Result<()> {
    let Settings {
        name,
        lease,
        attempts,
        ..
    } = settings;
    let mut broker = Broker::new(address)?;
    while ctx.err().is_none() {
        let Some(delivery) = broker.take(name, *lease, WAIT.min(*lease / 2))? else {
            continue;
        };
        let Delivery {
            entry,
            job,
            attempt,
        } = &delivery;
        if attempt > attempts {
            let end = End::Dead("its workers have ended, or lost its lease");
            tell(
                name,
                if broker.end(name, &delivery, &end)? {
                    "dead"
                } else {
                    "late"
                },
                job.id,
            );
            continue;
        }
        in_work
            .lock()
            .unwrap()
            .insert((entry.clone(), *attempt), delivery.clone());
        tell(name, "start", job.id);
        let result = job.run(*attempt);
        let said = match result {
            // The lease lapses, and then the job is tried again.
            Err(_) if attempt < attempts => "failed",
            Err(reason) if broker.end(name, &delivery, &End::Dead(reason))? => "dead",
            Ok(()) if broker.end(name, &delivery, &End::Done)? => "done",
            Ok(()) | Err(_) => "late",
        };
        in_work.lock().unwrap().remove(&(entry.clone(), *attempt));
        tell(name, said, job.id);
    }
    Ok(())
}

/// Renews the leases of the jobs that run, three times in the time of a lease.
fn renew(address: &str, settings: &Settings, in_work: &InWork, ended: &Context) -> io::Result<()> {
    let mut broker = Broker::new(address)?;
    let ticker = Ticker::new(settings.lease / 3);
    loop {
        select! {
            recv(ticker.channel()) -> _ => {}
            recv(ended.done()) -> _ => return Ok(()),
        }
        // The lock is not held during the requests to the broker.
        let deliveries: Vec<_> = in_work.lock().unwrap().values().cloned().collect();
        for delivery in deliveries {
            // If a lease is lost, the goroutine learns of it when the job ends.
            broker.renew(&settings.name, &delivery)?;
        }
    }
}

/// Prints a line about an event of a job.
fn tell(worker: &str, what: &str, id: u64) {
    // The process that started the worker may have closed its end of the pipe.
    let _ = writeln!(io::stdout(), "{worker} {what} {id}");
}
