//! What stands for a channel, each family with the same few functions.

pub(crate) mod fam_unb {
    use may::sync::mpsc;
    pub struct Tx<T>(mpsc::Sender<T>);
    pub struct Rx<T>(mpsc::Receiver<T>);
    impl<T> Clone for Tx<T> {
        fn clone(&self) -> Self {
            Tx(self.0.clone())
        }
    }
    pub fn chan<T>(_cap: usize) -> (Tx<T>, Rx<T>) {
        let (a, b) = mpsc::channel();
        (Tx(a), Rx(b))
    }
    impl<T> Tx<T> {
        pub fn send(&self, v: T) -> bool {
            self.0.send(v).is_ok()
        }
    }
    impl<T> Rx<T> {
        pub fn recv(&self) -> Option<T> {
            self.0.recv().ok()
        }
    }
}
pub(crate) mod fam_spsc {
    use may::sync::spsc;
    pub struct Tx<T>(spsc::Sender<T>);
    pub struct Rx<T>(spsc::Receiver<T>);
    pub fn chan<T>(_cap: usize) -> (Tx<T>, Rx<T>) {
        let (a, b) = spsc::channel();
        (Tx(a), Rx(b))
    }
    impl<T> Tx<T> {
        pub fn send(&self, v: T) -> bool {
            self.0.send(v).is_ok()
        }
    }
    impl<T> Rx<T> {
        pub fn recv(&self) -> Option<T> {
            self.0.recv().ok()
        }
    }
}
pub(crate) mod fam_mpmc {
    use may::sync::mpmc;
    pub struct Tx<T>(mpmc::Sender<T>);
    pub struct Rx<T>(mpmc::Receiver<T>);
    impl<T> Clone for Tx<T> {
        fn clone(&self) -> Self {
            Tx(self.0.clone())
        }
    }
    impl<T> Clone for Rx<T> {
        fn clone(&self) -> Self {
            Rx(self.0.clone())
        }
    }
    pub fn chan<T>(_cap: usize) -> (Tx<T>, Rx<T>) {
        let (a, b) = mpmc::channel();
        (Tx(a), Rx(b))
    }
    impl<T> Tx<T> {
        pub fn send(&self, v: T) -> bool {
            self.0.send(v).is_ok()
        }
    }
    impl<T> Rx<T> {
        pub fn recv(&self) -> Option<T> {
            self.0.recv().ok()
        }
    }
}
pub(crate) mod fam_sem {
    use may::sync::{Semphore, mpmc};
    use std::sync::Arc;
    pub struct Tx<T>(mpmc::Sender<T>, Arc<Semphore>);
    pub struct Rx<T>(mpmc::Receiver<T>, Arc<Semphore>);
    impl<T> Clone for Tx<T> {
        fn clone(&self) -> Self {
            Tx(self.0.clone(), self.1.clone())
        }
    }
    impl<T> Clone for Rx<T> {
        fn clone(&self) -> Self {
            Rx(self.0.clone(), self.1.clone())
        }
    }
    pub fn chan<T>(cap: usize) -> (Tx<T>, Rx<T>) {
        let (a, b) = mpmc::channel();
        let s = Arc::new(Semphore::new(cap.max(1)));
        (Tx(a, s.clone()), Rx(b, s))
    }
    impl<T> Tx<T> {
        pub fn send(&self, v: T) -> bool {
            self.1.wait();
            self.0.send(v).is_ok()
        }
    }
    impl<T> Rx<T> {
        pub fn recv(&self) -> Option<T> {
            let v = self.0.recv().ok();
            if v.is_some() {
                self.1.post();
            }
            v
        }
    }
}
