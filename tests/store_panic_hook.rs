//! A panic hook that calls the store whose closure panics. A binary of its own: the hook is that of the whole process.
//!
//! | reported in | bug | test |
//! | --- | --- | --- |
//! | log-panics#16, pants#20384 | the hook uses what the panicking closure holds: a second panic aborts, or it hangs | `a_panic_hook_may_call_the_store_whose_closure_panics` |

mod common;

use common::{ignore, watchdog};
use phalanx::Store;
use phalanx::store::Busy;
use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Barrier, LazyLock};
use std::thread;

/// One shard, so that every lock is that of all entries.
static STORE: LazyLock<Store<String, u32>> = LazyLock::new(|| {
    let store = Store::with_shards(1);
    store.insert("key".to_owned(), 1);
    store
});

/// What the calls of a hook returned.
#[derive(Clone, Debug, PartialEq)]
struct Asked {
    get: Result<Option<u32>, Busy>,
    with: Result<Option<u32>, Busy>,
    contains: Result<bool, Busy>,
    update: Result<Option<u32>, Busy>,
    entry: Result<u32, Busy>,
    absent: Result<Option<u32>, Busy>,
}

fn ask() -> Asked {
    Asked {
        get: STORE.try_get("key"),
        with: STORE.try_with("key", |it| *it),
        contains: STORE.try_contains_key("key"),
        update: STORE.try_update("key", |it| *it),
        entry: STORE.try_entry("key".to_owned(), |entry| *entry.or_default()),
        absent: STORE.try_get("absent"),
    }
}

fn busy() -> Asked {
    let (get, with, absent) = (Err(Busy), Err(Busy), Err(Busy));
    Asked { get, with, contains: Err(Busy), update: Err(Busy), entry: Err(Busy), absent }
}

fn free() -> Asked {
    let (get, with, update) = (Ok(Some(1)), Ok(Some(1)), Ok(Some(1)));
    Asked { get, with, contains: Ok(true), update, entry: Ok(1), absent: Ok(None) }
}

thread_local! {
    static ASKED: RefCell<Option<Asked>> = const { RefCell::new(None) };
}

/// What the calls of the hook returned in the panic of `f`.
fn asked_in_panic_of(f: impl FnOnce()) -> Asked {
    let outcome = catch_unwind(AssertUnwindSafe(f));
    assert!(outcome.is_err(), "no panic");
    ASKED.take().expect("the hook ran")
}

#[test]
fn a_panic_hook_may_call_the_store_whose_closure_panics() {
    panic::set_hook(Box::new(|_| ASKED.set(Some(ask()))));
    let panics: [(&str, fn()); 9] = [
        ("with", || ignore(STORE.with("key", |_| panic!()))),
        ("update", || ignore(STORE.update("key", |_| panic!()))),
        ("entry", || STORE.entry("key".to_owned(), |_| panic!())),
        ("entry of an absent key", || STORE.entry("absent".to_owned(), |_| panic!())),
        ("entry_by_ref", || STORE.entry_by_ref("key", |_| panic!())),
        ("upsert", || STORE.upsert("key".to_owned(), || 1, |_| panic!())),
        ("with_many", || STORE.with_many(["key"], |_| panic!())),
        ("retain", || STORE.retain(|_, _| panic!())),
        ("a call that is refused", || ignore(STORE.with("key", |_| STORE.len()))),
    ];
    watchdog(move || {
        for reads in [0, 20_000] {
            (0..reads).for_each(|_| assert_eq!(STORE.get("key"), Some(1)));
            for (name, panics) in panics {
                assert_eq!(asked_in_panic_of(panics), busy(), "{name}");
                assert_eq!(ask(), free(), "{name}");
            }
            // Nothing is locked while a value is computed.
            let asked = asked_in_panic_of(|| {
                STORE.get_or_compute("new".to_owned(), |_| panic!());
            });
            assert_eq!(asked, free());
        }
        a_panic_hook_does_not_wait_for_another_thread();
    });
    ignore(panic::take_hook());
}

/// The hook runs in a thread that is not inside, while another thread is: reads succeed, writes return `Busy`.
fn a_panic_hook_does_not_wait_for_another_thread() {
    type Holds = fn(&dyn Fn());
    let writes: Holds = |f| ignore(STORE.update("key", |_| f()));
    let reads: Holds = |f| ignore(STORE.with("key", |_| f()));
    let beside_a_reader = Asked { update: Err(Busy), entry: Err(Busy), ..free() };
    for (holds, expected) in [(writes, busy()), (reads, beside_a_reader)] {
        let both = Arc::new(Barrier::new(2));
        let theirs = both.clone();
        let holder = thread::spawn(move || {
            holds(&|| {
                theirs.wait();
                theirs.wait();
            });
        });
        both.wait();
        let asked = asked_in_panic_of(|| panic!("beside another thread"));
        both.wait();
        holder.join().unwrap();
        assert_eq!(asked, expected);
    }
}
