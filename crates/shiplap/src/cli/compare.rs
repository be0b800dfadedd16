//! `diff`: of a container, or of two images.

use clap::Args;
use shiplap_model::Platform;
use shiplap_ops::analyze::paths::Change;
use shiplap_ops::compare::{
    self, Comparison, ConfigChange, FileChange, FileSide, Gathered, PackageChange,
};

use super::analyze::{clean, tail};
use super::commit;
use crate::{
    face::{Face, Failure},
    words,
};

/// Inspect changes to a container's filesystem, or what differs between two images
#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// Print in JSON format (images; see docs/analyze.md)
    #[arg(long, requires = "other")]
    json: bool,
    /// Packages and files that are shown (images), the heaviest first; 0 shows all
    #[arg(
        short = 'n',
        long,
        value_name = "int",
        default_value_t = 20,
        requires = "other"
    )]
    top: usize,
    /// Compare the images for the given platform (formatted as os[/arch[/variant]], e.g. linux/amd64)
    #[arg(long, value_name = "string", requires = "other")]
    platform: Option<Platform>,
    /// Container whose changes are wanted, or the first image
    #[arg(value_name = "CONTAINER|IMAGE")]
    first: String,
    /// The second image
    #[arg(value_name = "IMAGE")]
    other: Option<String>,
}

impl Diff {
    /// Whether it is about a container.
    pub(crate) fn is_of_container(&self) -> bool {
        self.other.is_none()
    }

    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let Some(other) = &self.other else {
            return commit::Diff::of(self.first).run(face);
        };
        let session = face.session(self.json)?;
        let images = [self.first.as_str(), other.as_str()];
        let platform = self.platform.as_ref();
        let comparison = compare::compare(&session.context, images, platform, &*session.teller)?;
        if self.json {
            return Ok(face.output.json(&comparison)?);
        }
        let top = Some(self.top).filter(|top| *top > 0).unwrap_or(usize::MAX);
        Ok(face.output.data(&report(&comparison, top))?)
    }
}

fn report(comparison: &Comparison, top: usize) -> String {
    let (before, after) = (&comparison.before, &comparison.after);
    let row = |name: &str, before: &str, after: &str, change: &str| {
        let line = format!("{name:<10}  {before:>26}  {after:>26}  {change:>10}");
        format!("{}\n", line.trim_end())
    };
    let mut text = row(
        "",
        &tail(&clean(&before.image), 26),
        &tail(&clean(&after.image), 26),
        "",
    );
    let sizes = [
        ("Size", before.size_bytes, after.size_bytes),
        ("As it runs", before.shown_bytes, after.shown_bytes),
    ];
    for (name, before, after) in sizes {
        let change = growth(before, after);
        text.push_str(&row(
            name,
            &words::size(before),
            &words::size(after),
            &change,
        ));
    }
    let shared = format!("{} shared", comparison.shared_layers);
    let counts = (before.layers.to_string(), after.layers.to_string());
    text.push_str(&row("Layers", &counts.0, &counts.1, &shared));
    let counts = (before.paths.to_string(), after.paths.to_string());
    text.push_str(&row("Paths", &counts.0, &counts.1, ""));
    text.push_str(&config(&comparison.config));
    text.push_str(&packages(&comparison.packages, top));
    for unread in &comparison.unread {
        text.push_str(&format!("can't be read: {}\n", clean(unread)));
    }
    text.push_str(&files(&comparison.files, top));
    text
}

/// `+1.2MB`, `-3kB` or nothing.
fn growth(before: u64, after: u64) -> String {
    match after.cmp(&before) {
        std::cmp::Ordering::Less => format!("-{}", words::size(before - after)),
        std::cmp::Ordering::Equal => "same".to_owned(),
        std::cmp::Ordering::Greater => format!("+{}", words::size(after - before)),
    }
}

fn config(changes: &[ConfigChange]) -> String {
    if changes.is_empty() {
        return "\nThe configs say the same.\n".to_owned();
    }
    let mut text = "\nCONFIG\n".to_owned();
    let side = |side: &Option<String>| match side {
        Some(value) => words::ellipsis(&clean(value), 70),
        None => String::new(),
    };
    for change in changes {
        let name = clean(&change.name);
        text.push_str(&match (&change.before, &change.after) {
            (None, _) => format!("+ {name}  {}\n", side(&change.after)),
            (_, None) => format!("- {name}  {}\n", side(&change.before)),
            _ => format!(
                "~ {name}\n    - {}\n    + {}\n",
                side(&change.before),
                side(&change.after)
            ),
        });
    }
    text
}

