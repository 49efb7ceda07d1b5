//! Callers and workers that are plain data, for walks through the scheduler's states.
//!
//! A step is what a thread does without another thread being able to interfere: a claim, the end of a task, a step
//! under the lock. After each the invariants are checked. A walk ends when no thread can take a step, and then every
//! call must have returned.

use super::super::super::batch::{Batch, Grain};
use super::super::*;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ptr;

/// What a call runs.
pub(super) struct Spec {
    is_map: bool,
    tasks: Vec<Task>,
}

pub(super) enum Task {
    /// Ends by itself.
    Quick,
    /// Ends when every such task of its batch has started.
    Meet,
    /// Ends when the call in it has returned.
    Nest(Spec),
}
use Task::Meet;
pub(super) use Task::{Nest, Quick};

pub(super) fn run(tasks: impl IntoIterator<Item = Task>) -> Spec {
    Spec { is_map: false, tasks: tasks.into_iter().collect() }
}

pub(super) fn map(tasks: impl IntoIterator<Item = Task>) -> Spec {
    Spec { is_map: true, tasks: tasks.into_iter().collect() }
}

pub(super) fn quick(len: usize) -> Vec<Task> {
    (0..len).map(|_| Quick).collect()
}

pub(super) fn meet(len: usize) -> Vec<Task> {
    (0..len).map(|_| Meet).collect()
}

/// A call that is under way.
struct OpenCall<'a> {
    batch: Batch<(), (), fn(usize, ())>,
    spec: &'a Spec,
    claimed: usize,
    met: usize,
    opened: bool,
}

/// What a thread does with a batch. `seat` is the caller's; helpers have `None`.
struct Frame {
    call: usize,
    seat: Option<Seat>,
    doing: Doing,
}

#[derive(Clone, Copy, Hash)]
enum Doing {
    /// About to claim; whether it has before, in this seat.
    Claiming(bool),
    Running(usize),
    /// It has closed its batch, and waits for the helpers.
    Closed,
}

enum State {
    Idle,
    Waiting(Box<CallerWaiter>),
    Working,
    Signalled,
    Parked,
    Done,
}

struct Thread<'a> {
    /// The call of a caller. Workers have none.
    call: Option<&'a Spec>,
    parker: Arc<WorkerParker>,
    state: State,
    frames: Vec<Frame>,
}

pub(super) struct World<'a> {
    scheduler: Scheduler,
    #[expect(clippy::vec_box, reason = "the scheduler points to the batches: they must not move")]
    calls: Vec<Box<OpenCall<'a>>>,
    threads: Vec<Thread<'a>>,
    /// How many more threads the system gives.
    threads_left: usize,
}

impl<'a> World<'a> {
    pub(super) fn new(seats: usize, threads_left: usize, calls: &'a [Spec]) -> Self {
        let mut world = World {
            scheduler: Scheduler::new(seats),
            calls: Vec::new(),
            threads: Vec::new(),
            threads_left,
        };
        calls.iter().for_each(|call| world.add(Some(call), State::Idle));
        world
    }

    fn add(&mut self, call: Option<&'a Spec>, state: State) {
        let parker = WorkerParker::new();
        self.threads.push(Thread { call, parker, state, frames: Vec::new() });
    }

    fn perform(&mut self, mut follow_up: FollowUp) {
        follow_up.grant_all();
        match follow_up.signal {
            Signal::None => {}
            Signal::Unpark(parker) => {
                let worker = self.threads.iter_mut().find(|t| Arc::ptr_eq(&t.parker, &parker));
                let worker = worker.expect("a parked worker is a thread");
                assert!(matches!(worker.state, State::Parked), "a worker is unparked twice");
                worker.state = State::Signalled;
            }
            Signal::Start if self.threads_left == 0 => {
                let follow_up = self.scheduler.not_started(true);
                self.perform(follow_up);
            }
            Signal::Start => {
                self.threads_left -= 1;
                self.add(None, State::Signalled);
            }
        }
    }

