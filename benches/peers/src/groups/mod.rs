//! The groups, one folder each: `mod.rs` has the adapter trait, the measured loop and the rows,
//! `contenders.rs` the adapters and the list of contenders.
//!
//! A contender is one line in its group's list, and an adapter type that implements the group's trait. The
//! loop is compiled for that type, so it contains no dynamic dispatch.

pub mod barriers;
pub mod cancel_tokens;
pub mod channels;
pub mod condvars;
pub mod counters;
mod locked;
pub mod mutexes;
pub mod onces;
mod pause;
pub mod pools;
pub mod rwlocks;
pub mod semaphores;
pub mod stores;
pub mod task_groups;
pub mod wait_groups;
mod waits;

use crate::entry::Group;

/// All groups, in the order they run.
pub fn all() -> Vec<Group> {
    vec![
        counters::GROUP,
        mutexes::GROUP,
        rwlocks::GROUP,
        semaphores::GROUP,
        condvars::GROUP,
        wait_groups::GROUP,
        barriers::GROUP,
        pools::GROUP,
        stores::GROUP,
        channels::GROUP,
        cancel_tokens::GROUP,
        onces::GROUP,
        task_groups::GROUP,
    ]
}

/// Their names, for the command line.
pub fn names() -> Vec<&'static str> {
    all().into_iter().map(|group| group.name).collect()
}

/// Compares a contender's result to the expected one.
fn check(what: &str, got: u64, expected: u64) -> Result<(), String> {
    if got == expected {
        Ok(())
    } else {
        Err(format!("wrong answer: {what} {got}, expected {expected}"))
    }
}
