//! Ends a run in which a contender hangs, and says which.
//!
//! A blocked round can't be interrupted, and a lost wake-up in a contender would otherwise look like a
//! slow machine.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Much longer than any round takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

type Watched = Arc<Mutex<Option<(String, Instant)>>>;

pub struct Watchdog {
    /// The round under way and when it began.
    watched: Watched,
}

/// Watches one round until it is dropped.
pub struct Watching<'a>(&'a Watchdog);

impl Watchdog {
    /// Starts a thread that checks every ten seconds, so that it disturbs no measurement.
    pub fn start() -> Self {
        let watched = Watched::default();
        let checked = Arc::clone(&watched);
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(Duration::from_secs(10));
                let watched = checked.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some((label, since)) = &*watched
                    && since.elapsed() > PATIENCE
                {
                    eprintln!("no end after {PATIENCE:?}, giving up: {label}");
                    std::process::exit(3);
                }
            }
        });
        Self { watched }
    }

    pub fn watch(&self, label: String) -> Watching<'_> {
        self.set(Some((label, Instant::now())));
        Watching(self)
    }

    fn set(&self, watched: Option<(String, Instant)>) {
        let lock = self.watched.lock();
        *lock.unwrap_or_else(PoisonError::into_inner) = watched;
    }
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        self.0.set(None);
    }
}
