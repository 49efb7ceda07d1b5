//! A bounded queue under a mutex, with a condition variable for each side.

use phalanx::{Condvar, Mutex};
use std::collections::VecDeque;

/// A queue of at most `capacity` values.
pub struct Queue {
    capacity: usize,
    values: Mutex<VecDeque<u32>>,
    /// A value came.
    came: Condvar,
    /// A value went.
    went: Condvar,
}

impl Queue {
    /// An empty one.
    pub fn new(capacity: usize) -> Self {
        let values = Mutex::new(VecDeque::new());
        Queue { capacity, values, came: Condvar::new(), went: Condvar::new() }
    }

    /// Waits for a place, and puts a value there.
    pub fn put(&self, value: u32) {
        let mut values = self.values.lock();
        self.went.wait_while(&mut values, |values| values.len() == self.capacity);
        values.push_back(value);
        drop(values);
        self.came.notify_one();
    }

    /// Deadlock: wakes the other side before there is something.
    pub fn put_and_notify_early(&self, value: u32) {
        let mut values = self.values.lock();
        self.went.wait_while(&mut values, |values| values.len() == self.capacity);
        drop(values);
        self.came.notify_one();
        self.values.lock().push_back(value);
    }

    /// Wrong result: after a wait it doesn't ask again whether there is a place.
    pub fn put_after_one_look(&self, value: u32) {
        let mut values = self.values.lock();
        if values.len() == self.capacity {
            self.went.wait(&mut values);
        }
        assert!(values.len() < self.capacity, "wrong result: more values than places");
        values.push_back(value);
        drop(values);
        self.came.notify_one();
    }

    /// Waits for a value.
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
