//! Checks of instructions with what they see: variables, the shell, the directory, the context.
//!
//! They look on while the plan is made: what a variable is there, it is here.

use std::collections::{BTreeMap, BTreeSet};

use shiplap_model::dockerfile::{
    ArgDeclaration, Command, Expose, Instruction, Kind, Meant, Pair, Run, Span, Transfer,
    TransferSource,
};
use shiplap_model::expansion::{self, Expansion};
use shiplap_model::git_reference::GitReference;
use shiplap_model::quote::quoted;
use shiplap_model::{Platform, limits, path};

use super::{Notes, Rule, Subject, secret};
use crate::plan::graph::{Graph, Node, Origin};
use crate::plan::variables::{Arguments, Variables};
use crate::plan::{State, Witness};

/// Arguments that steer the builder and are never set.
const STEERING: [&str; 2] = ["BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"];

/// Looks on.
pub(super) struct Observer<'s, 'n> {
    subject: &'s Subject<'s>,
    notes: Notes<'n>,
    escape: char,
    /// Stages, by their numbers, in which `WORKDIR` was said, or in one they begin with.
    placed: BTreeSet<usize>,
    number: usize,
    /// Where the stage said what may be said once.
    said: BTreeMap<&'static str, Span>,
    /// How many names are still looked up that may have been meant.
    suggestions: usize,
}

impl<'s, 'n> Observer<'s, 'n> {
    pub(super) fn new(subject: &'s Subject<'s>, notes: Notes<'n>) -> Self {
        Self {
            subject,
            notes,
            escape: subject.reading.file.escape,
            placed: BTreeSet::new(),
            number: 0,
            said: BTreeMap::new(),
            suggestions: limits::PLAN_SUGGESTIONS,
        }
    }
}

impl Witness for Observer<'_, '_> {
    fn stage(&mut self, graph: &Graph<'_>, number: usize, span: Span) {
        self.number = number;
        self.said.clear();
        let Some(node) = graph.nodes.get(number) else {
            return;
        };
        match &node.base {
            Origin::Stage(base) if self.placed.contains(base) => {
                self.placed.insert(number);
            }
            Origin::Image(_) => self.base_platform(graph, node, span),
            _ => {}
        }
    }

    fn instruction(&mut self, instruction: &Instruction, state: &State) {
        let mut notes = self.notes.within(&instruction.comments);
        let mut look = Look {
            instruction,
            variables: &state.variables,
            declared: &state.args,
            before: &BTreeMap::new(),
            escape: self.escape,
            notes: &mut notes,
            suggestions: &mut self.suggestions,
        };
        match &instruction.kind {
            Kind::Add(transfer) => look.transfer(transfer, "Add", self.subject),
            Kind::Copy(transfer) => look.transfer(transfer, "Copy", self.subject),
            Kind::Arg(args) => look.args(args, self.subject),
            Kind::Cmd(command) | Kind::Entrypoint(command) => look.command(command, state),
            Kind::Env(pairs) => {
                look.pairs(pairs);
                look.secrets(pairs);
            }
            Kind::Label(pairs) => look.pairs(pairs),
            Kind::Expose(expose) => look.expose(expose),
            Kind::Run(run) => look.run(run),
            Kind::Stopsignal(word) | Kind::User(word) => {
                look.word(word);
            }
            Kind::Volume(words) => words.iter().for_each(|word| {
                look.word(word);
            }),
            Kind::Workdir(word) => {
                if let Some(directory) = look.word(word)
                    && self.placed.insert(self.number)
                {
                    look.workdir(&directory, &state.platform);
                }
            }
            Kind::Healthcheck(_) | Kind::Maintainer(_) | Kind::Onbuild { .. } | Kind::Shell(_) => {}
        }
        let once = match &instruction.kind {
            Kind::Cmd(_) => "CMD",
            Kind::Entrypoint(_) => "ENTRYPOINT",
            Kind::Healthcheck(_) => "HEALTHCHECK",
            _ => return,
        };
        if let Some(span) = self.said.insert(once, instruction.span) {
            // The earlier one is what goes lost.
            let word = &instruction.word;
            let detail = format!(
                "Multiple {word} instructions should not be used in the same stage because only the last one will be used"
            );
            notes.tell(Rule::MultipleInstructionsDisallowed, span, detail);
        }
    }
}

