//! Rules of our own: size, order, pinning, secrets, users and the shell's traps. A module a family;
//! here is what they look at.
//!
//! They judge what is written, without knowing the base image. Where a text can't be understood for
//! certain, they say nothing.

mod call;
mod form;
mod images;
mod labels;
mod layers;
mod letters;
mod look;
mod order;
mod packages;
mod pinning;
mod script;
mod secrets;
mod size;
mod transfer;
mod traps;
mod users;

use std::ops::Range;

use shiplap_model::dockerfile::{
    Command, Heredoc, Instruction, Kind, Run, Span, Stage, TransferSource,
};
use shiplap_model::expansion;
use shiplap_model::ignore::Patterns;
use shiplap_model::path;

use self::images::{is_of_windows, shell_of_base, speaks_of_windows};
use self::look::Look;
use super::Subject;
use super::finding::Finding;
use super::guide::Guide;
use super::review::Wishes;
use super::sheet::{Edit, Joined, Sheet};
use super::shell::Script;
use crate::plan::PlanInput;
use crate::plan::graph::globals;
use crate::plan::variables::Variables;

/// The rules of a family, and who looks for what they are about.
pub(super) struct Practice {
    pub(super) guides: &'static [&'static Guide],
    look: fn(&File<'_>, &mut Vec<Finding>),
}

/// All families.
pub(super) static FAMILIES: [Practice; 12] = [
    Practice {
        guides: form::GUIDES,
        look: form::look,
    },
    Practice {
        guides: transfer::GUIDES,
        look: transfer::look,
    },
    Practice {
        guides: labels::GUIDES,
        look: labels::look,
    },
    Practice {
        guides: letters::GUIDES,
        look: letters::look,
    },
    Practice {
        guides: pinning::GUIDES,
        look: pinning::look,
    },
    Practice {
        guides: packages::GUIDES,
        look: packages::look,
    },
    Practice {
        guides: size::GUIDES,
        look: size::look,
    },
    Practice {
        guides: layers::GUIDES,
        look: layers::look,
    },
    Practice {
        guides: order::GUIDES,
        look: order::look,
    },
    Practice {
        guides: secrets::GUIDES,
        look: secrets::look,
    },
    Practice {
        guides: users::GUIDES,
        look: users::look,
    },
    Practice {
        guides: traps::GUIDES,
        look: traps::look,
    },
];

/// Looks for what all families are about. The text must be right.
pub(super) fn look(subject: &Subject<'_>, sheet: &Sheet<'_>, wishes: &Wishes<'_>) -> Vec<Finding> {
    if let Some(finding) = form::too_long(&subject.reading.file) {
        return vec![finding];
    }
    let file = File::new(subject, sheet, wishes);
    let mut found = Vec::new();
    for practice in &FAMILIES {
        (practice.look)(&file, &mut found);
    }
    found
}

/// The rule about arrays that are no JSON.
pub(super) fn json_guide() -> &'static Guide {
    &form::JSON
}

/// The rule about comments that ignore what nobody knows.
pub(super) fn unknown_guide() -> &'static Guide {
    &form::UNKNOWN
}

/// A file as the rules see it.
pub(super) struct File<'f> {
    sheet: &'f Sheet<'f>,
    wishes: &'f Wishes<'f>,
    input: &'f PlanInput,
    /// Whether the context's ignore file is known, and empty or missing.
    has_no_ignore: bool,
    /// `ARG`s before the first `FROM`.
    globals: Option<Variables>,
    stages: Vec<View<'f>>,
}

/// A stage as the rules see it.
pub(super) struct View<'f> {
    stage: &'f Stage,
    from: Joined,
    /// What it begins with, variables expanded; `None`: they can't be.
    base: Option<String>,
    /// The stage that it begins with.
    parent: Option<usize>,
    /// What it makes is in an image that is meant to be kept: that of the last stage, or of one that no
    /// other one needs.
    is_shipped: bool,
    is_windows: bool,
    steps: Vec<Step<'f>>,
}

/// An instruction as the rules see it.
pub(super) struct Step<'f> {
    instruction: &'f Instruction,
    /// What it does, or what waits in it.
    kind: &'f Kind,
    joined: Joined,
    /// What runs commands of `RUN` in shell form.
    shell: Shell,
    /// Texts for the shell, each with where it begins in `joined`.
    scripts: Vec<(usize, Script)>,
}

