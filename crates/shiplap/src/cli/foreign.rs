//! Flags of Docker's that ask for what is not to be had without its daemon: each takes the values
//! that mean what is done anyway, and refuses the others by name, or says that they do nothing.
//!
//! The help does not show them.

use std::marker::PhantomData;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

/// A flag whose value can't be had.
#[derive(Debug, thiserror::Error)]
#[error("use --{flag}={value}: {reason}")]
pub(crate) struct ForeignError {
    /// Which.
    pub(crate) flag: &'static str,
    /// What it was given.
    pub(crate) value: String,
    /// Why not.
    pub(crate) reason: &'static str,
}

/// One such flag.
pub(crate) struct Foreign {
    flag: &'static str,
    short: Option<char>,
    /// It may stand without a value.
    is_switch: bool,
    /// Values that mean what is done anyway.
    granted: &'static [&'static str],
    /// Other values change nothing, and are no reason to stop.
    is_ignored: bool,
    reason: &'static str,
}

/// A flag with a value.
pub(crate) const fn value(
    flag: &'static str,
    granted: &'static [&'static str],
    reason: &'static str,
) -> Foreign {
    Foreign {
        flag,
        short: None,
        is_switch: false,
        granted,
        is_ignored: false,
        reason,
    }
}

/// A flag that may stand without a value.
pub(crate) const fn switch(
    flag: &'static str,
    granted: &'static [&'static str],
    reason: &'static str,
) -> Foreign {
    Foreign {
        is_switch: true,
        ..value(flag, granted, reason)
    }
}

/// The flags of one verb.
pub(crate) trait Foreigners {
    /// All of them.
    const FLAGS: &'static [Foreign];
}

impl Foreign {
    /// With a letter, too.
    pub(crate) const fn short(self, letter: char) -> Self {
        Self {
            short: Some(letter),
            ..self
        }
    }

    /// Values that can't be had change nothing.
    pub(crate) const fn ignored(self) -> Self {
        Self {
            is_ignored: true,
            ..self
        }
    }

    fn argument(&self) -> Arg {
        let argument = Arg::new(self.flag)
            .long(self.flag)
            .short(self.short)
            .hide(true)
            .action(ArgAction::Append);
        if self.is_switch {
            argument
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("true")
        } else {
            argument.allow_hyphen_values(true)
        }
    }
}

/// Those that were given.
#[derive(Debug)]
pub(crate) struct ForeignFlags<F> {
    /// Places in the list, and values.
    given: Vec<(usize, String)>,
    of: PhantomData<F>,
}

impl<F: Foreigners> ForeignFlags<F> {
    /// Whether all that was asked for is so anyway; what to tell of what changes nothing.
    pub(crate) fn check(&self) -> Result<Vec<String>, ForeignError> {
        let mut warnings = Vec::new();
        for (at, value) in &self.given {
            let Some(foreign) = F::FLAGS.get(*at) else {
                continue;
            };
            if foreign.granted.contains(&value.as_str()) {
                continue;
            }
            if !foreign.is_ignored {
                return Err(ForeignError {
                    flag: foreign.flag,
                    value: value.clone(),
                    reason: foreign.reason,
                });
            }
            warnings.push(format!(
                "--{} has no effect: {}",
                foreign.flag, foreign.reason
            ));
        }
        Ok(warnings)
    }
}

impl<F: Foreigners> Args for ForeignFlags<F> {
    fn augment_args(command: Command) -> Command {
        command.args(F::FLAGS.iter().map(Foreign::argument))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<F: Foreigners> FromArgMatches for ForeignFlags<F> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut given = Vec::new();
        for (at, foreign) in F::FLAGS.iter().enumerate() {
            let values = matches.get_many::<String>(foreign.flag);
            given.extend(
                values
                    .into_iter()
                    .flatten()
                    .map(|value| (at, value.clone())),
            );
        }
        Ok(Self {
            given,
            of: PhantomData,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
