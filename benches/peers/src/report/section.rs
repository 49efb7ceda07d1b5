//! A machine's section of `docs/benchmarks.md`: a table a group, a line for each row of ours.
//!
//! Quantiles of one wait share a line, as `0.53 / 17.5 / 3,435 µs`, and so do the ratios.

use crate::entry::{BACKGROUND, Role, TURNS};
use crate::markdown::{NOISY, number};
use crate::record::Run;
use crate::summary::{Line, Table, Value};

/// From here on a time in nanoseconds is shown in microseconds.
const MICROS: f64 = 10_000.0;

/// A group with its tables.
pub type Group<'a> = (&'a Run, &'a [Table]);

/// The whole section, with the comments that mark its ends.
pub fn section(name: &str, groups: &[Group<'_>]) -> String {
    let (begin, end) = ends(name);
    let mut text = format!("{begin}\n## Machine {name}");
    // A group may be measured on fewer cores than the machine has.
    if let Some((run, _)) = groups.iter().max_by_key(|(run, _)| run.machine.cores) {
        let machine = &run.machine;
        text += &format!(
            ", {}\n\n{} × {}, Linux {}, {}, {}.\n",
            machine.date.split('T').next().unwrap_or_default(),
            machine.cores,
            machine.processor,
            machine.kernel,
            machine.rustc,
            machine.go.as_deref().unwrap_or("no Go"),
        );
    }
    text.extend(groups.iter().map(|(run, tables)| of_group(run, tables)));
    text += &format!("\n{end}\n");
    text
}

/// `text` with the section in place of the one of the same name, or at its end.
pub fn replace(text: &str, name: &str, section: &str) -> String {
    let (begin, end) = ends(name);
    // Lines of their own: prose may name the comments too.
    let (begin, end) = (format!("\n{begin}\n"), format!("\n{end}\n"));
    let found = text.split_once(&begin).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(&end)?;
        Some((before, after))
    });
    match found {
        Some((before, after)) => format!("{before}\n{section}{after}"),
        None => format!("{}\n\n{section}", text.trim_end()),
    }
}

/// The comments before and after a section. A name that begins another one's doesn't match it.
fn ends(name: &str) -> (String, String) {
    (format!("<!-- machine {name} -->"), format!("<!-- end of machine {name} -->"))
}

fn of_group(run: &Run, tables: &[Table]) -> String {
    let text = format!(
        "\n### {}\n\n`{}`: {} rounds of {} ms, cores: {}.\n\n\
         | row | threads | ours | best peer | ratio |\n| --- | --- | --- | --- | --- |\n",
        run.title,
        run.machine.command,
        run.settings.rounds,
        run.settings.window_ms,
        run.machine.cores,
    );
    let rows: String = tables.iter().flat_map(of_table).collect();
    // phalanx has no channels.
    if rows.is_empty() { rows } else { text + &rows }
}

/// Lines of one row that differ in their quantile alone: "read p50" and "read p99".
struct Row<'a> {
    kind: &'a str,
    lines: Vec<&'a Line>,
}

fn of_table(table: &Table) -> Vec<String> {
    let mut rows: Vec<Row<'_>> = Vec::new();
    for line in &table.lines {
        let kind = kind(&line.figure);
        match rows.last_mut() {
            Some(row) if row.kind == kind && row.lines[0].params == line.params => {
                row.lines.push(line);
            }
            _ => rows.push(Row { kind, lines: vec![line] }),
        }
    }
    let ours = ours(table);
    rows.iter().flat_map(|row| ours.iter().filter_map(|&at| of_row(table, row, at))).collect()
}

/// A figure's name without its quantile.
fn kind(figure: &str) -> &str {
    let (kind, last) = figure.rsplit_once(' ').unwrap_or(("", figure));
    if quantile(last).is_some() { kind } else { figure }
}

fn quantile(word: &str) -> Option<&str> {
    ["p50", "p99", "p99.9", "median", "max"].contains(&word).then_some(word)
}

/// Our contenders: the one that is just called phalanx, or all where there are several ways.
fn ours(table: &Table) -> Vec<usize> {
    let ours = |at: &usize| table.columns[*at].role == Role::Ours;
    let all: Vec<usize> = (0..table.columns.len()).filter(ours).collect();
    let plain = all.iter().copied().find(|&at| table.columns[at].name == "phalanx");
    plain.map_or(all, |at| vec![at])
}

fn of_row(table: &Table, row: &Row<'_>, ours: usize) -> Option<String> {
    let values: Option<Vec<Value>> = row.lines.iter().map(|l| l.cells[ours].value()).collect();
    let values = values?;
    let best: Option<Vec<(usize, f64)>> =
        row.lines.iter().map(|line| line.best_peer(&table.columns)).collect();
    let best = best?;
    let largest = values.iter().map(|v| v.median).chain(best.iter().map(|b| b.1));
    let scale = Scale::of(row, largest.fold(0.0, f64::max));
    let figures: Vec<_> = values.iter().map(|v| scale.number(v.median)).collect();
    let ratios: Vec<_> = values.iter().zip(&best).map(|(v, b)| ratio(v.median, b.1)).collect();
    let name = table.columns[ours].name.strip_prefix("phalanx").unwrap_or_default().trim();
    let noisy = if values.iter().any(|v| v.noisy) { NOISY } else { "" };
    Some(format!(
        "| {} | {} | {}{}{noisy} | {} | {} |\n",
        label(table, row),
        row.lines[0].param("threads").unwrap_or("–"),
        if name.is_empty() { String::new() } else { format!("`{name}` ") },
        scale.with_unit(&figures.join(" / ")),
        scale.with_unit(&peers(table, &best, &scale)),
        ratios.join(" / "),
    ))
}

