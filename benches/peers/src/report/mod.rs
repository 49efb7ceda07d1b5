//! Turns kept samples into a page with every table, charts, and a section of `docs/benchmarks.md`.

mod chart;
mod colours;
mod headline;
mod page;
mod section;
mod specs;

use crate::record::Run;
use std::path::{Path, PathBuf};

/// A drawn chart: its file name without the extension, and the SVG.
pub struct Drawing {
    pub name: String,
    pub svg: String,
}

/// Reads every kept run in `input`, and writes `index.html`, the charts and, where phalanx takes
/// part, `standings.md`.
pub fn write(input: &Path, out: &Path) -> Result<(), String> {
    let runs = load(input)?;
    std::fs::create_dir_all(out).map_err(|e| format!("{}: {e}", out.display()))?;
    let mut sections = Vec::new();
    for run in &runs {
        let tables = crate::summary::tables(run);
        let drawings =
            specs::charts(run, &tables).iter().map(chart::draw).collect::<Result<Vec<_>, _>>()?;
        for drawing in &drawings {
            let alone = colours::styled(&drawing.svg);
            save(&out.join(format!("{}.svg", drawing.name)), &alone)?;
        }
        sections.push((run, tables, drawings));
    }
    let tables = sections.iter().flat_map(|(_, tables, _)| tables);
    let standings = headline::standings(tables);
    if !standings.is_empty() {
        save(&out.join("standings.md"), &headline::markdown(&standings))?;
    }
    let page = out.join("index.html");
    save(&page, &page::page(&sections, &standings))?;
    println!("{}", page.display());
    Ok(())
}

/// Writes a machine's section for `docs/benchmarks.md`: into that file, or to standard output.
pub fn write_section(input: &Path, machine: &str, into: Option<&Path>) -> Result<(), String> {
    let runs = load(input)?;
    let tables: Vec<_> = runs.iter().map(crate::summary::tables).collect();
    let groups: Vec<section::Group<'_>> =
        runs.iter().zip(tables.iter().map(Vec::as_slice)).collect();
    let section = section::section(machine, &groups);
    let Some(path) = into else {
        print!("{section}");
        return Ok(());
    };
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    save(path, &section::replace(&text, machine, &section))
}

/// The runs in the order of the groups.
fn load(folder: &Path) -> Result<Vec<Run>, String> {
    let names = crate::groups::names().into_iter();
    let paths = names.map(|name| folder.join(format!("{name}.json")));
    let there: Vec<PathBuf> = paths.filter(|path| path.is_file()).collect();
    if there.is_empty() {
        return Err(format!("{}: no samples there; run `measure` first", folder.display()));
    }
    there.iter().map(|path| Run::load(path)).collect()
}

fn save(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|e| format!("{}: {e}", path.display()))
}
