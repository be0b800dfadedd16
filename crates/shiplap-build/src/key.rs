//! The cache key of a step: a pure function of all that decides the layer it leaves. Two machines
//! that see the same inputs have the same key; what a laptop and a server differ in by chance
//! (times of files, inodes, owners, names of directories outside) is not among them.
//!
//! | input | `WORKDIR` | `COPY`, `ADD` | `RUN` | |
//! |---|---|---|---|---|
//! | schema | ● | ● | ● | [`SCHEMA`]: a new one for every change of what a step does |
//! | layers below | | | ● | all DiffIDs: a command may read anything |
//! | what is at the paths in question | ● | ● | | types and attributes, as the executor looked them up; `--link`: nothing |
//! | path | ● | ● | ● | destination, or where the command runs |
//! | owner | ● | ● | ● | numbers; of `RUN` the user as written, since the layers below say who that is |
//! | `--chmod` | | ● | | as written |
//! | content | | ● | ● | digest of each source after excludes: names, types, permission bits, bytes; of `RUN` those of bind mounts |
//! | names of sources | | ● | | what a single file is called in a directory |
//! | `--link`, `--parents`, unpacking | | ● | | |
//! | command line, inline files | | | ● | |
//! | environment | | | ● | with every `ARG` in scope, used or not; not the predefined proxies |
//! | mounts | | | ● | targets, kinds, flags; a cache by its ID, a secret or agent by its ID: never what is in them |
//! | network, security, devices, host names, `/dev/shm`, limits | | | ● | what the command can see of them |
//! | platform | | | ● | the layers below do not say it all, and emulation differs |
//! | latest time | ● | ● | ● | `SOURCE_DATE_EPOCH`, where times are clamped to it |
//!
//! Not among them: times of files (a layer keeps those it was made with); the Dockerfile's text,
//! patterns and excludes (what they pick counts); where a source comes from (its content counts);
//! checksums that were asked for (a wrong one fails before); values of secrets; labels and other
//! settings of the config, which make no layer.
//!
//! Steps and options are taken apart field by field, so a new field does not compile until it is
//! decided here whether it counts. `docs/cache-key.md` tells users the same.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use shiplap_model::container::{Limits, Ulimit};
use shiplap_model::dockerfile::{Device, MountType, Network, Security};
use shiplap_model::{DiffId, Digest, Platform};

use crate::context::ContentDigest;
use crate::options::{BuildNetwork, Execution};
use crate::plan::{self, Plan, Sharing, StageId, Step};

/// Version of what steps do and of how that is written down here.
pub const SCHEMA: u32 = 1;

/// All that decides the layer that a step leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyInputs {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The step.
    pub step: StepInputs,
}

/// By kind of step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepInputs {
    /// `WORKDIR`.
    Workdir(WorkdirInputs),
    /// `COPY` and `ADD`.
    Copy(CopyInputs),
    /// `RUN`.
    Run(Box<RunInputs>),
}

/// User and group by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerId {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// What is in a root at paths that a step looks at: path to type and attributes, in words of the
/// executor's. A path at which nothing is has no entry.
pub type RootFacts = BTreeMap<String, String>;

/// What decides a `WORKDIR`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkdirInputs {
    /// Absolute.
    pub path: String,
    /// What is on the way to it.
    pub root: RootFacts,
    /// Who owns what is made.
    pub owner: OwnerId,
    /// Latest time, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most_secs: Option<i64>,
}

/// What decides a `COPY` or `ADD`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyInputs {
    /// Absolute; what it ends with says whether it must be a directory.
    pub destination: String,
    /// What is on the way to it and at the places of what is copied.
    pub root: RootFacts,
    /// What is copied, in order.
    pub sources: Vec<SourceInputs>,
    /// `--chown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<OwnerId>,
    /// `--chmod`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chmod: Option<String>,
    /// `--link`.
    pub link: bool,
    /// `--parents`.
    pub parents: bool,
    /// Latest time, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most_secs: Option<i64>,
}

