//! Runs rows: contenders interleaved round by round, noisy passes repeated.
//!
//! A pass runs one round of every contender of the row, one after another. Each pass starts with the
//! next contender, so that a machine that slows down or a contender that leaves caches warm favours
//! none. A pass in which other processes used the machine is repeated, a bounded number of times. If
//! there are still too few quiet passes, the least noisy ones count, and their figures are marked.

use crate::entry::{Group, Row};
use crate::noise::{Noise, Watch};
use crate::plan::Context;
use crate::record::{ContenderRecord, RoundRecord, RowRecord};
use crate::watchdog::Watchdog;

/// Measures every row of a group.
pub fn group(group: &Group, context: &mut Context, watchdog: &Watchdog) -> Vec<RowRecord> {
    let mut rows = (group.rows)(&context.plan);
    rows.retain(|row| context.plan.keeps_row(row));
    if rows.is_empty() {
        eprintln!("{}: no row's label contains what was asked for", group.name);
    }
    for row in &mut rows {
        row.runners.retain(|runner| context.plan.keeps(runner));
    }
    let count = rows.len();
    let measured = rows.into_iter().enumerate().map(|(at, row)| {
        eprintln!("{} {}/{count}: {}", group.name, at + 1, row.label());
        measure_row(row, at, context, watchdog)
    });
    measured.collect()
}

fn measure_row(row: Row, at: usize, context: &mut Context, watchdog: &Watchdog) -> RowRecord {
    let mut contenders: Vec<_> = row
        .runners
        .iter()
        .map(|runner| ContenderRecord {
            name: runner.name.to_owned(),
            role: runner.role,
            rounds: Vec::new(),
            failure: None,
        })
        .collect();
    let mut passes: Vec<Noise> = Vec::new();
    let (wanted, most) = context.plan.passes(row.background);
    while passes.len() < most && quiet(&passes) < wanted {
        passes.push(pass(&row, at, passes.len(), &mut contenders, context, watchdog));
    }
    mark(&mut contenders, &passes, wanted);
    RowRecord {
        section: row.section.to_owned(),
        params: row.params,
        unit: row.unit.to_owned(),
        contenders,
    }
}

fn quiet(passes: &[Noise]) -> usize {
    passes.iter().filter(|noise| !noise.noisy).count()
}

/// Runs one round of every contender. A contender that fails is out of the row.
fn pass(
    row: &Row,
    at: usize,
    number: usize,
    contenders: &mut [ContenderRecord],
    context: &mut Context,
    watchdog: &Watchdog,
) -> Noise {
    let child = context.go.as_ref().map(|go| go.pid());
    let watch = Watch::start(child);
    let count = row.runners.len();
    for place in 0..count {
        let turn = (place + number + at) % count;
        let (runner, record) = (&row.runners[turn], &mut contenders[turn]);
        if record.failure.is_some() {
            continue;
        }
        let _guard = watchdog.watch(format!("{}, {}", runner.name, row.label()));
        context.background = row.background;
        let background = row.background.start();
        let outcome = (runner.round)(context);
        drop(background);
        match outcome {
            Ok(outcome) => record.rounds.push(RoundRecord::new(number, outcome)),
            Err(why) => {
                eprintln!("  {} is out of {}: {why}", runner.name, row.label());
                record.failure = Some(why);
            }
        }
    }
    watch.stop(child)
}

/// Marks the rounds of the passes that count, and those of noisy passes.
fn mark(contenders: &mut [ContenderRecord], passes: &[Noise], wanted: usize) {
    let chosen = choose(passes, wanted);
    for round in contenders.iter_mut().flat_map(|c| &mut c.rounds) {
        let noise = passes[round.pass];
        round.counted = chosen.contains(&round.pass);
        round.noisy = noise.noisy;
        round.others = Some(noise.others).filter(|others| others.is_finite());
    }
}

/// Chooses the passes that count: quiet ones first, then the least noisy.
fn choose(passes: &[Noise], wanted: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..passes.len()).collect();
    order.sort_by(|&a, &b| {
        let key = |i: usize| (passes[i].noisy, passes[i].others);
        let ((noisy_a, others_a), (noisy_b, others_b)) = (key(a), key(b));
        let noisy = noisy_a.cmp(&noisy_b);
        // Among quiet passes the earlier ones count: their noise differs by less than it can be
        // measured.
        if noisy.is_eq() && noisy_a { others_a.total_cmp(&others_b) } else { noisy }
    });
    order.truncate(wanted);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(others: f64, noisy: bool) -> Noise {
        Noise { others, noisy }
    }

    #[test]
    fn quiet_passes_count_in_the_order_they_ran() {
        let passes = [noise(0.05, false), noise(2.0, true), noise(0.01, false)];
        assert_eq!(choose(&passes, 2), [0, 2]);
    }

    #[test]
    fn too_few_quiet_passes_are_filled_up_with_the_least_noisy() {
        let passes = [noise(3.0, true), noise(0.0, false), noise(1.0, true)];
        assert_eq!(choose(&passes, 2), [1, 2]);
    }
}
