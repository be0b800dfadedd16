//! What the one who runs the hub does on its machine: users, organisations, repositories, tokens.
//!
//! Works on the database beside a hub that runs. Whoever may read the folder may do all of it, so
//! nobody is asked for a password.

use crate::authorization::{Level, Role};
use crate::database::{Database, DatabaseError, Tx};
use crate::hub::{HubError, Place};
use crate::password::{self, PasswordError};
use crate::random;
use crate::records::namespaces::{self, Kind, NameError};
use crate::records::repositories::{self, Change, Name, Repository};
use crate::records::tokens::{self, AccessToken};
use crate::records::users::{self, Account};
use crate::records::webhooks::{self, Webhook};

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The hub can't be opened.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// The database's failure.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The password can't be set.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The name can't be given.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The name is no repository's.
    #[error("use the repository name {name:?}: {problem}")]
    Repository {
        /// The name.
        name: String,
        /// What is wrong.
        problem: shiplap_model::reference::Problem,
    },
    /// The name is taken.
    #[error("add {name}: the name is taken")]
    Taken {
        /// The name.
        name: String,
    },
    /// There is nothing of that name.
    #[error("find the {what} {name}: there is none")]
    Absent {
        /// What was looked for.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// No URL by http or https.
    #[error("use the URL {url:?}: it is none by http or https")]
    Url {
        /// What was given.
        url: String,
    },
    /// It still has repositories.
    #[error("remove {name}: there are repositories in it; remove them first")]
    InUse {
        /// The name.
        name: String,
    },
    /// A line of an htpasswd file that is none.
    #[error("read line {line} of the htpasswd file: {reason}")]
    Htpasswd {
        /// Its number, from 1.
        line: usize,
        /// What is wrong.
        reason: &'static str,
    },
}

/// The most rounds (as a power of two) of an imported bcrypt hash: more would keep the hub busy for
/// seconds each time that somebody signs in.
const BCRYPT_COST: u32 = 15;

/// A hub's database, open for its administrator.
pub struct Admin {
    database: Database,
}

fn user(tx: &dyn Tx, name: &str) -> Result<Account, AdminError> {
    users::by_name(tx, name)?.ok_or_else(|| AdminError::Absent {
        what: "user",
        name: name.to_owned(),
    })
}

fn found(is_found: bool, what: &'static str, name: &str) -> Result<(), AdminError> {
    if is_found {
        return Ok(());
    }
    Err(AdminError::Absent {
        what,
        name: name.to_owned(),
    })
}

fn repository_name(name: &str) -> Result<Name, AdminError> {
    Name::parse(name).map_err(|problem| AdminError::Repository {
        name: name.to_owned(),
        problem,
    })
}

impl Admin {
    /// Opens the hub of a place, making it if there is none.
    ///
    /// # Errors
    /// [`AdminError`], as all below.
    pub fn open(place: &Place) -> Result<Self, AdminError> {
        Ok(Self {
            database: place.open_database()?,
        })
    }

    fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Tx) -> Result<T, AdminError> + Clone + Send + 'static,
    ) -> Result<T, AdminError> {
        self.database.write_now(work)
    }

    /// Adds a user.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn add_user(&self, name: &str, secret: &str, is_admin: bool) -> Result<(), AdminError> {
        namespaces::check_name(name)?;
        let (name, hash) = (name.to_owned(), password::hash(secret)?);
        self.write(move |tx| match users::add(tx, &name, &hash, is_admin)? {
            Some(_) => Ok(()),
            None => Err(AdminError::Taken { name }),
        })
    }

    /// Adds the users of an htpasswd file (bcrypt, as `htpasswd -B` writes it); those that are there
    /// get the file's password. How many it has.
    ///
    /// # Errors
    /// As [`Self::open`]; then nobody is added.
    pub fn import_htpasswd(&self, text: &str) -> Result<usize, AdminError> {
        let mut entries = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |reason| AdminError::Htpasswd {
                line: number + 1,
                reason,
            };
            let (name, hash) = line
                .split_once(':')
                .ok_or_else(|| wrong("it has no colon"))?;
            if !password::is_known(hash) {
                return Err(wrong(
                    "its password is no bcrypt hash (htpasswd -B makes one)",
                ));
            }
            let cost = hash
                .parse::<bcrypt::HashParts>()
                .map(|parts| parts.get_cost());
            if cost.is_ok_and(|cost| cost > BCRYPT_COST) {
                return Err(wrong("its bcrypt hash takes too long to check"));
            }
            namespaces::check_name(name)?;
            entries.push((name.to_owned(), hash.to_owned()));
        }
        let count = entries.len();
        self.write(move |tx| {
            for (name, hash) in entries {
                if !users::set_password(tx, &name, &hash)?
                    && users::add(tx, &name, &hash, false)?.is_none()
                {
                    return Err(AdminError::Taken { name });
                }
            }
            Ok(count)
        })
    }

    /// Every user.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn users(&self) -> Result<Vec<Account>, AdminError> {
        Ok(self.database.read_now(users::all)?)
    }

    /// Sets a user's password.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn set_password(&self, name: &str, secret: &str) -> Result<(), AdminError> {
        let (name, hash) = (name.to_owned(), password::hash(secret)?);
        self.write(move |tx| found(users::set_password(tx, &name, &hash)?, "user", &name))
    }

    /// Makes a user one who runs the hub, or no longer; keeps a user out, or no longer.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn set_user(
        &self,
        name: &str,
        is_admin: Option<bool>,
        is_disabled: Option<bool>,
    ) -> Result<(), AdminError> {
        let name = name.to_owned();
        self.write(move |tx| {
            user(tx, &name)?;
            if let Some(is_admin) = is_admin {
                users::set_admin(tx, &name, is_admin)?;
            }
            if let Some(is_disabled) = is_disabled {
                users::set_disabled(tx, &name, is_disabled)?;
            }
            Ok(())
        })
    }

    /// Removes a user without repositories.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn remove_user(&self, name: &str) -> Result<(), AdminError> {
        let name = name.to_owned();
        self.write(move |tx| {
            user(tx, &name)?;
            if users::remove(tx, &name)? {
                return Ok(());
            }
            Err(AdminError::InUse { name })
        })
    }

    /// Adds an organisation.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn add_organisation(&self, name: &str) -> Result<(), AdminError> {
        namespaces::check_name(name)?;
        let name = name.to_owned();
        self.write(move |tx| {
            if namespaces::add(tx, &name, Kind::Organisation)? {
                return Ok(());
            }
            Err(AdminError::Taken { name })
        })
    }

    /// Every organisation, and how many members each has.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn organisations(&self) -> Result<Vec<(String, u64)>, AdminError> {
        Ok(self.database.read_now(namespaces::organisations)?)
    }

    /// The members of an organisation.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn members(&self, organisation: &str) -> Result<Vec<(String, Role)>, AdminError> {
        self.database.read_now(|tx| {
            let is_one = namespaces::kind(tx, organisation)? == Some(Kind::Organisation);
            found(is_one, "organisation", organisation)?;
            Ok(namespaces::members(tx, organisation)?)
        })
    }

    /// Gives a user a role in an organisation, or takes it away.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn set_member(
        &self,
        organisation: &str,
        member: &str,
        role: Option<Role>,
    ) -> Result<(), AdminError> {
        let (organisation, member) = (organisation.to_owned(), member.to_owned());
        self.write(move |tx| {
            let is_one = namespaces::kind(tx, &organisation)? == Some(Kind::Organisation);
            found(is_one, "organisation", &organisation)?;
            let account = user(tx, &member)?;
            let changed = namespaces::set_member(tx, &organisation, account.id, role)?;
            found(changed, "member", &member)
        })
    }

    /// Removes an organisation without repositories.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn remove_organisation(&self, name: &str) -> Result<(), AdminError> {
        let name = name.to_owned();
        self.write(move |tx| {
            let is_one = namespaces::kind(tx, &name)? == Some(Kind::Organisation);
            found(is_one, "organisation", &name)?;
            if namespaces::remove_organisation(tx, &name)? {
                return Ok(());
            }
            Err(AdminError::InUse { name })
        })
    }

    /// Sets the most bytes that a user's or organisation's repositories may hold; none is no bound.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn set_quota(&self, namespace: &str, bytes: Option<u64>) -> Result<(), AdminError> {
        let name = namespace.to_owned();
        self.write(move |tx| {
            let changed = namespaces::set_quota(tx, &name, bytes)?;
            found(changed, "user or organisation", &name)
        })
    }

    /// Adds a webhook to a user's or organisation's repositories; the secret that signs its messages.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn add_webhook(&self, namespace: &str, url: &str) -> Result<String, AdminError> {
        let is_url = reqwest::Url::parse(url)
            .is_ok_and(|url| ["http", "https"].contains(&url.scheme()) && url.has_host());
        if !is_url {
            return Err(AdminError::Url {
                url: url.to_owned(),
            });
        }
        let (name, url, secret) = (namespace.to_owned(), url.to_owned(), random::name());
        let told = secret.clone();
        self.write(move |tx| {
            let is_there = namespaces::kind(tx, &name)?.is_some();
            found(is_there, "user or organisation", &name)?;
            webhooks::add(tx, &name, &url, &secret)?;
            Ok(())
        })?;
        Ok(told)
    }

    /// Every webhook.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn webhooks(&self) -> Result<Vec<Webhook>, AdminError> {
        Ok(self.database.read_now(webhooks::all)?)
    }

    /// Removes a webhook.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn remove_webhook(&self, id: i64) -> Result<(), AdminError> {
        self.write(move |tx| found(webhooks::remove(tx, id)?, "webhook", &id.to_string()))
    }

    /// Every repository.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn repositories(&self) -> Result<Vec<Repository>, AdminError> {
        Ok(self.database.read_now(repositories::all)?)
    }

    /// Changes a repository; one that is not there is made.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn set_repository(&self, name: &str, change: Change) -> Result<(), AdminError> {
        let name = repository_name(name)?;
        self.write(move |tx| {
            let has_namespace = namespaces::kind(tx, name.namespace())?.is_some();
            found(has_namespace, "user or organisation", name.namespace())?;
            let id = repositories::ensure(tx, &name, change.is_private.unwrap_or(false))?;
            Ok(repositories::change(tx, id, &change)?)
        })
    }

    /// Removes a repository with all that is in it.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn remove_repository(&self, name: &str) -> Result<(), AdminError> {
        let name = repository_name(name)?;
        self.write(move |tx| {
            let Some(repository) = repositories::by_name(tx, &name)? else {
                return found(false, "repository", name.as_str());
            };
            Ok(repositories::remove(tx, repository.id)?)
        })
    }

    /// Makes an access token of a user; its text.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn add_token(
        &self,
        name: &str,
        label: &str,
        level: Level,
        expires_us: Option<i64>,
    ) -> Result<String, AdminError> {
        let (name, label) = (name.to_owned(), label.to_owned());
        self.write(move |tx| {
            let account = user(tx, &name)?;
            let (_, token) = tokens::add(tx, account.id, &label, level, expires_us)?;
            Ok(token)
        })
    }

    /// A user's access tokens.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn tokens(&self, name: &str) -> Result<Vec<AccessToken>, AdminError> {
        self.database.read_now(|tx| {
            let account = user(tx, name)?;
            Ok(tokens::of_user(tx, account.id)?)
        })
    }

    /// Removes an access token of a user.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn remove_token(&self, name: &str, number: i64) -> Result<(), AdminError> {
        let name = name.to_owned();
        self.write(move |tx| {
            let account = user(tx, &name)?;
            let removed = tokens::remove(tx, account.id, number)?;
            found(removed, "token", &number.to_string())
        })
    }
}
