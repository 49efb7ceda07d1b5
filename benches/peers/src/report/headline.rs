//! Every row with a figure of ours in one list, the largest ratio to the best peer first.
//!
//! Written as Markdown, and shown at the top of the page.

use crate::entry::{Role, TURNS, label};
use crate::markdown::number;
use crate::summary::{Line, Table};

/// One row of ours beside its best peer.
#[derive(Debug, PartialEq)]
pub struct Standing {
    pub row: String,
    pub unit: String,
    pub ours: String,
    pub figure: f64,
    pub best: String,
    pub best_figure: f64,
}

impl Standing {
    pub fn ratio(&self) -> f64 {
        self.figure / self.best_figure
    }
}

/// Ours in every line that shows a median, by ratio.
pub fn standings<'a>(tables: impl IntoIterator<Item = &'a Table>) -> Vec<Standing> {
    let mut all: Vec<Standing> = tables.into_iter().flat_map(of_table).collect();
    all.sort_by(|a, b| b.ratio().total_cmp(&a.ratio()));
    all
}

fn of_table(table: &Table) -> Vec<Standing> {
    // Only the tables have the tails of latencies.
    let shown = |line: &&Line| !line.figure.contains("p99") && !line.figure.starts_with(TURNS);
    let lines = table.lines.iter().filter(shown);
    let standing = |line: &Line, at: usize| {
        let value = line.cells[at].value()?;
        let (best, best_figure) = line.best_peer(&table.columns)?;
        // There is no ratio to zero.
        if best_figure <= 0.0 {
            return None;
        }
        Some(Standing {
            row: name(table, line),
            unit: line.unit.clone(),
            ours: table.columns[at].name.clone(),
            figure: value.median,
            best: table.columns[best].name.clone(),
            best_figure,
        })
    };
    lines
        .flat_map(|line| {
            let columns = table.columns.iter().enumerate();
            let ours = columns.filter(|(_, column)| column.role == Role::Ours);
            ours.filter_map(move |(at, _)| standing(line, at))
        })
        .collect()
}

/// The row's name, such as "Lock and unlock, threads 4".
fn name(table: &Table, line: &Line) -> String {
    let row = label(&table.section, &line.params);
    if line.figure.is_empty() {
        return row;
    }
    format!("{row}, {}", line.figure)
}

/// The list as a Markdown table.
pub fn markdown(standings: &[Standing]) -> String {
    let mut text = String::from(
        "| row | unit | best peer | | ours | | ours / best |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for standing in standings {
        text += &format!(
            "| {} | {} | {} | {} | {} | {} | {:.2} |\n",
            standing.row,
            standing.unit,
            standing.best,
            number(standing.best_figure),
            standing.ours,
            number(standing.figure),
            standing.ratio(),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::{Cell, Column, Value};

    fn table(medians: &[(f64, f64)]) -> Table {
        let column = |name: &str, role| Column { name: name.to_owned(), role };
        let cell = |median| Cell::Value(Value { median, spread: 0.0, noisy: false });
        let line = |&(peer, ours): &(f64, f64)| Line {
            params: vec![("threads".to_owned(), "4".to_owned())],
            figure: String::new(),
            unit: "ns".to_owned(),
            cells: vec![cell(peer), cell(ours)],
        };
        Table {
            section: "lock".to_owned(),
            columns: vec![column("theirs", Role::Peer), column("us", Role::Ours)],
            lines: medians.iter().map(line).collect(),
        }
    }

    #[test]
    fn the_row_furthest_behind_comes_first() {
        let ratios: Vec<_> =
            standings([&table(&[(10.0, 5.0), (10.0, 20.0)])]).iter().map(Standing::ratio).collect();
        assert_eq!(ratios, [2.0, 0.5]);
    }

    #[test]
    fn a_line_names_its_row_and_both_sides() {
        let text = markdown(&standings([&table(&[(10.0, 5.0)])]));
        let line = "| lock, threads 4 | ns | theirs | 10.0 | us | 5.00 | 0.50 |\n";
        assert!(text.ends_with(line), "{text}");
    }
}
