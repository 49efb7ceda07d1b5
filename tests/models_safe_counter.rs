//! Models of the counter. In a plain build each runs once, on real threads; with `--cfg phalanx_loom`
//! loom explores its interleavings.
//!
//! In a model a counter gets its cells at the first addition of a second thread. There are two indices, with a cell
//! each, in two segments; a third thread has no index, and adds to the shared cell.
//!
//! | what the docs say | model |
//! | --- | --- |
//! | no addition is lost | `additions_of_all_threads_are_counted`, `an_index_s_next_holder_loses_nothing` |
//! | additions of one are linearizable | `additions_of_one_are_linearizable`, `two_readers_of_additions_of_one_agree` |
//! | the first so many of each thread | `a_read_counts_the_first_so_many_of_each_thread`, `what_a_thread_added_first_is_counted_first` |
//! | a take is a get and a subtraction | `takes_lose_nothing_and_return_nothing_twice`, `two_takes_at_once_share_what_was_added`, `a_read_beside_a_take_sees_it_whole`, `a_read_never_misses_what_was_taken` |
//! | a get that counts an addition happens after it | `a_thread_that_counts_an_addition_sees_what_came_before_it` |

#[path = "common/counts.rs"]
mod counts;
#[path = "common/history.rs"]
mod history;
#[path = "common/models.rs"]
mod models;

use counts::Count::{Add, Get, Take};
use counts::{Count, Total, counts_what_it_may, in_two_steps};
use history::{Call, Clock, is_linearizable};
use models::spawn;
use phalanx::cell::UnsafeCell;
use phalanx::{Model, SafeCounter, model, thread};
use std::sync::Arc;

type History = Vec<Call<Count>>;

#[derive(Debug)]
struct Counted {
    counter: SafeCounter,
    clock: Clock,
}

impl Counted {
    fn new() -> Arc<Self> {
        Arc::new(Counted { counter: SafeCounter::new(), clock: Clock::new() })
    }

    fn call(&self, what: Count) -> Call<Count> {
        let counter = &self.counter;
        match what {
            Add(n) => self.clock.record(|| counter.add(n), |()| Add(n)),
            Get(_) => self.clock.record(|| counter.get(), Get),
            Take(_) => self.clock.record(|| counter.take(), Take),
        }
    }
}