/// One source, found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceInputs {
    /// What it is called in a directory; one whose bytes are no text begins with a zero byte and is
    /// escaped.
    pub name: String,
    /// Digest of all of it that is copied: names, types, permission bits, bytes.
    pub content: String,
    /// It is a directory, whose content is meant.
    pub is_directory: bool,
    /// It is unpacked if it is an archive.
    pub unpacks: bool,
}

/// What decides a `RUN`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunInputs {
    /// The layers below, base first.
    pub layers: Vec<DiffId>,
    /// The command line.
    pub args: Vec<String>,
    /// Files made by heredocs: path, content, permission bits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<(String, String, u32)>,
    /// `NAME=value`, in order.
    pub env: Vec<String>,
    /// Who runs it, as the config says it.
    pub user: String,
    /// Where it runs.
    pub working_dir: String,
    /// What is mounted, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<MountInputs>,
    /// `default`, `none` or `host`.
    pub network: String,
    /// With all rights.
    pub insecure: bool,
    /// Devices, in order; required ones end with `!`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<String>,
    /// Its name for itself, if it is not every step's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// More lines of `/etc/hosts`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<(String, String)>,
    /// Size of `/dev/shm`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shm_bytes: Option<u64>,
    /// Limits, as written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ulimits: Vec<String>,
    /// `linux/amd64`
    pub platform: String,
    /// Latest time, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most_secs: Option<i64>,
}

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountInputs {
    /// `bind`, `cache`, …
    pub kind: String,
    /// Where.
    pub target: String,
    /// What it is called: a cache, a secret, an agent.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// Digest of what is in it, or what it begins with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// All else that the command may notice.
    pub flags: String,
}

/// What the executor found out for a `WORKDIR`.
#[derive(Debug, Clone)]
pub struct WorkdirFacts {
    /// What is on the way to the directory.
    pub root: RootFacts,
    /// Who the user is.
    pub owner: OwnerId,
    /// Latest time, where times are clamped.
    pub at_most_secs: Option<i64>,
}

/// What the executor found out for a `COPY` or `ADD`.
#[derive(Debug, Clone)]
pub struct CopyFacts {
    /// What is on the way to the destination and at the places of what is copied; empty with
    /// `--link`.
    pub root: RootFacts,
    /// What is copied, in order.
    pub sources: Vec<SourceFacts>,
    /// Who `--chown` means.
    pub owner: Option<OwnerId>,
    /// Latest time, where times are clamped.
    pub at_most_secs: Option<i64>,
}

/// What the executor found out of one source.
#[derive(Debug, Clone)]
pub struct SourceFacts {
    /// What it is called in a directory.
    pub name: Vec<u8>,
    /// Of all of it that is copied: names, types, permission bits, bytes.
    pub content: ContentDigest,
    /// It is a directory, whose content is meant.
    pub is_directory: bool,
    /// It is unpacked if it is an archive.
    pub unpacks: bool,
}

/// What the executor found out for a `RUN`.
#[derive(Debug, Clone)]
pub struct RunFacts<'a> {
    /// The layers below, base first.
    pub layers: &'a [DiffId],
    /// For each mount, digest of what is in it or what it begins with, if that is known.
    pub contents: &'a [Option<ContentDigest>],
    /// Who runs it, as the config says it.
    pub user: &'a str,
    /// Where it runs, as the config says it.
    pub working_dir: &'a str,
    /// What the root's programs are made for.
    pub platform: &'a Platform,
    /// Its name for itself, if the build says one.
    pub hostname: Option<&'a str>,
    /// How steps are run.
    pub execution: &'a Execution,
    /// Latest time, where times are clamped.
    pub at_most_secs: Option<i64>,
}

impl KeyInputs {
    /// The key.
    #[must_use]
    pub fn key(&self) -> Digest {
        Digest::of(&self.to_json())
    }

