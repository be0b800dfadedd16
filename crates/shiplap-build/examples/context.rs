//! Measures what a context costs: `cargo run --release -p shiplap-build --example context -- DIRECTORY
//! [RUNS]` walks and digests it, first without a memory, then several times with one. It is no test: a
//! loaded machine is no defect.

use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use shiplap_build::context::{Context, Counting, Facts, StatMemory};
use shiplap_model::ignore::Patterns;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().ok_or("name a directory")?;
    let runs: u32 = arguments.next().map_or(Ok(7), |runs| runs.parse())?;
    let directory = std::fs::canonicalize(directory)?;
    let memories = tempfile::tempdir()?;
    let mut out = std::io::stdout().lock();
    for run in 0..runs {
        let begin = Instant::now();
        let facts = Facts {
            ignore: ignore(&directory)?,
            memory: StatMemory::open(memories.path(), &directory),
            ..Facts::default()
        };
        let context = Context::open(&directory, facts)?;
        let opened = begin.elapsed();
        let matches = context.resolve(".")?;
        let tree = context.select(matches.first().ok_or("no context")?, &Patterns::default())?;
        let selected = begin.elapsed();
        let digest = tree.digest(Counting {
            modes: true,
            owners: false,
        });
        let digested = begin.elapsed();
        context.memory().save()?;
        writeln!(
            out,
            "run {run}: open {:.1} ms, walk and files {:.1} ms, tree {:.1} ms, save {:.1} ms: {} entries, {} MB, {digest}",
            opened.as_secs_f64() * 1e3,
            (selected - opened).as_secs_f64() * 1e3,
            (digested - selected).as_secs_f64() * 1e3,
            (begin.elapsed() - digested).as_secs_f64() * 1e3,
            tree.entries.len(),
            tree.content_bytes() / 1_000_000,
        )?;
    }
    Ok(())
}

fn ignore(directory: &Path) -> Result<Patterns, Box<dyn std::error::Error>> {
    match std::fs::read(directory.join(".dockerignore")) {
        Ok(file) => Ok(Patterns::read(&file)?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Patterns::default()),
        Err(error) => Err(error.into()),
    }
}
