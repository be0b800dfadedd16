//! `RUN` as a step: what decides its layer, what is mounted for it, and the command itself.

use shiplap_model::container::NetworkMode;
use shiplap_model::dockerfile::{MountType, Network, Security};
use shiplap_ops::step::{self, StepMount, StepMountKind, Times};
use shiplap_store::{CacheMount, LayerRecord};

use super::around::{Around, glance_at};
use super::failure::{FailedRoot, Problem};
use super::mounting::{self, Content};
use super::stage::{Broken, Work};
use crate::context::ContentDigest;
use crate::explain::Manifest;
use crate::key::{KeyInputs, RunFacts};
use crate::options::BuildNetwork;
use crate::plan;
use crate::report::Vertex;

/// What a step is called by itself, unless the build says otherwise.
const HOSTNAME: &str = "buildkitsandbox";
/// The argument that says otherwise.
const HOSTNAME_ARGUMENT: &str = "BUILDKIT_SANDBOX_HOSTNAME";

pub(super) struct RunWork<'s, 'a> {
    around: Around<'s, 'a>,
    run: &'s plan::Run,
    /// The step, with the config that holds for it.
    step: &'s plan::Step,
    /// For each mount what is in it, or what it begins with, once somebody looked.
    contents: Vec<Option<Content>>,
}

impl<'s, 'a> RunWork<'s, 'a> {
    pub(super) fn new(around: Around<'s, 'a>, run: &'s plan::Run, step: &'s plan::Step) -> Self {
        Self {
            around,
            run,
            step,
            contents: Vec::new(),
        }
    }

    /// Finds what is mounted, without reading layers.
    fn gather(&mut self) -> Result<(), Problem> {
        if self.contents.len() == self.run.mounts.len() {
            return Ok(());
        }
        self.contents.clear();
        for mount in &self.run.mounts {
            let content = match (&mount.kind, &mount.from) {
                (MountType::Bind | MountType::Cache, Some(source)) => {
                    Some(Content::find(&self.around, source, &mount.source)?)
                }
                _ => None,
            };
            self.contents.push(content);
        }
        Ok(())
    }

    fn of(&self, contents: &[Option<ContentDigest>]) -> KeyInputs {
        let session = self.around.session;
        let config = &self.step.config;
        KeyInputs::of_run(
            self.run,
            &RunFacts {
                layers: &self.around.root,
                contents,
                user: &config.user,
                working_dir: &config.working_dir,
                platform: &self.around.stage.platform,
                hostname: self.hostname(),
                execution: &session.options.execution,
                at_most_secs: self.clamped(session.key_secs),
            },
        )
    }

    /// What the build says the step is called by itself.
    fn hostname(&self) -> Option<&'s str> {
        let arguments = &self.around.session.options.values.build_args;
        arguments.get(HOSTNAME_ARGUMENT)?.as_deref()
    }

    /// Times of what a command makes are clamped only if that is asked for.
    fn clamped(&self, seconds: Option<i64>) -> Option<i64> {
        seconds.filter(|_| self.around.session.options.execution.reproducible)
    }

    /// The step, and what holds its caches while it runs.
    fn prepare(&mut self) -> Result<(step::Step, Vec<CacheMount>), Problem> {
        self.gather()?;
        let (run, options) = (self.run, self.around.session.options);
        if run.security == Security::Insecure && !options.execution.allow_insecure {
            return Err(Problem::Insecure);
        }
        for device in &run.devices {
            if device.required {
                return Err(Problem::Device {
                    name: device.name.clone(),
                });
            }
        }
        let mut env: Vec<String> = run.proxy_env.iter().chain(&run.env).cloned().collect();
        let mut mounts = Vec::new();
        let caches = mounting::caches(&self.around, &run.mounts, &self.contents)?;
        let mut held = Vec::new();
        for ((mount, content), cache) in run.mounts.iter().zip(&self.contents).zip(caches) {
            let made = mounting::mount(&self.around, mount, content.as_ref(), cache.as_ref())?;
            mounts.extend(made.mount);
            env.extend(made.variable);
            held.extend(cache);
        }
        mounts.extend(run.files.iter().map(inline_file));
        let config = &self.step.config;
        let step = step::Step {
            layers: self.around.root.clone(),
            args: run.args.clone(),
            env,
            user: config.user.clone(),
            working_dir: config.working_dir.clone(),
            mounts,
            network: network(run.network, options.execution.network),
            add_hosts: options.execution.add_hosts.clone(),
            hostname: Some(self.hostname().unwrap_or(HOSTNAME).to_owned()),
            shm_bytes: options.execution.shm_bytes,
            limits: options.execution.limits.clone(),
            privileged: run.security == Security::Insecure,
            host_certs: options.execution.host_certs,
            platform: self.around.stage.platform.clone(),
        };
        Ok((step, held))
    }
}