impl Observer<'_, '_> {
    fn base_platform(&mut self, graph: &Graph<'_>, node: &Node, span: Span) {
        let Origin::Image(key) = &node.base else {
            return;
        };
        let Some(image) = self.subject.resolved.images.get(key) else {
            return;
        };
        let wanted = node.platform.as_ref();
        let wanted = wanted.unwrap_or_else(|| graph.input.target_platform());
        let found = image.config.platform();
        if wanted.os == found.os && wanted.architecture == found.architecture {
            return;
        }
        let shown = |platform: &Platform| quoted(&platform.normalize().to_string());
        let detail = format!(
            "Base image {} was pulled with platform {}, expected {} for current build",
            node.base_text,
            shown(&found),
            shown(wanted)
        );
        self.notes
            .tell(Rule::InvalidBaseImagePlatform, span, detail);
    }
}

/// A look at one instruction.
struct Look<'l, 'n> {
    instruction: &'l Instruction,
    variables: &'l Variables,
    /// `ARG`s in scope.
    declared: &'l Arguments,
    /// Those that the line itself declares before what is looked at.
    before: &'l BTreeMap<&'l str, Option<String>>,
    escape: char,
    notes: &'l mut Notes<'n>,
    /// How many names are still looked up that may have been meant.
    suggestions: &'l mut usize,
}

impl Look<'_, '_> {
    fn tell(&mut self, rule: Rule, detail: String) {
        self.notes.tell(rule, self.instruction.span, detail);
    }

    fn variable(&self, name: &str) -> Option<&str> {
        let before = self.before.get(name).and_then(Option::as_deref);
        before.or_else(|| self.variables.get(name))
    }

    /// Expands a word and tells what in it is not set; `None` if it can't be expanded.
    fn word(&mut self, word: &str) -> Option<String> {
        let lookup = |name: &str| self.variable(name);
        let expansion = expansion::expand(word, &lookup, self.escape).ok()?;
        self.unset(&expansion);
        Some(expansion.text)
    }

    fn unset(&mut self, expansion: &Expansion) {
        for name in &expansion.unset {
            let is_declared = self.declared.has(name) || self.before.contains_key(name.as_str());
            if is_declared || STEERING.contains(&name.as_str()) {
                continue;
            }
            let detail = match self.meant(name) {
                Meant(Some(meant)) => {
                    format!("Usage of undefined variable '${name}' (did you mean ${meant}?)")
                }
                Meant(None) => format!("Usage of undefined variable '${name}'"),
            };
            self.tell(Rule::UndefinedVar, detail);
        }
    }

    /// The variable that may have been meant.
    fn meant(&mut self, name: &str) -> Meant {
        let Some(left) = self.suggestions.checked_sub(1) else {
            return Meant::default();
        };
        *self.suggestions = left;
        let known = self.variables.iter().map(|(name, _)| name);
        let before = self.before.iter().filter(|(_, value)| value.is_some());
        Meant::among(name, known.chain(before.map(|(name, _)| *name)))
    }

    fn pairs(&mut self, pairs: &[Pair]) {
        for pair in pairs {
            self.word(&pair.name);
            self.word(&pair.value);
        }
        let word = &self.instruction.word;
        for _ in pairs.iter().filter(|pair| pair.is_legacy) {
            let detail = format!(
                "\"{word} key=value\" should be used instead of legacy \"{word} key value\" format"
            );
            self.tell(Rule::LegacyKeyValueFormat, detail);
        }
    }

    fn secrets(&mut self, pairs: &[Pair]) {
        let lookup = |name: &str| self.variables.get(name);
        for pair in pairs {
            if let Ok(name) = expansion::expand_word(&pair.name, &lookup, self.escape) {
                self.secret("ENV", &name);
            }
        }
    }

    fn secret(&mut self, word: &str, name: &str) {
        if secret::is_secret(name) {
            let detail = format!(
                "Do not use ARG or ENV instructions for sensitive data ({word} {})",
                quoted(name)
            );
            self.tell(Rule::SecretsUsedInArgOrEnv, detail);
        }
    }

    fn args(&mut self, args: &[ArgDeclaration], subject: &Subject<'_>) {
        // Each sees those before it on the line.
        let mut before = BTreeMap::new();
        for arg in args {
            self.secret("ARG", &arg.name);
            let given = subject.input.build_args.get(&arg.name).cloned();
            let value = match (given, &arg.default) {
                (Some(given), _) => Some(given),
                (None, Some(default)) => {
                    let mut look = Look {
                        instruction: self.instruction,
                        variables: self.variables,
                        declared: self.declared,
                        before: &before,
                        escape: self.escape,
                        notes: self.notes,
                        suggestions: self.suggestions,
                    };
                    look.word(default)
                }
                (None, None) => None,
            };
            before.insert(arg.name.as_str(), value);
        }
    }

