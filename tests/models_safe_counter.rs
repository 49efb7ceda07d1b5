//! Models of the counter. In a plain build each runs once, on real threads; with `--cfg phalanx_loom`
//! loom explores its interleavings.
//!
//! In a model the cells come with the first addition of a second thread, and the first two threads have
//! cells in the first segment.

#[path = "common/counts.rs"]
mod counts;
#[path = "common/history.rs"]
mod history;

use counts::Count::{Add, Get, Take};
use counts::{Count, Total, counts_what_it_may, in_two_steps};
use history::{Call, Clock, is_linearizable};
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

fn spawn<R: Send + 'static>(
    counted: &Arc<Counted>,
    f: impl FnOnce(&Counted) -> R + Send + 'static,
) -> thread::JoinHandle<R> {
    let counted = counted.clone();
    thread::spawn(move || f(&counted))
}

/// Makes the calls of each list in a thread of its own, the last in this one; each thread's history.
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

/// The second thread that adds comes when the first may have given its number back, or not.
#[test]
fn a_number_s_next_holder_loses_nothing() {
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

/// Several readers agree on the order, as far as it shows.
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
fn takes_lose_nothing_and_give_nothing_twice() {
    model(|| {
        let counted = Counted::new();
        let calls = [&[Add(1), Add(1)][..], &[Take(0)], &[Add(1), Take(0)]];
        let mut history = histories(&counted, calls).concat();
        history.push(counted.call(Get(0)));
        assert!(is_linearizable(Total::default(), &history), "{history:?}");
    });
}

#[test]
fn a_read_beside_a_take_sees_it_whole() {
    // The owner, its cells' maker and the reader in turn.
    Model::new().preemption_bound(Some(3)).check(|| {
        let counted = Counted::new();
        let mut history = vec![counted.call(Add(1))];
        let calls = [&[Take(0), Add(1)][..], &[Get(0), Get(0)]];
        history.extend(histories(&counted, calls).concat());
        history.push(counted.call(Get(0)));
        assert!(is_linearizable(Total::default(), &in_two_steps(&history)), "{history:?}");
    });
}

/// Two takers and a reader: one that comes between looks again.
#[test]
fn a_read_between_takes_gives_a_count_that_was() {
    model(|| {
        let counted = Counted::new();
        let calls = [&[Add(1), Take(0)][..], &[Add(1), Take(0)], &[Get(0)]];
        let mut history = histories(&counted, calls).concat();
        history.push(counted.call(Get(0)));
        assert!(is_linearizable(Total::default(), &in_two_steps(&history)), "{history:?}");
    });
}