/// "Read or write, reads 99 %: p50 / p99": all that names a row, but for its own column.
fn label(table: &Table, row: &Row<'_>) -> String {
    let shown = |(name, value): &(String, String)| match name.as_str() {
        "threads" | "cores" => None,
        BACKGROUND if value == "none" => None,
        BACKGROUND => Some(format!(", beside {value}")),
        _ => Some(format!(", {name} {value}")),
    };
    let params: String = row.lines[0].params.iter().filter_map(shown).collect();
    let last = |line: &&Line| quantile(line.figure.rsplit(' ').next()?).map(str::to_owned);
    let quantiles: Vec<_> = row.lines.iter().filter_map(last).collect();
    let figures = [row.kind, &quantiles.join(" / ")].join(" ");
    let colon = if figures.trim().is_empty() { "" } else { ": " };
    format!("{}{params}{colon}{}", table.section, figures.trim())
}

/// The best peer of each figure; its name once if it is the same for all.
fn peers(table: &Table, best: &[(usize, f64)], scale: &Scale) -> String {
    let same = best.iter().all(|(at, _)| *at == best[0].0);
    let each = best.iter().enumerate().map(|(n, &(at, value))| {
        let name = &table.columns[at].name;
        let number = scale.number(value);
        if n > 0 && same { number } else { format!("{name} {number}") }
    });
    each.collect::<Vec<_>>().join(" / ")
}

fn ratio(ours: f64, best: f64) -> String {
    match ours / best {
        ratio if !ratio.is_finite() => "–".to_owned(),
        ratio if ratio < 99.5 => format!("{ratio:.2}"),
        ratio => number(ratio.round()),
    }
}

/// How the figures of a line are shown: nanoseconds, microseconds, or something else.
struct Scale {
    divisor: f64,
    unit: &'static str,
}

impl Scale {
    fn of(row: &Row<'_>, largest: f64) -> Self {
        let unit = &row.lines[0].unit;
        if row.kind == TURNS || unit.starts_with("µs") {
            Self { divisor: 1.0, unit: if row.kind == TURNS { "" } else { " µs" } }
        } else if largest >= MICROS {
            Self { divisor: 1e3, unit: " µs" }
        } else {
            Self { divisor: 1.0, unit: " ns" }
        }
    }

    fn number(&self, value: f64) -> String {
        number(value / self.divisor)
    }

    fn with_unit(&self, figures: &str) -> String {
        format!("{figures}{}", self.unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::{Cell, Column};

    fn line(figure: &str, medians: &[f64]) -> Line {
        let cell = |&median: &f64| Cell::Value(Value { median, spread: 0.0, noisy: false });
        let pair = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let params = [("reads", "99 %"), ("threads", "4"), ("cores", "2"), (BACKGROUND, "none")];
        Line {
            params: params.map(pair).to_vec(),
            figure: figure.to_owned(),
            unit: "ns".to_owned(),
            cells: medians.iter().map(cell).collect(),
        }
    }

    fn table(columns: &[(&str, Role)], lines: Vec<Line>) -> Table {
        let column = |&(name, role): &(&str, Role)| Column { name: name.to_owned(), role };
        let columns = columns.iter().map(column).collect();
        Table { section: "Wait".to_owned(), columns, lines }
    }

    #[test]
    fn quantiles_share_a_line_and_name_the_best_peer_of_each() {
        let columns = [("phalanx", Role::Ours), ("a", Role::Peer), ("b", Role::Peer)];
        let lines = vec![line("p50", &[500.0, 250.0, 300.0]), line("p99", &[20e3, 40e3, 10e3])];
        let shown = of_table(&table(&columns, lines)).concat();
        let expected = "| Wait, reads 99 %: p50 / p99 | 4 | 0.500 / 20.0 µs \
            | a 0.250 / b 10.0 µs | 2.00 / 2.00 |\n";
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_figure_of_its_own_has_a_line_of_its_own() {
        let columns = [("phalanx run", Role::Ours), ("a", Role::Peer)];
        let lines = vec![line("read", &[5.0, 10.0]), line("write", &[30.0, 10.0])];
        let shown = of_table(&table(&columns, lines)).concat();
        let expected = "| Wait, reads 99 %: read | 4 | `run` 5.00 ns | a 10.0 ns | 0.50 |\n\
            | Wait, reads 99 %: write | 4 | `run` 30.0 ns | a 10.0 ns | 3.00 |\n";
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_section_replaces_the_one_of_its_machine_only() {
        // Prose may name the comments.
        let head =
            "# Benchmarks\n\nBetween `<!-- machine A -->` and `<!-- end of machine A -->`.\n";
        let text = format!("{head}\n{}\n{}\nend\n", section("A", &[]), section("AB", &[]));
        let new = "<!-- machine A -->\nnew\n<!-- end of machine A -->\n";
        let replaced = replace(&text, "A", new);
        assert_eq!(replaced, format!("{head}\n{new}\n{}\nend\n", section("AB", &[])));
        assert_eq!(replace("# Benchmarks\n", "A", new), format!("# Benchmarks\n\n{new}"));
    }
}
