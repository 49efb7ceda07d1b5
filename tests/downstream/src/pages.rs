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

    /// Lost update: looks, and writes what was there a moment ago plus one.
    pub fn view_in_two_steps(&self, page: &'static str) {
        let views = self.views.get(page).unwrap_or(0);
        self.views.insert(page, views + 1);
        self.total.increment();
    }

    /// How many views of all pages there are, by the pages and by the total.
    pub fn views(&self) -> (u64, i64) {
        (self.views.values().iter().sum(), self.total.get())
    }
}