impl Work for RunWork<'_, '_> {
    fn glance(&mut self) -> Result<Option<KeyInputs>, Problem> {
        self.gather()?;
        let is_known = |content: &Option<Content>| match content {
            Some(content) => content.is_known(),
            None => true,
        };
        if self.contents.iter().all(is_known) {
            return Ok(None);
        }
        let contents = self.contents.iter().zip(&self.run.mounts);
        let contents = contents.map(|(content, mount)| match content {
            Some(Content::Layers { layers, .. }) => Some(glance_at(layers, &mount.source, &[])),
            Some(Content::Selected(selected)) => Some(mounting::digest(selected)),
            None => None,
        });
        let contents: Vec<_> = contents.collect();
        Ok(Some(self.of(&contents)))
    }

    fn inputs(&mut self) -> Result<(KeyInputs, Manifest), Problem> {
        self.gather()?;
        let mut digests = Vec::with_capacity(self.contents.len());
        for content in &mut self.contents {
            digests.push(match content {
                Some(content) => Some(content.look(&self.around)?),
                None => None,
            });
        }
        Ok((self.of(&digests), Manifest::default()))
    }

    fn execute(&mut self, vertex: &Vertex<'_, '_>) -> Result<LayerRecord, Broken> {
        let (step, caches) = self.prepare()?;
        let session = self.around.session;
        let output = |stream, bytes: &[u8]| vertex.log(stream, bytes);
        let finished = step::run(session.ops, session.lease, &step, &output, session.cancel)?;
        drop(caches);
        for warning in &finished.warnings {
            session.reporter.warn(warning);
        }
        if finished.exit_code != 0 {
            return Err(Broken {
                problem: Problem::Exit {
                    command: step.args.join(" "),
                    code: finished.exit_code,
                },
                root: Some(Box::new(FailedRoot {
                    step,
                    changes: finished.changes,
                })),
            });
        }
        let at_most_secs = self.clamped(self.around.session.at_most_secs);
        let times = at_most_secs.map_or(Times::Kept, Times::AtMost);
        let layer = finished.changes.into_layer(session.lease, times)?;
        match layer {
            Some(layer) => Ok(layer),
            None => Ok(step::empty_layer(session.lease)?),
        }
    }
}

/// A file of a heredoc, for the time of the command.
fn inline_file(file: &plan::InlineFile) -> StepMount {
    StepMount {
        target: file.path.clone(),
        kind: StepMountKind::Secret {
            bytes: file.content.clone().into_bytes(),
            uid: 0,
            gid: 0,
            mode: file.mode,
        },
        read_only: true,
    }
}

fn network(step: Network, build: BuildNetwork) -> Option<NetworkMode> {
    match (step, build) {
        (Network::None, _) | (Network::Default, BuildNetwork::None) => Some(NetworkMode::None),
        (Network::Host, _) | (Network::Default, BuildNetwork::Host) => Some(NetworkMode::Host),
        (Network::Default, BuildNetwork::Default) => None,
    }
}
