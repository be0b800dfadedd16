//! Who may do what: one pure function, [`decide`], asked for every route and for every scope of a
//! token.
//!
//! Facts come from the caller's credential and the database; nothing here reads either. What somebody
//! may not see looks the same as what is not there.

use std::fmt;
use std::str::FromStr;

/// What a route asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing.
    Nothing,
    /// Some credential, if only the token that everybody gets: so clients learn to ask for one.
    Credential,
    /// To be a user with all of the user's power: no access token of a lower level.
    Account,
    /// To run the hub.
    Site,
    /// A right over the repository that the route names.
    Repository(Right),
    /// A role in the namespace that the route names; for more than to look, with all of the user's
    /// power.
    Namespace(Role),
}

/// What one does to a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Read it.
    Pull,
    /// Add to it, and make it if it is not there.
    Push,
    /// Take tags, manifests and blobs away.
    Delete,
    /// Mark it as liked.
    Star,
    /// Change its description and who sees it, or remove it.
    Administer,
}

impl Right {
    /// Its name in the scope of a token.
    #[must_use]
    pub fn action(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Delete => "delete",
            Self::Star => "star",
            Self::Administer => "administer",
        }
    }

    /// The right that a scope means by a name.
    #[must_use]
    pub fn of_action(action: &str) -> Option<Self> {
        [Self::Pull, Self::Push, Self::Delete]
            .into_iter()
            .find(|right| right.action() == action)
    }

    fn level(self) -> Level {
        match self {
            Self::Pull => Level::Read,
            Self::Push | Self::Star => Level::Write,
            Self::Delete => Level::Delete,
            Self::Administer => Level::Admin,
        }
    }

    fn role(self) -> Role {
        match self {
            Self::Pull | Self::Star => Role::Reader,
            Self::Push | Self::Delete => Role::Writer,
            Self::Administer => Role::Owner,
        }
    }
}

/// The most that a credential may do, whatever its user may. A password's is [`Level::Admin`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Read what is public.
    Public,
    /// Read what the user may read.
    Read,
    /// Push, too.
    Write,
    /// Take away, too.
    Delete,
    /// Everything that the user may.
    Admin,
}

/// What a user is in a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Reads what is private.
    Reader,
    /// Pushes and takes away.
    Writer,
    /// Does everything.
    Owner,
}

macro_rules! names {
    ($type:ident { $($variant:ident = $name:literal),* }) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $name),* })
            }
        }

        impl FromStr for $type {
            type Err = ();

            fn from_str(text: &str) -> Result<Self, ()> {
                match text {
                    $($name => Ok(Self::$variant),)*
                    _ => Err(()),
                }
            }
        }
    };
}

names!(Level {
    Public = "public",
    Read = "read",
    Write = "write",
    Delete = "delete",
    Admin = "admin"
});
names!(Role {
    Reader = "reader",
    Writer = "writer",
    Owner = "owner"
});

/// A user who showed a good credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The record's number.
    pub id: i64,
    /// The name.
    pub name: String,
    /// Whether the user runs the hub.
    pub is_admin: bool,
    /// What the credential may do at most.
    pub level: Level,
}

/// A right that a token was made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The repository.
    pub repository: String,
    /// Names of rights.
    pub actions: Vec<String>,
}

/// Who asks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caller {
    /// The user, if one is known.
    pub user: Option<User>,
    /// Whether any credential was shown.
    pub has_credential: bool,
    /// What the token was made for, if it is one that says so; it can do nothing else.
    pub grants: Option<Vec<Grant>>,
}

/// What is known of the repository that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its whole name.
    pub name: String,
    /// Its record, if it is there.
    pub repository: Option<i64>,
    /// Whether only those with a role see it.
    pub is_private: bool,
    /// What the caller is in its namespace.
    pub role: Option<Role>,
    /// Whether its namespace is there.
    pub has_namespace: bool,
    /// Whether it is another registry's: it comes when it is asked for, and nobody pushes to it.
    pub is_mirror: bool,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It is done.
    Allow,
    /// Another credential is asked for.
    Challenge,
    /// It is refused.
    Deny,
    /// It is answered as if nothing were there.
    Hide,
}

/// Decides. `place` must be given where `need` is of a repository or a namespace.
#[must_use]
pub fn decide(caller: &Caller, need: Need, place: Option<&Place>) -> Decision {
    let user = caller.user.as_ref();
    let of_user = |holds: bool, otherwise: Decision| match user {
        None => Decision::Challenge,
        // A token for repositories is good for nothing else.
        Some(_) if caller.grants.is_some() => Decision::Challenge,
        Some(_) if holds => Decision::Allow,
        Some(_) => otherwise,
    };
    match need {
        Need::Nothing => Decision::Allow,
        Need::Credential if caller.has_credential => Decision::Allow,
        Need::Credential => Decision::Challenge,
        Need::Account => of_user(
            user.is_some_and(|user| user.level == Level::Admin),
            Decision::Deny,
        ),
        Need::Site => of_user(
            user.is_some_and(|user| user.is_admin && user.level == Level::Admin),
            Decision::Deny,
        ),
        Need::Repository(right) => {
            place.map_or(Decision::Hide, |place| in_repository(caller, right, place))
        }
        Need::Namespace(role) => {
            place.map_or(Decision::Hide, |place| in_namespace(caller, role, place))
        }
    }
}

fn in_namespace(caller: &Caller, role: Role, place: &Place) -> Decision {
    let Some(user) = &caller.user else {
        return Decision::Challenge;
    };
    if caller.grants.is_some() {
        return Decision::Challenge;
    }
    let has_role = |role: Role| place.has_namespace && place.role.is_some_and(|has| has >= role);
    let level = match role {
        Role::Reader => Level::Read,
        Role::Writer | Role::Owner => Level::Admin,
    };
    match has_role(role) && user.level >= level {
        true => Decision::Allow,
        false if has_role(Role::Reader) && user.level >= Level::Read => Decision::Deny,
        false => Decision::Hide,
    }
}

fn in_repository(caller: &Caller, right: Right, place: &Place) -> Decision {
    let is_there = place.repository.is_some() || place.is_mirror;
    let is_public = is_there && !place.is_private;
    if right == Right::Pull && is_public {
        return Decision::Allow;
    }
    let Some(user) = &caller.user else {
        return Decision::Challenge;
    };
    let has_role = |role: Role| place.has_namespace && place.role.is_some_and(|has| has >= role);
    let sees = is_public || (has_role(Role::Reader) && user.level >= Level::Read);
    let may = match right {
        Right::Star => sees,
        Right::Push if place.is_mirror => false,
        _ => has_role(right.role()),
    };
    let is_granted = caller.grants.as_ref().is_none_or(|grants| {
        grants.iter().any(|grant| {
            grant.repository == place.name && grant.actions.iter().any(|it| it == right.action())
        })
    });
    if may && user.level >= right.level() {
        return if is_granted {
            Decision::Allow
        } else {
            Decision::Challenge
        };
    }
    // To be told that one may not push says nothing of what is there.
    if sees || right == Right::Push {
        Decision::Deny
    } else {
        Decision::Hide
    }
}
