//! Models of the lock of a store's shards, whose user decides on its bias.

use super::join_all;
use crate::model;
use crate::rw_mutex::control::External;
use crate::rw_mutex::raw::{Pass, RawRwMutex};
use crate::rw_mutex::readers;
use crate::sys::{Arc, IS_MODEL};
use crate::testing::{Plain, spawn};
use std::ops::Range;

struct Shard {
    lock: RawRwMutex<External>,
    value: Plain,
}

impl Shard {
    fn new() -> Arc<Self> {
        readers::prepare();
        Arc::new(Shard { lock: RawRwMutex::new_external(), value: Plain::new() })
    }

    fn engage(&self) {
        let pass = self.lock.read();
        self.lock.engage_bias();
        self.lock.unlock_shared(pass);
    }

    fn visit(&self) {
        let pass = self.lock.read();
        self.leave(pass);
    }

    fn leave(&self, pass: Pass) {
        self.value.get();
        self.lock.unlock_shared(pass);
    }

    fn add_one(&self) {
        self.lock.write_external(true);
        self.value.add(1);
        self.lock.unlock_exclusive();
    }

    fn addresses(&self) -> Range<usize> {
        let first = std::ptr::from_ref(&self.lock).addr();
        first..first + size_of_val(&self.lock)
    }

    fn is(&self, expected: u32) {
        self.lock.write();
        assert_eq!(self.value.get(), expected);
        self.lock.unlock_exclusive();
    }
}

/// One reader engages the bias, another reads by it, a writer ends it.
#[test]
fn an_external_bias_that_a_writer_ends_lets_no_reader_in_with_it() {
    model(|| {
        let shared = Shard::new();
        shared.engage();
        let reads = spawn(&shared, |it| {
            readers::settle(0);
            if let Some(pass) = it.lock.try_read_fast() {
                assert!(readers::is_first_within(&it.addresses()));
                it.leave(pass);
            }
            assert!(!readers::is_first_within(&it.addresses()));
            it.visit();
        });
        let writes = spawn(&shared, |it| {
            it.lock.write_external(false);
            it.value.add(1);
            it.lock.unlock_exclusive();
        });
        shared.add_one();
        join_all([reads, writes]);
        readers::settle(1);
        assert!(shared.lock.try_read_fast().is_none(), "ended");
        shared.is(2);
    });
}

#[test]
fn a_fast_read_is_none_without_a_bias_or_a_free_slot() {
    model(|| {
        let shared = Shard::new();
        readers::settle(0);
        assert!(shared.lock.try_read_fast().is_none());
        shared.engage();
        // The first read by a slot assigns this thread its row.
        shared.visit();
        let pass = shared.lock.try_read_fast().expect("a bias and a free slot");
        assert!(shared.lock.try_read_fast().is_none());
        let own = shared.addresses();
        assert!(readers::is_first_within(&own));
        assert!(!readers::is_first_within(&(own.end..own.end + 64)), "another lock's");
        assert!(!shared.lock.try_write());
        shared.leave(pass);
        assert!(!readers::is_first_within(&own));
        shared.is(0);
    });
}

#[test]
fn a_writer_that_keeps_the_bias_waits_for_a_fast_reader() {
    model(|| {
        let shared = Shard::new();
        shared.engage();
        let reads = spawn(&shared, |it| {
            readers::settle(0);
            if let Some(pass) = it.lock.try_read_fast() {
                it.leave(pass);
            }
        });
        shared.add_one();
        reads.join();
        readers::settle(1);
        let pass = shared.lock.try_read_fast();
        // On the machine another test's thread may have the slot.
        assert!(pass.is_some() || !IS_MODEL, "the bias was kept");
        pass.into_iter().for_each(|pass| shared.leave(pass));
        shared.is(1);
    });
}

/// A try takes the bias away for a moment. A writer that took that for a lock without a bias would overlook the slots.
#[test]
fn a_writer_beside_a_try_waits_for_a_fast_reader() {
    model(|| {
        let shared = Shard::new();
        shared.engage();
        let reads = spawn(&shared, |it| {
            readers::settle(0);
            if let Some(pass) = it.lock.try_read_fast() {
                it.leave(pass);
            }
        });
        let tries = spawn(&shared, |it| {
            let got = it.lock.try_write();
            if got {
                it.value.add(1);
                it.lock.unlock_exclusive();
            }
            u32::from(got)
        });
        shared.add_one();
        reads.join();
        let tried = tries.join();
        shared.is(1 + tried);
    });
}

#[test]
fn external_writers_exclude_one_another_and_readers() {
    model(|| {
        let shared = Shard::new();
        let others = [0, 1].map(|_| spawn(&shared, Shard::add_one));
        shared.visit();
        join_all(others);
        shared.is(2);
    });
}
