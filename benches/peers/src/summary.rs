//! From raw samples to the cells of a table: medians, spreads, quantiles.

use crate::entry::{Role, TURNS};
use crate::record::{ContenderRecord, RoundRecord, RowRecord, Run};
use crate::stats::{half_spread, median, quantile};

/// Quantiles that a latency row shows.
const QUANTILES: [(&str, f64); 3] = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)];
/// Quantiles of the acquisitions by other threads during a wait.
const OF_TURNS: [(&str, f64); 3] = [("median", 0.5), ("p99", 0.99), ("max", 1.0)];

/// One table: a section of a group.
pub struct Table {
    pub section: String,
    pub columns: Vec<Column>,
    pub lines: Vec<Line>,
}

/// A contender's column.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    pub name: String,
    pub role: Role,
}

/// One line of a table.
pub struct Line {
    pub params: Vec<(String, String)>,
    /// Which of a row's figures this is, such as "p99"; "" if it is the only one.
    pub figure: String,
    pub unit: String,
    /// In the order of the table's columns.
    pub cells: Vec<Cell>,
}

/// A contender's figure on a line.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// It takes no part in this row.
    Absent,
    /// Its answer was wrong, or it broke off.
    Failed,
    Value(Value),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Value {
    pub median: f64,
    /// Half the distance between the quartiles of the rounds.
    pub spread: f64,
    /// Some of the rounds were taken while others used the machine.
    pub noisy: bool,
}

impl Cell {
    pub fn value(&self) -> Option<Value> {
        match self {
            Self::Value(value) => Some(*value),
            _ => None,
        }
    }
}

