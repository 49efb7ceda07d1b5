//! Models of the structures on phalanx's own types. In a native build each runs once, under the gate in every
//! interleaving.
//!
//! The ignored tests are planted bugs: they are undefined behaviour or a hang on real threads, so they run only under
//! the gate, where each must fail.

use downstream::door::Door;
use downstream::letters::LetterBox;
use downstream::pages::Pages;
use downstream::post::{
    LockedPost, Post, publish, publish_too_early, view_each, view_from_two_tasks,
};
use downstream::queue::Queue;
use phalanx::{WaitGroup, WorkerPool, model, thread};
use std::sync::Arc;

fn wait_for(publish: fn(&Post, phalanx::WaitGuard)) {
    let (post, group) = (Arc::new(Post::default()), WaitGroup::new());
    let (theirs, guard) = (post.clone(), group.guard());
    let publisher = thread::spawn(move || publish(&theirs, guard));
    group.wait();
    assert_eq!(post.views(), 1);
    publisher.join().unwrap();
}

fn meet_at_a_door(pass: fn(&Door)) {
    let door = Arc::new(Door::default());
    let theirs = door.clone();
    let opener = thread::spawn(move || theirs.open());
    pass(&door);
    opener.join().unwrap();
}

fn meet_at_a_door_in_a_pool(pass: fn(&Door)) {
    let (pool, door) = (WorkerPool::new(2), Door::default());
    pool.run([pass, Door::open].map(|step| {
        let door = &door;
        move || step(door)
    }));
}

/// Two threads and the main thread each use a post behind a lock. Returns the views.
fn share(first: fn(&LockedPost), second: fn(&LockedPost), main: fn(&LockedPost)) -> u64 {
    let post = Arc::new(LockedPost::default());
    let threads = [first, second].map(|f| {
        let post = post.clone();
        thread::spawn(move || f(&post))
    });
    main(&post);
    for thread in threads {
        thread.join().unwrap();
    }
    post.read()
}

fn send_a_letter(take: fn(&LetterBox) -> u32) {
    let letters = Arc::new(LetterBox::default());
    let theirs = letters.clone();
    let sender = thread::spawn(move || theirs.put(7));
    assert_eq!(take(&letters), 7);
    sender.join().unwrap();
}

fn read(post: &LockedPost) {
    post.read();
}

#[test]
fn readers_and_writers_share_a_locked_post() {
    model(|| assert_eq!(share(read, LockedPost::view, LockedPost::view), 2));
}

#[test]
fn a_writer_that_times_out_blocks_no_other() {
    model(|| {
        let hasty = |post: &LockedPost| {
            post.view_in_time();
        };
        assert!((1..=2).contains(&share(read, hasty, LockedPost::view)));
    });
}

#[test]
fn a_letter_arrives() {
    model(|| send_a_letter(LetterBox::take));
}

#[test]
#[ignore = "planted race: fails under the gate"]
fn planted_race_of_readers_that_write() {
    model(|| assert_eq!(share(read, |_| {}, LockedPost::view_as_a_reader), 1));
}

#[test]
#[ignore = "planted race: fails under the gate"]
fn planted_race_under_two_locks() {
    model(|| assert_eq!(share(|_| {}, LockedPost::view, LockedPost::view_under_the_other_lock), 2));
}

#[test]
#[ignore = "planted deadlock: fails under the gate"]
fn planted_deadlock_of_a_recursive_read() {
    model(|| {
        let recursively = |post: &LockedPost| {
            post.read_recursively();
        };
        assert_eq!(share(recursively, |_| {}, LockedPost::view), 1);
    });
}

#[test]
#[ignore = "planted lost wake-up: fails under the gate"]
fn planted_lost_wake_up_on_a_condvar() {
    model(|| send_a_letter(LetterBox::take_carelessly));
}

#[test]
fn a_view_is_there_when_the_group_is_done() {
    model(|| wait_for(publish));
}

#[test]
fn each_task_views_a_post_of_its_own() {
    model(|| {
        let posts = [Post::default(), Post::default()];
        assert_eq!(view_each(&WorkerPool::new(2), &posts), 2);
    });
}

#[test]
fn a_thread_passes_when_another_opens_the_door() {
    model(|| meet_at_a_door(Door::pass));
}

#[test]
fn tasks_of_a_pool_meet_at_a_door() {
    model(|| meet_at_a_door_in_a_pool(Door::pass));
}

#[test]
#[ignore = "planted race: fails under the gate"]
fn planted_race_on_a_wait_group() {
    model(|| wait_for(publish_too_early));
}

#[test]
#[ignore = "planted race: fails under the gate"]
fn planted_race_on_a_worker_pool() {
    model(|| assert_eq!(view_from_two_tasks(&WorkerPool::new(2), &Post::default()), 2));
}

#[test]
#[ignore = "planted lost wake-up: fails under the gate"]
fn planted_lost_wake_up_on_a_wait_group() {
    model(|| meet_at_a_door(Door::pass_carelessly));
}

#[test]
#[ignore = "planted lost wake-up: fails under the gate"]
fn planted_lost_wake_up_on_a_worker_pool() {
    model(|| meet_at_a_door_in_a_pool(Door::pass_carelessly));
}

fn view_a_page_from_two_threads(view: fn(&Pages, &'static str)) {
    let pages = Arc::new(Pages::default());
    let theirs = pages.clone();
    let other = thread::spawn(move || view(&theirs, "index"));
    view(&pages, "index");
    other.join().unwrap();
    assert_eq!(pages.views(), (2, 2), "a view was lost");
}

#[test]
fn views_of_a_page_are_all_counted() {
    model(|| view_a_page_from_two_threads(Pages::view));
}

#[test]
#[ignore = "planted lost update: fails under the gate"]
fn planted_lost_update_on_a_store() {
    model(|| view_a_page_from_two_threads(Pages::view_in_two_steps));
}

/// The queue is full when the producers start, and the main thread is the consumer.
fn send_through_a_queue<const PRODUCERS: usize>(put: fn(&Queue, u32)) {
    let queue = Queue::new(1);
    queue.put(1);
    thread::scope(|scope| {
        for _ in 0..PRODUCERS {
            scope.spawn(|| put(&queue, 1));
        }
        for _ in 0..=PRODUCERS {
            assert_eq!(queue.take(), 1);
        }
    });
}

#[test]
fn a_queue_hands_every_value_over() {
    model(|| send_through_a_queue::<1>(Queue::put));
}

#[test]
#[ignore = "planted lost wake-up: fails under the gate"]
fn planted_lost_wake_up_of_a_queue() {
    model(|| send_through_a_queue::<1>(Queue::put_and_notify_early));
}

#[test]
#[ignore = "planted wrong result: fails under the gate"]
fn planted_wrong_result_of_a_queue_that_checks_once() {
    model(|| send_through_a_queue::<2>(Queue::put_after_one_check));
}
