//! The charts of each group: which parameter is on the horizontal axis, and which figure on the vertical.

use super::chart::{Chart, Point, Scale, Series};
use super::colours::Key;
use crate::entry::{BACKGROUND, Role};
use crate::record::Run;
use crate::summary::{Column, Line, Table};

/// The figure on the vertical axis.
#[derive(Clone, Copy)]
enum Measure {
    /// Millions of operations a second.
    Throughput,
    /// The limit's time over the contender's, in per cent.
    OfTheLimit,
    /// Nanoseconds, as they are.
    Time,
}

/// A chart for each combination of the parameters that aren't on its axis.
struct Spec {
    group: &'static str,
    section: &'static str,
    x: &'static str,
    measure: Measure,
    figure: &'static str,
    /// Only lines with these values, to have fewer charts.
    only: &'static [(&'static str, &'static str)],
    /// A contender too far off to be drawn beside the others.
    without: &'static str,
    /// Only lines with as many threads as cores.
    full: bool,
}

const fn spec(group: &'static str, section: &'static str, x: &'static str) -> Spec {
    Spec {
        group,
        section,
        x,
        measure: Measure::Throughput,
        figure: "",
        only: &[],
        without: "",
        full: false,
    }
}

const SPECS: &[Spec] = &[
    spec("counters", "Adding one", "threads"),
    Spec { without: "parking_lot FairMutex", ..spec("mutexes", "Lock and unlock", "threads") },
    Spec { full: true, only: &[(BACKGROUND, "none")], ..spec("rwlocks", "Read or write", "reads") },
    spec("rwlocks", "Read or write", "threads"),
    spec("wait_groups", "Add and done on one group", "threads"),
    spec("wait_groups", "Clone and drop of a guard", "threads"),
    Spec {
        measure: Measure::Time,
        figure: "p50",
        ..spec("wait_groups", "From the last done to the return of wait", "waiter")
    },
    Spec { measure: Measure::OfTheLimit, ..spec("pools", "Many tasks of one size", "tasks") },
    Spec { measure: Measure::OfTheLimit, ..spec("pools", "Many tasks of uneven sizes", "tasks") },
    Spec { measure: Measure::Time, figure: "p50", ..spec("pools", "A few tasks", "tasks") },
    Spec { full: true, ..spec("stores", "Look up or replace", "reads") },
    Spec { only: &[("reads", "95 %")], ..spec("stores", "Look up or replace", "threads") },
    spec("channels", "Send and receive", "shape"),
];

/// All charts of a run.
pub fn charts(run: &Run, tables: &[Table]) -> Vec<Chart> {
    let specs = SPECS.iter().filter(|spec| spec.group == run.group);
    let colours = Colours::of(tables);
    specs
        .flat_map(|spec| {
            let table = tables.iter().find(|table| table.section == spec.section);
            table.map_or_else(Vec::new, |table| from_table(run, table, spec, &colours))
        })
        .collect()
}

/// The peers of a group, in the order of their colours: the same in all its charts.
struct Colours(Vec<String>);

impl Colours {
    fn of(tables: &[Table]) -> Self {
        let mut names: Vec<String> = Vec::new();
        for column in tables.iter().flat_map(|table| &table.columns) {
            if column.role == Role::Peer && !names.contains(&column.name) {
                names.push(column.name.clone());
            }
        }
        Self(names)
    }

    fn key(&self, column: &Column, ours_before: usize) -> Key {
        match column.role {
            Role::Ours => Key::Ours(ours_before),
            Role::Limit if column.name == "limit" => Key::Limit,
            Role::Limit => Key::Ink,
            Role::Peer => {
                let at = self.0.iter().position(|name| *name == column.name);
                Key::Peer(at.unwrap_or(0))
            }
        }
    }
}

/// A chart's lines, and the values of the other parameters that they share.
type Facet<'a> = (Vec<(String, String)>, Vec<&'a Line>);

