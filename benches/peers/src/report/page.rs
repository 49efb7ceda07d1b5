//! The report page: one file, with charts, tables and their sources.

use super::headline::Standing;
use super::{Drawing, colours};
use crate::entry::Role;
use crate::markdown::{leading, leading_cell, number, ratio, units};
use crate::record::Run;
use crate::summary::{Cell, Line, Table};

/// A group with its tables and charts.
pub type Section<'a> = (&'a Run, Vec<Table>, Vec<Drawing>);

const STYLE: &str = include_str!("page.css");

pub fn page(sections: &[Section<'_>], standings: &[Standing]) -> String {
    let links: String = sections
        .iter()
        .map(|(run, ..)| format!("<a href=\"#{}\">{}</a>\n", run.group, escape(&run.title)))
        .collect();
    let groups: String = sections.iter().map(group).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>phalanx and its peers</title>\n<style>{STYLE}{}</style>\n\
         <header><h1>phalanx and its peers</h1>\n{}<nav>{links}</nav></header>\n\
         <main>{}{groups}</main>\n</html>\n",
        colours::style(),
        intro(sections),
        headline(standings),
    )
}

fn intro(sections: &[Section<'_>]) -> String {
    let Some((run, ..)) = sections.first() else {
        return String::new();
    };
    let machine = &run.machine;
    let quick = if sections.iter().any(|(run, ..)| run.settings.quick) {
        "<p class=\"warn\">Some of this was measured with <code>--quick</code>: \
         few and short rounds, for orientation only.</p>\n"
    } else {
        ""
    };
    format!(
        "<p>Every contender of a row ran in the same process (Go in one beside it), round by \
         round in turn. Figures are medians of the rounds, ± half the distance between their \
         quartiles; lower is better in every table. The best peer is <b>bold</b>. The limit is \
         the same work without synchronisation: no contender can be faster. A <span \
         class=\"noisy\">*</span> marks figures some of whose rounds were taken while other \
         processes used the machine.</p>\n{quick}\
         <dl><dt>Machine</dt><dd>{} × {}, Linux {}</dd>\
         <dt>Compilers</dt><dd>{}; {}</dd>\
         <dt>Libraries</dt><dd>{}</dd></dl>\n",
        machine.cores,
        escape(&machine.processor),
        escape(&machine.kernel),
        escape(&machine.rustc),
        escape(machine.go.as_deref().unwrap_or("no Go was there")),
        escape(&machine.crates.join(", ")),
    )
}

/// The number of rows where phalanx is ahead, and all rows in a folded list.
fn headline(standings: &[Standing]) -> String {
    if standings.is_empty() {
        return String::new();
    }
    let ahead = standings.iter().filter(|s| s.ratio() <= 1.0).count();
    let rows: String = standings.iter().map(standing).collect();
    format!(
        "<section><h2>Where phalanx stands</h2>\n<p>Ahead of the best peer, or level with it, \
         in {ahead} of {} rows.</p>\n<details><summary>All rows, those where a peer is ahead \
         first</summary><div class=\"scroll\"><table><thead><tr><th>row</th><th>unit</th>\
         <th colspan=\"2\">best peer</th><th colspan=\"2\">ours</th>\
         <th class=\"n\">ours / best</th></tr></thead>\n<tbody>{rows}</tbody></table></div>\
         </details></section>\n",
        standings.len(),
    )
}

fn standing(standing: &Standing) -> String {
    let verdict = if standing.ratio() <= 1.0 { "ahead" } else { "behind" };
    format!(
        "<tr><td>{}</td><td>{}</td><td>{}</td><td class=\"n\">{}</td><td>{}</td>\
         <td class=\"n\">{}</td><td class=\"n {verdict}\">{:.2}</td></tr>\n",
        escape(&standing.row),
        escape(&standing.unit),
        escape(&standing.best),
        number(standing.best_figure),
        escape(&standing.ours),
        number(standing.figure),
        standing.ratio(),
    )
}

fn group((run, tables, drawings): &Section<'_>) -> String {
    let charts: String =
        drawings.iter().map(|drawing| format!("<figure>{}</figure>\n", drawing.svg)).collect();
    let tables: String = tables.iter().map(table).collect();
    format!(
        "<section id=\"{}\"><h2>{}</h2>\n<div class=\"charts\">{charts}</div>\n{tables}\
         <p class=\"source\">{}, {} rounds of {} ms: <code>{}</code></p></section>\n",
        run.group,
        escape(&run.title),
        escape(&run.machine.date),
        run.settings.rounds,
        run.settings.window_ms,
        escape(&run.machine.command),
    )
}

fn table(table: &Table) -> String {
    let leading = leading(table);
    let mut head: String = leading.iter().map(|n| format!("<th>{}</th>", escape(n))).collect();
    for column in &table.columns {
        let name = escape(&column.name);
        head += &format!("<th class=\"{} n\">{name}</th>", class(column.role));
        if column.role == Role::Ours {
            head += &format!("<th class=\"ours n\">{name} / best</th>");
        }
    }
    let rows: String = table.lines.iter().map(|line| row(table, &leading, line)).collect();
    let unit = match units(table)[..] {
        [unit] => format!(" <small>{}</small>", escape(unit)),
        _ => String::new(),
    };
    format!(
        "<h3>{}{unit}</h3>\n<div class=\"scroll\"><table><thead><tr>{head}</tr></thead>\n\
         <tbody>{rows}</tbody></table></div>\n",
        escape(&table.section),
    )
}

fn class(role: Role) -> &'static str {
    match role {
        Role::Ours => "ours",
        Role::Peer => "peer",
        Role::Limit => "limit",
    }
}

fn row(table: &Table, leading: &[String], line: &Line) -> String {
    let best = line.best_peer(&table.columns).map(|(at, _)| at);
    let mut cells: String = leading
        .iter()
        .map(|name| format!("<td>{}</td>", escape(leading_cell(line, name))))
        .collect();
    for (at, column) in table.columns.iter().enumerate() {
        let class = class(column.role);
        let shown = cell(&line.cells[at], best == Some(at));
        cells += &format!("<td class=\"{class} n\">{shown}</td>");
        if column.role == Role::Ours {
            let ratio = ratio(line, &table.columns, at);
            let verdict = match ratio.parse::<f64>() {
                Ok(ratio) if ratio <= 1.0 => "ahead",
                Ok(_) => "behind",
                Err(_) => "none",
            };
            cells += &format!("<td class=\"ours n {verdict}\">{ratio}</td>");
        }
    }
    format!("<tr>{cells}</tr>\n")
}

fn cell(cell: &Cell, best: bool) -> String {
    match cell {
        Cell::Absent => "–".to_owned(),
        Cell::Failed => "<span class=\"failed\">failed</span>".to_owned(),
        Cell::Value(value) => {
            let median = number(value.median);
            let median = if best { format!("<b>{median}</b>") } else { median };
            let noisy = if value.noisy { "<span class=\"noisy\">*</span>" } else { "" };
            format!("{median}{noisy} <small>±{}</small>", number(value.spread))
        }
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::Value;

    #[test]
    fn markup_in_names_is_text() {
        assert_eq!(escape("RwLock<\"a\" & b>"), "RwLock&lt;&quot;a&quot; &amp; b&gt;");
    }

    #[test]
    fn the_best_is_bold_and_noise_is_marked() {
        let value = Value { median: 12.0, spread: 1.0, noisy: true };
        let shown = cell(&Cell::Value(value), true);
        assert_eq!(shown, "<b>12.0</b><span class=\"noisy\">*</span> <small>±1.00</small>");
    }
}