    /// Whether a thread can take a step.
    fn is_ready(&self, at: usize) -> bool {
        let thread = &self.threads[at];
        match &thread.state {
            State::Idle | State::Signalled => true,
            State::Waiting(waiter) => waiter.is_granted(),
            State::Parked | State::Done => false,
            State::Working => {
                let frame = &thread.frames[thread.frames.len() - 1];
                let call = &self.calls[frame.call];
                match frame.doing {
                    Doing::Claiming(_) => true,
                    Doing::Closed => self.job(frame.call).helpers_inside() == 0,
                    Doing::Running(task) => match call.spec.tasks[task] {
                        Meet => {
                            let meet = |task: &&Task| matches!(task, Meet);
                            call.met == call.spec.tasks.iter().filter(meet).count()
                        }
                        _ => true,
                    },
                }
            }
        }
    }

    fn step(&mut self, at: usize) {
        match &self.threads[at].state {
            State::Idle => {
                let call = self.threads[at].call.expect("workers are never idle");
                self.begin(at, call, false);
            }
            State::Signalled => self.assign(at, None, true),
            State::Waiting(_) => self.threads[at].state = State::Working,
            State::Working => self.work(at),
            State::Parked | State::Done => unreachable!("not ready"),
        }
    }

    fn job(&self, call: usize) -> &Job {
        // SAFETY: in the box, until the end of the world.
        unsafe { self.calls[call].batch.job().as_ref() }
    }

    /// Begins a call: what `OpenBatch::new` does.
    fn begin(&mut self, at: usize, spec: &'a Spec, nested: bool) {
        let seats = self.scheduler.seats;
        let grain = if spec.is_map { Grain::Guided(seats) } else { Grain::One };
        let helpers = (spec.tasks.len() - 1).min(seats - 1);
        let batch: Batch<(), (), fn(usize, ())> =
            Batch::new(vec![(); spec.tasks.len()], |_, ()| (), grain, helpers, nested);
        let opened = !spec.is_map && helpers > 0;
        self.calls.push(Box::new(OpenCall { batch, spec, claimed: 0, met: 0, opened }));
        let call = self.calls.len() - 1;
        let job = self.calls[call].batch.job();
        let seat = match (nested, spec.is_map) {
            (true, _) => Seat::Outer,
            (false, false) => Seat::Kept,
            (false, true) => Seat::Lent,
        };
        let frame = Frame { call, seat: Some(seat), doing: Doing::Claiming(false) };
        self.threads[at].frames.push(frame);
        self.threads[at].state = State::Working;
        if nested && opened {
            let follow_up = self.scheduler.open(job);
            self.perform(follow_up);
        } else if !nested {
            let seats = if opened { 1 + helpers } else { 1 };
            let request = Request { seats, job: opened.then_some(job), lent: spec.is_map };
            if let Some(follow_up) = self.scheduler.try_enter(request) {
                self.perform(follow_up);
            } else {
                let waiter = Box::new(CallerWaiter::new());
                let follow_up = self.scheduler.enqueue(request, &waiter);
                self.threads[at].state = State::Waiting(waiter);
                self.perform(follow_up);
            }
        }
    }

    /// A worker's step under the lock.
    fn assign(&mut self, at: usize, returning: Option<Returning>, signalled: bool) {
        let parker = self.threads[at].parker.clone();
        let (assignment, follow_up) = self.scheduler.assign(&parker, returning, signalled);
        match assignment {
            Assignment::Help(job) => {
                let call = self.calls.iter().position(|call| call.batch.job() == job);
                let call = call.expect("a job that was assigned belongs to a call");
                let frame = Frame { call, seat: None, doing: Doing::Claiming(false) };
                self.threads[at].frames.push(frame);
                self.threads[at].state = State::Working;
            }
            Assignment::Park => self.threads[at].state = State::Parked,
            Assignment::End => unreachable!("no walk shuts the pool down"),
        }
        if let Some(Returning { unfinished: Some(job), .. }) = returning {
            // SAFETY: this worker has entered it, and leaves it here.
            unsafe { Job::leave(job) };
        }
        self.perform(follow_up);
    }

