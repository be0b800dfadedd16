//! Builds measured: with nothing changed, with one file changed, from nothing, and how fast files
//! go into a layer.
//!
//! Every `RUN` has the host's network and asks nothing of it. Each tool builds from a context of
//! its own, so that one that touches files can't help or hinder another.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Bench;
use super::measure::{Line, peak_kib};
use super::peers::Tool;
use super::works::{LIGHT_RUNS, in_turns};
use crate::process::output;

const NAME: &str = "bench-build:latest";

/// The file that changes between builds.
const CHANGED: &str = "src/7/7.bin";

/// What the usual Dockerfile of an application does, without the network.
const APPLICATION: &str = "WORKDIR /app\n\
    COPY requirements.txt .\n\
    RUN mkdir /marks && for number in $(seq 300); do echo $number > /marks/$number; done\n\
    COPY . .\n\
    RUN cat src/0/*.bin | sha256sum > checksum && ls -R > listing\n\
    ENV MODE=production\n\
    EXPOSE 8000\n\
    CMD [\"sh\", \"-c\", \"cat checksum\"]\n";

/// Files of a context: how many, and how long each is.
#[derive(Clone, Copy)]
struct Size {
    files: usize,
    file_bytes: usize,
}

/// 2,000 files, 50 MB.
const SMALL: Size = Size {
    files: 2000,
    file_bytes: 25_000,
};

/// 50,000 files, 1 GB.
const LARGE: Size = Size {
    files: 50_000,
    file_bytes: 20_000,
};

/// A context of one tool, and what builds it there.
struct Build<'b> {
    tool: &'b Tool,
    store: PathBuf,
    context: PathBuf,
    changes: u64,
}

impl<'b> Build<'b> {
    fn new(bench: &Bench, tool: &'b Tool, size: Size, steps: &str) -> anyhow::Result<Self> {
        let context = bench.fresh(tool)?;
        fill(&context, size)?;
        let dockerfile = format!("FROM {}\n{steps}", bench.small_image);
        fs::write(context.join("Dockerfile"), dockerfile)?;
        Ok(Self {
            tool,
            store: bench.holding(tool, &bench.small_image)?,
            context,
            changes: 0,
        })
    }

    fn command(&self) -> Command {
        let context = self.context.display().to_string();
        let arguments = ["build", "-q", "--network=host", "-t", NAME, &context];
        self.tool.command(&self.store, &arguments)
    }

    fn without_cache(&self) -> Command {
        let context = self.context.display().to_string();
        let arguments = [
            "build",
            "-q",
            "--no-cache",
            "--network=host",
            "-t",
            NAME,
            &context,
        ];
        self.tool.command(&self.store, &arguments)
    }

    /// Another content of one file in the middle.
    fn change(&mut self) -> anyhow::Result<()> {
        self.changes += 1;
        let file = self.context.join(CHANGED);
        Ok(fs::write(file, format!("change {}", self.changes))?)
    }
}

/// Files in folders of a hundred, with content that no two share.
fn fill(context: &Path, size: Size) -> anyhow::Result<()> {
    fs::write(context.join("requirements.txt"), "flask\n")?;
    let mut content = vec![0; size.file_bytes];
    for number in 0..size.files {
        let folder = context.join(format!("src/{}", number / 100));
        if number % 100 == 0 {
            fs::create_dir_all(&folder)?;
        }
        for (place, byte) in content.iter_mut().enumerate() {
            *byte = (place * 31 + number * 17 + (place * number) / 7) as u8;
        }
        fs::write(folder.join(format!("{}.bin", number % 100)), &content)?;
    }
    fs::write(context.join(CHANGED), "as it was")?;
    Ok(())
}

fn unchanged(bench: &Bench, size: Size) -> anyhow::Result<Vec<Line>> {
    in_turns(bench.keepers(), LIGHT_RUNS, |tool| {
        let build = Build::new(bench, tool, size, APPLICATION)?;
        output(&mut build.command())?;
        Ok(move || Ok(build.command()))
    })
}

