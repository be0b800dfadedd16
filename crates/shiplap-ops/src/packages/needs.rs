//! Which packages need which: what each says of it, resolved to packages that the image has, as its package
//! manager or interpreter would. What nothing meets is left out: to find that something is missing is their work.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use shiplap_model::limits;

use super::python::Requirement;
use super::{Ecosystem, Key, Package};

/// What a package says it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Need {
    /// Packages of the distribution by their names, or what they provide: of several the first that is there.
    OneOf(Vec<String>),
    /// A distribution of Python.
    Python(Requirement),
    /// The package that this file tells of.
    Record(String),
    /// This very package.
    Package(Key),
}

/// What was said of needs so far.
#[derive(Debug, Default)]
pub(super) struct Needs {
    /// Nothing for packages of which nothing is known.
    said: BTreeMap<Key, Vec<Need>>,
    /// Packages by what they provide beside their name.
    provided: HashMap<(Ecosystem, String), Vec<Key>>,
    bytes: usize,
}

/// Most packages of one name, and most places of one, that are looked at: a kernel may be there in some versions.
const SAME: usize = 4;

impl Needs {
    /// Whether so many more bytes may be kept, which then count.
    pub(super) fn has_room(&mut self, bytes: usize) -> bool {
        self.bytes = self.bytes.saturating_add(bytes);
        !self.is_full()
    }

    /// Whether more was said than is kept.
    pub(super) fn is_full(&self) -> bool {
        self.bytes > limits::PACKAGE_NEED_BYTES
    }

    /// Notes what a package needs, if it says so; of a package that is there twice what either says.
    pub(super) fn say(&mut self, package: &Key, needs: impl IntoIterator<Item = Need>) {
        let kept: Vec<Need> = needs
            .into_iter()
            .filter(|need| {
                let bytes = match need {
                    Need::OneOf(names) => names.iter().map(String::len).sum(),
                    Need::Python(requirement) => requirement.name.len(),
                    Need::Record(path) => path.len(),
                    Need::Package(key) => key.name.len() + key.version.len(),
                };
                self.has_room(bytes + size_of::<Need>())
            })
            .collect();
        self.said.entry(package.clone()).or_default().extend(kept);
    }

    /// Notes that a package is called so, too.
    pub(super) fn provide(&mut self, package: &Key, name: &str) {
        let bytes = name.len() + package.name.len() + package.version.len() + size_of::<Key>();
        if self.has_room(bytes) {
            let name = (package.ecosystem, name.to_owned());
            let known = self.provided.entry(name).or_default();
            if known.len() < SAME {
                known.push(package.clone());
            }
        }
    }

    /// The packages that each needs, by their numbers; nothing of those that don't say.
    pub(super) fn resolve(self, packages: &[Package]) -> BTreeMap<usize, Vec<usize>> {
        let resolving = Resolving::new(&self, packages);
        let mut resolved = BTreeMap::new();
        let python = resolving.python();
        for (key, needs) in &self.said {
            let Some(number) = resolving.numbers.get(key).copied() else {
                continue;
            };
            let mut needed: BTreeSet<usize> = needs
                .iter()
                .flat_map(|need| resolving.met(key, need))
                .collect();
            needed.extend(python.get(&number).into_iter().flatten());
            needed.remove(&number);
            resolved.insert(number, needed.into_iter().collect());
        }
        resolved
    }
}

struct Resolving<'a> {
    needs: &'a Needs,
    packages: &'a [Package],
    numbers: HashMap<Key, usize>,
    /// Packages by name, those of Python by the name they are compared by.
    named: HashMap<(Ecosystem, String), Vec<usize>>,
    /// Node's packages by the file that tells of them.
    records: HashMap<&'a str, usize>,
}

impl<'a> Resolving<'a> {
    fn new(needs: &'a Needs, packages: &'a [Package]) -> Self {
        let mut numbers = HashMap::new();
        let mut named: HashMap<_, Vec<usize>> = HashMap::new();
        let mut records = HashMap::new();
        for (number, package) in packages.iter().enumerate() {
            numbers.insert(Key::of(package), number);
            let name = match package.ecosystem {
                Ecosystem::Python => Requirement::comparable(&package.name),
                _ => package.name.clone(),
            };
            let name = (package.ecosystem, name);
            let known = named.entry(name).or_default();
            if known.len() < SAME {
                known.push(number);
            }
            if package.ecosystem == Ecosystem::Node {
                let places = package.locations.iter();
                records.extend(places.map(|at| (at.path.as_str(), number)));
            }
        }
        Self {
            needs,
            packages,
            numbers,
            named,
            records,
        }
    }

