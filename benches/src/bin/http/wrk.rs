//! Runs `wrk`, and parses its output.

use std::process::Command;

use go_benches::figures::Figures;
use go_benches::peers::output;

/// More than one thread, so that the client is not the bottleneck.
const THREADS: &str = "2";

/// Loads a server for this long.
pub(crate) fn run(address: &str, connections: usize, seconds: usize) -> Result<Figures, String> {
    let mut command = Command::new("wrk");
    command.args(["--latency", "--timeout", "10s", "--threads", THREADS]);
    command.args(["--connections", &connections.to_string()]);
    command.args(["--duration", &format!("{seconds}s")]);
    let text = output(command.arg(format!("http://{address}/")))?;
    parse(&text).ok_or_else(|| format!("wrk said: {text}"))
}

fn parse(text: &str) -> Option<Figures> {
    let after = |head: &str| {
        let mut lines = text.lines().map(str::trim);
        Some(lines.find_map(|line| line.strip_prefix(head))?.trim())
    };
    // `wrk` prints no such line if there were no errors.
    let errors = |head: &str| -> f64 {
        let words = after(head)
            .into_iter()
            .flat_map(|line| line.split([' ', ',']));
        words.flat_map(str::parse::<f64>).sum()
    };
    let mut figures = Figures::default();
    figures.set("requests_per_s", after("Requests/sec:")?.parse().ok()?);
    figures.set("p50_us", us(after("50%")?)?);
    figures.set("p99_us", us(after("99%")?)?);
    figures.set("socket_errors", errors("Socket errors:"));
    figures.set("refused", errors("Non-2xx or 3xx responses:"));
    Some(figures)
}

/// Parses a time as wrk writes it, and returns it in microseconds.
fn us(text: &str) -> Option<f64> {
    let unit = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(unit);
    let factor = match unit {
        "us" => 1.0,
        "ms" => 1e3,
        "s" => 1e6,
        "m" => 60e6,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Running 2s test @ http://127.0.0.1:8080/
  Latency Distribution
     50%  803.00us
     75%    1.61ms
     99%    1.01s
  218654 requests in 2.01s, 27.11MB read
Requests/sec: 108867.25
";

    #[test]
    fn figures_are_in_microseconds() {
        let figures = parse(TEXT).unwrap();
        let of = |key| figures.get(key);
        assert_eq!(of("requests_per_s"), 108867.25);
        assert_eq!((of("p50_us"), of("p99_us")), (803.0, 1.01e6));
        assert_eq!((of("socket_errors"), of("refused")), (0.0, 0.0));
        assert!(parse("unable to connect to 127.0.0.1:1").is_none());
    }

    #[test]
    fn errors_are_counted() {
        let errors = "  Socket errors: connect 1, read 20, write 0, timeout 300\n  \
                      Non-2xx or 3xx responses: 7\n";
        let figures = parse(&format!("{TEXT}{errors}")).unwrap();
        assert_eq!(figures.get("socket_errors"), 321.0);
        assert_eq!(figures.get("refused"), 7.0);
    }
}
