//! The mutexes that are compared.

use super::{Task, in_go, ours, peer, unlocked};
use crate::entry::Entry;

pub fn all() -> Vec<Entry<Task>> {
    vec![
        ours::<phalanx::Mutex<u64>>("phalanx"),
        peer::<std::sync::Mutex<u64>>("std"),
        peer::<parking_lot::Mutex<u64>>("parking_lot"),
        peer::<parking_lot::FairMutex<u64>>("parking_lot FairMutex").only(|task| task.threads <= 4),
        peer::<usync::Mutex<u64>>("usync"),
        in_go(),
        unlocked(),
    ]
}