/// What runs commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shell {
    /// It reads what `sh` reads.
    is_posix: bool,
    /// It is bash or has what bash has; `None`: as the base image has it.
    is_bash: Option<bool>,
    /// A pipe fails if any part of it does.
    has_pipefail: bool,
}

impl Shell {
    fn of(words: &[String]) -> Self {
        let first = words.first().map_or("", String::as_str);
        let name = first.rsplit(['/', '\\']).next().unwrap_or_default();
        let is_bash = matches!(name, "bash" | "zsh" | "ksh");
        Self {
            is_posix: is_bash || matches!(name, "sh" | "ash" | "dash" | "busybox"),
            is_bash: Some(is_bash),
            has_pipefail: words.iter().any(|word| word == "pipefail"),
        }
    }
}

impl<'f> File<'f> {
    fn new(subject: &Subject<'f>, sheet: &'f Sheet<'f>, wishes: &'f Wishes<'f>) -> Self {
        let file = &subject.reading.file;
        let mut view = Self {
            sheet,
            wishes,
            input: subject.input,
            has_no_ignore: wishes.knows_context && subject.ignored.is_none_or(Patterns::is_empty),
            globals: globals(file, subject.input).ok(),
            stages: Vec::new(),
        };
        for stage in &file.stages {
            let made = view.stage(stage, file.escape);
            view.stages.push(made);
        }
        view.ship();
        view
    }

    fn stage(&self, stage: &'f Stage, escape: char) -> View<'f> {
        let base = self.globals.as_ref().and_then(|globals| {
            let expanded = expansion::expand(&stage.from.image, &|name| globals.get(name), escape);
            let expanded = expanded.ok().filter(|expanded| expanded.unset.is_empty())?;
            Some(expanded.text).filter(|text| !text.is_empty())
        });
        let parent = base.as_deref().and_then(|base| self.find(base));
        let inherited = parent.and_then(|parent| self.stages.get(parent));
        let platform = stage.from.platform.as_deref().unwrap_or_default();
        let is_windows = inherited.is_some_and(|stage| stage.is_windows)
            || escape == '`'
            || is_of_windows(base.as_deref().unwrap_or(&stage.from.image))
            || platform.starts_with("windows")
            || speaks_of_windows(stage);
        let last = inherited.and_then(|stage| stage.steps.last());
        let mut shell = match last {
            Some(step) => step.shell.clone(),
            None => Shell {
                is_posix: !is_windows,
                is_bash: base.as_deref().and_then(shell_of_base),
                has_pipefail: false,
            },
        };
        let mut steps = Vec::new();
        for instruction in &stage.instructions {
            if let Kind::Shell(words) = &instruction.kind {
                shell = Shell::of(words);
            }
            steps.push(self.step(instruction, &shell));
        }
        View {
            from: self.sheet.join(stage.span, &[]),
            stage,
            base,
            parent,
            is_shipped: false,
            is_windows,
            steps,
        }
    }

    fn step(&self, instruction: &'f Instruction, shell: &Shell) -> Step<'f> {
        let kind = match &instruction.kind {
            Kind::Onbuild { trigger, .. } => &trigger.kind,
            kind => kind,
        };
        let heredocs: Vec<Heredoc> = match kind {
            Kind::Run(run) => run.heredocs.clone(),
            Kind::Add(transfer) | Kind::Copy(transfer) => {
                let bodies = transfer.sources.iter().filter_map(|source| match source {
                    TransferSource::Heredoc(heredoc) => Some(heredoc.clone()),
                    TransferSource::Path(_) => None,
                });
                bodies.collect()
            }
            _ => Vec::new(),
        };
        let joined = self.sheet.join(instruction.span, &heredocs);
        let scripts = match (kind, shell.is_posix) {
            (Kind::Run(run), true) => scripts(run, &joined),
            _ => Vec::new(),
        };
        Step {
            instruction,
            kind,
            joined,
            shell: shell.clone(),
            scripts,
        }
    }

    /// The stage that a name or number means, of those before.
    fn find(&self, name: &str) -> Option<usize> {
        let is_it = |view: &View<'_>| {
            let given = view.stage.from.name.as_deref();
            given.is_some_and(|given| given.eq_ignore_ascii_case(name))
        };
        self.stages.iter().rposition(is_it)
    }

    /// Finds the stages whose bytes somebody gets.
    fn ship(&mut self) {
        let mut used = vec![false; self.stages.len()];
        for view in &self.stages {
            for name in view.steps.iter().flat_map(Step::sources) {
                let number = name.parse::<usize>().ok();
                if let Some(used) = self.find(name).or(number).and_then(|at| used.get_mut(at)) {
                    *used = true;
                }
            }
            if let Some(used) = view.parent.and_then(|parent| used.get_mut(parent)) {
                *used = true;
            }
        }
        let last = self.stages.len().saturating_sub(1);
        for number in (0..self.stages.len()).rev() {
            let ends = number == last || used.get(number) == Some(&false);
            let parent = match self.stages.get_mut(number) {
                Some(view) => {
                    view.is_shipped |= ends;
                    view.parent.filter(|_| view.is_shipped)
                }
                None => None,
            };
            if let Some(parent) = parent.and_then(|parent| self.stages.get_mut(parent)) {
                parent.is_shipped = true;
            }
        }
    }

    /// All instructions, each with its stage.
    fn steps(&self) -> impl Iterator<Item = (&View<'f>, &Step<'f>)> {
        let each = |view| View::steps_of(view).map(move |step| (view, step));
        self.stages.iter().flat_map(each)
    }

    /// What the environment says before a step of a stage, as far as it is written here.
    fn variable(&self, view: &View<'f>, before: &Step<'f>, name: &str) -> Option<&'f str> {
        let mut found = view.parent.and_then(|parent| {
            let parent = self.stages.get(parent)?;
            let last = parent.steps.last()?;
            own_variable(last, name).or_else(|| self.variable(parent, last, name))
        });
        for step in &view.steps {
            if std::ptr::eq(step, before) {
                break;
            }
            found = own_variable(step, name).or(found);
        }
        found
    }
}

