//! `RUN`.

use std::collections::BTreeMap;

use shiplap_model::dockerfile::{self, Command, MountType};
use shiplap_model::expansion;

use super::draft::{Done, Draft};
use super::error::Fault;
use super::{Action, InlineFile, Mount, Run, naming, variables};

/// Where scripts lie that bring their own interpreter.
const SCRIPTS: &str = "/dev/pipes";
/// Where a command finds the agent that has keys.
const AGENT: &str = "SSH_AUTH_SOCK";

impl Draft<'_> {
    pub(super) fn run(&mut self, run: &dockerfile::Run, text: &str) -> Result<Done, Fault> {
        let (args, files) = self.command(run);
        let mounts = self.mounts(&run.mounts)?;
        let variables = &self.state.variables;
        let mut env = variables.pairs();
        let agent = mounts.iter().find(|mount| mount.kind == MountType::Ssh);
        if let Some(agent) = agent
            && variables.get(AGENT).is_none()
        {
            env.push(format!("{AGENT}={}", agent.target));
        }
        let arguments = self.arguments();
        Ok(Done {
            created_by: created_by(&arguments, &args),
            name: Some(self.shown_run(run, text, &mounts)),
            action: Action::Run(Run {
                args,
                files,
                env,
                proxy_env: variables::proxies(&self.graph.input.build_args),
                args_used: arguments.into_iter().collect(),
                mounts,
                network: run.network,
                security: run.security,
                devices: run.devices.clone(),
            }),
        })
    }

    /// The command line, and the script if it is one. A lone heredoc is what the shell runs, or
    /// what is run itself if it begins with `#!`; several are the shell's own concern.
    fn command(&self, run: &dockerfile::Run) -> (Vec<String>, Vec<InlineFile>) {
        let line = match &run.command {
            Command::Exec(words) => return (words.clone(), Vec::new()),
            Command::Shell(line) => line,
        };
        let Some(script) = run.script() else {
            let mut line = line.clone();
            for heredoc in &run.heredocs {
                line.push('\n');
                line.push_str(&heredoc.raw);
                line.push_str(&heredoc.name);
            }
            return (self.in_shell(&line), Vec::new());
        };
        if self.state.image.os != "windows" && script.content.starts_with("#!") {
            let file = InlineFile {
                path: format!("{SCRIPTS}/{}", script.name),
                content: script.content.clone(),
                mode: 0o755,
            };
            return (vec![file.path.clone()], vec![file]);
        }
        (self.in_shell(&script.content), Vec::new())
    }

    /// `ARG`s in scope, in order, with what they are now.
    fn arguments(&self) -> Vec<(String, String)> {
        let arguments = self.state.args.iter().map(|(name, value)| {
            let now = self.state.variables.get(name);
            let value = now.or(value).unwrap_or_default();
            (name.to_owned(), value.to_owned())
        });
        arguments.collect()
    }

    /// The line as progress shows it: quotes and unknown variables stay, secrets are stars.
    fn shown_run(&self, run: &dockerfile::Run, text: &str, mounts: &[Mount]) -> String {
        let line = match run.script() {
            Some(script) => format!("{text} ({})", summary(&script.content)),
            None => text.to_owned(),
        };
        let secrets: BTreeMap<&str, &str> = mounts
            .iter()
            .filter(|mount| mount.kind == MountType::Secret)
            .filter_map(|mount| Some((mount.env.as_deref()?, "****")))
            .collect();
        let lookup = |name: &str| {
            let secret = secrets.get(name).copied();
            secret.or_else(|| self.state.variables.get(name))
        };
        let shown = expansion::expand_visibly(&line, &lookup, self.escape());
        naming::capitalised(&shown.unwrap_or(line))
    }
}

fn created_by(arguments: &[(String, String)], args: &[String]) -> String {
    let mut words = vec!["RUN".to_owned()];
    if !arguments.is_empty() {
        words.push(format!("|{}", arguments.len()));
    }
    words.extend(
        arguments
            .iter()
            .map(|(name, value)| format!("{name}={value}")),
    );
    words.extend(args.iter().cloned());
    format!("{} # buildkit", words.join(" "))
}

/// The first line of a script.
fn summary(content: &str) -> String {
    let mut lines = content.trim().lines();
    let first = lines.next().unwrap_or_default();
    match lines.next() {
        Some(_) => format!("{first}..."),
        None => first.to_owned(),
    }
}