fn from_table(run: &Run, table: &Table, spec: &Spec, colours: &Colours) -> Vec<Chart> {
    let cores = run.machine.cores.to_string();
    let wanted = |line: &&Line| {
        line.figure == spec.figure
            && spec.only.iter().all(|&(k, v)| line.param(k) == Some(v))
            && (!spec.full || line.param("threads") == Some(&cores))
    };
    let mut facets: Vec<Facet<'_>> = Vec::new();
    for line in table.lines.iter().filter(wanted) {
        // A channel's shape determines its number of threads.
        let follows = |name: &str| spec.x == "shape" && name == "threads";
        let others = line.params.iter().filter(|(name, _)| name != spec.x && !follows(name));
        let others: Vec<_> = others.cloned().collect();
        match facets.iter_mut().find(|(shared, _)| *shared == others) {
            Some((_, lines)) => lines.push(line),
            None => facets.push((others, vec![line])),
        }
    }
    // A chart with one point shows no more than the table.
    facets.retain(|(_, lines)| lines.len() > 1);
    let chart = |(number, facet): (usize, &Facet<'_>)| {
        let name = format!("{}-{}-{}-{number}", run.group, slug(spec.section), spec.x);
        one_chart(name, table, spec, colours, facet)
    };
    facets.iter().enumerate().map(chart).collect()
}

fn one_chart(
    name: String,
    table: &Table,
    spec: &Spec,
    colours: &Colours,
    (shared, lines): &Facet<'_>,
) -> Chart {
    let mut shared: Vec<_> = shared.iter().map(|(k, v)| format!("{k}: {v}")).collect();
    if !spec.without.is_empty() {
        shared.push(format!("without {}", spec.without));
    }
    let (y, scale) = match spec.measure {
        Measure::Throughput => ("million operations a second", Scale::Log),
        Measure::OfTheLimit => ("% of the limit's speed", Scale::FromZero),
        Measure::Time => ("ns, median; lower is better", Scale::Log),
    };
    let mut ours = 0;
    let series = table.columns.iter().enumerate().filter_map(|(at, column)| {
        let points: Vec<Point> = lines.iter().map(|line| point(table, line, at, spec)).collect();
        // In per cent of the limit, the limit itself is a flat line.
        let own_limit = column.role == Role::Limit && matches!(spec.measure, Measure::OfTheLimit);
        let key = colours.key(column, ours);
        ours += usize::from(column.role == Role::Ours);
        let drawn = points.iter().any(Option::is_some) && column.name != spec.without;
        (drawn && !own_limit).then(|| Series { name: column.name.clone(), key, points })
    });
    Chart {
        name,
        title: table.section.clone(),
        subtitle: shared.join(", "),
        x: spec.x.to_owned(),
        y: y.to_owned(),
        labels: lines.iter().map(|line| line.param(spec.x).unwrap_or("").to_owned()).collect(),
        scale,
        // A line between two points makes sense along a number only.
        joined: matches!(spec.x, "threads" | "reads") || spec.section.contains("one size"),
        series: series.collect(),
    }
}

/// Median, and the ends of its spread.
fn point(table: &Table, line: &Line, at: usize, spec: &Spec) -> Point {
    let value = line.cells[at].value()?;
    let (low, high) =
        ((value.median - value.spread).max(value.median / 10.0), value.median + value.spread);
    match spec.measure {
        Measure::Throughput => {
            let rate = |ns: f64| 1e3 / ns;
            Some((rate(value.median), rate(high), rate(low)))
        }
        Measure::Time => Some((value.median, low, high)),
        Measure::OfTheLimit => {
            let limit = table.columns.iter().position(|c| c.name == "limit")?;
            let limit = line.cells[limit].value()?.median;
            let share = |ns: f64| 100.0 * limit / ns;
            Some((share(value.median), share(high), share(low)))
        }
    }
}

/// A section's name as part of a file's.
fn slug(section: &str) -> String {
    let words = section.split(|c: char| !c.is_ascii_alphanumeric());
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    words.join("-").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_plain() {
        assert_eq!(slug("Create, run five tiny tasks, drop"), "create-run-five-tiny-tasks-drop");
    }

    #[test]
    fn every_chart_names_a_group_that_exists() {
        let names = crate::groups::names();
        assert!(SPECS.iter().all(|spec| names.contains(&spec.group)));
    }
}
