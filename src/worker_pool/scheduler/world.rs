//! Callers and workers that are plain data, for walks through the scheduler's states.
//!
//! A step is what a thread does between two moments in which others may come in: a claim, the end
//! of a task, a step under the lock. After each the invariants are checked. A walk ends when nobody
//! can take a step, and then every call must have returned.

use super::super::batch::{Batch, Grain};
use super::*;
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
struct Led<'a> {
    batch: Batch<(), (), fn(usize, ())>,
    spec: &'a Spec,
    claimed: usize,
    met: usize,
    opened: bool,
}

/// What a thread does with a batch. `seat` is that of its leader; a helper has none to speak of.
struct Frame {
    led: usize,
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
    Called,
    Parked,
    Done,
}

struct Thread<'a> {
    /// What a caller is to call. Others are workers.
    call: Option<&'a Spec>,
    parker: Arc<WorkerParker>,
    state: State,
    frames: Vec<Frame>,
}

pub(super) struct World<'a> {
    scheduler: Scheduler,
    #[expect(clippy::vec_box, reason = "the scheduler points to the batches: they must not move")]
    led: Vec<Box<Led<'a>>>,
    threads: Vec<Thread<'a>>,
    /// How many threads more the system gives.
    threads_left: usize,
}

impl<'a> World<'a> {
    pub(super) fn new(seats: usize, threads_left: usize, calls: &'a [Spec]) -> Self {
        let mut world = World {
            scheduler: Scheduler::new(seats),
            led: Vec::new(),
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

    fn perform(&mut self, mut next: Next) {
        next.hand_over();
        match next.call {
            Call::Nobody => {}
            Call::Wake(parker) => {
                let woken = self.threads.iter_mut().find(|t| Arc::ptr_eq(&t.parker, &parker));
                let woken = woken.expect("a parked worker is a thread");
                assert!(matches!(woken.state, State::Parked), "a worker is woken that is awake");
                woken.state = State::Called;
            }
            Call::Start if self.threads_left == 0 => {
                let next = self.scheduler.not_started(true);
                self.perform(next);
            }
            Call::Start => {
                self.threads_left -= 1;
                self.add(None, State::Called);
            }
        }
    }

    /// Whether a thread can take a step.
    fn is_ready(&self, at: usize) -> bool {
        let thread = &self.threads[at];
        match &thread.state {
            State::Idle | State::Called => true,
            State::Waiting(waiter) => waiter.is_granted(),
            State::Parked | State::Done => false,
            State::Working => {
                let frame = &thread.frames[thread.frames.len() - 1];
                let led = &self.led[frame.led];
                match frame.doing {
                    Doing::Claiming(_) => true,
                    Doing::Closed => self.header(frame.led).helpers_inside() == 0,
                    Doing::Running(task) => match led.spec.tasks[task] {
                        Meet => {
                            let meet = |task: &&Task| matches!(task, Meet);
                            led.met == led.spec.tasks.iter().filter(meet).count()
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
            State::Called => self.look(at, None, true),
            State::Waiting(_) => self.threads[at].state = State::Working,
            State::Working => self.work(at),
            State::Parked | State::Done => unreachable!("not ready"),
        }
    }

    fn header(&self, led: usize) -> &Header {
        // SAFETY: in the box, until the end of the world.
        unsafe { self.led[led].batch.header().as_ref() }
    }

    /// Begins a call: what `Lead::new` does.
    fn begin(&mut self, at: usize, spec: &'a Spec, nested: bool) {
        let seats = self.scheduler.seats;
        let grain = if spec.is_map { Grain::Guided(seats) } else { Grain::One };
        let helpers = (spec.tasks.len() - 1).min(seats - 1);
        let batch: Batch<(), (), fn(usize, ())> =
            Batch::new(vec![(); spec.tasks.len()], |_, ()| (), grain, helpers, nested);
        let opened = !spec.is_map && helpers > 0;
        self.led.push(Box::new(Led { batch, spec, claimed: 0, met: 0, opened }));
        let led = self.led.len() - 1;
        let header = self.led[led].batch.header();
        let seat = match (nested, spec.is_map) {
            (true, _) => Seat::Outer,
            (false, false) => Seat::Kept,
            (false, true) => Seat::Lent,
        };
        let frame = Frame { led, seat: Some(seat), doing: Doing::Claiming(false) };
        self.threads[at].frames.push(frame);
        self.threads[at].state = State::Working;
        if nested && opened {
            let next = self.scheduler.open(header);
            self.perform(next);
        } else if !nested {
            let seats = if opened { 1 + helpers } else { 1 };
            let request = Request { seats, batch: opened.then_some(header), lent: spec.is_map };
            if let Some(next) = self.scheduler.enter(request) {
                self.perform(next);
            } else {
                let waiter = Box::new(CallerWaiter::new());
                let next = self.scheduler.queue(request, &waiter);
                self.threads[at].state = State::Waiting(waiter);
                self.perform(next);
            }
        }
    }

    /// A step under the lock of a worker.
    fn look(&mut self, at: usize, returning: Option<Returning>, called: bool) {
        let (found, next) = self.scheduler.look(returning, called);
        if let Some(header) = found {
            let led = self.led.iter().position(|led| led.batch.header() == header);
            let led = led.expect("a batch that was found is led");
            let frame = Frame { led, seat: None, doing: Doing::Claiming(false) };
            self.threads[at].frames.push(frame);
            self.threads[at].state = State::Working;
        } else {
            assert!(self.scheduler.park(&self.threads[at].parker));
            self.threads[at].state = State::Parked;
        }
        if let Some(Returning { unfinished: Some(header), .. }) = returning {
            // SAFETY: this worker has entered it, and leaves it here.
            unsafe { Header::leave(header) };
        }
        self.perform(next);
    }

    /// A step of a thread that has a seat.
    fn work(&mut self, at: usize) {
        let last = self.threads[at].frames.len() - 1;
        let Frame { led, seat, doing } = self.threads[at].frames[last];
        let (spec, header) = (self.led[led].spec, self.led[led].batch.header());
        match doing {
            Doing::Claiming(has_claimed) => {
                let left = spec.tasks.len() - self.led[led].claimed;
                let lent = spec.is_map && seat != Some(Seat::Outer);
                let opens = seat.is_some() && spec.is_map && !self.led[led].opened;
                if left > 0 && has_claimed && lent && self.scheduler.wants_room() {
                    self.make_room(at, seat, header);
                } else if left > 0 && has_claimed && opens && self.header(led).lacks() > 0 {
                    self.led[led].opened = true;
                    let next = self.scheduler.open(header);
                    self.perform(next);
                } else if left == 0 {
                    self.end(at, seat, led);
                } else {
                    assert_eq!(self.led[led].batch.run_some(1), 1);
                    self.start_task(at, led);
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

    fn start_task(&mut self, at: usize, led: usize) {
        let spec = self.led[led].spec;
        let task = self.led[led].claimed;
        self.led[led].claimed += 1;
        let last = self.threads[at].frames.len() - 1;
        self.threads[at].frames[last].doing = Doing::Running(task);
        match &spec.tasks[task] {
            Quick => {}
            Meet => self.led[led].met += 1,
            Nest(spec) => self.begin(at, spec, true),
        }
    }

    fn make_room(&mut self, at: usize, seat: Option<Seat>, header: NonNull<Header>) {
        if seat.is_none() {
            self.threads[at].frames.pop();
            let returning = Returning { lent: true, unfinished: Some(header) };
            return self.look(at, Some(returning), false);
        }
        let waiter = Box::new(CallerWaiter::new());
        let next = self.scheduler.make_room(&waiter).expect("a call waits for room");
        let last = self.threads[at].frames.len() - 1;
        self.threads[at].frames[last].doing = Doing::Claiming(false);
        self.threads[at].state = State::Waiting(waiter);
        self.perform(next);
    }

    /// Nothing is left to claim: a leader closes, a helper leaves.
    fn end(&mut self, at: usize, seat: Option<Seat>, led: usize) {
        let header = self.led[led].batch.header();
        if let Some(seat) = seat {
            let last = self.threads[at].frames.len() - 1;
            self.threads[at].frames[last].doing = Doing::Closed;
            let opened = self.led[led].opened.then_some(header);
            let next = self.scheduler.close(opened, seat);
            self.perform(next);
        } else {
            self.threads[at].frames.pop();
            // SAFETY: this worker has entered it, and leaves it here.
            unsafe { Header::leave(header) };
            let lent = self.led[led].spec.is_map;
            self.look(at, Some(Returning { lent, unfinished: None }), false);
        }
    }

    /// All that the next steps depend on, hashed.
    pub(super) fn state(&self) -> u64 {
        let scheduler = &self.scheduler;
        let at = |caller| {
            let waits = |t: &Thread<'_>| matches!(&t.state, State::Waiting(w) if NonNull::from(&**w) == caller);
            self.threads.iter().position(waits)
        };
        let waiting: Vec<_> = scheduler.waiting.iter().map(|w| (at(w.caller), w.arrival)).collect();
        let open = |header: &NonNull<Header>| {
            self.led.iter().position(|led| led.batch.header() == *header)
        };
        let open: Vec<_> = scheduler.open.iter().map(open).collect();
        let parked = |parker: &Arc<WorkerParker>| {
            self.threads.iter().position(|t| Arc::ptr_eq(&t.parker, parker))
        };
        let parked: Vec<_> = scheduler.parked.iter().map(parked).collect();
        // Only the order of arrivals matters.
        let mut arrivals: Vec<u64> = scheduler.headers().map(Header::queued_at).collect();
        arrivals.extend(waiting.iter().map(|&(_, arrival)| arrival));
        arrivals.sort_unstable();
        let rank = |arrival: u64| arrivals.iter().filter(|&&other| other < arrival).count();
        let mut hasher = DefaultHasher::new();
        (scheduler.free, scheduler.called, self.threads_left, &open, &parked).hash(&mut hasher);
        waiting.iter().for_each(|&(at, arrival)| (at, rank(arrival)).hash(&mut hasher));
        for (at, led) in self.led.iter().enumerate() {
            let header = self.header(at);
            let place = open.contains(&Some(at)).then(|| rank(header.queued_at()));
            let demand = (header.lacks(), header.reserved(), header.helpers_inside(), place);
            (ptr::from_ref(led.spec), led.claimed, led.met, led.opened, demand).hash(&mut hasher);
        }
        for thread in &self.threads {
            let granted = matches!(&thread.state, State::Waiting(waiter) if waiter.is_granted());
            (mem::discriminant(&thread.state), granted).hash(&mut hasher);
            for frame in &thread.frames {
                (frame.led, frame.seat, frame.doing).hash(&mut hasher);
            }
        }
        hasher.finish()
    }

    /// The invariants of the [scheduler](super), and that no seat is idle that somebody could use.
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
            lent += usize::from(sits && self.led[outermost.led].spec.is_map);
            working += usize::from(thread.call.is_none());
        }
        let reserved: usize = scheduler.headers().map(Header::reserved).sum();
        assert_eq!(scheduler.free + reserved + held, scheduler.seats, "seats were lost");
        assert_eq!(scheduler.lent, lent, "lent seats");
        if let Some(first) = scheduler.waiting.front() {
            assert!(scheduler.free < first.request.seats, "a call waits beside its gang");
        }
        let workers = scheduler.parked.len() + scheduler.called + working;
        assert_eq!(scheduler.workers, workers, "workers");
        assert!(scheduler.workers <= scheduler.seats, "more workers than seats");
        assert!(reserved == 0 || scheduler.called > 0, "a reserved seat, and nobody on the way");
        let can_be_helped = scheduler.called > 0
            || !scheduler.parked.is_empty()
            || (self.threads_left > 0 && scheduler.workers < scheduler.seats);
        for header in scheduler.headers() {
            let waits = header.lacks() > 0 && (header.is_urgent() || header.reserved() == 0);
            if waits && can_be_helped && (header.is_urgent() || scheduler.waiting.is_empty()) {
                assert_eq!(scheduler.free, 0, "a batch wants help beside a free seat");
            }
        }
    }

    /// Walks by a choice among so many threads at each step, to the end or until there is none.
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
        assert_eq!(self.scheduler.free, self.scheduler.seats, "everybody has left");
    }
}
