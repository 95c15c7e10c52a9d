//! What is run on whom, how often and with which counts, and what is to be reached.

/// Our own column.
pub const OURS: &str = "ours";
/// A peer's column: the program, and after a dash what it uses for channels (or as a mutex).
pub const PEERS: [&str; 12] = [
    "go",
    "golib",
    "may",
    "may-sem",
    "may-unb",
    "may-spsc",
    "tokio",
    "tokio-std",
    "tokio-kanal",
    "tokio-flume",
    "tokio-mpsc",
    "threads",
];

pub struct Workload {
    pub name: &'static str,
    /// Columns of `PEERS`, in their order.
    pub peers: &'static [&'static str],
    /// Takes so much memory that the first to run would pay for the machine's making it ready.
    pub heavy: bool,
}

/// Nothing goes through a channel.
const WITHOUT_CHANNELS: &[&str] = &["go", "golib", "may", "tokio", "threads"];
/// One sender, one receiver.
const PAIR: &[&str] = &[
    "go",
    "golib",
    "may-sem",
    "may-unb",
    "may-spsc",
    "tokio-kanal",
    "tokio-flume",
    "tokio-mpsc",
    "threads",
];
/// Several senders.
const SHARED: &[&str] = &[
    "go",
    "golib",
    "may-sem",
    "may-unb",
    "tokio-kanal",
    "tokio-flume",
    "tokio-mpsc",
    "threads",
];
/// Several receivers, which tokio's own channels cannot have.
const MPMC: &[&str] = &[
    "go",
    "golib",
    "may-sem",
    "may-unb",
    "tokio-kanal",
    "tokio-flume",
    "threads",
];
const MUTEX: &[&str] = &["go", "golib", "may", "tokio", "tokio-std", "threads"];
/// A generator that sends for ever: not on unbounded channels.
const SIEVE: &[&str] = &[
    "go",
    "golib",
    "may-sem",
    "tokio-kanal",
    "tokio-flume",
    "tokio-mpsc",
    "threads",
];
const PARKED: &[&str] = &[
    "go",
    "golib",
    "may",
    "tokio-kanal",
    "tokio-flume",
    "tokio-mpsc",
    "threads",
];

