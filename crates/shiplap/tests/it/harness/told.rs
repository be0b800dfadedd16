//! What a build told in plain lines: which steps were made, which were in the cache, and why not.

/// A step, in the order in which the build came to it.
#[derive(Debug, Default)]
pub(crate) struct Step {
    number: String,
    /// `RUN make`
    pub(crate) name: String,
    /// It was in the cache.
    pub(crate) is_cached: bool,
    /// It was carried out to its end.
    pub(crate) is_done: bool,
    /// Why it was not in the cache, and with `--explain` all that differs.
    pub(crate) reasons: Vec<String>,
}

/// The steps of a build.
#[derive(Debug)]
pub(crate) struct Told(pub(crate) Vec<Step>);

impl Told {
    /// Reads what a build said on stderr, as it is without a terminal.
    pub(crate) fn of(said: &str) -> Self {
        let mut steps: Vec<Step> = Vec::new();
        for line in said.lines().filter_map(|line| line.strip_prefix('#')) {
            let Some((number, text)) = line.split_once(' ') else {
                continue;
            };
            if let Some((place, name)) = text.split_once("] ")
                && place.starts_with('[')
                && place != "[internal"
                && !name.starts_with("FROM ")
                && !steps.iter().any(|step| step.number == number)
            {
                steps.push(Step {
                    number: number.to_owned(),
                    name: name.to_owned(),
                    ..Step::default()
                });
                continue;
            }
            let Some(step) = steps.iter_mut().find(|step| step.number == number) else {
                continue;
            };
            step.is_cached |= text == "CACHED";
            step.is_done |= text.starts_with("DONE ");
            let reason = text.strip_prefix("not cached: ");
            let reason = reason.or(text.strip_prefix("  "));
            step.reasons.extend(reason.map(str::to_owned));
        }
        Self(steps)
    }

    /// Names of those that were not in the cache.
    pub(crate) fn made(&self) -> Vec<&str> {
        let steps = self.0.iter().filter(|step| !step.is_cached);
        steps.map(|step| step.name.as_str()).collect()
    }

    /// Names of those that were.
    pub(crate) fn cached(&self) -> Vec<&str> {
        let steps = self.0.iter().filter(|step| step.is_cached);
        steps.map(|step| step.name.as_str()).collect()
    }

    /// Names of those that are in the cache from now on, whatever comes.
    pub(crate) fn finished(&self) -> Vec<&str> {
        let steps = self.0.iter().filter(|step| step.is_cached || step.is_done);
        steps.map(|step| step.name.as_str()).collect()
    }

    /// Why a step was not in the cache.
    #[track_caller]
    pub(crate) fn why(&self, name: &str) -> &[String] {
        let step = self.0.iter().find(|step| step.name == name);
        &step
            .unwrap_or_else(|| panic!("no {name:?} in {self:?}"))
            .reasons
    }
}
