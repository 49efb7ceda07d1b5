//! Measures phalanx beside every peer library, and Go, and draws the results.
//!
//! `measure` runs groups, prints Markdown tables and keeps the samples. `report` turns them into charts
//! and a page. METHOD.md says how, and why that is fair.

mod affinity;
mod background;
mod entry;
mod go;
mod groups;
mod keys;
mod machine;
mod markdown;
mod measure;
mod noise;
mod ours;
mod plan;
mod record;
mod report;
mod stats;
mod summary;
mod watchdog;
mod window;
mod work;

use clap::{Args, Parser, Subcommand};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use entry::Group;
use plan::{Context, Plan};
use record::{Run, Settings};

#[derive(Parser)]
#[command(about = "Measures phalanx beside every peer library, and Go")]
struct Cli {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Run groups, print their tables and keep the raw samples
    Measure(MeasureArgs),
    /// Draw charts and a report page from kept samples
    Report(ReportArgs),
}

#[derive(Args)]
struct MeasureArgs {
    /// Groups to run; all if none is named
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(groups::names()))]
    groups: Vec<String>,
    /// Use few short rounds and fewer rows: about a minute for one group
    #[arg(long)]
    quick: bool,
    /// Count so many rounds of each row
    #[arg(long)]
    rounds: Option<usize>,
    /// Use these thread counts, in the rows that have several
    #[arg(long, value_delimiter = ',', value_parser = thread_count)]
    threads: Option<Vec<usize>>,
    /// Use only so many cores
    #[arg(long)]
    cores: Option<usize>,
    /// Measure only contenders whose names contain one of these, and the limit
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Measure only rows whose labels contain this, such as "idle" or "threads 4"
    #[arg(long)]
    rows: Option<String>,
    /// Keep the raw samples in this folder
    #[arg(long, default_value = "target/peers")]
    out: PathBuf,
}

#[derive(Args)]
struct ReportArgs {
    /// Read the samples from this folder
    #[arg(long = "in", default_value = "target/peers")]
    input: PathBuf,
    /// Write this machine's section of docs/benchmarks.md instead, to standard output
    #[arg(long)]
    machine: Option<String>,
    /// Replace the section of the same machine in this file
    #[arg(long, requires = "machine")]
    into: Option<PathBuf>,
    /// Write the page and the charts to this folder
    #[arg(long, default_value = "target/peers/report")]
    out: PathBuf,
}

fn thread_count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n @ 1..=1024) => Ok(n),
        _ => Err("expected a number of threads from 1 to 1024".to_owned()),
    }
}

fn main() -> ExitCode {
    let result = match Cli::parse().action {
        Action::Measure(args) => measure(&args),
        Action::Report(args) => match &args.machine {
            Some(machine) => report::write_section(&args.input, machine, args.into.as_deref()),
            None => report::write(&args.input, &args.out),
        },
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn measure(args: &MeasureArgs) -> Result<(), String> {
    if cfg!(debug_assertions) {
        eprintln!("warning: not a release build; the figures mean nothing");
    }
    if let Some(count) = args.cores {
        affinity::confine(count)?;
    }
    let asked =
        |group: &Group| args.groups.is_empty() || args.groups.iter().any(|n| n == group.name);
    let (here, apart): (Vec<_>, Vec<_>) = groups::all()
        .into_iter()
        .filter(asked)
        .partition(|group| plan::cores() <= group.most_cores);
    measure_here(args, &here)?;
    apart.iter().try_for_each(|group| measure_apart(args, group))
}

/// Measures groups in this process.
fn measure_here(args: &MeasureArgs, groups: &[Group]) -> Result<(), String> {
    if groups.is_empty() {
        return Ok(());
    }
    keep_memory();
    let mut plan = Plan::new(args.quick, args.rounds, args.threads.clone());
    plan.only = args.only.clone();
    plan.rows = args.rows.clone();
    let settings = Settings {
        quick: args.quick,
        rounds: plan.rounds,
        warm_ms: plan.span.warm.as_millis() as u64,
        window_ms: plan.span.window.as_millis() as u64,
    };
    let go = go::Go::start().inspect_err(|why| eprintln!("Go is left out: {why}")).ok();
    let calibration = work::Calibration::measure();
    let go_facts = go.as_ref().map(|go| go.version.as_str());
    let machine = machine::Machine::detect(calibration.ns_per_step, go_facts);
    let background = background::Background::NONE;
    let mut context = Context { plan, calibration, background, go };
    let watchdog = watchdog::Watchdog::start();
    for group in groups {
        let run = Run {
            group: group.name.to_owned(),
            title: group.title.to_owned(),
            machine: machine.clone(),
            settings: settings.clone(),
            rows: measure::group(group, &mut context, &watchdog),
        };
        print(&run);
        keep(&run, &args.out)?;
    }
    Ok(())
}

/// Measures a group in a process of its own, on as few cores as the group wants. Libraries ask for
/// the number of cores once, so it can't be changed in this process.
fn measure_apart(args: &MeasureArgs, group: &Group) -> Result<(), String> {
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let mut command = Command::new(program);
    command.args(["measure", group.name, "--cores", &group.most_cores.to_string()]);
    command.args(args.quick.then_some("--quick"));
    command.args(args.rounds.iter().flat_map(|n| ["--rounds".to_owned(), n.to_string()]));
    if let Some(threads) = &args.threads {
        let threads: Vec<_> = threads.iter().map(usize::to_string).collect();
        command.args(["--threads", &threads.join(",")]);
    }
    if !args.only.is_empty() {
        command.args(["--only", &args.only.join(",")]);
    }
    command.args(args.rows.iter().flat_map(|part| ["--rows", part]));
    command.arg("--out").arg(&args.out);
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{} ended with {status}", group.name)),
        Err(e) => Err(format!("can't start {command:?}: {e}")),
    }
}

/// Makes the allocator keep freed memory. Otherwise glibc returns large blocks to the system or not
/// depending on what ran before, and the page faults of a batch's 8 MB of results cost more than its
/// tasks.
fn keep_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    for (parameter, bytes) in
        [(libc::M_MMAP_THRESHOLD, 32 << 20), (libc::M_TRIM_THRESHOLD, 512 << 20)]
    {
        // SAFETY: mallopt takes any value; no other thread allocates yet.
        let set = unsafe { libc::mallopt(parameter, bytes) };
        if set == 0 {
            eprintln!("the allocator refuses to keep freed memory");
        }
    }
}

fn print(run: &Run) {
    println!("## {}\n", run.title);
    let mut noisy = false;
    for table in summary::tables(run) {
        let text = markdown::table(&table);
        noisy |= text.contains(markdown::NOISY);
        println!("{text}");
    }
    for row in &run.rows {
        let label = entry::label(&row.section, &row.params);
        for contender in &row.contenders {
            if let Some(why) = &contender.failure {
                println!("{} failed in {label}: {why}\n", contender.name);
            }
        }
    }
    if noisy {
        println!(
            "{} other processes used the machine during some of the rounds.\n",
            markdown::NOISY
        );
    }
    let machine = &run.machine;
    println!(
        "{} × {}, Linux {}, {}, {}; {}; `{}`\n",
        machine.cores,
        machine.processor,
        machine.kernel,
        machine.rustc,
        machine.go.as_deref().unwrap_or("no Go"),
        machine.date,
        machine.command,
    );
}

fn keep(run: &Run, folder: &Path) -> Result<(), String> {
    let path = run.save(folder)?;
    eprintln!("raw samples: {}", path.display());
    Ok(())
}
