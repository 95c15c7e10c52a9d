//! The channels that workloads are run on, each family with the same few functions.

pub(crate) mod fam_mpsc {
    use tokio::sync::mpsc;
    pub const NAME: &str = "tokio-mpsc";
    pub struct Tx<T>(mpsc::Sender<T>);
    pub struct Rx<T>(mpsc::Receiver<T>);
    impl<T> Clone for Tx<T> {
        fn clone(&self) -> Self {
            Tx(self.0.clone())
        }
    }
    pub fn chan<T>(cap: usize) -> (Tx<T>, Rx<T>) {
        let (a, b) = mpsc::channel(cap.max(1));
        (Tx(a), Rx(b))
    }
    impl<T> Tx<T> {
        pub async fn send(&self, v: T) -> bool {
            self.0.send(v).await.is_ok()
        }
    }
    impl<T> Rx<T> {
        pub async fn recv(&mut self) -> Option<T> {
            self.0.recv().await
        }
        pub fn try_recv(&mut self) -> Option<T> {
            self.0.try_recv().ok()
        }
    }
}
pub(crate) mod fam_flume {
    pub const NAME: &str = "tokio-flume";
    pub struct Tx<T>(flume::Sender<T>);
    pub struct Rx<T>(flume::Receiver<T>);
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
    pub fn chan<T>(cap: usize) -> (Tx<T>, Rx<T>) {
        let (a, b) = flume::bounded(cap);
        (Tx(a), Rx(b))
    }
    impl<T> Tx<T> {
        pub async fn send(&self, v: T) -> bool {
            self.0.send_async(v).await.is_ok()
        }
    }
    impl<T> Rx<T> {
        pub async fn recv(&mut self) -> Option<T> {
            self.0.recv_async().await.ok()
        }
        pub fn try_recv(&mut self) -> Option<T> {
            self.0.try_recv().ok()
        }
    }
}
pub(crate) mod fam_kanal {
    pub const NAME: &str = "tokio-kanal";
    pub struct Tx<T>(kanal::AsyncSender<T>);
    pub struct Rx<T>(kanal::AsyncReceiver<T>);
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
    pub fn chan<T>(cap: usize) -> (Tx<T>, Rx<T>) {
        let (a, b) = kanal::bounded_async(cap);
        (Tx(a), Rx(b))
    }
    impl<T> Tx<T> {
        pub async fn send(&self, v: T) -> bool {
            self.0.send(v).await.is_ok()
        }
    }
    impl<T> Rx<T> {
        pub async fn recv(&mut self) -> Option<T> {
            self.0.recv().await.ok()
        }
        pub fn try_recv(&mut self) -> Option<T> {
            self.0.try_recv().ok().flatten()
        }
    }
}