impl<'f> File<'f> {
    /// The directory in which a step works, as far as it is written here.
    fn directory(&self, view: &View<'f>, before: &Step<'f>) -> Option<String> {
        let mut directory = match view.parent.and_then(|parent| self.stages.get(parent)) {
            Some(parent) => match parent.steps.last() {
                Some(last) => moved(last, self.directory(parent, last)),
                None => self.directory_of_base(parent),
            },
            None => self.directory_of_base(view),
        };
        for step in view
            .steps
            .iter()
            .take_while(|step| !std::ptr::eq(*step, before))
        {
            directory = moved(step, directory);
        }
        directory
    }

    /// Nobody knows what an image says; nothing says nothing.
    fn directory_of_base(&self, view: &View<'f>) -> Option<String> {
        let is_empty = view.base.as_deref() == Some("scratch");
        is_empty.then(|| "/".to_owned())
    }

    /// A path of a step from the root; `None` if nobody knows.
    fn absolute(&self, view: &View<'f>, step: &Step<'f>, path: &str) -> Option<String> {
        if path.contains('$') {
            return None;
        }
        match path.starts_with('/') {
            true => Some(path::absolute(path)),
            false => Some(path::absolute(&format!(
                "{}/{path}",
                self.directory(view, step)?
            ))),
        }
    }

    /// Paths that a `COPY` or `ADD` makes, as far as that is certain without its sources.
    fn copied(&self, view: &View<'f>, step: &Step<'f>) -> Vec<String> {
        let (Kind::Copy(transfer) | Kind::Add(transfer)) = step.kind else {
            return Vec::new();
        };
        let destination = &transfer.destination;
        let Some(target) = self.absolute(view, step, destination) else {
            return Vec::new();
        };
        let is_into =
            destination.ends_with('/') || destination == "." || transfer.sources.len() > 1;
        let mut made = Vec::new();
        for source in &transfer.sources {
            let source = match source {
                TransferSource::Path(path) => path.as_str(),
                TransferSource::Heredoc(heredoc) => heredoc.name.as_str(),
            };
            let name = source
                .trim_end_matches('/')
                .rsplit('/')
                .next()
                .unwrap_or_default();
            let is_directory = matches!(name, "" | "." | "*") || source.ends_with('/');
            if is_into && !is_directory && !name.contains(['*', '$']) {
                made.push(path::absolute(&format!("{target}/{name}")));
            }
            if !is_into || is_directory || !name.contains('.') {
                made.push(target.clone());
            }
        }
        made
    }
}

/// Where a stage is after a step.
fn moved(step: &Step<'_>, before: Option<String>) -> Option<String> {
    match step.kind {
        Kind::Workdir(path) if path.contains('$') => None,
        Kind::Workdir(path) if path.starts_with('/') => Some(path::absolute(path)),
        Kind::Workdir(path) => Some(path::absolute(&format!("{}/{path}", before?))),
        _ => before,
    }
}

