//! The config of an image that is made of a container, as Docker's daemon merges it
//! (`daemon/commit.go`).

use super::{ChangeError, apply_all};
use crate::config::ContainerConfig;

/// The config of the image that `commit` makes of a container that runs with `container`: what the
/// caller's own config `over` says and, where it says nothing, the container's; `changes` are
/// applied to the former, or to the container's where there is no `over`.
///
/// Docker's rules, but one: an `ENTRYPOINT []` or `CMD []` among the changes ends the container's,
/// which Docker brings back. Triggers (`ONBUILD`) of the container's image have done their work and
/// are not handed on.
///
/// # Errors
/// [`ChangeError`] of the first change that is wrong.
pub fn commit(
    container: &ContainerConfig,
    over: Option<&ContainerConfig>,
    changes: &[impl AsRef<str>],
) -> Result<ContainerConfig, ChangeError> {
    let container = ContainerConfig {
        on_build: Vec::new(),
        ..container.clone()
    };
    let mut config = over.unwrap_or(&container).clone();
    let before = (config.entrypoint.clone(), config.cmd.clone());
    apply_all(&mut config, changes)?;
    let (entrypoint, cmd) = (config.entrypoint.clone(), config.cmd.clone());
    let is_ended = entrypoint.is_none() && before.0.is_some();
    let ends_cmd = cmd != before.1 && cmd.as_ref().is_some_and(Vec::is_empty);
    inherit(&mut config, &container);
    if is_ended {
        (config.entrypoint, config.cmd) = (entrypoint, cmd);
    } else if ends_cmd {
        config.cmd = cmd;
    }
    Ok(config)
}

/// Fills in what `config` leaves open.
fn inherit(config: &mut ContainerConfig, from: &ContainerConfig) {
    let or = |text: &mut String, other: &String| {
        if text.is_empty() {
            text.clone_from(other);
        }
    };
    or(&mut config.user, &from.user);
    or(&mut config.working_dir, &from.working_dir);
    config.exposed_ports.extend(from.exposed_ports.clone());
    config.volumes.extend(from.volumes.clone());
    for (name, value) in &from.labels {
        let label = config.labels.entry(name.clone());
        label.or_insert_with(|| value.clone());
    }
    let name = |pair: &str| pair.split('=').next().map(str::to_owned);
    for pair in &from.env {
        if !config.env.iter().any(|own| name(own) == name(pair)) {
            config.env.push(pair.clone());
        }
    }
    let is_empty = |words: &Option<Vec<String>>| words.as_ref().is_none_or(Vec::is_empty);
    if is_empty(&config.entrypoint) {
        if is_empty(&config.cmd) {
            config.cmd.clone_from(&from.cmd);
            config.args_escaped = from.args_escaped;
        }
        if config.entrypoint.is_none() {
            config.entrypoint.clone_from(&from.entrypoint);
        }
    }
    inherit_healthcheck(config, from);
    if config.stop_signal.as_ref().is_none_or(String::is_empty) {
        config.stop_signal.clone_from(&from.stop_signal);
    }
}

fn inherit_healthcheck(config: &mut ContainerConfig, from: &ContainerConfig) {
    let Some(old) = &from.healthcheck else {
        return;
    };
    let Some(new) = &mut config.healthcheck else {
        config.healthcheck = Some(old.clone());
        return;
    };
    if new.test.is_empty() {
        new.test.clone_from(&old.test);
    }
    for (own, other) in [
        (&mut new.interval, old.interval),
        (&mut new.timeout, old.timeout),
        (&mut new.start_period, old.start_period),
        (&mut new.start_interval, old.start_interval),
        (&mut new.retries, old.retries),
    ] {
        if *own == 0 {
            *own = other;
        }
    }
}
