//! Sequencing restored after a fan-in: each message carries a channel on which its sender waits for
//! permission to continue.
//!
//! Go: a `wait chan bool` inside the message. Here it is the same; and a message that is dropped
//! without an answer also lets its sender continue, because the sender's `recv` then fails.

use go_runtime::channel::{self, Sender};
use go_runtime::go;

struct Move {
    player: &'static str,
    number: u32,
    go_on: Sender<()>,
}

fn play(player: &'static str, table: Sender<Move>) {
    let (go_on, leave) = channel::bounded(0);
    for number in 1.. {
        let go_on = go_on.clone();
        if table
            .send(Move {
                player,
                number,
                go_on,
            })
            .is_err()
        {
            return; // The game is over.
        }
        leave.recv().unwrap();
    }
}

#[go_runtime::main]
fn main() {
    let (table, moves) = channel::bounded(0);
    for player in ["Ann", "Bo", "Cy"] {
        go!(play(player, table.clone()));
    }
    for round in 1..=4 {
        // No player can make a second move before all players have made one.
        let mut made: Vec<Move> = moves.iter().take(3).collect();
        made.sort_by_key(|made| made.player);
        let players: Vec<_> = made.iter().map(|made| made.player).collect();
        println!("round {round}: {}", players.join(", "));
        assert!(made.iter().all(|made| made.number == round));
        for made in made {
            made.go_on.send(()).unwrap();
        }
    }
}
