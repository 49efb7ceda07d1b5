//! A test that sets a panic hook of its own, beside models. Alone in its process, since a hook is the process's.

use phalanx::{WaitGroup, model};
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

fn verdict_of(f: impl Fn() + Send + Sync + 'static) -> String {
    let verdict = catch_unwind(AssertUnwindSafe(|| {
        model(move || {
            f();
            let group = WaitGroup::new();
            group.add(1);
            group.wait();
        });
    }));
    verdict.unwrap_err().downcast_ref::<String>().unwrap().clone()
}

#[test]
fn verdicts_are_told_whatever_hook_is_set() {
    let told = "waits in WaitGroup::wait at tests/hook.rs:13:";
    let verdict = verdict_of(|| {});
    assert!(verdict.starts_with("deadlock: every thread") && verdict.contains(told), "{verdict}");
    // The next model listens again. And a hook can be set after a verdict.
    let before = take_hook();
    set_hook(Box::new(|_| {}));
    let verdict = verdict_of(|| {});
    assert!(verdict.starts_with("deadlock: every thread") && verdict.contains(told), "{verdict}");
    // A hook set while a model runs keeps loom's words away, but not the lines.
    let set = Once::new();
    let verdict = verdict_of(move || {
        set.call_once(|| set_hook(Box::new(|_| {})));
    });
    assert!(verdict.starts_with("deadlock, or another") && verdict.contains(told), "{verdict}");
    set_hook(before);
}