    /// A step of a thread that has a seat.
    fn work(&mut self, at: usize) {
        let last = self.threads[at].frames.len() - 1;
        let Frame { call, seat, doing } = self.threads[at].frames[last];
        let (spec, job) = (self.calls[call].spec, self.calls[call].batch.job());
        match doing {
            Doing::Claiming(has_claimed) => {
                let left = spec.tasks.len() - self.calls[call].claimed;
                let lent = spec.is_map && seat != Some(Seat::Outer);
                let opens = seat.is_some() && spec.is_map && !self.calls[call].opened;
                if left > 0 && has_claimed && lent && self.scheduler.should_yield() {
                    self.yield_seat(at, seat, job);
                } else if left > 0 && has_claimed && opens && self.job(call).missing() > 0 {
                    self.calls[call].opened = true;
                    let follow_up = self.scheduler.open(job);
                    self.perform(follow_up);
                } else if left == 0 {
                    self.end(at, seat, call);
                } else {
                    assert_eq!(self.calls[call].batch.claim_and_run(1), 1);
                    self.start_task(at, call);
                }
            }
            Doing::Running(_) => self.threads[at].frames[last].doing = Doing::Claiming(true),
            Doing::Closed => {
                self.threads[at].frames.pop();
                if self.threads[at].frames.is_empty() {
                    self.threads[at].state = State::Done;
                }
            }
        }
    }

    fn start_task(&mut self, at: usize, call: usize) {
        let spec = self.calls[call].spec;
        let task = self.calls[call].claimed;
        self.calls[call].claimed += 1;
        let last = self.threads[at].frames.len() - 1;
        self.threads[at].frames[last].doing = Doing::Running(task);
        match &spec.tasks[task] {
            Quick => {}
            Meet => self.calls[call].met += 1,
            Nest(spec) => self.begin(at, spec, true),
        }
    }

    fn yield_seat(&mut self, at: usize, seat: Option<Seat>, job: NonNull<Job>) {
        if seat.is_none() {
            self.threads[at].frames.pop();
            let returning = Returning { lent: true, unfinished: Some(job) };
            return self.assign(at, Some(returning), false);
        }
        let waiter = Box::new(CallerWaiter::new());
        let follow_up = self.scheduler.yield_seat(&waiter).expect("a call waits for the seat");
        let last = self.threads[at].frames.len() - 1;
        self.threads[at].frames[last].doing = Doing::Claiming(false);
        self.threads[at].state = State::Waiting(waiter);
        self.perform(follow_up);
    }

    /// No task is left to claim: the caller closes, a helper leaves.
    fn end(&mut self, at: usize, seat: Option<Seat>, call: usize) {
        let job = self.calls[call].batch.job();
        if let Some(seat) = seat {
            let last = self.threads[at].frames.len() - 1;
            self.threads[at].frames[last].doing = Doing::Closed;
            let opened = self.calls[call].opened.then_some(job);
            let follow_up = self.scheduler.close(opened, seat);
            self.perform(follow_up);
        } else {
            self.threads[at].frames.pop();
            // SAFETY: this worker has entered it, and leaves it here.
            unsafe { Job::leave(job) };
            let lent = self.calls[call].spec.is_map;
            self.assign(at, Some(Returning { lent, unfinished: None }), false);
        }
    }