    /// Always the same bytes for the same inputs.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("because all keys are texts and nothing in it can fail")
    }

    fn of(step: StepInputs) -> Self {
        Self {
            schema: SCHEMA,
            step,
        }
    }

    /// Inputs of a `WORKDIR`.
    #[must_use]
    pub fn of_workdir(workdir: &plan::Workdir, facts: WorkdirFacts) -> Self {
        let plan::Workdir { path } = workdir;
        let WorkdirFacts {
            root,
            owner,
            at_most_secs,
        } = facts;
        Self::of(StepInputs::Workdir(WorkdirInputs {
            path: path.clone(),
            root,
            owner,
            at_most_secs,
        }))
    }

    /// Inputs of a `COPY` or `ADD`.
    #[must_use]
    pub fn of_copy(copy: &plan::Copy, facts: CopyFacts) -> Self {
        let plan::Copy {
            from: _,  // what is in it counts
            items: _, // what they pick counts
            destination,
            chown: _, // who that is counts
            chmod,
            link,
            parents,
            excludes: _, // what they leave counts
            add,
        } = copy;
        if let Some(plan::Add {
            checksum: _,     // a wrong one fails before
            keep_git_dir: _, // what is fetched counts
            unpack: _,       // counts with each source
        }) = add
        {}
        let CopyFacts {
            root,
            sources,
            owner,
            at_most_secs,
        } = facts;
        Self::of(StepInputs::Copy(CopyInputs {
            destination: destination.clone(),
            root,
            sources: sources.into_iter().map(source_inputs).collect(),
            owner,
            chmod: chmod.as_ref().map(ToString::to_string),
            link: *link,
            parents: *parents,
            at_most_secs,
        }))
    }

    /// Inputs of a `RUN`.
    #[must_use]
    pub fn of_run(run: &plan::Run, facts: &RunFacts<'_>) -> Self {
        let plan::Run {
            args,
            files,
            env,
            proxy_env: _, // how the network is reached is no part of the result
            args_used: _, // they are in the environment
            mounts,
            network,
            security,
            devices,
        } = run;
        let Execution {
            secrets: _, // values are never part of a key; their IDs come with the mounts
            ssh: _,
            add_hosts,
            network: build_network,
            shm_bytes,
            // What may be used at most is no part of the result: a command that needs more fails.
            limits:
                Limits {
                    ulimits,
                    memory_bytes: _,
                    memory_swap_bytes: _,
                    nano_cpus: _,
                    cpu_shares: _,
                    cpuset: _,
                    pids: _,
                    sysctls: _, // builds have none
                    oom_score_adj: _,
                },
            allow_insecure: _, // without it an insecure step fails
            host_certs: _,     // how the network is reached is no part of the result
            jobs: _,
            reproducible: _, // comes as the latest time
            on_failure: _,   // there is no result then
        } = facts.execution;
        let files = files.iter();
        let contents = facts.contents.iter().map(Option::as_ref);
        let contents = contents.chain(std::iter::repeat(None));
        Self::of(StepInputs::Run(Box::new(RunInputs {
            layers: facts.layers.to_vec(),
            args: args.clone(),
            files: files
                .map(
                    |plan::InlineFile {
                         path,
                         content,
                         mode,
                     }| { (path.clone(), content.clone(), *mode) },
                )
                .collect(),
            env: env.clone(),
            user: facts.user.to_owned(),
            working_dir: facts.working_dir.to_owned(),
            mounts: mounts
                .iter()
                .zip(contents)
                .map(|(mount, content)| mount_inputs(mount, content))
                .collect(),
            network: network_name(*network, *build_network).to_owned(),
            insecure: *security == Security::Insecure,
            devices: devices.iter().map(device_name).collect(),
            hostname: facts.hostname.map(str::to_owned),
            hosts: add_hosts.clone(),
            shm_bytes: *shm_bytes,
            ulimits: ulimits.iter().map(ulimit_text).collect(),
            platform: facts.platform.to_string(),
            at_most_secs: facts.at_most_secs,
        })))
    }
}