/// Makes the calls of each list in a thread of its own, the last one in this thread; returns each thread's history.
fn histories<const N: usize>(
    counted: &Arc<Counted>,
    threads: [&'static [Count]; N],
) -> Vec<History> {
    let run = |counted: &Counted, calls: &[Count]| -> History {
        calls.iter().map(|&call| counted.call(call)).collect()
    };
    let [others @ .., own] = &threads[..] else { unreachable!("at least one thread") };
    let running: Vec<_> =
        others.iter().map(|&calls| spawn(counted, move |it| run(it, calls))).collect();
    let own = run(counted, own);
    let mut all: Vec<History> = running.into_iter().map(|it| it.join().unwrap()).collect();
    all.push(own);
    all
}

#[test]
fn additions_of_all_threads_are_counted() {
    model(|| {
        let counted = Counted::new();
        let adders = [1, 10].map(|n| {
            spawn(&counted, move |it| {
                it.counter.add(n);
                it.counter.add(n);
            })
        });
        counted.counter.add(100);
        for adder in adders {
            adder.join().unwrap();
        }
        assert_eq!(counted.counter.get(), 122);
        assert_eq!((counted.counter.take(), counted.counter.get()), (122, 0));
    });
}

/// When the second thread adds, the first may have released its index, or not.
#[test]
fn an_index_s_next_holder_loses_nothing() {
    model(|| {
        let counted = Counted::new();
        let adders = [1, 10].map(|n| spawn(&counted, move |it| it.counter.add(n)));
        for adder in adders {
            adder.join().unwrap();
        }
        counted.counter.add(100);
        assert_eq!(counted.counter.get(), 111);
    });
}

#[test]
fn additions_of_one_are_linearizable() {
    model(|| {
        let counted = Counted::new();
        let calls = [&[Add(1), Add(1)][..], &[Add(1)], &[Get(0), Get(0)]];
        let history = histories(&counted, calls).concat();
        assert!(is_linearizable(Total::default(), &history), "{history:?}");
    });
}

/// Readers agree on the order of additions, as far as it shows.
#[test]
fn two_readers_of_additions_of_one_agree() {
    model(|| {
        let counted = Counted::new();
        let calls = [&[Add(1)][..], &[Add(1), Get(0)], &[Get(0), Get(0)]];
        let history = histories(&counted, calls).concat();
        assert!(is_linearizable(Total::default(), &history), "{history:?}");
    });
}

/// Amounts that tell which additions were counted.
#[test]
fn a_read_counts_the_first_so_many_of_each_thread() {
    model(|| {
        let counted = Counted::new();
        counted.counter.add(0);
        let calls = [&[Add(1), Add(-10), Add(100)][..], &[Add(-1000)], &[Get(0)]];
        let threads = histories(&counted, calls);
        assert!(counts_what_it_may(&threads), "{threads:?}");
        assert_eq!(counted.counter.get(), -909);
    });
}

/// The owner of the first word goes over to its cell.
#[test]
fn an_owner_s_additions_are_counted_in_order() {
    model(|| {
        let counted = Counted::new();
        let calls = [&[Add(1000)][..], &[Get(0)], &[Add(1), Add(10), Add(100)]];
        let threads = histories(&counted, calls);
        assert!(counts_what_it_may(&threads), "{threads:?}");
    });
}

#[test]
fn takes_lose_nothing_and_return_nothing_twice() {
    model(|| {
        let counted = Counted::new();
        let calls = [&[Add(1), Add(1)][..], &[Take(0)], &[Add(1), Take(0)]];
        let mut history = histories(&counted, calls).concat();
        history.push(counted.call(Get(0)));
        assert!(is_linearizable(Total::default(), &history), "{history:?}");
    });
}

/// A plain store to `taken` would return the addition twice.
#[test]
fn two_takes_at_once_share_what_was_added() {
    model(|| {
        let counted = Counted::new();
        counted.counter.add(5);
        let other = spawn(&counted, |it| it.counter.take());
        let own = counted.counter.take();
        assert_eq!(own + other.join().unwrap(), 5);
        assert_eq!(counted.counter.get(), 0);
    });
}

#[test]
fn a_read_beside_a_take_sees_it_whole() {
    // The owner, the maker of the cells and the reader take turns.
    Model::new().preemption_bound(Some(3)).check(|| {
        let counted = Counted::new();
        let mut history = vec![counted.call(Add(1))];
        let calls = [&[Take(0), Add(1)][..], &[Get(0), Get(0)]];
        history.extend(histories(&counted, calls).concat());
        history.push(counted.call(Get(0)));
        assert!(is_linearizable(Total::default(), &in_two_steps(&history)), "{history:?}");
    });
}

/// A reader that finds a take between its two loads reads again.
#[test]
fn a_read_between_takes_returns_a_count_that_was() {
    model(|| {
        let counted = Counted::new();
        let calls = [&[Add(1), Take(0)][..], &[Add(1), Take(0)], &[Get(0)]];
        let mut history = histories(&counted, calls).concat();
        history.push(counted.call(Get(0)));
        assert!(is_linearizable(Total::default(), &in_two_steps(&history)), "{history:?}");
    });
}

/// The owner goes from the first word to its cell, which another thread made, while a third reads. Without a clock,
/// which would order the calls.
#[test]
fn what_a_thread_added_first_is_counted_first() {
    model(|| {
        let counted = Counted::new();
        counted.counter.add(1);
        let other = spawn(&counted, |it| it.counter.add(1000));
        let reader = spawn(&counted, |it| it.counter.get());
        counted.counter.add(10);
        counted.counter.add(100);
        let seen = reader.join().unwrap();
        assert!([1, 11, 111].contains(&(seen % 1000)), "{seen}");
        other.join().unwrap();
    });
}

/// A thread that reads while another takes what a third adds never finds less than nothing.
#[test]
fn a_read_never_misses_what_was_taken() {
    for by_cells in [false, true] {
        model(move || {
            let counted = Counted::new();
            if by_cells {
                counted.counter.add(0);
                spawn(&counted, |it| it.counter.add(0)).join().unwrap();
            }
            let adder = spawn(&counted, |it| it.counter.add(5));
            let taker = spawn(&counted, |it| it.counter.take());
            let seen = counted.counter.get();
            assert!([0, 5].contains(&seen), "{seen}");
            adder.join().unwrap();
            let taken = taker.join().unwrap();
            assert_eq!(taken + counted.counter.get(), 5);
        });
    }
}

/// Plain memory, written before an addition.
struct Page {
    counter: SafeCounter,
    text: UnsafeCell<u32>,
}

// SAFETY: written before the addition, and read by threads that have counted it: the models check that.
unsafe impl Sync for Page {}
// SAFETY: a number.
unsafe impl Send for Page {}

impl Page {
    fn new() -> Arc<Self> {
        Arc::new(Page { counter: SafeCounter::new(), text: UnsafeCell::new(0) })
    }

    fn write(&self) {
        // SAFETY: no thread reads before it counts the addition.
        self.text.with_mut(|text| unsafe { *text = 7 });
        self.counter.add(1);
    }

    fn read_if_counted(&self) {
        if self.counter.get() == 1 {
            // SAFETY: the addition was counted.
            assert_eq!(self.text.with(|text| unsafe { *text }), 7);
        }
    }
}

/// For each of the parts that a thread with an index adds to.
#[test]
fn a_thread_that_counts_an_addition_sees_what_came_before_it() {
    // The threads that add before: none, for `first`; this one, for `rest`; another too, for a cell.
    for before in 0..3 {
        model(move || {
            let page = Page::new();
            if before > 0 {
                page.counter.add(0);
            }
            if before > 1 {
                let page = page.clone();
                thread::spawn(move || page.counter.add(0)).join().unwrap();
            }
            let theirs = page.clone();
            let writer = thread::spawn(move || theirs.write());
            page.read_if_counted();
            writer.join().unwrap();
        });
    }
}

/// When the third thread adds, both indices are held.
#[test]
fn a_thread_that_counts_an_addition_to_the_shared_cell_sees_what_came_before_it() {
    model(|| {
        let page = Page::new();
        page.counter.add(0);
        let theirs = page.clone();
        let second = thread::spawn(move || {
            theirs.counter.add(0);
            let third = theirs.clone();
            let third = thread::spawn(move || third.write());
            theirs.read_if_counted();
            third.join().unwrap();
        });
        second.join().unwrap();
    });
}
