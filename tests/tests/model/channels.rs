//! The channel's core: hand-over, close, deadlines, promises. Every message is counted, as is every message that comes back.

use loom::sync::Arc;
use loom::thread;

use crate::channel::core::{Core, Patience, Received, Sent};
use crate::channel::slot::receive_promised;
use crate::channel::state::{Found, Place};
use crate::channel::wait_queue::{Offer, Waiter};
use crate::check;
use crate::sched::{Parker, Verdict, give_deadline};

fn received(core: &Core<usize>, patience: Patience) -> usize {
    match core.receive(patience) {
        Received::Message(message) => message,
        Received::Empty | Received::Closed | Received::TimedOut => 0,
    }
}

/// The message, if it has been sent.
fn sent(core: &Core<usize>, message: usize, patience: Patience) -> usize {
    match core.send(message, patience) {
        Sent::Yes => message,
        Sent::Full(back) | Sent::Closed(back) | Sent::TimedOut(back) => {
            assert_eq!(back, message);
            0
        }
    }
}

fn two_senders_two_receivers(capacity: usize) {
    let core = Arc::new(Core::new(Some(capacity)));
    let other = core.clone();
    let senders = thread::spawn(move || sent(&other, 1, Patience::Forever));
    let other = core.clone();
    let receiver = thread::spawn(move || received(&other, Patience::Forever));
    let sent = sent(&core, 2, Patience::Forever);
    let got = received(&core, Patience::Forever);
    assert_eq!(
        sent + senders.join().unwrap(),
        got + receiver.join().unwrap()
    );
}

#[test]
fn rendezvous_delivers_each_message_once() {
    check("rendezvous, 1 sender, 1 receiver", 4, || {
        let core = Arc::new(Core::new(Some(0)));
        let other = core.clone();
        let sender = thread::spawn(move || sent(&other, 1, Patience::Forever));
        assert_eq!(received(&core, Patience::Forever), sender.join().unwrap());
    });
}

#[test]
fn a_buffer_delivers_each_message_once() {
    check("buffer of 1, 2 senders, 2 receivers", 4, || {
        two_senders_two_receivers(1);
    });
}

#[test]
fn a_close_wakes_everybody_and_loses_nothing() {
    check("close against send and receive", 4, || {
        let core = Arc::new(Core::new(Some(0)));
        let other = core.clone();
        let sender = thread::spawn(move || sent(&other, 1, Patience::Forever));
        let other = core.clone();
        let closer = thread::spawn(move || other.close());
        let got = received(&core, Patience::Forever);
        closer.join().unwrap();
        assert_eq!(got, sender.join().unwrap());
    });
}

#[test]
fn a_deadline_keeps_the_message_on_one_side() {
    check("deadline on both sides of a rendezvous", 4, || {
        let core = Arc::new(Core::new(Some(0)));
        let other = core.clone();
        let sender = thread::spawn(move || sent(&other, 1, Patience::Until(give_deadline())));
        let got = received(&core, Patience::Until(give_deadline()));
        assert_eq!(got, sender.join().unwrap());
    });
}

/// A select of two `recv` arms, reduced to what it does to its channels: it locks both, looks, queues in both, parks, and
/// takes itself out of both.
fn select_two(a: &Core<usize>, b: &Core<usize>) -> usize {
    let slots = [const { std::cell::UnsafeCell::new(0_usize) }; 2];
    let waiters = [Waiter::new(Offer::Message), Waiter::new(Offer::Message)];
    let cores = [a, b];
    loop {
        let lock = || cores.iter().for_each(|core| core.raw_lock().lock());
        let unlock = || unsafe { cores.iter().for_each(|core| core.raw_lock().unlock()) };
        lock();
        let mut closed = 0;
        for core in cores {
            match unsafe { core.state() }.find_message(core.capacity()) {
                Found::Message(message, sender) => {
                    unlock();
                    if let Some(sender) = sender {
                        unsafe { Waiter::finish(sender) };
                    }
                    return message;
                }
                Found::Promise(sender) => {
                    unlock();
                    return unsafe { receive_promised(sender) }.unwrap_or(0);
                }
                Found::Closed => closed += 1,
                Found::Nothing => {}
            }
        }
        if closed == 2 {
            unlock();
            return 0;
        }
        let parker = Parker::new();
        for i in 0..2 {
            waiters[i].set_up(&parker, i, slots[i].get().cast());
            unsafe { cores[i].state().enqueue_receiver(&waiters[i]) };
        }
        unlock();
        let verdict = parker.park(None);
        lock();
        for i in 0..2 {
            unsafe { cores[i].state().dequeue_receiver(&waiters[i]) };
        }
        unlock();
        match verdict {
            Verdict::Done(i) => return unsafe { *slots[i].get() },
            Verdict::Closed(_) => return 0,
            _ => {}
        }
    }
}

#[test]
fn select_takes_one_of_two_and_loses_neither() {
    check("select over two rendezvous, two senders", 3, || {
        let channels = Arc::new([Core::new(Some(0)), Core::new(Some(0))]);
        let senders: Vec<_> = (0..2)
            .map(|i| {
                let channels = channels.clone();
                thread::spawn(move || sent(&channels[i], i + 1, Patience::Forever))
            })
            .collect();
        let first = select_two(&channels[0], &channels[1]);
        let second = select_two(&channels[0], &channels[1]);
        assert_eq!(first + second, 3);
        for sender in senders {
            assert_ne!(sender.join().unwrap(), 0);
        }
    });
}

/// A `send` arm that is chosen makes its message afterwards, or fails to.
fn promise(kept: bool) {
    let core = Arc::new(Core::<usize>::new(Some(0)));
    let other = core.clone();
    let receiver = thread::spawn(move || received(&other, Patience::Forever));
    let place = 'chosen: {
        let waiter = Waiter::new(Offer::Promise);
        core.raw_lock().lock();
        let found = unsafe { core.state() }.find_place(core.capacity());
        if let Some(place) = found {
            unsafe { core.raw_lock().unlock() };
            break 'chosen place;
        }
        let parker = Parker::new();
        waiter.set_up(&parker, 0, std::ptr::null_mut());
        unsafe {
            core.state().enqueue_sender(&waiter);
            core.raw_lock().unlock();
        }
        match parker.park(None) {
            Verdict::Done(_) => Place::Receiver(waiter.slot().cast_const().cast()),
            verdict => panic!("{verdict:?}"),
        }
    };
    if kept {
        assert!(unsafe { core.keep_promise(place, 5) }.is_ok());
    } else {
        // The receiver looks again, and gets the next message.
        unsafe { core.break_promise(&place) };
        assert_eq!(sent(&core, 5, Patience::Forever), 5);
    }
    assert_eq!(receiver.join().unwrap(), 5);
}

#[test]
fn a_promise_is_kept() {
    check("promise kept", 5, || promise(true));
}

#[test]
fn a_broken_promise_leaves_the_receiver_waiting() {
    check("promise broken", 5, || promise(false));
}
