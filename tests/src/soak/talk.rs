//! The operations by which goroutines exchange messages.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use go_runtime::channel::{Receiver, Select, Sender, bounded, unbounded};
use go_runtime::{Builder, JoinHandle, select, yield_now};

use super::message::Message;
use super::world::World;

fn moment(rng: &mut Rng) -> Duration {
    Duration::from_micros(rng.u64(..20_000))
}

fn any_channel(rng: &mut Rng) -> (Sender<Message>, Receiver<Message>) {
    match rng.usize(..8) {
        0..4 => bounded(0),
        7 => unbounded(),
        capacity => bounded(capacity - 3),
    }
}

/// Starts a partner on the same worker, or on any worker.
fn start<T: Send + 'static>(
    world: &Arc<World>,
    rng: &mut Rng,
    f: impl FnOnce(&Arc<World>) -> T + Send + 'static,
) -> Option<JoinHandle<T>> {
    if rng.u8(..4) == 0 {
        world.start_local(f)
    } else {
        world.start(Builder::new(), f)
    }
}

/// Waits in the lobby for a partner, or wakes a goroutine that waits there.
pub(super) fn meet(world: &Arc<World>, rng: &mut Rng) {
    if rng.u8(..4) == 0 {
        wake(world, rng);
        return;
    }
    let Some(rx) = world.lobby.enter(rng.usize(..=1)) else {
        return;
    };
    let message = match rng.u8(..8) {
        0 => rx.recv_timeout(moment(rng)).ok(),
        1..3 => select! {
            recv(rx) -> message => message.ok(),
            recv(world.done) -> _ => None,
        },
        _ => rx.recv().ok(),
    };
    if let Some(message) = message {
        message.receive();
    }
}

/// Wakes a goroutine that waits in the lobby. Returns whether there was one.
pub(super) fn wake(world: &Arc<World>, rng: &mut Rng) -> bool {
    let Some(tx) = world.lobby.pick(rng) else {
        return false;
    };
    // The goroutine may have left because its time was over.
    if let Err(error) = tx.send(Message::new(world, rng.u64(..))) {
        error.0.give_up();
    }
    true
}

/// Sends `count` messages with consecutive numbers from `first` on. Returns how many have arrived,
/// or at least have been accepted by the channel.
fn send_all(world: &Arc<World>, tx: &Sender<Message>, first: u64, count: u64) -> u64 {
    for i in 0..count {
        if let Err(error) = tx.send(Message::new(world, first.wrapping_add(i))) {
            error.0.give_up();
            return i;
        }
        if i % 4 == 3 {
            yield_now();
        }
    }
    count
}

/// Receives up to `most` messages, with consecutive numbers from `first` on. Returns how many.
fn receive_all(rx: &Receiver<Message>, first: u64, most: u64) -> u64 {
    for i in 0..most {
        let Ok(message) = rx.recv() else { return i };
        assert_eq!(message.receive(), first.wrapping_add(i), "in order");
    }
    most
}

/// A partner sends or receives; the receiver may be dropped early.
pub(super) fn pair(world: &Arc<World>, rng: &mut Rng) {
    let (tx, rx) = any_channel(rng);
    let (first, count) = (rng.u64(..), rng.u64(1..=16));
    let most = if rng.u8(..4) == 0 {
        rng.u64(..=count)
    } else {
        count
    };
    let receive = move |rx: Receiver<Message>| receive_all(&rx, first, most);
    let (sent, received) = if rng.bool() {
        let Some(partner) = start(world, rng, move |world| send_all(world, &tx, first, count))
        else {
            return;
        };
        let received = receive(rx);
        (partner.join().ok(), Some(received))
    } else {
        let Some(partner) = start(world, rng, move |_| receive(rx)) else {
            return;
        };
        let sent = send_all(world, &tx, first, count);
        drop(tx);
        (Some(sent), partner.join().ok())
    };
    assert_eq!(received, Some(most), "all that the receiver wanted");
    assert!(sent >= received, "{sent:?} sent, {received:?} received");
}

/// Two partners answer, one of them late or not at all; the done channel and a deadline end the
/// wait.
pub(super) fn select(world: &Arc<World>, rng: &mut Rng) {
    let ((tx, rx), (late, never)) = (any_channel(rng), any_channel(rng));
    let (first, count) = (rng.u64(..), rng.u64(1..=6));
    let pause = moment(rng);
    let Some(sender) = start(world, rng, move |world| send_all(world, &tx, first, count)) else {
        return;
    };
    let (back, answers) = any_channel(rng);
    let partner = start(world, rng, move |world| {
        select! {
            recv(answers) -> answer => answer.ok().map(Message::receive),
            recv(world.done) -> _ => None,
            default(pause) => None,
        }
    });
    let (mut next, mut answer) = (first, rng.bool().then(|| rng.u64(..)));
    let said = answer;
    let timeout = moment(rng);
    loop {
        // As long as there is an answer to give, one arm sends it.
        let message = if let Some(number) = answer {
            select! {
                recv(rx) -> message => message.ok(),
                recv(never) -> _ => unreachable!("no goroutine sends there"),
                send(back, Message::new(world, number)) -> sent => {
                    if let Err(error) = sent {
                        error.0.give_up();
                    }
                    answer = None;
                    continue;
                }
                default(timeout) => None,
            }
        } else {
            select! {
                recv(rx) -> message => message.ok(),
                recv(never) -> _ => unreachable!("no goroutine sends there"),
                recv(world.done) -> _ => None,
                default(timeout) => None,
            }
        };
        let Some(message) = message else { break };
        assert_eq!(message.receive(), next, "in order");
        next = next.wrapping_add(1);
    }
    // A sender that still sends sees this, and so does the partner.
    drop((rx, back, late));
    let sent = sender.join().ok();
    assert!(sent >= Some(next.wrapping_sub(first)), "{sent:?} sent");
    if let Some(partner) = partner {
        match partner.join() {
            Ok(None) => {}
            Ok(heard) => assert_eq!(heard, said, "the answer"),
            Err(_) => panic!("a partner failed"),
        }
    }
}

/// Selects over two to four of the shared channels, to send or to receive, with a deadline.
pub(super) fn board(world: &Arc<World>, rng: &mut Rng) {
    let mut list = Select::new();
    let arms: Vec<_> = (0..rng.usize(1..=3))
        .map(|_| {
            let (tx, rx) = &world.board[rng.usize(..world.board.len())];
            let sends = rng.bool();
            let index = if sends { list.send(tx) } else { list.recv(rx) };
            (index, sends, tx, rx)
        })
        .collect();
    let done = list.recv(&world.done);
    let Ok(operation) = list.select_timeout(moment(rng)) else {
        return;
    };
    let index = operation.index();
    match arms.iter().find(|arm| arm.0 == index) {
        Some((_, true, tx, _)) => {
            if let Err(error) = operation.send(tx, Message::new(world, rng.u64(..))) {
                error.0.give_up();
            }
        }
        Some((_, false, _, rx)) => {
            if let Ok(message) = operation.recv(rx) {
                message.receive();
            }
        }
        None => {
            assert_eq!(index, done);
            assert!(operation.recv(&world.done).is_err());
        }
    }
}
