//! Runs commands and keeps their times: wall time by our clock, CPU time and peak memory as the
//! kernel tells a parent.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::process::output;

/// All runs of one tool at one work.
#[derive(Debug)]
pub(crate) struct Line {
    tool: String,
    walls: Vec<Duration>,
    /// Of all runs together.
    cpu: Duration,
    note: String,
}

impl Line {
    /// Runs the tools in turns, `rounds` times after a round that is not measured. Each comes with
    /// what makes the command of its next run; only the run of the command is timed.
    pub(crate) fn in_turns<N>(rounds: usize, mut tools: Vec<(&str, N)>) -> anyhow::Result<Vec<Self>>
    where
        N: FnMut() -> anyhow::Result<Command>,
    {
        let mut lines: Vec<Self> = tools
            .iter()
            .map(|(tool, _)| Self::fact(tool, String::new()))
            .collect();
        for round in 0..=rounds {
            for (line, (_, next)) in lines.iter_mut().zip(&mut tools) {
                let (wall, cpu) = timed(&mut next()?)?;
                if round > 0 {
                    line.walls.push(wall);
                    line.cpu += cpu;
                }
            }
        }
        for line in &mut lines {
            line.walls.sort();
        }
        Ok(lines)
    }

    /// A fact that is no time, in place of times.
    pub(crate) fn fact(tool: &str, fact: String) -> Self {
        Self {
            tool: tool.to_owned(),
            walls: Vec::new(),
            cpu: Duration::ZERO,
            note: fact,
        }
    }

    /// Adds a word at the end of the line.
    pub(crate) fn noted(self, note: String) -> Self {
        Self { note, ..self }
    }

    fn median(&self) -> Option<Duration> {
        self.walls.get(self.walls.len() / 2).copied()
    }

    /// A table; ours is the first line, and the others say how many times ours they took.
    pub(crate) fn print(lines: &[Self]) {
        let ours = lines.first().and_then(Self::median);
        println!(
            "  {:<10} {:>10} {:>10} {:>10} {:>8}",
            "", "median", "min", "cpu", "ratio"
        );
        for line in lines {
            let (Some(median), Some(min)) = (line.median(), line.walls.first()) else {
                println!("  {:<10} {}", line.tool, line.note);
                continue;
            };
            let runs = u32::try_from(line.walls.len()).unwrap_or(u32::MAX);
            let ratio = ours.map_or(1.0, |ours| median.as_secs_f64() / ours.as_secs_f64());
            println!(
                "  {:<10} {:>10} {:>10} {:>10} {:>7.2}x {}",
                line.tool,
                shown(median),
                shown(*min),
                shown(line.cpu / runs),
                ratio,
                line.note
            );
        }
    }
}

/// Wall and CPU time of the command's run.
fn timed(command: &mut Command) -> anyhow::Result<(Duration, Duration)> {
    let before = children_cpu()?;
    let start = Instant::now();
    output(command)?;
    let wall = start.elapsed();
    Ok((wall, children_cpu()?.saturating_sub(before)))
}

fn shown(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1000.0;
    if millis < 1000.0 {
        format!("{millis:.1} ms")
    } else {
        format!("{:.2} s", millis / 1000.0)
    }
}

/// CPU time of all children that ended, from `/proc/self/stat` (in ticks of 10 ms: for short verbs
/// only the mean of many runs says something).
fn children_cpu() -> anyhow::Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat").context("read /proc/self/stat")?;
    // The second field may hold blanks; it ends with the last parenthesis.
    let rest = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = rest
        .split_whitespace()
        .skip(13)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Ok(Duration::from_millis(ticks * 10))
}

/// Peak resident memory of the command, in KiB, as GNU time tells it.
pub(crate) fn peak_kib(command: &Command) -> anyhow::Result<u64> {
    let mut timed = Command::new("/usr/bin/time");
    timed
        .args(["-f", "%M"])
        .arg(command.get_program())
        .args(command.get_args());
    timed.envs(
        command
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    let ran = timed
        .stdin(Stdio::null())
        .output()
        .context("start /usr/bin/time (Debian package time)")?;
    let stderr = String::from_utf8_lossy(&ran.stderr);
    if !ran.status.success() {
        bail!("{command:?}: {stderr}");
    }
    let last = stderr.lines().last().unwrap_or_default();
    last.trim()
        .parse()
        .with_context(|| format!("read peak memory from {last:?}"))
}
