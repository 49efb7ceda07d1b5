//! Two channels that each hold one permit. A thread that has both may work.

use phalanx::channel::{self, Receiver, Sender};

/// A permit is in its channel while nobody has it.
pub struct Permits {
    saw: (Sender<()>, Receiver<()>),
    bench: (Sender<()>, Receiver<()>),
}

impl Default for Permits {
    fn default() -> Self {
        let permit = || {
            let (give, take) = channel::bounded(1);
            give.send(()).expect("there is room for it");
            (give, take)
        };
        Permits { saw: permit(), bench: permit() }
    }
}

impl Permits {
    /// Takes both permits, works, and gives them back.
    pub fn work(&self) {
        Self::with_both(&self.saw, &self.bench);
    }

    /// Deadlock: takes them in the other order.
    pub fn work_the_other_way_round(&self) {
        Self::with_both(&self.bench, &self.saw);
    }

    fn with_both(first: &(Sender<()>, Receiver<()>), second: &(Sender<()>, Receiver<()>)) {
        first.1.recv().expect("open");
        second.1.recv().expect("open");
        second.0.send(()).expect("open");
        first.0.send(()).expect("open");
    }
}
