//! The memory of a store, in bytes, as the allocator sees it.
//!
//! A binary of its own, because its allocator counts. It counts for each thread separately, so the numbers are exact
//! whatever the test harness does.
//!
//! | reported in | bug | test |
//! | --- | --- | --- |
//! | golang#40999 | deleted keys are never freed | `memory_goes_back_after_a_million_inserts_and_removes` |

mod common;

use common::watchdog;
use phalanx::Store;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    /// Bytes that this thread has allocated and not freed. Has no destructor, and isn't allocated.
    static LIVE: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: all is left to the system's allocator. What is counted beside it allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract, which is the same.
        let memory = unsafe { System.alloc(layout) };
        if !memory.is_null() {
            LIVE.set(LIVE.get().wrapping_add(layout.size()));
        }
        memory
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above; `alloc` got it from there.
        unsafe { System.dealloc(memory, layout) };
        LIVE.set(LIVE.get().wrapping_sub(layout.size()));
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How many more bytes are allocated than `before`.
#[track_caller]
fn more_than(before: usize) -> usize {
    let more = LIVE.get().wrapping_sub(before);
    assert!(more <= isize::MAX as usize, "what was there before is freed");
    more
}

const COUNT: u32 = 1_000_000;
/// What an entry takes: key, pointer and a tag of one byte in the table, and the number in a box.
const ENTRY: usize = size_of::<(u32, Box<u64>)>() + 1 + size_of::<u64>();
/// The most that the table of a shard keeps when its entries are removed one by one: 32 buckets and 16 more tags.
const KEPT: usize = 32 * (size_of::<(u32, Box<u64>)>() + 1) + 16;

fn fill(store: &Store<u32, Box<u64>>, count: u32) {
    (0..count).for_each(|key| assert_eq!(store.insert(key, Box::new(key.into())), None));
}

fn take_one_by_one(store: &Store<u32, Box<u64>>, count: u32) {
    (0..count).for_each(|key| assert_eq!(store.remove(&key), Some(Box::new(key.into()))));
}

#[test]
fn memory_goes_back_after_a_million_inserts_and_removes() {
    watchdog(|| {
        // From here on everything is allocated that a thread allocates once.
        fill(&Store::new(), 1000);
        let outset = LIVE.get();
        let store = Store::new();
        let empty = LIVE.get();
        let shards = store.shards();

        fill(&store, COUNT);
        let full = more_than(empty);
        assert!(full >= COUNT as usize * ENTRY, "{full} bytes for {COUNT} entries");
        assert!(store.capacity() >= COUNT as usize);
        take_one_by_one(&store, COUNT);
        let left = more_than(empty);
        assert!(left <= shards * KEPT, "{left} of {full} bytes are kept in {shards} shards");
        store.shrink_to_fit();
        assert_eq!((more_than(empty), store.capacity()), (0, 0));

        // The same for the other removals. The first may keep small tables, the others keep nothing.
        type Remove = fn(&Store<u32, Box<u64>>);
        let ways: [(&str, usize, Remove); 3] = [
            ("retain", KEPT, |store| store.retain(|_, _| false)),
            ("clear", 0, |store| store.clear()),
            ("drain", 0, |store| assert_eq!(store.drain().len(), COUNT as usize / 4)),
        ];
        for (way, kept, remove) in ways {
            fill(&store, COUNT / 4);
            assert!(more_than(empty) >= COUNT as usize / 4 * ENTRY);
            remove(&store);
            assert!(store.is_empty());
            let left = more_than(empty);
            assert!(left <= shards * kept, "{way}: {left} bytes are kept in {shards} shards");
        }

        drop(store);
        assert_eq!(more_than(outset), 0);
    });
}

/// However many entries there have been, the store keeps only what the present ones need.
#[test]
fn entries_that_come_and_go_leave_nothing() {
    watchdog(|| {
        const STAY: u32 = 10_000;
        // Enough for each shard that none is ever twice as full as another.
        let store = Store::with_shards(64);
        let empty = LIVE.get();
        fill(&store, STAY);
        let full = more_than(empty);
        for key in 0..COUNT {
            assert!(store.insert(STAY + key, Box::new(0)).is_none());
            assert!(store.remove(&key).is_some());
        }
        let left = more_than(empty);
        assert_eq!(store.len(), STAY as usize);
        // A table in which many were removed may have become twice as large, once.
        assert!(left <= 2 * full, "{left} bytes for what took {full} at first");
    });
}
