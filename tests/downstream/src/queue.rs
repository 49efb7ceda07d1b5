//! A bounded queue under a mutex, with a condition variable for each side.

use phalanx::{Condvar, Mutex};
use std::collections::VecDeque;

/// A queue of at most `capacity` values.
pub struct Queue {
    capacity: usize,
    values: Mutex<VecDeque<u32>>,
    /// Notified when a value was put.
    came: Condvar,
    /// Notified when a value was taken.
    went: Condvar,
}

impl Queue {
    /// Creates an empty queue.
    pub fn new(capacity: usize) -> Self {
        let values = Mutex::new(VecDeque::new());
        Queue { capacity, values, came: Condvar::new(), went: Condvar::new() }
    }

    /// Waits for room, and appends a value.
    pub fn put(&self, value: u32) {
        let mut values = self.values.lock();
        self.went.wait_while(&mut values, |values| values.len() == self.capacity);
        values.push_back(value);
        drop(values);
        self.came.notify_one();
    }

    /// Deadlock: notifies before it appends the value.
    pub fn put_and_notify_early(&self, value: u32) {
        let mut values = self.values.lock();
        self.went.wait_while(&mut values, |values| values.len() == self.capacity);
        drop(values);
        self.came.notify_one();
        self.values.lock().push_back(value);
    }

    /// Wrong result: doesn't check again for room after a wait.
    pub fn put_after_one_check(&self, value: u32) {
        let mut values = self.values.lock();
        if values.len() == self.capacity {
            self.went.wait(&mut values);
        }
        assert!(values.len() < self.capacity, "wrong result: more values than places");
        values.push_back(value);
        drop(values);
        self.came.notify_one();
    }

    /// Waits for a value, and removes it.
    pub fn take(&self) -> u32 {
        let mut values = self.values.lock();
        loop {
            if let Some(value) = values.pop_front() {
                drop(values);
                self.went.notify_one();
                return value;
            }
            self.came.wait(&mut values);
        }
    }
}
