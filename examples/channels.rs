//! A rendezvous: "Finished sending" is printed after the receive.
//!
//! `cargo run --release --example channels`

use phalanx::{channel, thread};
use std::sync::atomic::{AtomicBool, Ordering};

fn main() {
    let (sender, receiver) = channel::bounded(0);
    let is_receiving = AtomicBool::new(false);

    thread::scope(|scope| {
        scope.spawn(|| {
            println!("Sending");
            sender.send("Hello from the other thread").unwrap();
            println!("Finished sending");
            // Relaxed is enough: what came before the receive comes before the end of the send.
            assert!(is_receiving.load(Ordering::Relaxed));
        });
        println!("Receiving");
        is_receiving.store(true, Ordering::Relaxed);
        let message = receiver.recv().unwrap();
        println!("Received: {message}");
        assert_eq!(message, "Hello from the other thread");
    });
}
