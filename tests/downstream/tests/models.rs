//! The stranger's own models. Natively each runs once; under the gate every interleaving.
//!
//! The ignored ones are the planted bugs: they are undefined behaviour or a hang on real threads,
//! and are run under the gate alone, where each must fail.

use downstream::{
    Door, Post, publish, publish_too_early, view_each, view_from_two_tasks,
};
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
fn who_opens_the_door_lets_the_other_pass() {
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
