//! What an error of PostgreSQL means for the work that met it.

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use super::address::with_causes;
use crate::database::DatabaseError;

/// What is to be done about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Another transaction was in the way: this one may succeed from its beginning.
    Conflict,
    /// A row that is there already, or one that is not: another transaction in the way, unless
    /// there is none.
    Constraint,
    /// The connection or the server is gone, or about to go.
    Lost,
    /// Nothing: it would be the same again.
    Final,
}

/// What is to be done about this one.
pub(super) fn trouble(error: &Error) -> Trouble {
    let Some(state) = error.code() else {
        return match is_of_connection(error) {
            true => Trouble::Lost,
            false => Trouble::Final,
        };
    };
    match state {
        state
            if *state == SqlState::T_R_SERIALIZATION_FAILURE
                || *state == SqlState::T_R_DEADLOCK_DETECTED =>
        {
            Trouble::Conflict
        }
        state
            if *state == SqlState::UNIQUE_VIOLATION
                || *state == SqlState::FOREIGN_KEY_VIOLATION =>
        {
            Trouble::Constraint
        }
        state => match state.code() {
            // Too many clients; no statement or lock in time; idle for too long within a transaction.
            "53300" | "55P03" | "25P03" => Trouble::Lost,
            // Connections that break; servers that end, start or are ended.
            code if code.starts_with("08") || code.starts_with("57P0") => Trouble::Lost,
            _ => Trouble::Final,
        },
    }
}

/// Whether it is the connection's, and not the statement's.
fn is_of_connection(error: &Error) -> bool {
    if error.is_closed() {
        return true;
    }
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if cause.is::<std::io::Error>() {
            return true;
        }
        source = cause.source();
    }
    false
}

/// Whether a connection will be refused the next time, too: a wrong password, no such database.
pub(super) fn is_refused(error: &Error) -> bool {
    error
        .code()
        .is_some_and(|state| state.code().starts_with("28") || state.code().starts_with("3D"))
}

/// The error as the port has it.
pub(super) fn told(place: &str, action: &'static str, error: &Error) -> DatabaseError {
    let place = place.to_owned();
    if error.code() == Some(&SqlState::DISK_FULL) {
        return DatabaseError::Full { place };
    }
    let message = with_causes(error);
    match trouble(error) {
        Trouble::Conflict | Trouble::Lost => DatabaseError::Unavailable { place, message },
        Trouble::Constraint | Trouble::Final => DatabaseError::Sql {
            action,
            place,
            message,
        },
    }
}
