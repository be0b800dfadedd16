//! `ps`: containers and what they do.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use shiplap_model::ImageId;
use shiplap_model::container::PortMapping;
use shiplap_model::filter::{FilterError, Filters};
use shiplap_store::{ResolveError, StoreError};

use super::{Container, ContainerError, State, Status, all, find, network};
use crate::context::Context;

/// Which containers.
#[derive(Debug, Clone, Default)]
pub struct PsOptions {
    /// Those that do not run, too.
    pub all: bool,
    /// Only the last so many made, running or not.
    pub last: Option<usize>,
    /// `id name label exited status ancestor before since volume network publish expose`.
    pub filters: Filters,
    /// Count what their changes take.
    pub sizes: bool,
}

/// Why containers can't be listed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PsError {
    /// They can't be read.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// A filter makes no sense.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// An image that a filter names can't be looked for.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// The store's failure.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One line of the list.
#[derive(Debug, Clone)]
pub struct ListedContainer {
    /// The container.
    pub container: Container,
    /// What it does.
    pub state: State,
    /// Its image as it is to be shown: the name it was made with as long as that names it.
    pub image: String,
    /// Ports of the host that lead into it.
    pub ports: Vec<PortMapping>,
    /// What its changes take, in bytes, and with its image; only if asked for.
    pub size_bytes: Option<(u64, u64)>,
}

/// Lists containers, the newest first.
///
/// # Errors
/// [`PsError`].
pub fn list(context: &Context, options: &PsOptions) -> Result<Vec<ListedContainer>, PsError> {
    options.filters.check_keys(&[
        "id", "name", "label", "exited", "status", "ancestor", "before", "since", "volume",
        "network", "publish", "expose",
    ])?;
    let choice = Choice::new(context, options)?;
    let store = context.store()?;
    let mut listed = Vec::new();
    for container in all(context)? {
        // It may be removed while this is read.
        let Ok(state) = container.state() else {
            continue;
        };
        if !choice.takes(&container, &state) {
            continue;
        }
        if options.last.is_some_and(|last| listed.len() >= last) {
            break;
        }
        let facts = &container.facts;
        let is_name = |id: &ImageId| *id == facts.image;
        let still_named = store
            .resolve(&facts.image_name)
            .is_ok_and(|found| is_name(&found.id));
        let image = if still_named {
            facts.image_name.clone()
        } else {
            facts.image.hex().chars().take(12).collect()
        };
        let size_bytes = match options.sizes {
            true => {
                let changed = size_of_changes(&container);
                let image = store.image(&facts.image)?;
                let whole = changed + image.map_or(0, |image| image.content_bytes);
                Some((changed, whole))
            }
            false => None,
        };
        listed.push(ListedContainer {
            ports: network::ports_in(&container, &state).unwrap_or_default(),
            image,
            state,
            container,
            size_bytes,
        });
    }
    Ok(listed)
}

/// The filters, resolved.
struct Choice<'o> {
    filters: &'o Filters,
    only_live: bool,
    ancestors: Option<BTreeSet<ImageId>>,
    before: Option<jiff::Timestamp>,
    since: Option<jiff::Timestamp>,
}

impl<'o> Choice<'o> {
    fn new(context: &Context, options: &'o PsOptions) -> Result<Self, PsError> {
        let filters = &options.filters;
        let made = |key: &str| -> Result<Vec<jiff::Timestamp>, ContainerError> {
            let made = |name| Ok(find(context, name)?.facts.created);
            filters.values(key).map(made).collect()
        };
        let asks_for_ended = filters.contains("status") || filters.contains("exited");
        Ok(Self {
            filters,
            only_live: !options.all && options.last.is_none() && !asks_for_ended,
            ancestors: ancestors(context, filters)?,
            before: made("before")?.into_iter().min(),
            since: made("since")?.into_iter().max(),
        })
    }

    fn takes(&self, container: &Container, state: &State) -> bool {
        let facts = &container.facts;
        let any = |key: &str, matches: &dyn Fn(&str) -> bool| {
            !self.filters.contains(key) || self.filters.values(key).any(matches)
        };
        let volumes = || {
            let named = facts.volumes.iter().flat_map(|v| [&v.name, &v.target]);
            let mounts = facts.options.storage.mounts.iter().map(|m| &m.target);
            named.chain(mounts)
        };
        (!self.only_live || state.status.is_live())
            && any("id", &|id| facts.id.starts_with(id))
            && self.filters.matches("name", &container.name)
            && any("status", &|status| state.status.word() == status)
            && any("exited", &|code| {
                state.status == Status::Exited && code.parse() == Ok(state.exit_code)
            })
            && any("volume", &|wanted| volumes().any(|known| known == wanted))
            && any("network", &|mode| network_word(container) == mode)
            && any("publish", &|port| {
                // What can't be read is published nowhere.
                let ports = network::ports_in(container, state).unwrap_or_default();
                ports
                    .iter()
                    .any(|known| is_port(port, known.host_port, &known.protocol))
            })
            && any("expose", &|port| {
                facts
                    .config
                    .exposed_ports
                    .iter()
                    .any(|known| known == port || known.strip_suffix("/tcp") == Some(port))
            })
            && self.filters.matches_labels("label", &facts.config.labels)
            && self
                .ancestors
                .as_ref()
                .is_none_or(|ancestors| ancestors.contains(&facts.image))
            && self.before.is_none_or(|before| facts.created < before)
            && self.since.is_none_or(|since| facts.created > since)
    }
}

fn is_port(wanted: &str, port: u16, protocol: &str) -> bool {
    let (number, wanted_protocol) = wanted.split_once('/').unwrap_or((wanted, "tcp"));
    number.parse() == Ok(port) && wanted_protocol == protocol
}

/// Images that a filter `ancestor` names, and all made on them.
fn ancestors(context: &Context, filters: &Filters) -> Result<Option<BTreeSet<ImageId>>, PsError> {
    if !filters.contains("ancestor") {
        return Ok(None);
    }
    let store = context.store()?;
    let mut found = BTreeSet::new();
    for name in filters.values("ancestor") {
        let id = match store.resolve(name) {
            Ok(resolved) => resolved.id,
            Err(ResolveError::NotFound { .. }) => continue,
            Err(error) => return Err(error.into()),
        };
        let base = store.image_layers(&id)?;
        for image in store.images()? {
            if image.id == id || store.image_layers(&image.id)?.starts_with(&base) {
                found.insert(image.id);
            }
        }
    }
    Ok(Some(found))
}

/// A network mode in Docker's words.
#[must_use]
pub fn network_word(container: &Container) -> &'static str {
    use shiplap_model::container::NetworkMode;
    match container.facts.network {
        NetworkMode::Host => "host",
        NetworkMode::None => "none",
        NetworkMode::Private => "private",
    }
}

/// Sizes of the regular files among a container's changes, in bytes.
pub(crate) fn size_of_changes(container: &Container) -> u64 {
    size_of(&container.upper())
}

/// Sizes of the regular files in a directory, in bytes.
pub(crate) fn size_of(directory: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(directory) else {
        return 0;
    };
    entries
        .filter_map(Result::ok)
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => size_of(&entry.path()),
            Ok(metadata) if metadata.is_file() => metadata.len(),
            _ => 0,
        })
        .sum()
}
