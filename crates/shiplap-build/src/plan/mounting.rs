//! `RUN --mount`: values expanded, defaults filled in, what the types allow checked.

use shiplap_model::dockerfile::{self, MountFault, MountType};
use shiplap_model::expansion::ExpansionError;
use shiplap_model::path;
use shiplap_model::units::{self, SizeBase};

use super::draft::Draft;
use super::error::Fault;
use super::graph::Origin;
use super::{Mount, Sharing, Source, paths};

impl Draft<'_> {
    pub(super) fn mounts(&self, written: &[dockerfile::Mount]) -> Result<Vec<Mount>, Fault> {
        let mut mounts: Vec<Mount> = Vec::new();
        for mount in written {
            let agents = mounts.iter().filter(|mount| mount.kind == MountType::Ssh);
            let agents = agents.count();
            mounts.push(self.mount(mount, agents)?);
        }
        Ok(mounts)
    }

    fn mount(&self, written: &dockerfile::Mount, agents: usize) -> Result<Mount, Fault> {
        let mount = written.expanded(&mut |word| match self.expand(word) {
            Ok(text) => Ok(text),
            Err(Fault::Expansion { source, .. }) => Err(source),
            Err(_) => Err(ExpansionError::TooLong),
        })?;
        let kind = mount.kind;
        let source = match &mount.source {
            Some(source) => path::absolute(source),
            None => "/".to_owned(),
        };
        let number = |key: &str, text: &Option<String>, radix| {
            let read = |text: &String| {
                u32::from_str_radix(text, radix).map_err(|_| wrong_value(key, text))
            };
            text.as_ref().map(read).transpose()
        };
        let size_bytes = match &mount.size {
            Some(size) => Some(
                units::parse_size(size, SizeBase::Binary).map_err(|_| wrong_value("size", size))?,
            ),
            None => None,
        };
        Ok(Mount {
            kind,
            from: self.mount_source(&mount)?,
            source,
            target: self.mount_target(&mount, agents)?,
            read_only: mount
                .read_only
                .unwrap_or(!matches!(kind, MountType::Cache | MountType::Tmpfs)),
            id: mount_id(&mount)?,
            sharing: match mount.sharing.as_deref() {
                Some("private") => Sharing::Private,
                Some("locked") => Sharing::Locked,
                _ => Sharing::Shared,
            },
            required: mount.required,
            has_target: mount.target.is_some(),
            mode: number("mode", &mount.mode, 8)?,
            uid: number("uid", &mount.uid, 10)?,
            gid: number("gid", &mount.gid, 10)?,
            size_bytes,
            env: mount.env,
        })
    }

    fn mount_source(&self, mount: &dockerfile::Mount) -> Result<Option<Source>, Fault> {
        Ok(match (mount.kind, mount.from.as_deref()) {
            (MountType::Bind, None) => Some(Source::Context),
            (MountType::Bind | MountType::Cache, Some(from)) => {
                Some(self.source(&self.graph.origin(from)?, from)?)
            }
            _ => None,
        })
    }

    fn mount_target(&self, mount: &dockerfile::Mount, agents: usize) -> Result<String, Fault> {
        let target = mount.target.as_deref();
        match (mount.kind, target) {
            (MountType::Secret, None) => {
                let id = mount_id(mount)?;
                Ok(format!("/run/secrets/{}", paths::base_name(&id)))
            }
            (MountType::Ssh, None) => Ok(format!("/run/buildkit/ssh_agent.{agents}")),
            (MountType::Secret | MountType::Ssh, Some(target)) => Ok(path::absolute(target)),
            (_, target) => {
                let target = target.unwrap_or_default();
                let joined = paths::joined(self.state.directory(), target);
                match path::absolute(&joined).as_str() {
                    "/" => Err(Fault::MountTarget(target.to_owned())),
                    absolute => Ok(absolute.to_owned()),
                }
            }
        }
    }

    /// What a name in `from` means, as the plan has it.
    pub(super) fn source(&self, origin: &Origin, from: &str) -> Result<Source, Fault> {
        Ok(match origin {
            Origin::Scratch => Source::Scratch,
            Origin::Image(key) => Source::Image(key.clone()),
            Origin::Named(name) => Source::Named(name.clone()),
            Origin::Stage(stage) => match self.places.get(*stage) {
                Some(Some(place)) => Source::Stage(*place),
                _ => {
                    return Err(Fault::LaterStage {
                        from: from.to_owned(),
                        stage: self.name.clone(),
                    });
                }
            },
        })
    }
}

/// Under which name a mount's content is kept or known.
pub(crate) fn mount_id(mount: &dockerfile::Mount) -> Result<String, Fault> {
    let given = mount.id.as_deref();
    Ok(match mount.kind {
        MountType::Secret => {
            let id = mount.source.as_deref().or(given);
            let target = mount.target.as_deref().unwrap_or_default();
            id.unwrap_or_else(|| paths::base_name(target)).to_owned()
        }
        MountType::Ssh if mount.source.is_some() => return Err(Fault::SshSource),
        MountType::Ssh => given.unwrap_or("default").to_owned(),
        MountType::Cache => match given {
            Some(id) => id.to_owned(),
            None => clean_relative(mount.target.as_deref().unwrap_or_default()),
        },
        MountType::Bind | MountType::Tmpfs => given.unwrap_or_default().to_owned(),
    })
}

/// As a cache is called by its target: cleaned, but relative if that is.
fn clean_relative(target: &str) -> String {
    let cleaned = path::absolute(target);
    match target.starts_with('/') {
        true => cleaned,
        false => cleaned.trim_start_matches('/').to_owned(),
    }
}

fn wrong_value(key: &str, value: &str) -> Fault {
    Fault::Mount(MountFault::Value {
        key: key.to_owned(),
        value: value.to_owned(),
    })
}