/// What an `ENV` or `ARG` sets a variable to.
fn own_variable<'f>(step: &Step<'f>, name: &str) -> Option<&'f str> {
    match step.kind {
        Kind::Env(pairs) => {
            let pair = pairs.iter().rev().find(|pair| pair.name == name)?;
            Some(&pair.value)
        }
        Kind::Arg(args) => args
            .iter()
            .rev()
            .find(|arg| arg.name == name)?
            .default
            .as_deref(),
        _ => None,
    }
}

impl<'f> View<'f> {
    fn steps_of<'v>(view: &'v Self) -> impl Iterator<Item = &'v Step<'f>> + use<'v, 'f> {
        view.steps.iter()
    }

    /// A finding about its `FROM`.
    fn note(&self, file: &File<'_>, guide: &'static Guide, word: &str, detail: String) -> Finding {
        let head = self.stage.word.len();
        let place = self
            .from
            .find(word, head)
            .and_then(|part| self.from.range(&part));
        Finding::new(guide, self.stage.span, detail).at(file.sheet, place)
    }
}

impl<'f> Step<'f> {
    /// Stages or images that it takes files from.
    fn sources(&self) -> impl Iterator<Item = &'f str> + use<'f> {
        let (one, several) = match self.kind {
            Kind::Copy(transfer) | Kind::Add(transfer) => (transfer.from.as_deref(), &[][..]),
            Kind::Run(run) => (None, run.mounts.as_slice()),
            _ => (None, &[][..]),
        };
        one.into_iter()
            .chain(several.iter().filter_map(|mount| mount.from.as_deref()))
    }

    /// A finding about a part of its text.
    fn note(
        &self,
        file: &File<'_>,
        guide: &'static Guide,
        part: Option<Range<usize>>,
        detail: String,
    ) -> Finding {
        let place = part.and_then(|part| self.joined.range(&part));
        Finding::new(guide, self.instruction.span, detail).at(file.sheet, place)
    }

    /// A finding about a word of its line.
    fn note_word(
        &self,
        file: &File<'_>,
        guide: &'static Guide,
        word: &str,
        detail: String,
    ) -> Finding {
        let part = self.joined.find(word, self.instruction.word.len());
        self.note(file, guide, part, detail)
    }

    /// Puts something else in the place of a part of its text.
    fn replace(&self, part: &Range<usize>, text: impl Into<String>) -> Option<Edit> {
        let place = self.joined.range(part)?;
        Some(Edit {
            start: place.start,
            end: place.end,
            text: text.into(),
        })
    }

    /// Puts something behind the part of its text that ends at `end`.
    fn put_behind(&self, end: usize, text: impl Into<String>) -> Option<Edit> {
        let place = self.joined.behind(end)?;
        Some(Edit {
            start: place,
            end: place,
            text: text.into(),
        })
    }

    /// Its shell's text is the same wherever it is built upon: not for triggers.
    fn is_trigger(&self) -> bool {
        matches!(self.instruction.kind, Kind::Onbuild { .. })
    }

    fn span(&self) -> Span {
        self.instruction.span
    }
}

/// The texts that a `RUN` gives to its shell, with where they begin.
fn scripts(run: &Run, joined: &Joined) -> Vec<(usize, Script)> {
    let Command::Shell(line) = &run.command else {
        return Vec::new();
    };
    if run.script().is_some() {
        let body = joined.bodies.first().cloned().unwrap_or_default();
        let text = joined.text.get(body.clone()).unwrap_or_default();
        // What names another program is not the shell's.
        let is_foreign = text.starts_with("#!")
            && !text
                .lines()
                .next()
                .unwrap_or_default()
                .trim_end()
                .ends_with("sh");
        return match is_foreign {
            true => Vec::new(),
            false => vec![(body.start, Script::read(text))],
        };
    }
    let start = joined.head.checked_sub(line.len());
    let is_there = |start: &usize| joined.text.get(*start..joined.head) == Some(line.as_str());
    match start.filter(is_there) {
        Some(start) if run.heredocs.is_empty() => vec![(start, Script::read(line))],
        // Heredocs of the shell's words need their bodies to be understood.
        Some(start) => {
            let mut script = Script::read(line);
            script.is_sound = false;
            vec![(start, script)]
        }
        None => Vec::new(),
    }
}