    fn command(&mut self, command: &Command, state: &State) {
        let has_shell = state.image.config.shell.as_ref();
        let has_shell = has_shell.is_some_and(|shell| !shell.is_empty());
        if matches!(command, Command::Shell(_)) && !has_shell {
            let word = &self.instruction.word;
            let detail = format!(
                "JSON arguments recommended for {word} to prevent unintended behavior related to OS signals"
            );
            self.tell(Rule::JSONArgsRecommended, detail);
        }
    }

    fn run(&mut self, run: &Run) {
        let mut expansions = Vec::new();
        for mount in &run.mounts {
            let lookup = |name: &str| self.variables.get(name);
            // What is wrong with it, the plan says.
            let _ = mount.expanded(&mut |word| {
                let expansion = expansion::expand(word, &lookup, self.escape)?;
                let text = expansion.text.clone();
                expansions.push(expansion);
                Ok(text)
            });
        }
        for expansion in &expansions {
            self.unset(expansion);
        }
    }

    fn workdir(&mut self, directory: &str, platform: &Platform) {
        let is_absolute = match platform.os.as_str() {
            "windows" => is_absolute_on_windows(directory),
            _ => directory.starts_with('/'),
        };
        if !is_absolute {
            let detail = format!(
                "Relative workdir {} can have unexpected results if the base image changes",
                quoted(directory)
            );
            self.tell(Rule::WorkdirRelativePath, detail);
        }
    }

    fn expose(&mut self, expose: &Expose) {
        let lookup = |name: &str| self.variables.get(name);
        let words = expose.ports.iter();
        let words: Vec<String> = words
            .filter_map(|word| expansion::expand_words(word, &lookup, self.escape).ok())
            .flatten()
            .collect();
        for word in words {
            let (before, port) = word.rsplit_once(':').unwrap_or(("", &word));
            let protocol = port.split_once('/').map_or("", |(_, protocol)| protocol);
            if protocol != protocol.to_lowercase() {
                let detail =
                    format!("Defined protocol '{word}' in EXPOSE instruction should be lowercase");
                self.tell(Rule::ExposeProtoCasing, detail);
            }
            if !before.is_empty() && before != ":" {
                let detail = format!(
                    "EXPOSE instruction should not define an IP address or host-port mapping, found '{word}'"
                );
                self.tell(Rule::ExposeInvalidFormat, detail);
            }
        }
    }

    fn transfer(&mut self, transfer: &Transfer, word: &str, subject: &Subject<'_>) {
        let flags = [&transfer.chown, &transfer.chmod, &transfer.checksum];
        for flag in flags.into_iter().flatten() {
            self.word(flag);
        }
        let mut paths = Vec::new();
        for source in &transfer.sources {
            if let TransferSource::Path(path) = source {
                paths.extend(self.word(path));
            }
        }
        self.word(&transfer.destination);
        for source in &transfer.sources {
            if let TransferSource::Heredoc(heredoc) = source
                && heredoc.expands
            {
                let lookup = |name: &str| self.variables.get(name);
                if let Ok(content) = expansion::expand_content(&heredoc.content, &lookup) {
                    self.unset(&content);
                }
            }
        }
        if transfer.from.is_none() {
            for path in &paths {
                self.ignored(path, word, subject);
            }
        }
    }

    /// Whether a source is left out of the context. Where patterns let paths back in, a directory
    /// may be left out and yet have something in it: then nothing is said.
    fn ignored(&mut self, source: &str, word: &str, subject: &Subject<'_>) {
        let Some(patterns) = subject
            .ignored
            .filter(|patterns| !patterns.has_exceptions())
        else {
            return;
        };
        let is_remote = ["http://", "https://"]
            .iter()
            .any(|scheme| source.starts_with(scheme))
            || matches!(GitReference::parse(source), Ok(Some(git)) if !git.looks_local);
        if is_remote {
            return;
        }
        let source = path::clean(source.as_bytes());
        let is_ignored = match source.as_slice() {
            b"." | b"/" => patterns
                .as_slice()
                .iter()
                .any(|pattern| matches!(pattern.as_bytes(), b"*" | b"**" | b"**/*")),
            source => patterns.excludes(source),
        };
        if is_ignored {
            let source = quoted(&String::from_utf8_lossy(&source));
            let detail =
                format!("Attempting to {word} file {source} that is excluded by .dockerignore");
            self.tell(Rule::CopyIgnoredFile, detail);
        }
    }
}

/// `C:\dir`, `\dir` and `/dir`: on the system's drive, from its root.
fn is_absolute_on_windows(directory: &str) -> bool {
    let rest = match directory.split_once(':') {
        Some((drive, rest)) if drive.eq_ignore_ascii_case("c") => rest,
        Some(_) => return false,
        None => directory,
    };
    rest.starts_with(['/', '\\']) && !rest.get(1..).unwrap_or_default().starts_with(['/', '\\'])
}
