//! A store of counters.

use phalanx::{SafeCounter, Store};

/// Views of pages, by name.
#[derive(Default)]
pub struct Pages {
    views: Store<&'static str, u64>,
    total: SafeCounter,
}

impl Pages {
    /// Counts a view of a page.
    pub fn view(&self, page: &'static str) {
        self.views.upsert(page, || 1, |views| *views += 1);
        self.total.increment();
    }

    /// Lost update: reads the count, and writes it plus one in a second step.
    pub fn view_in_two_steps(&self, page: &'static str) {
        let views = self.views.get(page).unwrap_or(0);
        self.views.insert(page, views + 1);
        self.total.increment();
    }

    /// Returns the views of all pages: the sum over the pages, and the total.
    pub fn views(&self) -> (u64, i64) {
        (self.views.values().iter().sum(), self.total.get())
    }
}