fn source_inputs(source: SourceFacts) -> SourceInputs {
    let SourceFacts {
        name,
        content,
        is_directory,
        unpacks,
    } = source;
    SourceInputs {
        name: name_text(&name),
        content: content.to_string(),
        is_directory,
        unpacks,
    }
}

fn network_name(step: Network, build: BuildNetwork) -> &'static str {
    match (step, build) {
        (Network::None, _) | (Network::Default, BuildNetwork::None) => "none",
        (Network::Host, _) | (Network::Default, BuildNetwork::Host) => "host",
        (Network::Default, BuildNetwork::Default) => "default",
    }
}

fn device_name(device: &Device) -> String {
    let Device { name, required } = device;
    format!("{name}{}", if *required { "!" } else { "" })
}

fn ulimit_text(ulimit: &Ulimit) -> String {
    let Ulimit { name, soft, hard } = ulimit;
    format!("{name}={soft}:{hard}")
}

fn mount_inputs(mount: &plan::Mount, content: Option<&ContentDigest>) -> MountInputs {
    let plan::Mount {
        kind,
        from: _,   // what is in it counts
        source: _, // likewise
        target,
        read_only,
        id,
        sharing,
        required: _, // without it the step fails
        env,
        has_target,
        mode,
        uid,
        gid,
        size_bytes,
    } = mount;
    let mut flags = Vec::new();
    if *read_only {
        flags.push("ro".to_owned());
    }
    match sharing {
        Sharing::Shared => {}
        Sharing::Private => flags.push("private".to_owned()),
        Sharing::Locked => flags.push("locked".to_owned()),
    }
    if let Some(env) = env {
        flags.push(format!("env={env}"));
        flags.push(format!("file={has_target}"));
    }
    flags.extend(mode.map(|mode| format!("mode={mode:o}")));
    flags.extend(uid.map(|uid| format!("uid={uid}")));
    flags.extend(gid.map(|gid| format!("gid={gid}")));
    flags.extend(size_bytes.map(|size| format!("size={size}")));
    MountInputs {
        kind: kind.to_string(),
        target: target.clone(),
        id: match kind {
            MountType::Cache | MountType::Secret | MountType::Ssh => id.clone(),
            MountType::Bind | MountType::Tmpfs => String::new(),
        },
        content: content.map(ToString::to_string),
        flags: flags.join(","),
    }
}

/// A name's bytes as a text that no other name's bytes make.
fn name_text(name: &[u8]) -> String {
    match std::str::from_utf8(name) {
        Ok(text) => text.to_owned(),
        // No name has a zero byte.
        Err(_) => format!("\0{}", name.escape_ascii()),
    }
}

/// Where the step `step` of a stage stands: what ran last at the same place explains a miss. `project`
/// tells Dockerfiles apart. Only steps with the same word are counted, so that one more `COPY` does
/// not make every `RUN` another one.
#[must_use]
pub fn place(plan: &Plan, project: &str, stage: StageId, step: usize) -> Digest {
    let stage = plan.stages.get(stage.0);
    let steps = stage.map_or(&[][..], |stage| &stage.steps);
    let word = |step: &Step| step.created_by.split(' ').next().map(str::to_owned);
    let own = steps.get(step).and_then(word).unwrap_or_default();
    let before = steps.iter().take(step);
    let number = before
        .filter(|step| word(step).as_ref() == Some(&own))
        .count();
    let name = stage.map_or("", |stage| &stage.name);
    let platform = plan.platform.to_string();
    let parts = [project, name, &own, &number.to_string(), &platform];
    Digest::of(parts.join("\0").as_bytes())
}

#[cfg(test)]
mod tests;
