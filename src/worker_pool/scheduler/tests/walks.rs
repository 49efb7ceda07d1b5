//! Walks through the scheduler's states: through every state in small cases, random ones in larger.

use super::world::{Nest, Quick, Spec, World, map, meet, quick, run};
use std::collections::HashSet;

/// Walks through every state that can be reached, and returns how many there are.
fn every_walk(seats: usize, threads: usize, calls: &[Spec]) -> usize {
    let mut seen = HashSet::new();
    // The choices of the last walk, each with how many there were.
    let mut path: Vec<(usize, usize)> = Vec::new();
    loop {
        let mut depth = 0;
        World::new(seats, threads, calls).walk(|world, options| {
            if depth == path.len() {
                if !seen.insert(world.state()) {
                    return None;
                }
                path.push((0, options));
            }
            depth += 1;
            Some(path[depth - 1].0)
        });
        while path.last().is_some_and(|&(choice, options)| choice + 1 == options) {
            path.pop();
        }
        match path.last_mut() {
            Some((choice, _)) => *choice += 1,
            None => return seen.len(),
        }
    }
}

fn random_walks(seats: usize, threads: usize, calls: &[Spec], walks: u64) {
    let mut dice = Dice(walks);
    for _ in 0..walks {
        World::new(seats, threads, calls).walk(|_, options| Some(dice.roll(options)));
    }
}

/// The same numbers in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % sides as u64) as usize
    }
}

#[test]
fn calls_return_in_every_order() {
    let nested = || Nest(run(meet(2)));
    let cases = [
        // Callers whose tasks meet.
        (2, 2, vec![run(meet(2)), run(meet(2)), run(meet(2))]),
        // A helper that nests, when its caller has run out of tasks.
        (2, 2, vec![run([Quick, nested()])]),
        (2, 2, vec![run([Quick, nested()]), run(meet(2))]),
        // A gang waits for the seat of a task that nests.
        (2, 2, vec![run([nested()]), run(meet(2)), run(quick(1))]),
        (2, 2, vec![map(quick(2)), run(meet(2)), map(quick(1))]),
        (2, 2, vec![map([Quick, nested(), Quick]), run(meet(2))]),
        (3, 3, vec![run([nested()]), run([nested()])]),
        (3, 3, vec![run(meet(3)), map(quick(2))]),
        // The system gives no threads, or few.
        (2, 0, vec![run(quick(2)), map(quick(2)), run(quick(1))]),
        (3, 1, vec![run(quick(3)), run([Quick, Nest(run(quick(2)))])]),
    ];
    for (seats, threads, calls) in &cases {
        assert!(every_walk(*seats, *threads, calls) > 10);
    }
}

#[test]
fn calls_of_all_kinds_return_in_random_orders() {
    let nested = || Nest(run(meet(2)));
    let cases = [
        (1, vec![run(quick(3)), map(quick(4)), run([Nest(run(quick(2)))]), map(quick(1))]),
        (2, vec![run(meet(2)), run(quick(5)), map(quick(5)), run(meet(2))]),
        (2, vec![map(quick(6)), map(quick(6)), run(meet(2)), run(quick(1))]),
        // Nested in one another, three deep.
        (2, vec![run([Quick, Nest(run([Nest(run(meet(2)))])), Quick]), map(quick(3))]),
        (3, vec![run(meet(3)), run(meet(2)), run(quick(1)), map(quick(7)), run(meet(3))]),
        // As far as the seats suffice: of two that hold one seat each, one finds the third.
        (3, vec![run([nested()]), run([nested()]), run(meet(3)), map(quick(4))]),
        // Two of three tasks nest at once, the third seat is for either.
        (3, vec![run([nested(), nested()]), run(meet(3)), map(quick(3))]),
        (3, vec![map([Quick, Nest(map(quick(3))), Nest(run(quick(3)))]), run(meet(3))]),
        (3, vec![run([Quick, Quick, Nest(run(meet(3)))]), run(meet(2)), run(quick(9))]),
    ];
    for (seats, calls) in &cases {
        random_walks(*seats, *seats, calls, 1_500);
    }
}

#[test]
fn calls_return_in_random_orders_if_the_system_gives_few_threads() {
    let calls = [run(quick(6)), map(quick(6)), run([Quick, Nest(run(quick(3)))]), run(quick(1))];
    for (seats, threads) in [(2, 0), (2, 1), (3, 0), (3, 1), (3, 2)] {
        random_walks(seats, threads, &calls, 1_000);
    }
}