impl Line {
    /// The best peer's column and figure. Lower is better in every row.
    pub fn best_peer(&self, columns: &[Column]) -> Option<(usize, f64)> {
        let peers = columns.iter().zip(&self.cells).enumerate();
        let values = peers.filter_map(|(at, (column, cell))| {
            let value = cell.value()?;
            (column.role == Role::Peer).then_some((at, value.median))
        });
        values.min_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// A parameter's value.
    pub fn param(&self, name: &str) -> Option<&str> {
        let found = self.params.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// The tables of a group, in the order of its rows.
pub fn tables(run: &Run) -> Vec<Table> {
    let mut sections: Vec<&str> = Vec::new();
    for row in &run.rows {
        if !sections.contains(&row.section.as_str()) {
            sections.push(&row.section);
        }
    }
    let table = |section: &str| {
        let within = |row: &&RowRecord| row.section == section;
        let rows: Vec<_> = run.rows.iter().filter(within).collect();
        let columns = columns(&rows);
        let lines = rows.iter().flat_map(|row| lines(row, &columns)).collect();
        Table { section: section.to_owned(), columns, lines }
    };
    sections.into_iter().map(table).collect()
}

/// Ours first, then the peers, then the limit, each in the order of the group's list.
fn columns(rows: &[&RowRecord]) -> Vec<Column> {
    let mut columns: Vec<Column> = Vec::new();
    for contender in rows.iter().flat_map(|row| &row.contenders) {
        let column = Column { name: contender.name.clone(), role: contender.role };
        if !columns.contains(&column) {
            columns.push(column);
        }
    }
    columns.sort_by_key(|column| match column.role {
        Role::Ours => 0,
        Role::Peer => 1,
        Role::Limit => 2,
    });
    columns
}

fn lines(row: &RowRecord, columns: &[Column]) -> Vec<Line> {
    let find = |column: &Column| {
        let same = |c: &&ContenderRecord| c.name == column.name && c.role == column.role;
        row.contenders.iter().find(same)
    };
    let line = |figure: &str, of: &dyn Fn(&ContenderRecord) -> Option<Value>| Line {
        params: row.params.clone(),
        figure: figure.to_owned(),
        unit: row.unit.clone(),
        cells: columns
            .iter()
            .map(|column| match find(column) {
                None => Cell::Absent,
                Some(contender) if contender.failure.is_some() => Cell::Failed,
                Some(contender) => of(contender).map_or(Cell::Absent, Cell::Value),
            })
            .collect(),
    };
    let rounds = || row.contenders.iter().flat_map(|c| &c.rounds);
    let figures = names(rounds().map(|round| &round.figures));
    let mut lines: Vec<Line> =
        figures.into_iter().map(|name| line(name, &|contender| figure(contender, name))).collect();
    for name in names(rounds().map(|round| &round.samples)) {
        let quantiles = if name == TURNS { OF_TURNS } else { QUANTILES };
        lines.extend(quantiles.map(|(shown, q)| {
            let shown = format!("{name} {shown}");
            line(shown.trim_start(), &|contender| sample(contender, name, q))
        }));
    }
    lines
}

/// The distinct names, in the order of their first occurrence.
fn names<'a, T: 'a>(rounds: impl Iterator<Item = &'a Vec<(String, T)>>) -> Vec<&'a str> {
    let mut names = Vec::new();
    for (name, _) in rounds.flatten() {
        if !names.contains(&name.as_str()) {
            names.push(name.as_str());
        }
    }
    names
}

fn counted(contender: &ContenderRecord) -> impl Iterator<Item = &RoundRecord> {
    contender.rounds.iter().filter(|round| round.counted)
}

fn figure(contender: &ContenderRecord, name: &str) -> Option<Value> {
    let of = |round: &RoundRecord| {
        let found = round.figures.iter().find(|(figure, _)| figure == name);
        found.map(|(_, value)| *value)
    };
    let values: Vec<f64> = counted(contender).filter_map(of).collect();
    (!values.is_empty()).then(|| Value {
        median: median(&values),
        spread: half_spread(&values),
        noisy: counted(contender).any(|round| round.noisy),
    })
}

/// The quantile of all rounds' samples together, and its spread from round to round.
fn sample(contender: &ContenderRecord, name: &str, q: f64) -> Option<Value> {
    let of = |round: &RoundRecord| -> Vec<f64> {
        let named = round.samples.iter().filter(|(sample, _)| sample == name);
        named.flat_map(|(_, values)| values).map(|&value| f64::from(value)).collect()
    };
    let rounds: Vec<Vec<f64>> = counted(contender).map(of).collect();
    let all = rounds.concat();
    let each = rounds.iter().filter(|round| !round.is_empty());
    let each: Vec<f64> = each.map(|round| quantile(round, q)).collect();
    (!all.is_empty()).then(|| Value {
        median: quantile(&all, q),
        spread: half_spread(&each),
        noisy: counted(contender).any(|round| round.noisy),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Outcome;

    fn contender(name: &str, role: Role, values: &[f64]) -> ContenderRecord {
        let round = |(pass, &value)| RoundRecord::new(pass, Outcome::one(value));
        ContenderRecord {
            name: name.to_owned(),
            role,
            rounds: values.iter().enumerate().map(round).collect(),
            failure: None,
        }
    }

    fn row(contenders: Vec<ContenderRecord>) -> RowRecord {
        RowRecord {
            section: "s".to_owned(),
            params: vec![("threads".to_owned(), "4".to_owned())],
            unit: "ns".to_owned(),
            contenders,
        }
    }

    #[test]
    fn the_best_peer_is_the_lowest_and_neither_limit_nor_ours() {
        let row = row(vec![
            contender("limit", Role::Limit, &[1.0]),
            contender("ours", Role::Ours, &[2.0]),
            contender("a", Role::Peer, &[9.0, 5.0, 7.0]),
            contender("b", Role::Peer, &[8.0]),
        ]);
        let columns = columns(&[&row]);
        let names: Vec<_> = columns.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names, ["ours", "a", "b", "limit"]);
        let line = &lines(&row, &columns)[0];
        assert_eq!(line.best_peer(&columns), Some((1, 7.0)));
    }

    #[test]
    fn repeated_passes_do_not_count() {
        let mut record = contender("a", Role::Peer, &[100.0, 2.0, 4.0]);
        record.rounds[0].counted = false;
        assert_eq!(figure(&record, "").map(|v| v.median), Some(3.0));
    }

    #[test]
    fn a_failed_contender_has_no_figure_and_cannot_be_best() {
        let mut broken = contender("broken", Role::Peer, &[0.1]);
        broken.failure = Some("lost an update".to_owned());
        let row = row(vec![broken, contender("a", Role::Peer, &[3.0])]);
        let columns = columns(&[&row]);
        let line = &lines(&row, &columns)[0];
        assert_eq!(line.cells[0], Cell::Failed);
        assert_eq!(line.best_peer(&columns), Some((1, 3.0)));
    }

    #[test]
    fn latency_rows_show_three_quantiles_of_all_rounds() {
        let mut record = contender("a", Role::Peer, &[]);
        for pass in 0..2 {
            let samples = (1..=1000).map(|i| i + pass as u32 * 1000).collect();
            let outcome = Outcome::latencies(samples);
            record.rounds.push(RoundRecord::new(pass, outcome));
        }
        let row = row(vec![record]);
        let lines = lines(&row, &columns(&[&row]));
        let figures: Vec<_> = lines.iter().map(|l| l.figure.as_str()).collect();
        assert_eq!(figures, ["p50", "p99", "p99.9"]);
        assert_eq!(lines[0].cells[0].value().map(|v| v.median), Some(1000.5));
    }

    #[test]
    fn a_row_shows_its_figures_first_and_then_each_kind_of_sample() {
        let outcome = Outcome {
            figures: vec![("message", 7.0)],
            samples: vec![("wait", vec![10, 20, 30]), (TURNS, vec![1, 2, 9])],
        };
        let mut record = contender("a", Role::Peer, &[]);
        record.rounds.push(RoundRecord::new(0, outcome));
        let row = row(vec![record]);
        let shown: Vec<_> = lines(&row, &columns(&[&row]))
            .into_iter()
            .map(|l| (l.figure.clone(), l.cells[0].value().map(|v| v.median.round() as u32)))
            .collect();
        let expected = [
            ("message", 7),
            ("wait p50", 20),
            ("wait p99", 30),
            ("wait p99.9", 30),
            ("turns median", 2),
            ("turns p99", 9),
            ("turns max", 9),
        ];
        assert_eq!(shown, expected.map(|(name, value)| (name.to_owned(), Some(value))));
    }
}
