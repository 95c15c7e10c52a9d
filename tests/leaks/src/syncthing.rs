//! Bugs of Syncthing.

use std::sync::Arc;

use go_runtime::debug::WaitReason::*;
use go_runtime::sync::{Once, RwLock};
use go_runtime::{go, select};

use crate::{Chan, Kernel, chan};

pub(crate) const KERNELS: [Kernel; 2] = [
    Kernel::new("syncthing#4829", k4829, &[("nat", RwLockRead)]),
    Kernel::new(
        "syncthing#5795",
        k5795,
        &[("dispatcher", ChanReceive), ("test", ChanReceive)],
    ),
];

/// syncthing#4829: a mapping that is locked for writing tells of its removed addresses, for which
/// it locks itself for reading.
fn k4829(fixed: bool) {
    go!(name = "nat"; {
        let mappings = RwLock::new(vec![RwLock::new(vec!["an address"])]);
        let service = mappings.write().unwrap();
        for mapping in service.iter() {
            let mut addresses = mapping.write().unwrap();
            addresses.clear();
            if fixed {
                drop(addresses);
            }
            assert!(mapping.read().unwrap().is_empty());
        }
    });
}

/// syncthing#5795: a connection's dispatcher calls a function that closes the connection, which
/// waits for the end of the dispatcher.
fn k5795(fixed: bool) {
    struct Connection {
        inbox: Chan<()>,
        closed: Chan<()>,
        stopped: Chan<()>,
        once: Once,
    }
    impl Connection {
        fn close(&self) {
            self.once.call_once(|| {
                self.closed.close();
                self.stopped.recv();
            });
        }
    }
    let connection = Arc::new(Connection {
        inbox: chan(0),
        closed: chan(0),
        stopped: chan(0),
        once: Once::new(),
    });
    go!(name = "dispatcher"; clone(connection) {
        loop {
            select! {
                recv(connection.inbox.rx) -> _ => {
                    if fixed {
                        go!(name = "close"; clone(connection) { connection.close() });
                    } else {
                        connection.close();
                    }
                }
                recv(connection.closed.rx) -> _ => break,
            }
        }
        connection.stopped.close();
    });
    go!(name = "test"; {
        connection.inbox.send(());
        connection.stopped.recv();
    });
}