fn packages(changes: &[PackageChange], top: usize) -> String {
    if changes.is_empty() {
        return "\nThe packages are the same.\n".to_owned();
    }
    let count = |is_it: fn(&PackageChange) -> bool| changes.iter().filter(|one| is_it(one)).count();
    let mut text = format!(
        "\nPACKAGES  {} added, {} in other versions, {} removed\n",
        count(|one| one.before.is_empty()),
        count(|one| !one.before.is_empty() && !one.after.is_empty()),
        count(|one| one.after.is_empty())
    );
    let versions = |versions: &[String]| clean(&versions.join(", "));
    // Another version may be why somebody asks; what came or went follows.
    let mut changes: Vec<_> = changes.iter().collect();
    changes.sort_by_key(|change| {
        (
            change.before.is_empty() || change.after.is_empty(),
            change.before.is_empty(),
        )
    });
    for change in changes.iter().take(top) {
        let name = format!("{:<6}  {}", change.ecosystem.name(), clean(&change.name));
        let (before, after) = (versions(&change.before), versions(&change.after));
        text.push_str(&match (change.before.is_empty(), change.after.is_empty()) {
            (true, _) => format!("+ {name} {after}\n"),
            (_, true) => format!("- {name} {before}\n"),
            _ => format!("~ {name} {before} → {after}\n"),
        });
    }
    if changes.len() > top {
        text.push_str(&format!(
            "{} more (--top 0 shows all)\n",
            changes.len() - top
        ));
    }
    text
}

fn files(changes: &[FileChange], top: usize) -> String {
    if changes.is_empty() {
        return "\nThe files are the same.\n".to_owned();
    }
    let count = |kind| {
        changes
            .iter()
            .filter(|change| change.change == kind)
            .count()
    };
    let mut text = format!(
        "\nFILES  {} added, {} changed, {} removed\n",
        count(Change::Added),
        count(Change::Changed),
        count(Change::Removed)
    );
    let gathered = compare::gather(changes);
    for one in gathered.iter().take(top) {
        text.push_str(&file(one));
    }
    let rest = gathered.get(top..).unwrap_or_default();
    if !rest.is_empty() {
        let paths: u64 = rest.iter().map(|one| one.within + 1).sum();
        text.push_str(&format!(
            "{} more with {paths} paths (--top 0 shows all)\n",
            rest.len()
        ));
    }
    text
}

fn file(one: &Gathered<'_>) -> String {
    let change = one.change;
    let (mark, size) = match change.change {
        Change::Added => ('+', words::size(one.after_bytes)),
        Change::Removed => ('-', words::size(one.before_bytes)),
        Change::Changed if one.before_bytes == one.after_bytes => ('~', "±0B".to_owned()),
        Change::Changed => ('~', growth(one.before_bytes, one.after_bytes)),
    };
    let slash = if one.is_directory() { "/" } else { "" };
    let mut line = format!("{mark} {size:>9}  {}{slash}", clean(&change.path));
    match one.within {
        0 => {}
        1 => line.push_str("  (with 1 more)"),
        within => line.push_str(&format!("  (with {within} more)")),
    }
    if let (Some(before), Some(after)) = (&change.before, &change.after) {
        line.push_str(&details(before, after));
    }
    line.push('\n');
    line
}

/// What besides the content differs.
fn details(before: &FileSide, after: &FileSide) -> String {
    let mut details = Vec::new();
    if before.mode != after.mode {
        details.push(format!("{} → {}", before.mode, after.mode));
    }
    let owner = |side: &FileSide| format!("{}:{}", side.uid, side.gid);
    if owner(before) != owner(after) {
        details.push(format!("{} → {}", owner(before), owner(after)));
    }
    if let (Some(before), Some(after)) = (&before.target, &after.target)
        && before != after
    {
        details.push(format!("to {} → {}", clean(before), clean(after)));
    }
    match details.is_empty() {
        true => String::new(),
        false => format!("  ({})", details.join(", ")),
    }
}