const fn light(name: &'static str, peers: &'static [&'static str]) -> Workload {
    Workload {
        name,
        peers,
        heavy: false,
    }
}

const fn heavy(name: &'static str, peers: &'static [&'static str]) -> Workload {
    Workload {
        name,
        peers,
        heavy: true,
    }
}

pub static WORKLOADS: [Workload; 19] = [
    heavy("spawn_join", WITHOUT_CHANNELS),
    light("spawn_small", WITHOUT_CHANNELS),
    light("yield1", WITHOUT_CHANNELS),
    light("yield1000", WITHOUT_CHANNELS),
    light("pingpong", PAIR),
    light("pingpong_local", PAIR),
    light("spsc128", PAIR),
    light("mpmc128", MPMC),
    light("mpmc0", MPMC),
    light("select3", SHARED),
    light("mutex8", MUTEX),
    light("ring", SHARED),
    heavy("skynet", SHARED),
    light("skynet10k", SHARED),
    light("sieve", SIEVE),
    light("parked16k", PARKED),
    heavy("timers", WITHOUT_CHANNELS),
    light("timers20k", WITHOUT_CHANNELS),
    light("pool", MPMC),
];

#[derive(Clone, Copy)]
pub enum Goal {
    /// Ours takes this part of the peer's time at most.
    Ratio(&'static str, f64),
    /// Ours is this many times as fast as without concurrency, in every run.
    SpeedUp(f64),
}

/// A workload may have several.
const GOALS: [(&str, Goal); 18] = [
    ("spawn_join", Goal::Ratio("go", 0.5)),
    ("spawn_small", Goal::Ratio("go", 0.5)),
    ("yield1", Goal::Ratio("may", 0.3)),
    ("yield1000", Goal::Ratio("may", 0.5)),
    ("pingpong", Goal::Ratio("go", 0.8)),
    ("pingpong_local", Goal::Ratio("go", 0.25)),
    ("spsc128", Goal::Ratio("go", 0.5)),
    ("spsc128", Goal::Ratio("tokio-kanal", 1.0)),
    ("mpmc128", Goal::Ratio("tokio-kanal", 1.0)),
    ("mpmc0", Goal::Ratio("tokio-kanal", 0.8)),
    ("select3", Goal::Ratio("go", 0.5)),
    ("mutex8", Goal::Ratio("go", 1.0)),
    ("ring", Goal::Ratio("tokio-kanal", 0.6)),
    ("skynet", Goal::Ratio("go", 0.7)),
    ("skynet10k", Goal::Ratio("tokio-kanal", 0.8)),
    ("sieve", Goal::Ratio("tokio-kanal", 0.8)),
    ("timers", Goal::Ratio("tokio", 0.7)),
    ("pool", Goal::SpeedUp(1.95)),
];

pub fn goals(workload: &str) -> impl Iterator<Item = Goal> {
    let of_it = GOALS.iter().filter(move |(name, _)| *name == workload);
    of_it.map(|(_, goal)| *goal)
}

/// The program of a column, and what it is told to use for channels.
pub fn program(column: &str) -> (&str, Option<&str>) {
    match column.split_once('-') {
        Some((program, family)) => (program, Some(family)),
        None => (column, None),
    }
}

/// The columns that `--peers` names, by program or one by one; all without it.
pub fn chosen_peers(list: Option<&str>) -> Result<Vec<&'static str>, String> {
    let Some(list) = list else {
        return Ok(PEERS.to_vec());
    };
    let names: Vec<&str> = list.split(',').map(str::trim).collect();
    for name in &names {
        if !PEERS.iter().any(|peer| is(peer, name)) {
            return Err(format!("no peer {name}; there are {}", PEERS.join(", ")));
        }
    }
    let is_chosen = |peer: &&str| names.iter().any(|name| is(peer, name));
    Ok(PEERS.into_iter().filter(is_chosen).collect())
}

fn is(peer: &str, name: &str) -> bool {
    peer == name || program(peer).0 == name
}

/// The workloads of these names; all if there are none.
pub fn chosen_workloads(names: &[String]) -> Result<Vec<&'static Workload>, String> {
    for name in names {
        if !WORKLOADS.iter().any(|workload| workload.name == name) {
            let all: Vec<&str> = WORKLOADS.iter().map(|workload| workload.name).collect();
            return Err(format!("no workload {name}; there are {}", all.join(", ")));
        }
    }
    let is_chosen =
        |workload: &&Workload| names.is_empty() || names.iter().any(|name| name == workload.name);
    // In the order of the table, whatever the order of the names.
    Ok(WORKLOADS.iter().filter(is_chosen).collect())
}

/// What a program calls the workload, and the variables that set its counts.
pub struct Invocation {
    pub workload: &'static str,
    pub variables: Vec<(&'static str, u32)>,
}

pub fn invocation(workload: &Workload, column: &str) -> Invocation {
    let name = match workload.name {
        "spawn_small" => "spawn_join",
        "parked16k" => "parked",
        // Only ours has both ends on one worker; beside it stands what the others have.
        "pingpong_local" if column != OURS => "pingpong",
        name => name,
    };
    let mut variables = vec![("BP_DIV", divisor(workload.name, column))];
    match workload.name {
        // Rounds of 1,000.
        "spawn_small" if column == "threads" => variables.push(("BP_ROUNDS", 10)),
        "spawn_small" => variables.push(("BP_ROUNDS", 100)),
        "parked16k" => variables.push(("BP_PARKED", 16_000)),
        _ => {}
    }
    Invocation {
        workload: name,
        variables,
    }
}

/// Smaller counts where a peer is too slow; the time of an operation stays comparable.
fn divisor(workload: &str, column: &str) -> u32 {
    match (workload, column) {
        ("spawn_join", "threads") => 50,
        ("yield1000", "threads") => 5,
        ("pingpong" | "pingpong_local", "threads") => 20,
        ("select3" | "ring", "threads") => 10,
        ("spawn_small", "threads") => 100,
        ("spawn_small", _) => 10,
        _ => 1,
    }
}

/// What takes too long to be run as often as the others is not run more often than this.
pub fn most_runs(workload: &str, column: &str) -> Option<usize> {
    match (workload, column) {
        ("timers", "threads") => Some(1),
        ("timers20k", "threads") | ("parked16k", "tokio-flume") => Some(3),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_are_of_workloads_and_peers_that_there_are() {
        for (name, goal) in GOALS {
            let workload = WORKLOADS.iter().find(|workload| workload.name == name);
            let workload = workload.unwrap_or_else(|| panic!("{name}"));
            if let Goal::Ratio(peer, _) = goal {
                assert!(workload.peers.contains(&peer), "{name} {peer}");
            }
        }
        assert_eq!(goals("spsc128").count(), 2);
    }

    #[test]
    fn peers_are_chosen_by_program_or_column() {
        let columns = |list| chosen_peers(Some(list)).unwrap();
        assert_eq!(columns("go"), ["go"]);
        assert_eq!(columns("may-sem, go"), ["go", "may-sem"]);
        assert_eq!(columns("may"), ["may", "may-sem", "may-unb", "may-spsc"]);
        assert!(chosen_peers(Some("go,erlang")).is_err());
        assert_eq!(chosen_peers(None).unwrap(), PEERS);
    }

    #[test]
    fn unknown_workloads_are_refused() {
        let chosen = chosen_workloads(&["yield1".into(), "spawn_join".into()]).unwrap();
        assert_eq!(chosen[0].name, "spawn_join");
        assert!(chosen_workloads(&["echo".into()]).is_err());
    }
}
