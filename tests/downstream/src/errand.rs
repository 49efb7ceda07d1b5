//! Two tasks of a group: one makes what the other waits for, and may fail.

use phalanx::channel::{self, Receiver, Sender};
use phalanx::task_group;

/// What the tasks pass on, and who has failed.
struct Errand {
    give: Sender<u32>,
    take: Receiver<u32>,
}

/// Runs an errand whose first task fails. A task that waits is stopped by the group's token.
pub fn run() -> Result<Vec<u32>, &'static str> {
    run_and(true)
}

/// Deadlock: the task that waits doesn't hear that the other one has failed.
pub fn run_without_a_stop() -> Result<Vec<u32>, &'static str> {
    run_and(false)
}

fn run_and(stops: bool) -> Result<Vec<u32>, &'static str> {
    let (give, take) = channel::bounded(1);
    let errand = Errand { give, take };
    task_group(|group| {
        if stops {
            let take = errand.take.clone();
            // The channel is closed when the token is cancelled, and the receive ends.
            group.token().on_cancel(move || _ = take.close()).detach();
        }
        let Errand { give, take } = &errand;
        group.go(|| take.recv().map_err(|_| "stopped"));
        group.go(move || {
            let value = make()?;
            give.send(value).map_err(|_| "closed")?;
            Ok(value)
        });
    })
}

fn make() -> Result<u32, &'static str> {
    Err("failed")
}
