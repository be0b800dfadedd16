//! Compares what decided a step's result, field by field.

use std::collections::{BTreeMap, BTreeSet};

use super::listed;
use super::record::Record;
use crate::key::{
    CopyInputs, KeyInputs, MountInputs, RootFacts, RunInputs, StepInputs, WorkdirInputs,
};

/// One thing that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reason {
    pub(super) line: String,
    pub(super) details: Vec<String>,
}

impl Reason {
    /// One whose line says all.
    fn plain(line: impl Into<String>) -> Self {
        let line = line.into();
        Self {
            details: vec![line.clone()],
            line,
        }
    }

    /// A value that became another one.
    fn change(what: &str, old: &str, new: &str) -> Self {
        Self {
            line: format!("changed {what}"),
            details: vec![format!("{what} was {old}, is {new}")],
        }
    }
}

/// All that differs, what users do first; nothing if the inputs are the same.
pub(super) fn reasons(old: &Record, new: &Record) -> Vec<Reason> {
    let mut reasons = Vec::new();
    match (&old.inputs.step, &new.inputs.step) {
        (StepInputs::Workdir(old), StepInputs::Workdir(new)) => workdir(&mut reasons, old, new),
        (StepInputs::Copy(one), StepInputs::Copy(other)) => {
            copy(&mut reasons, (old, one), (new, other));
        }
        (StepInputs::Run(one), StepInputs::Run(other)) => {
            run(&mut reasons, (old, one), (new, other));
        }
        _ => reasons.push(Reason::plain("another instruction stood here before")),
    }
    let KeyInputs { schema, step: _ } = &new.inputs;
    if old.inputs.schema != *schema {
        reasons.push(Reason::plain("Shiplap builds such steps differently now"));
    }
    reasons
}

/// Adds what differs of a value that shows itself.
fn field<T: PartialEq + std::fmt::Debug>(reasons: &mut Vec<Reason>, what: &str, old: &T, new: &T) {
    if old != new {
        reasons.push(Reason::change(
            what,
            &format!("{old:?}"),
            &format!("{new:?}"),
        ));
    }
}

fn workdir(reasons: &mut Vec<Reason>, old: &WorkdirInputs, new: &WorkdirInputs) {
    let WorkdirInputs {
        path,
        root,
        owner,
        at_most_secs,
    } = new;
    field(reasons, "the path", &old.path, path);
    field(reasons, "the owner", &old.owner, owner);
    root_facts(reasons, &old.root, root);
    field(
        reasons,
        "SOURCE_DATE_EPOCH",
        &old.at_most_secs,
        at_most_secs,
    );
}

fn copy(
    reasons: &mut Vec<Reason>,
    (old_record, old): (&Record, &CopyInputs),
    (new_record, new): (&Record, &CopyInputs),
) {
    let CopyInputs {
        destination,
        root,
        sources,
        owner,
        chmod,
        link,
        parents,
        at_most_secs,
    } = new;
    if old.sources != *sources {
        files(reasons, old_record, new_record);
    }
    let found = reasons.len();
    let names = |inputs: &CopyInputs| -> Vec<(String, bool, bool)> {
        let sources = inputs.sources.iter();
        sources
            .map(|source| (source.name.clone(), source.is_directory, source.unpacks))
            .collect()
    };
    if names(old) != names(new) && found == 0 {
        reasons.push(Reason::plain("changed the names of what is copied"));
    } else if old.sources != *sources && found == 0 {
        reasons.push(Reason::plain("changed what is copied"));
    }
    field(reasons, "the destination", &old.destination, destination);
    field(reasons, "--chown", &old.owner, owner);
    field(reasons, "--chmod", &old.chmod, chmod);
    field(reasons, "--link", &old.link, link);
    field(reasons, "--parents", &old.parents, parents);
    root_facts(reasons, &old.root, root);
    field(
        reasons,
        "SOURCE_DATE_EPOCH",
        &old.at_most_secs,
        at_most_secs,
    );
}

fn files(reasons: &mut Vec<Reason>, old: &Record, new: &Record) {
    let Some(difference) = new.manifest.difference(&old.manifest) else {
        return;
    };
    let kinds = [
        ("changed", difference.changed),
        ("added", difference.added),
        ("removed", difference.removed),
    ];
    for (verb, paths) in kinds {
        if !paths.is_empty() {
            reasons.push(Reason {
                line: format!("{verb} {}", listed(&paths)),
                details: paths.iter().map(|path| format!("{verb} {path}")).collect(),
            });
        }
    }
}

