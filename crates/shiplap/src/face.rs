//! What verbs of the command line share: settings, the way into ops, and how failures are told.
//!
//! Never holds logic of a verb.

use std::{error::Error, path::PathBuf, sync::Arc};

use shiplap_model::{Filters, filter::FilterError};
use shiplap_ops::{Context, progress::Event, progress::Progress};

use crate::{
    advice,
    output::Output,
    progress::Teller,
    settings::{Environment, Flags, Settings, SettingsError},
    template,
};

/// One call of the program.
pub(crate) struct Face {
    /// What it was called as: `shiplap` or `docker`.
    pub(crate) program: String,
    /// Where it talks to.
    pub(crate) output: Arc<Output>,
    /// The flags before the verb.
    pub(crate) flags: Flags,
    /// Why an ordinary user's containers have one user only, if that is so.
    pub(crate) one_user: Option<String>,
}

/// A way into ops, with who tells its progress.
pub(crate) struct Session {
    /// The surroundings of verbs.
    pub(crate) context: Context,
    /// Tells the user.
    pub(crate) teller: Arc<Teller>,
}

impl Face {
    /// What the user decided.
    pub(crate) fn settings(&self) -> Result<Settings, SettingsError> {
        Settings::read(&self.flags, &Environment::of_process())
    }

    /// A way into ops; `quiet` tells nothing but warnings.
    pub(crate) fn session(&self, quiet: bool) -> Result<Session, Failure> {
        self.session_trusting(quiet, &[])
    }

    /// The same, with registries of which no certificate is asked for.
    pub(crate) fn session_trusting(
        &self,
        quiet: bool,
        registries: &[&str],
    ) -> Result<Session, Failure> {
        let teller = Arc::new(Teller::new(Arc::clone(&self.output), quiet));
        let warner = Arc::clone(&teller);
        let warn = Arc::new(move |line: &str| warner.event(Event::Warning(line)));
        let mut settings = self.settings()?;
        for registry in registries {
            settings.trust(registry);
        }
        let context = Context::new(settings.into_ops(), warn);
        Ok(Session { context, teller })
    }

    /// Tells a failure that does not end the call.
    pub(crate) fn tell(&self, failure: &Failure) {
        if let Some(message) = &failure.message {
            self.output.talk(&format!("{}: {message}", self.program));
        }
        if let Some(advice) = &failure.advice {
            self.output.talk(&format!("\nHint: {advice}"));
        }
    }

    /// Does something with each of several, and prints the line that comes of it, if any; failures are told,
    /// and the others go on.
    pub(crate) fn each<T>(
        &self,
        items: &[T],
        act: impl Fn(&T) -> Result<Option<String>, Failure>,
    ) -> Result<(), Failure> {
        let mut is_failed = false;
        for item in items {
            match act(item) {
                Ok(Some(line)) => self.output.line(&line)?,
                Ok(None) => {}
                Err(failure) => {
                    is_failed = true;
                    self.tell(&failure);
                }
            }
        }
        if is_failed {
            Err(Failure::told())
        } else {
            Ok(())
        }
    }

    /// Asks whether to go on; `yes` answers for the user.
    pub(crate) fn confirm(&self, warning: &str, yes: bool) -> Result<bool, Failure> {
        if yes {
            return Ok(true);
        }
        let question = format!("WARNING! {warning}\nAre you sure you want to continue? [y/N] ");
        let answer = self.output.ask(&question, false)?;
        Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
    }
}

/// Why a verb did not do what it should, as it is told.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What to tell; nothing if it was told already.
    pub(crate) message: Option<String>,
    /// What the user can do about it.
    pub(crate) advice: Option<String>,
    /// The process's exit status.
    pub(crate) code: u8,
    /// It is one even though it comes of nobody reading stdout any more.
    pub(crate) is_unread: bool,
}

impl Failure {
    /// A failure with a message of its own.
    pub(crate) fn plain(message: impl Into<String>) -> Self {
        Self {
            message: Some(message.into()),
            advice: None,
            code: 1,
            is_unread: false,
        }
    }

    /// A failure that the user knows of.
    pub(crate) fn told() -> Self {
        Self {
            message: None,
            advice: None,
            code: 1,
            is_unread: false,
        }
    }

    /// The same with another exit status.
    pub(crate) fn with_code(self, code: u8) -> Self {
        Self { code, ..self }
    }
}

impl<E: Error + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        let advice = advice::of(&error);
        let is_whole = (&error as &dyn Error).is::<template::Error>();
        let message = if is_whole {
            error.to_string()
        } else {
            format!("failed to {error}")
        };
        Self {
            message: Some(message),
            advice,
            code: 1,
            is_unread: false,
        }
    }
}

/// The filters of a command line.
pub(crate) fn filters(arguments: &[String]) -> Result<Filters, FilterError> {
    let mut filters = Filters::default();
    for argument in arguments {
        filters.add_argument(argument)?;
    }
    Ok(filters)
}

/// A path, unless it is `-` or missing.
pub(crate) fn file(path: Option<PathBuf>) -> Option<PathBuf> {
    path.filter(|path| path.as_os_str() != "-")
}
