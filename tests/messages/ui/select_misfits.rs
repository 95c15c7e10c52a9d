//! Values that are mistaken for channels, each with its own hint.

use std::cell::RefCell;
use std::sync::Mutex;
use std::time::Duration;
use std::{io, thread};

use go_runtime::channel::{Receiver, Sender};
use go_runtime::context::Context;
use go_runtime::time::{Ticker, Timer};
use go_runtime::{JoinHandle, select};

fn results(rx: Result<Receiver<String>, io::Error>, tx: Result<Sender<String>, io::Error>) {
    select! {
        recv(rx) -> v => println!("{}", v.unwrap().len()),
        send(tx, String::new()) -> sent => sent.unwrap(),
    }
}

fn handles(a: Option<JoinHandle<String>>, b: Option<&JoinHandle<String>>) {
    select! {
        recv(a) -> v => println!("{}", v.unwrap().len()),
        v = <-b => println!("{}", v.unwrap().len()),
    }
}

fn times(timer: Timer, ticker: &Ticker, duration: Duration) {
    select! {
        recv(timer) -> _ => {}
        recv(ticker) => {}
        <-duration => {}
    }
}

fn contexts(ctx: &Context) {
    select! { recv(ctx) -> _ => {} }
}

fn lists(list: Vec<Receiver<i32>>, slice: &[Receiver<i32>]) {
    select! {
        recv(list) -> v => println!("{}", v.unwrap()),
        recv(slice) -> v => println!("{}", v.unwrap()),
    }
}

fn locks(mutex: Mutex<Receiver<i32>>, cell: &RefCell<Sender<i32>>) {
    select! {
        recv(mutex) -> _ => {}
        cell <- 1 => {}
    }
}

fn futures(rx: Receiver<i32>, tx: Sender<i32>, handle: JoinHandle<i32>) {
    select! {
        recv(rx.recv_async()) -> _ => {}
        send(tx.send_async(1), 1) -> _ => {}
        recv(handle.into_future()) -> _ => {}
    }
}

fn threads(thread: thread::JoinHandle<()>) {
    select! { recv(thread) -> _ => {} }
}

fn others(number: i32) {
    select! {
        recv(number) -> v => println!("{}", v.unwrap()),
        send(&number, 5) -> _ => {}
    }
}

fn main() {}
