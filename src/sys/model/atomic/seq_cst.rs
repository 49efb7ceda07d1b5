//! The one order of all SeqCst accesses, as far as an execution has settled it.
//!
//! Each access is a node; what it must come after are its predecessors. They are:
//!
//! - the thread's SeqCst access before it;
//! - of the same atomic: for a write the accesses before it, for a read the SeqCst write that it
//!   reads, or the last one before what it reads;
//! - and a read comes before the first SeqCst write of the same atomic that is newer than what it
//!   reads.
//!
//! A read is refused if that write is already known to come before it: then there is no such
//! order. This follows C++, except that an order which two SeqCst accesses of different atomics
//! have by other means (a thread that is spawned between them, a Release store and an Acquire
//! load) is not known here. So a read may be allowed that C++ forbids. None is refused that C++
//! allows.

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
    /// Whether `node` comes before what has these predecessors.
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

    /// What the calling thread's next access comes after by itself.
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
    /// Of the write that it is, or that it read.
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

    /// Notes that the calling thread has written, and the rank of that write.
    pub(super) fn wrote(&mut self, rank: usize) {
        let node = with_order(|order| {
            let mut predecessors = order.own_predecessors();
            for access in self.0.iter().rev() {
                predecessors.push(access.node);
                // Those before it come before that write.
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