    /// A hash of all that the next steps depend on.
    pub(super) fn state(&self) -> u64 {
        let scheduler = &self.scheduler;
        let at = |waiter| {
            let waits = |t: &Thread<'_>| matches!(&t.state, State::Waiting(w) if NonNull::from(&**w) == waiter);
            self.threads.iter().position(waits)
        };
        let waiting: Vec<_> =
            scheduler.waiting_callers.iter().map(|w| (at(w.waiter), w.arrival)).collect();
        let listed =
            |job: &NonNull<Job>| self.calls.iter().position(|call| call.batch.job() == *job);
        let listed: Vec<_> = scheduler.jobs.iter().map(listed).collect();
        let parked = |parker: &Arc<WorkerParker>| {
            self.threads.iter().position(|t| Arc::ptr_eq(&t.parker, parker))
        };
        let parked: Vec<_> = scheduler.parked.iter().map(parked).collect();
        // Only the order of arrivals matters.
        let mut arrivals: Vec<u64> = scheduler.listed().map(Job::arrival).collect();
        arrivals.extend(waiting.iter().map(|&(_, arrival)| arrival));
        arrivals.sort_unstable();
        let rank = |arrival: u64| arrivals.iter().filter(|&&other| other < arrival).count();
        let mut hasher = DefaultHasher::new();
        (scheduler.free, scheduler.signalled, self.threads_left, &listed, &parked)
            .hash(&mut hasher);
        waiting.iter().for_each(|&(at, arrival)| (at, rank(arrival)).hash(&mut hasher));
        for (at, call) in self.calls.iter().enumerate() {
            let job = self.job(at);
            let rank = listed.contains(&Some(at)).then(|| rank(job.arrival()));
            let demand = (job.missing(), job.reserved(), job.helpers_inside(), rank);
            (ptr::from_ref(call.spec), call.claimed, call.met, call.opened, demand)
                .hash(&mut hasher);
        }
        for thread in &self.threads {
            let granted = matches!(&thread.state, State::Waiting(waiter) if waiter.is_granted());
            (mem::discriminant(&thread.state), granted).hash(&mut hasher);
            for frame in &thread.frames {
                (frame.call, frame.seat, frame.doing).hash(&mut hasher);
            }
        }
        hasher.finish()
    }

    /// Checks the invariants of the [scheduler](super::super), and that no seat is free that a job could use.
    fn check(&self) {
        let scheduler = &self.scheduler;
        let (mut held, mut lent, mut working) = (0, 0, 0);
        for thread in &self.threads {
            let Some(outermost) = thread.frames.first() else { continue };
            let sits = match thread.state {
                State::Working => {
                    !(thread.call.is_some() && matches!(outermost.doing, Doing::Closed))
                }
                State::Waiting(ref waiter) => waiter.is_granted(),
                _ => false,
            };
            held += usize::from(sits);
            lent += usize::from(sits && self.calls[outermost.call].spec.is_map);
            working += usize::from(thread.call.is_none());
        }
        let reserved: usize = scheduler.listed().map(Job::reserved).sum();
        assert_eq!(scheduler.free + reserved + held, scheduler.seats, "seats were lost");
        assert_eq!(scheduler.lent, lent, "lent seats");
        if let Some(first) = scheduler.waiting_callers.front() {
            assert!(scheduler.free < first.request.seats, "a call waits beside its gang");
        }
        let workers = scheduler.parked.len() + scheduler.signalled + working;
        assert_eq!(scheduler.workers, workers, "workers");
        assert!(scheduler.workers <= scheduler.seats, "more workers than seats");
        assert!(
            reserved == 0 || scheduler.signalled > 0,
            "a reserved seat, and no worker signalled"
        );
        let can_be_helped = scheduler.signalled > 0
            || !scheduler.parked.is_empty()
            || (self.threads_left > 0 && scheduler.workers < scheduler.seats);
        for job in scheduler.listed() {
            let waits = job.missing() > 0 && (job.is_urgent() || job.reserved() == 0);
            if waits && can_be_helped && (job.is_urgent() || scheduler.waiting_callers.is_empty()) {
                assert_eq!(scheduler.free, 0, "a batch wants help beside a free seat");
            }
        }
    }

    /// Takes steps until no thread can, or until `choose` returns `None`. It is told how many threads can take one, and
    /// returns which does.
    pub(super) fn walk(mut self, mut choose: impl FnMut(&Self, usize) -> Option<usize>) {
        loop {
            let ready: Vec<usize> = (0..self.threads.len()).filter(|&t| self.is_ready(t)).collect();
            if ready.is_empty() {
                break;
            }
            let Some(choice) = choose(&self, ready.len()) else { return };
            self.step(ready[choice]);
            self.check();
        }
        let callers = self.threads.iter().filter(|thread| thread.call.is_some());
        let waiting = callers.filter(|thread| !matches!(thread.state, State::Done)).count();
        assert_eq!(waiting, 0, "calls that never return");
        assert_eq!(self.scheduler.free, self.scheduler.seats, "every seat is free at the end");
    }
}
