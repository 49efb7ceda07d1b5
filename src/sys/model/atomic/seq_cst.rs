//! The one order of all SeqCst accesses, as far as an execution has settled it.
//!
//! Each access is a node. Its predecessors are the accesses that it must come after:
//!
//! - the thread's SeqCst access before it;
//! - for a write, the accesses of the same atomic before it;
//! - for a read, the SeqCst write that it reads, or else the last SeqCst write of the atomic before the one it reads.
//!
//! And a read is a predecessor of the first SeqCst write of the atomic that is newer than the write it reads.
//!
//! A read is refused if that newer write already comes before it: then there is no such order. This follows C++ but
//! for one thing: two SeqCst accesses of different atomics may have an order by other means (a thread spawned between
//! them, a Release store and an Acquire load), which isn't known here. So a read may be allowed that C++ forbids; none
//! is refused that C++ allows.

use super::super::execution::PerExecution;
use super::super::objects::current;
use loom::thread::ThreadId;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

/// All SeqCst accesses of an execution.
#[derive(Default)]
struct Order {
    /// By node.
    predecessors: Vec<Vec<usize>>,
    /// Each thread's last node.
    last: HashMap<ThreadId, usize>,
}

impl Order {
    /// Whether `node` comes before an access with these predecessors.
    fn is_before(&self, node: usize, predecessors: &[usize]) -> bool {
        let mut seen = HashSet::new();
        let mut to_visit = predecessors.to_vec();
        while let Some(next) = to_visit.pop() {
            if next == node {
                return true;
            }
            if seen.insert(next) {
                to_visit.extend(&self.predecessors[next]);
            }
        }
        false
    }

    /// Returns the calling thread's last node, if there is one.
    fn own_predecessors(&self) -> Vec<usize> {
        self.last.get(&current().id()).copied().into_iter().collect()
    }

    fn push(&mut self, predecessors: Vec<usize>) -> usize {
        let node = self.predecessors.len();
        self.predecessors.push(predecessors);
        self.last.insert(current().id(), node);
        node
    }
}

fn with_order<R>(f: impl FnOnce(&mut Order) -> R) -> R {
    std::thread_local! {
        static ORDER: PerExecution<RefCell<Order>> = const { PerExecution::new() };
    }
    ORDER.with(|order| f(&mut order.get(RefCell::default).borrow_mut()))
}

/// The SeqCst accesses of one atomic, as they ran.
#[derive(Default)]
pub(super) struct Accesses(Vec<Access>);

struct Access {
    node: usize,
    /// The rank of the write that it is, or that it read.
    rank: usize,
    is_write: bool,
}

impl Accesses {
    /// Whether the calling thread may read the write of this rank.
    pub(super) fn may_read(&self, rank: usize) -> bool {
        let Some(newer) = self.first_write_after(rank) else { return true };
        with_order(|order| !order.is_before(newer, &self.predecessors_of_read(order, rank)))
    }

    /// Notes that the calling thread has read the write of this rank.
    pub(super) fn read(&mut self, rank: usize) {
        let node = with_order(|order| {
            let node = order.push(self.predecessors_of_read(order, rank));
            if let Some(newer) = self.first_write_after(rank) {
                order.predecessors[newer].push(node);
            }
            node
        });
        self.0.push(Access { node, rank, is_write: false });
    }

    /// Notes that the calling thread has made the write of this rank.
    pub(super) fn wrote(&mut self, rank: usize) {
        let node = with_order(|order| {
            let mut predecessors = order.own_predecessors();
            for access in self.0.iter().rev() {
                predecessors.push(access.node);
                // Earlier accesses come before that write.
                if access.is_write {
                    break;
                }
            }
            order.push(predecessors)
        });
        self.0.push(Access { node, rank, is_write: true });
    }

    fn predecessors_of_read(&self, order: &Order, rank: usize) -> Vec<usize> {
        let mut predecessors = order.own_predecessors();
        let read = self.0.iter().rfind(|access| access.is_write && access.rank <= rank);
        predecessors.extend(read.map(|write| write.node));
        predecessors
    }

    fn first_write_after(&self, rank: usize) -> Option<usize> {
        let newer = self.0.iter().find(|access| access.is_write && access.rank > rank);
        newer.map(|write| write.node)
    }
}
