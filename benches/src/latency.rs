//! Collects how long requests took, and prints the figures as lines "key value".

use std::time::Duration;

/// The times of one client's requests, in nanoseconds. Since there are millions, each takes four
/// bytes, which is enough for 4.3 s.
#[derive(Clone, Default)]
pub struct Latencies(Vec<u32>);

impl Latencies {
    /// Makes room for this number of requests, so that growing does not disturb the measurement.
    pub fn with_capacity(requests: usize) -> Latencies {
        Latencies(Vec::with_capacity(requests))
    }

    pub fn add(&mut self, time: Duration) {
        self.0
            .push(u32::try_from(time.as_nanos()).unwrap_or(u32::MAX));
    }

    /// Adds the times of another client.
    pub fn extend(&mut self, other: Latencies) {
        self.0.extend(other.0);
    }

    /// Returns the figures of all requests that ended within `wall`. If there is no request at all,
    /// returns an error, because the server has answered no client.
    pub fn figures(mut self, wall: Duration) -> Result<String, String> {
        self.0.sort_unstable();
        let Some(&slowest) = self.0.last() else {
            return Err("no request was answered".into());
        };
        let us = |ns: u32| f64::from(ns) / 1e3;
        let at = |percent: usize| us(self.0[(self.0.len() * percent / 100).min(self.0.len() - 1)]);
        Ok(format!(
            "requests {}\nrequests_per_s {:.0}\np50_us {:.1}\np99_us {:.1}\nmax_us {:.1}",
            self.0.len(),
            self.0.len() as f64 / wall.as_secs_f64(),
            at(50),
            at(99),
            us(slowest)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_of_all_clients() {
        let mut all = Latencies::default();
        for client in 0..2 {
            let mut one = Latencies::with_capacity(50);
            (0..50).for_each(|i| one.add(Duration::from_micros(2 * i + client)));
            all.extend(one);
        }
        let figures = all.figures(Duration::from_secs(2)).unwrap();
        assert_eq!(
            figures,
            "requests 100\nrequests_per_s 50\np50_us 50.0\np99_us 99.0\nmax_us 99.0"
        );
    }

    #[test]
    fn no_answer_is_an_error() {
        let error = Latencies::default().figures(Duration::from_secs(1));
        assert_eq!(error.unwrap_err(), "no request was answered");
    }
}