fn changed(bench: &Bench, size: Size) -> anyhow::Result<Vec<Line>> {
    in_turns(bench.keepers(), bench.runs, |tool| {
        let mut build = Build::new(bench, tool, size, APPLICATION)?;
        output(&mut build.command())?;
        Ok(move || {
            build.change()?;
            Ok(build.command())
        })
    })
}

pub(super) fn noop(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    unchanged(bench, SMALL)
}

pub(super) fn noop_large(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    unchanged(bench, LARGE)
}

pub(super) fn one_changed(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    changed(bench, SMALL)
}

pub(super) fn one_changed_large(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    changed(bench, LARGE)
}

pub(super) fn cold(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    in_turns(bench.keepers(), bench.runs, |tool| {
        let build = Build::new(bench, tool, SMALL, APPLICATION)?;
        Ok(move || Ok(build.without_cache()))
    })
}

/// Two stages that each sleep 2 s and don't need each other.
pub(super) fn two_stages(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    let stage = "RUN sleep 2 && touch /";
    let image = &bench.small_image;
    let steps = format!(
        "{stage}one\nFROM {image} AS other\n{stage}two\nFROM {image}\n\
         COPY --from=0 /one /\nCOPY --from=other /two /\n"
    );
    let nothing = Size {
        files: 800,
        file_bytes: 1,
    };
    in_turns(bench.keepers(), bench.runs, |tool| {
        let build = Build::new(bench, tool, nothing, &steps)?;
        Ok(move || Ok(build.without_cache()))
    })
}

/// One file of 1 GB into a layer; the first line of comparison reads, hashes and writes it.
pub(super) fn copy(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    let source = bench.scratch().join("gigabyte");
    if !source.exists() {
        let mut file = fs::File::create(&source)?;
        let mut block = vec![0_u8; 1 << 20];
        for number in 0..1000_usize {
            for (place, byte) in block.iter_mut().enumerate() {
                *byte = (place * 7 + number * 13 + place * number / 5) as u8;
            }
            file.write_all(&block)?;
        }
    }
    let mut lines = in_turns(bench.keepers(), bench.runs, |tool| {
        let context = bench.fresh(tool)?;
        fs::hard_link(&source, context.join("gigabyte"))?;
        fs::write(
            context.join("Dockerfile"),
            "FROM scratch\nCOPY gigabyte /\n",
        )?;
        let store = bench.fresh(tool)?;
        let build = Build {
            tool,
            store,
            context,
            changes: 0,
        };
        Ok(move || Ok(build.without_cache()))
    })?;
    let plain = bench.scratch().join("read-hash-write");
    let script = format!(
        "tee {copy} < {source} | sha256sum && sync {copy}",
        copy = plain.display(),
        source = source.display(),
    );
    let shell = move || {
        let mut command = Command::new("sh");
        command.args(["-c", &script]);
        Ok(command)
    };
    lines.extend(Line::in_turns(bench.runs, vec![("tee+sha256", shell)])?);
    Ok(lines)
}

/// Peak memory of our builds.
pub(super) fn memory(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    let mut lines = Vec::new();
    let ours = bench
        .keepers()
        .filter(|tool| matches!(tool, Tool::Shiplap(_)));
    for tool in ours {
        for (what, size) in [("2,000 files", SMALL), ("50,000 files", LARGE)] {
            let mut build = Build::new(bench, tool, size, APPLICATION)?;
            let mut told = |when: &str, command: &Command| -> anyhow::Result<()> {
                let megabytes = peak_kib(command)? as f64 / 1000.0 * 1.024;
                let fact = format!("{megabytes:>6.1} MB  {what}, {when}");
                lines.push(Line::fact(tool.name(), fact));
                Ok(())
            };
            told("cold", &build.command())?;
            told("nothing changed", &build.command())?;
            build.change()?;
            told("one file changed", &build.command())?;
        }
    }
    Ok(lines)
}
