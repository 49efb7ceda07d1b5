//! A relay that takes letters from one channel and sends them into another, in time or not.

use phalanx::channel::{Receiver, SendTimeoutError, Sender};
use phalanx::select;
use std::time::Duration;

/// Between two offices.
pub struct Relay {
    pub inbox: Receiver<u32>,
    pub outbox: Sender<u32>,
}

/// In a model a deadline passes at any time, or not at all.
const SHORT: Duration = Duration::from_millis(1);

impl Relay {
    /// Relays all letters until the inbox is closed. A letter that comes back is sent again.
    pub fn run(&self) {
        for mut letter in &self.inbox {
            while let Err(SendTimeoutError::Timeout(back)) = self.outbox.send_timeout(letter, SHORT)
            {
                letter = back;
            }
        }
    }

    /// Keeps the letter in a slot while it waits for either side.
    pub fn run_with_a_slot(&self) {
        let mut slot = None;
        let mut inbox = Some(&self.inbox);
        while inbox.is_some() || slot.is_some() {
            let more = inbox.filter(|_| slot.is_none());
            select! {
                send_from(self.outbox, &mut slot) -> sent => sent.unwrap(),
                recv(more) -> letter => match letter {
                    Ok(letter) => slot = Some(letter),
                    Err(_) => inbox = None,
                },
            }
        }
    }

    /// Lost value: the letter that comes back when the time is over is dropped with the error.
    pub fn run_in_time(&self) {
        for letter in &self.inbox {
            let _ = self.outbox.send_timeout(letter, SHORT);
        }
    }

    /// Lost value: a letter that isn't sent at once is dropped by the select.
    pub fn run_if_possible(&self) {
        for letter in &self.inbox {
            select! {
                send(self.outbox, letter) -> sent => sent.unwrap(),
                default => {}
            }
        }
    }

    /// Lost value: the last letter may come between the try and the check.
    pub fn run_until_closed(&self) {
        loop {
            match self.inbox.try_recv() {
                Ok(letter) => self.outbox.send(letter).unwrap(),
                Err(_) if self.inbox.is_closed() => return,
                Err(_) => phalanx::thread::yield_now(),
            }
        }
    }

    /// As `run_until_closed`, and asks the try itself whether it was the end.
    pub fn run_until_the_end(&self) {
        loop {
            match self.inbox.try_recv() {
                Ok(letter) => self.outbox.send(letter).unwrap(),
                Err(error) if error.is_disconnected() => return,
                Err(_) => phalanx::thread::yield_now(),
            }
        }
    }
}
