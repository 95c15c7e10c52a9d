//! Follows the links of a site, each page once.
//!
//! One goroutine, the caller's, knows which pages have been seen, so nothing is locked. The other
//! goroutines fetch pages, as many at once as there are permits.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use go_runtime::JoinSet;
use go_runtime::context::Context;
use go_runtime::sync::Semaphore;

use crate::fetch::fetch;
use crate::url::{Url, links};
use go_runtime::net;

#[derive(Default)]
pub(crate) struct Summary {
    pub(crate) pages: usize,
    pub(crate) bytes: usize,
    /// Number of links to pages of the site, counted each time they occur.
    pub(crate) links: usize,
    /// The pages that could not be fetched, with the reason.
    pub(crate) broken: BTreeSet<(Url, String)>,
    /// Number of known pages that were not fetched because the context had ended.
    pub(crate) left: usize,
}

/// The page that a goroutine has fetched.
struct Got {
    url: Url,
    page: io::Result<Found>,
}

struct Found {
    status: u16,
    bytes: usize,
    links: Vec<Url>,
}

/// Crawls until there are no new pages, or `ctx` ends.
pub(crate) fn crawl(ctx: &Context, start: Url, at_once: usize) -> Summary {
    let permits = Arc::new(Semaphore::new(at_once));
    let mut summary = Summary::default();
    let mut seen = BTreeSet::from([start.clone()]);
    let mut running = JoinSet::new();
    let begin = |running: &JoinSet<Option<Got>>, url: Url| {
        let (ctx, permits) = (ctx.clone(), Arc::clone(&permits));
        running.spawn(move || {
            // A goroutine that waits for its permit takes a page of memory, so there may be one for
            // every page.
            let _permit = permits.acquire_with(1, ctx.done()).ok()?;
            let page = get(&ctx, &url);
            let ended = page.as_ref().is_err_and(net::is_done);
            (!ended).then_some(Got { url, page })
        });
    };
    begin(&running, start);
    while let Some(got) = running.join_next() {
        // The panic hook has reported a panic.
        let Some(Got { url, page }) = got.unwrap_or(None) else {
            summary.left += 1;
            continue;
        };
        match page {
            Ok(found) if found.status == 200 => {
                summary.pages += 1;
                summary.bytes += found.bytes;
                summary.links += found.links.len();
                for link in found.links {
                    if seen.insert(link.clone()) {
                        begin(&running, link);
                    }
                }
            }
            Ok(found) => {
                summary
                    .broken
                    .insert((url, format!("status {}", found.status)));
            }
            Err(error) => {
                summary.broken.insert((url, error.to_string()));
            }
        }
    }
    summary
}

fn get(ctx: &Context, url: &Url) -> io::Result<Found> {
    let page = fetch(ctx, url)?;
    let text = String::from_utf8_lossy(&page.body);
    Ok(Found {
        status: page.status,
        bytes: page.body.len(),
        links: links(&text).filter_map(|link| url.join(link)).collect(),
    })
}
