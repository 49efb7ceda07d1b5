//! Cancelling: a tree of tokens, each of which is a counted pointer to a node.
//!
//! A node's state is in an atomic word, which is all that [`is_cancelled`](CancelToken::is_cancelled) reads:
//!
//! | state | the reason | in its parent's list | children, waiters, callbacks |
//! | --- | --- | --- | --- |
//! | `LIVE` | none | yes, unless it is a root | come and go |
//! | `CANCELLED` | set | until the parent is cancelled, or the node is freed | are taken, and none are added |
//! | `DETACHED` | set | no | as above |
//!
//! ```text
//! LIVE      => CANCELLED   mark, cancel     the thread that cancels, under the node's lock, with the reason
//! CANCELLED => DETACHED    mark_children    the thread that cancels the parent, under the parent's lock
//! ```
//!
//! To cancel a subtree, a thread first marks all of its nodes, level by level: it takes each child out of its parent's
//! list, marks it, and keeps those that have children, waiters or callbacks in a list of its own. Then it walks that
//! list, wakes the waiters and calls the callbacks. So whoever is woken or called finds the whole subtree cancelled, but
//! for a part that another thread is just cancelling. Neither walk is recursive, and neither is the freeing of nodes.
//!
//! Invariants:
//!
//! - **C1.** A node's reason is set once, under its lock, together with `CANCELLED`. Under the lock, the reason says
//!   whether the node is cancelled.
//! - **C2.** Children, waiters and callbacks are added under the node's lock, and only while there is no reason. The
//!   thread that sets it takes all of them. So a child, a waiter or a callback that comes during a cancel is found by it,
//!   or finds the reason.
//! - **C3.** The links of a node belong to the holder of its parent's lock while it is in the parent's list; before
//!   that, to the thread that makes it. After that they belong to the thread that has taken it out: for the list of a
//!   thread that cancels, or to free it.
//! - **C4.** A node is freed after its last pointer was dropped, and after it has left its parent's list: by itself,
//!   under the parent's lock, or as `DETACHED`. So a node in a list is alive for the holder of that list's lock, though
//!   it may not be counted any more. A thread that wants to use it without the lock counts it first, which fails if the
//!   last pointer is gone. A bell leads to its node under the bell's lock in the same way.
//! - **C5.** Locks are taken in the order parent, child, and under them at most a bell's. Nothing of the user's runs
//!   under any: wakers, callbacks and the drop of what a callback holds.
//! - **C6.** A waiter is taken and settled under one hold of the node's lock. So a future that leaves finds its waiter
//!   queued or settled.
//! - **C7.** A child counts its parent, so that an ancestor lives as long as a descendant: its cancelling, or its
//!   deadline, would cancel the descendant. A parent doesn't count its children.
//!
//! | file | holds |
//! | --- | --- |
//! | [`reason`] | why a token was cancelled |
//! | [`callback`] | a registered function, and what became of it |
//! | [`node`] | the node, the counted pointer, and the end of both |
//! | [`tree`] | cancelling, and deadlines |
//! | [`token`], [`registration`], [`future`] | what users see |

mod callback;
mod future;
mod node;
mod reason;
mod registration;
mod token;
mod tree;

pub use self::callback::CallbackState;
pub use self::future::CancelFuture;
pub use self::reason::CancelReason;
pub use self::registration::CancelRegistration;
pub use self::token::CancelToken;
