//! Tables in Markdown, with the best peer in bold and the ratio of ours to it.

use crate::entry::Role;
use crate::summary::{Cell, Column, Line, Table};

/// Follows a figure some of whose rounds were noisy.
pub const NOISY: &str = "\\*";

/// Three significant digits, thousands separated: 0.284, 12.3, 24,500.
pub fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        v if v < 0.9995 => format!("{value:.3}"),
        v if v < 9.995 => format!("{value:.2}"),
        v if v < 99.95 => format!("{value:.1}"),
        v if v < 9_995.0 => thousands(value.round()),
        v if v < 99_950.0 => thousands((value / 100.0).round() * 100.0),
        _ => thousands((value / 1000.0).round() * 1000.0),
    }
}

fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// The leading columns of a table: the parameters of its rows, and "figure" and "unit" where they differ
/// from line to line.
pub fn leading(table: &Table) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (name, _) in table.lines.iter().flat_map(|line| &line.params) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    if table.lines.iter().any(|line| !line.figure.is_empty()) {
        names.push("figure".to_owned());
    }
    if units(table).len() > 1 {
        names.push("unit".to_owned());
    }
    names
}

/// The units of a table's figures.
pub fn units(table: &Table) -> Vec<&str> {
    let mut units: Vec<&str> = Vec::new();
    for line in &table.lines {
        if !units.contains(&line.unit.as_str()) {
            units.push(&line.unit);
        }
    }
    units
}

/// A line's cell in a leading column.
pub fn leading_cell<'a>(line: &'a Line, name: &str) -> &'a str {
    match name {
        "figure" if line.param("figure").is_none() => &line.figure,
        "unit" if line.param("unit").is_none() => &line.unit,
        _ => line.param(name).unwrap_or(""),
    }
}

/// Ours over the best peer, as a table shows it.
pub fn ratio(line: &Line, columns: &[Column], ours: usize) -> String {
    let best = line.best_peer(columns);
    match (line.cells[ours].value(), best) {
        (Some(value), Some((_, best))) if best > 0.0 => format!("{:.2}", value.median / best),
        _ => "–".to_owned(),
    }
}

/// A whole table with its heading.
pub fn table(table: &Table) -> String {
    let leading = leading(table);
    let columns = &table.columns;
    let mut head: Vec<String> = leading.clone();
    for column in columns {
        head.push(column.name.clone());
        if column.role == Role::Ours {
            head.push(format!("{} / best", column.name));
        }
    }
    let mut text = format!("### {}", table.section);
    if let [unit] = units(table)[..] {
        text += &format!(" ({unit})");
    }
    text += "\n\n";
    text += &row(&head);
    text += &row(&vec!["---".to_owned(); head.len()]);
    for line in &table.lines {
        let mut cells: Vec<String> =
            leading.iter().map(|name| leading_cell(line, name).to_owned()).collect();
        let best = line.best_peer(columns).map(|(at, _)| at);
        for (at, column) in columns.iter().enumerate() {
            cells.push(cell(&line.cells[at], best == Some(at)));
            if column.role == Role::Ours {
                cells.push(ratio(line, columns, at));
            }
        }
        text += &row(&cells);
    }
    text
}

fn cell(cell: &Cell, best: bool) -> String {
    match cell {
        Cell::Absent => "–".to_owned(),
        Cell::Failed => "failed".to_owned(),
        Cell::Value(value) => {
            let median = number(value.median);
            let bold = if best { "**" } else { "" };
            let noisy = if value.noisy { NOISY } else { "" };
            format!("{bold}{median}{bold} ±{}{noisy}", number(value.spread))
        }
    }
}

fn row(cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::Value;

    fn value(median: f64) -> Cell {
        Cell::Value(Value { median, spread: 0.25, noisy: false })
    }

    fn two_columns() -> Table {
        let column = |name: &str, role| Column { name: name.to_owned(), role };
        Table {
            section: "lock".to_owned(),
            columns: vec![
                column("a", Role::Peer),
                column("b", Role::Peer),
                column("us", Role::Ours),
            ],
            lines: vec![Line {
                params: vec![("threads".to_owned(), "4".to_owned())],
                figure: String::new(),
                unit: "ns".to_owned(),
                cells: vec![value(20.0), value(10.0), value(5.0)],
            }],
        }
    }

    #[test]
    fn numbers_keep_three_digits_and_separate_thousands() {
        let shown = [0.0, 0.2841, 1.5, 12.34, 999.6, 24_512.0, 1_234_567.0].map(number);
        let expected = ["0", "0.284", "1.50", "12.3", "1,000", "24,500", "1,235,000"];
        assert_eq!(shown, expected);
    }

    #[test]
    fn the_best_peer_is_bold_and_ours_has_a_ratio() {
        let text = table(&two_columns());
        let expected = "### lock (ns)\n\n\
            | threads | a | b | us | us / best |\n\
            | --- | --- | --- | --- | --- |\n\
            | 4 | 20.0 ±0.250 | **10.0** ±0.250 | 5.00 ±0.250 | 0.50 |\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn what_is_missing_or_wrong_is_shown_as_such() {
        let mut table = two_columns();
        table.lines[0].cells[0] = Cell::Failed;
        table.lines[0].cells[1] = Cell::Absent;
        let text = super::table(&table);
        assert!(text.contains("| 4 | failed | – | 5.00 ±0.250 | – |"), "{text}");
    }
}