fn run(
    reasons: &mut Vec<Reason>,
    (old_record, old): (&Record, &RunInputs),
    (new_record, new): (&Record, &RunInputs),
) {
    let RunInputs {
        layers,
        args,
        files,
        env,
        user,
        working_dir,
        mounts,
        network,
        insecure,
        devices,
        hostname,
        hosts,
        shm_bytes,
        ulimits,
        platform,
        at_most_secs,
    } = new;
    if old.args != *args || old.files != *files {
        reasons.push(Reason {
            line: "changed the command".to_owned(),
            details: vec![
                format!("the command was {}", old.args.join(" ")),
                format!("the command is {}", args.join(" ")),
            ],
        });
    }
    environment(reasons, (old_record, &old.env), (new_record, env));
    mounts_of(reasons, &old.mounts, mounts);
    field(reasons, "the user", &old.user, user);
    field(
        reasons,
        "the working directory",
        &old.working_dir,
        working_dir,
    );
    field(reasons, "the network", &old.network, network);
    field(reasons, "--security", &old.insecure, insecure);
    field(reasons, "the devices", &old.devices, devices);
    field(reasons, "the host name", &old.hostname, hostname);
    field(reasons, "--add-host", &old.hosts, hosts);
    field(reasons, "--shm-size", &old.shm_bytes, shm_bytes);
    field(reasons, "--ulimit", &old.ulimits, ulimits);
    field(reasons, "the platform", &old.platform, platform);
    field(
        reasons,
        "SOURCE_DATE_EPOCH",
        &old.at_most_secs,
        at_most_secs,
    );
    if old.layers != *layers {
        reasons.push(below(old_record, old, new_record, new));
    }
}

fn environment(
    reasons: &mut Vec<Reason>,
    (old_record, old): (&Record, &[String]),
    (new_record, new): (&Record, &[String]),
) {
    let values = |pairs: &[String]| -> BTreeMap<String, String> {
        let pairs = pairs.iter().filter_map(|pair| pair.split_once('='));
        pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    };
    let (old_values, new_values) = (values(old), values(new));
    let names: BTreeSet<&String> = old_values.keys().chain(new_values.keys()).collect();
    let before = reasons.len();
    for name in names {
        let (was, is) = (old_values.get(name), new_values.get(name));
        if was == is {
            continue;
        }
        let arguments = old_record
            .notes
            .arguments
            .iter()
            .chain(&new_record.notes.arguments);
        let kind = if arguments.into_iter().any(|argument| argument == name) {
            "argument"
        } else {
            "variable"
        };
        let shown = |value: Option<&String>| match value {
            Some(value) => format!("{value:?}"),
            None => "not set".to_owned(),
        };
        reasons.push(Reason::change(
            &format!("{kind} {name}"),
            &shown(was),
            &shown(is),
        ));
    }
    if reasons.len() == before && old != new {
        reasons.push(Reason::plain("changed the order of variables"));
    }
}

fn mounts_of(reasons: &mut Vec<Reason>, old: &[MountInputs], new: &[MountInputs]) {
    if old.len() != new.len() {
        reasons.push(Reason::change(
            "the mounts",
            &old.len().to_string(),
            &new.len().to_string(),
        ));
        return;
    }
    for (old, new) in old.iter().zip(new) {
        let MountInputs {
            kind,
            target,
            id,
            content,
            flags,
        } = new;
        let is_same = (&old.kind, &old.target, &old.id, &old.flags) == (kind, target, id, flags);
        if !is_same {
            reasons.push(Reason::plain(format!("changed the mount at {target}")));
        } else if old.content != *content {
            reasons.push(Reason::plain(format!(
                "changed what is mounted at {target}"
            )));
        }
    }
}

fn root_facts(reasons: &mut Vec<Reason>, old: &RootFacts, new: &RootFacts) {
    let paths: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let differing: Vec<&String> = paths
        .into_iter()
        .filter(|path| old.get(*path) != new.get(*path))
        .collect();
    let Some(first) = differing.first() else {
        return;
    };
    let shown = |facts: &RootFacts, path: &String| match facts.get(path) {
        Some(facts) => facts.clone(),
        None => "nothing".to_owned(),
    };
    reasons.push(Reason {
        line: format!("changed what was at {first} before"),
        details: differing
            .iter()
            .map(|path| {
                let (was, is) = (shown(old, path), shown(new, path));
                format!("at {path} was {was}, is {is}")
            })
            .collect(),
    });
}

/// What changed below a step: the image it all begins with, or the first step that is another one.
fn below(old_record: &Record, old: &RunInputs, new_record: &Record, new: &RunInputs) -> Reason {
    let (old_notes, new_notes) = (&old_record.notes, &new_record.notes);
    let base = |run: &RunInputs, count: usize| run.layers.get(..count).map(<[_]>::to_vec);
    let old_base = base(old, old_notes.base_layers);
    if old_base != base(new, new_notes.base_layers) {
        let line = match (old_notes.base.as_str(), new_notes.base.as_str()) {
            (_, "") | ("", _) => "changed the base".to_owned(),
            (was, is) if was == is => format!("changed base image {is}"),
            (was, is) => format!("changed the base image from {was} to {is}"),
        };
        return Reason::plain(line);
    }
    let own = |run: &RunInputs, count: usize| run.layers.get(count..).map(<[_]>::to_vec);
    let old_own = own(old, old_notes.base_layers).unwrap_or_default();
    let new_own = own(new, new_notes.base_layers).unwrap_or_default();
    let same = old_own
        .iter()
        .zip(&new_own)
        .take_while(|(one, other)| one == other);
    let first = same.count();
    let name = |notes: &super::Notes| notes.steps.get(first).cloned();
    Reason::plain(match (name(old_notes), name(new_notes)) {
        (Some(was), Some(is)) if was == is => format!("changed the result of {is}"),
        (_, Some(is)) => format!("{is} stands before it now"),
        (Some(was), None) => format!("{was} stands before it no longer"),
        (None, None) => "changed what lies below".to_owned(),
    })
}
