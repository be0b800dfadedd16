//! Plans as text, for snapshots.

use std::fmt::Write as _;

use crate::plan::{Action, Base, Copy, Item, Mount, Plan, Run, Source, Stage};

/// What is to be done, a line a thing.
pub(super) fn shown(plan: &Plan) -> String {
    let mut out = String::new();
    for (number, stage) in plan.stages.iter().enumerate() {
        let target = if plan.target.0 == number {
            " (target)"
        } else {
            ""
        };
        let base = match &stage.base {
            Base::Scratch => "scratch".to_owned(),
            Base::Stage(stage) => format!("stage {}", stage.0),
            Base::Image(key) => format!("{} for {}", key.name, key.platform),
            Base::Named(name) => format!("context {name}"),
        };
        writeln!(out, "{number}: {} from {base}{target}", stage.name).unwrap();
        if let Some(vertex) = &stage.vertex {
            writeln!(out, "  {vertex}").unwrap();
        }
        steps(&mut out, stage);
    }
    out
}

fn steps(out: &mut String, stage: &Stage) {
    for step in &stage.steps {
        let name = step.vertex.as_ref().unwrap_or(&step.name);
        writeln!(out, "  {name}").unwrap();
        match &step.action {
            Action::Config => {}
            Action::Workdir(workdir) => writeln!(out, "    make {}", workdir.path).unwrap(),
            Action::Copy(copy) => shown_copy(out, copy),
            Action::Run(run) => shown_run(out, run),
        }
        writeln!(out, "    = {}", step.created_by).unwrap();
    }
}

fn source(source: &Source) -> String {
    match source {
        Source::Scratch => "scratch".to_owned(),
        Source::Context => "context".to_owned(),
        Source::Stage(stage) => format!("stage {}", stage.0),
        Source::Image(key) => key.name.clone(),
        Source::Named(name) => format!("context {name}"),
    }
}

fn shown_copy(out: &mut String, copy: &Copy) {
    let items: Vec<String> = copy
        .items
        .iter()
        .map(|item| match item {
            Item::Path(path) => path.clone(),
            Item::Url(url) => format!("url {url}"),
            Item::Git(git) => format!("git {git}"),
            Item::Inline { name, content } => format!("{name}={content:?}"),
        })
        .collect();
    let mut flags = Vec::new();
    flags.extend(copy.chown.as_ref().map(|chown| format!(" chown {chown}")));
    flags.extend(copy.chmod.as_ref().map(|chmod| format!(" chmod {chmod}")));
    flags.extend(copy.link.then(|| " link".to_owned()));
    flags.extend(copy.parents.then(|| " parents".to_owned()));
    flags.extend(
        copy.excludes
            .iter()
            .map(|exclude| format!(" without {exclude}")),
    );
    let (from, to) = (source(&copy.from), &copy.destination);
    let (items, flags) = (items.join(", "), flags.concat());
    writeln!(out, "    copy {items} of {from} to {to}{flags}").unwrap();
    if let Some(add) = &copy.add {
        writeln!(out, "    {add:?}").unwrap();
    }
}

fn shown_run(out: &mut String, run: &Run) {
    writeln!(out, "    run {:?}", run.args).unwrap();
    for file in &run.files {
        writeln!(
            out,
            "    file {} {:o} {:?}",
            file.path, file.mode, file.content
        )
        .unwrap();
    }
    let env = run.env.iter().filter(|pair| !pair.starts_with("PATH="));
    let env: Vec<&str> = env.chain(&run.proxy_env).map(String::as_str).collect();
    if !env.is_empty() {
        writeln!(out, "    with {}", env.join(" ")).unwrap();
    }
    run.mounts.iter().for_each(|mount| shown_mount(out, mount));
}

fn shown_mount(out: &mut String, mount: &Mount) {
    let from = mount
        .from
        .as_ref()
        .map(|from| format!(" {}:{}", source(from), mount.source));
    let id = match mount.id.as_str() {
        "" => String::new(),
        id => format!(" id {id}"),
    };
    let mut flags = String::new();
    for (is_set, flag) in [
        (mount.read_only, " ro"),
        (mount.required, " required"),
        (mount.has_target, ""),
    ] {
        if is_set {
            flags.push_str(flag);
        }
    }
    let env = mount.env.as_ref().map(|env| format!(" env {env}"));
    writeln!(
        out,
        "    mount {}{}{id} at {}{flags}{} {:?}",
        mount.kind,
        from.unwrap_or_default(),
        mount.target,
        env.unwrap_or_default(),
        mount.sharing
    )
    .unwrap();
}