    /// The packages that meet a need.
    fn met(&self, key: &Key, need: &Need) -> Vec<usize> {
        match need {
            Need::OneOf(names) => {
                let mut met = names.iter().map(|name| self.of_distribution(key, name));
                met.find(|met| !met.is_empty()).unwrap_or_default()
            }
            Need::Record(path) => self
                .records
                .get(path.as_str())
                .copied()
                .into_iter()
                .collect(),
            Need::Package(key) => self.numbers.get(key).copied().into_iter().collect(),
            Need::Python(_) => Vec::new(),
        }
    }

    /// Those called so, or else those that provide it; for the machine that the package is for, if there are.
    fn of_distribution(&self, key: &Key, name: &str) -> Vec<usize> {
        let wanted = (key.ecosystem, name.to_owned());
        let named = self.named.get(&wanted);
        let found: Vec<usize> = match named {
            Some(named) => named.clone(),
            None => {
                let provided = self.needs.provided.get(&wanted).into_iter().flatten();
                provided
                    .filter_map(|key| self.numbers.get(key).copied())
                    .collect()
            }
        };
        let is_same = |number: &usize| {
            let architecture = self.packages[*number].architecture.as_deref();
            matches!(architecture, None | Some("all" | "noarch"))
                || architecture == key.architecture.as_deref()
        };
        let same: Vec<usize> = found.iter().copied().filter(is_same).collect();
        if same.is_empty() { found } else { same }
    }

    /// What distributions of Python need: those of the same directory, or else the only one of that name. What
    /// an extra needs counts if some package asks for the extra.
    fn python(&self) -> HashMap<usize, BTreeSet<usize>> {
        let mut open: Vec<(usize, Option<&str>)> = Vec::new();
        let mut said: HashMap<usize, Vec<&Requirement>> = HashMap::new();
        for (key, needs) in &self.needs.said {
            let Some(number) = self.numbers.get(key).copied() else {
                continue;
            };
            let requirements = needs.iter().filter_map(|need| match need {
                Need::Python(requirement) => Some(requirement),
                _ => None,
            });
            said.insert(number, requirements.collect());
            open.push((number, None));
        }
        let mut seen: BTreeSet<(usize, Option<&str>)> = open.iter().copied().collect();
        let mut needed: HashMap<usize, BTreeSet<usize>> = HashMap::new();
        while let Some((number, extra)) = open.pop() {
            let requirements = said.get(&number).into_iter().flatten();
            for requirement in requirements.filter(|requirement| requirement.holds(extra)) {
                for met in self.distributions(number, &requirement.name) {
                    needed.entry(number).or_default().insert(met);
                    for extra in &requirement.extras {
                        let next = (met, Some(extra.as_str()));
                        if seen.insert(next) {
                            open.push(next);
                        }
                    }
                }
            }
        }
        needed
    }

    fn distributions(&self, number: usize, name: &str) -> Vec<usize> {
        let wanted = (Ecosystem::Python, name.to_owned());
        let Some(found) = self.named.get(&wanted) else {
            return Vec::new();
        };
        let own: BTreeSet<&str> = directories(&self.packages[number]).collect();
        let is_beside = |number: &usize| {
            directories(&self.packages[*number]).any(|directory| own.contains(directory))
        };
        let beside: Vec<usize> = found.iter().copied().filter(is_beside).collect();
        match (beside.is_empty(), found.as_slice()) {
            (false, _) => beside,
            (true, [one]) => vec![*one],
            (true, _) => Vec::new(),
        }
    }
}

/// The directories in which a distribution of Python is.
fn directories(package: &Package) -> impl Iterator<Item = &str> {
    package.locations.iter().take(SAME).map(|at| {
        let (above, name) = at.path.rsplit_once('/').unwrap_or_default();
        // `NAME.dist-info/METADATA`, or a file `NAME.egg-info`.
        match name.ends_with(".egg-info") {
            true => above,
            false => above.rsplit_once('/').unwrap_or_default().0,
        }
    })
}
