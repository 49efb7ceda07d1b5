//! `select!` with a time-out: the fast answer is received, the slow one is given up.
//!
//! `cargo run --release --example select_timeout`

use phalanx::channel::{self, Receiver};
use phalanx::select;
use std::thread;
use std::time::{Duration, Instant};

fn main() {
    let patience = Duration::from_millis(50);

    let fast = ask("fast", Duration::ZERO);
    let slow = ask("slow", Duration::from_secs(3_600));
    let first = select! {
        recv(fast) -> answer => answer.ok(),
        recv(slow) -> answer => answer.ok(),
        default(Duration::from_secs(3_600)) => None,
    };
    println!("first: {first:?}");
    assert_eq!(first, Some("fast"));

    let start = Instant::now();
    let second = select! {
        recv(slow) -> answer => answer.ok(),
        default(patience) => None,
    };
    println!("second: {second:?}, after {patience:?}");
    assert_eq!(second, None);
    assert!(start.elapsed() >= patience);

    // One time-out for a whole loop: a channel of the clock's is a case like any other.
    let ticks = channel::tick(patience / 10);
    let end = channel::after(patience);
    let mut count = 0;
    loop {
        select! {
            recv(ticks) -> _ => count += 1,
            recv(end) -> _ => break,
        }
    }
    println!("{count} ticks in {patience:?}");
    assert!(count <= 10);
}

/// Answers after a time, unless nobody wants the answer any more.
fn ask(answer: &'static str, after: Duration) -> Receiver<&'static str> {
    let (sender, receiver) = channel::bounded(1);
    thread::spawn(move || {
        select! {
            recv(channel::after(after)) -> _ => _ = sender.send(answer),
        }
    });
    receiver
}
