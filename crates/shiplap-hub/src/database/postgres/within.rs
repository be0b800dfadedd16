//! A connection within a transaction: the port's statements in PostgreSQL's words.

use std::borrow::Cow;
use std::cell::Cell;
use std::error::Error as StdError;
use std::time::Duration;

use bytes::BytesMut;
use deadpool_postgres::Object;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Error, Statement};

use super::Reach;
use super::trouble::{Trouble, told, trouble};
use crate::database::{DatabaseError, Dialect, Row, Tx, Value};

/// How long an answer may take, beyond the time that the server gives a statement itself.
const ANSWER: Duration = Duration::from_secs(130);

/// A connection within a transaction.
pub(super) struct Within<'r> {
    reach: &'r Reach,
    client: Object,
    /// What begins the transaction, until that is done: the first statement goes with it.
    begin: Cell<Option<&'static str>>,
    /// The worst that happened.
    trouble: Cell<Option<Trouble>>,
}

impl<'r> Within<'r> {
    /// A transaction that begins by `begin`, with the first statement.
    pub(super) fn new(reach: &'r Reach, client: Object, begin: Option<&'static str>) -> Self {
        Self {
            reach,
            client,
            begin: Cell::new(begin),
            trouble: Cell::new(None),
        }
    }

    /// What happened since this was asked last.
    pub(super) fn take_trouble(&self) -> Option<Trouble> {
        self.trouble.take()
    }

    /// Whether a statement was sent.
    pub(super) fn has_begun(&self) -> bool {
        self.begin.get().is_none()
    }

    pub(super) fn reach(&self) -> &'r Reach {
        self.reach
    }

    /// The connection, for what comes next.
    pub(super) fn into_client(self) -> Object {
        self.client
    }

    /// Sends what is no statement of a record.
    pub(super) fn command(&self, sql: &str) -> Result<(), DatabaseError> {
        self.ask("write", self.client.batch_execute(sql))
    }

    /// Sends two of them, one way there and back; the first error counts.
    pub(super) fn commands(&self, first: &str, second: &str) -> Result<(), DatabaseError> {
        self.ask("write", async {
            let (first, second) = (
                self.client.batch_execute(first),
                self.client.batch_execute(second),
            );
            let (first, second) = tokio::join!(first, second);
            first.and(second)
        })
    }

    /// Takes a lock, then begins a transaction; its number.
    pub(super) fn begin(&self, lock: &str, begin: &str) -> Result<i64, DatabaseError> {
        self.ask("write", async {
            let number = async {
                let statement = self.prepare("SELECT txid_current()", &[]).await?;
                self.client.query_one(&statement, &[]).await?.try_get(0)
            };
            let (locked, begun, number) = tokio::join!(
                self.client.batch_execute(lock),
                self.client.batch_execute(begin),
                number
            );
            locked.and(begun).and(number)
        })
    }

    /// Waits for an answer.
    fn ask<T>(
        &self,
        action: &'static str,
        asking: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, DatabaseError> {
        let begin = self.begin.take();
        let both = async {
            match begin {
                None => asking.await,
                Some(begin) => {
                    // Sent in this order, answered in this order: one way there and back.
                    let (begun, answer) = tokio::join!(self.client.batch_execute(begin), asking);
                    begun.and(answer)
                }
            }
        };
        let waiting = async { tokio::time::timeout(ANSWER, both).await };
        match self.reach.handle.block_on(waiting) {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                self.trouble.set(Some(trouble(&error)));
                Err(told(&self.reach.place, action, &error))
            }
            Err(_) => {
                self.trouble.set(Some(Trouble::Lost));
                Err(self.reach.unavailable("no answer came".to_owned()))
            }
        }
    }

    async fn prepare(&self, sql: &str, values: &[Value]) -> Result<Statement, Error> {
        let types: Vec<Type> = values.iter().map(type_of).collect();
        self.client
            .prepare_typed_cached(&dollars(sql), &types)
            .await
    }
}

impl Tx for Within<'_> {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    fn execute(&self, sql: &str, values: &[Value]) -> Result<u64, DatabaseError> {
        self.ask("write", async {
            let statement = self.prepare(sql, values).await?;
            self.client.execute_raw(&statement, values).await
        })
    }

    fn rows(&self, sql: &str, values: &[Value]) -> Result<Vec<Row>, DatabaseError> {
        self.ask("read", async {
            let statement = self.prepare(sql, values).await?;
            let parameters: Vec<&(dyn ToSql + Sync)> =
                values.iter().map(|value| value as &_).collect();
            let rows = self.client.query(&statement, &parameters).await?;
            let cells = |row: &tokio_postgres::Row| {
                let cells = (0..row.len()).map(|column| row.try_get::<_, Value>(column));
                cells.collect::<Result<_, _>>().map(Row)
            };
            rows.iter().map(cells).collect()
        })
    }
}

/// What the server is to take a value for; nothing tells, so it has to find out.
fn type_of(value: &Value) -> Type {
    match value {
        Value::Null => Type::UNKNOWN,
        Value::Integer(_) => Type::INT8,
        Value::Text(_) => Type::TEXT,
        Value::Bytes(_) => Type::BYTEA,
    }
}

/// A statement with `$1` for `?1`; what stands in quotes stays.
fn dollars(sql: &str) -> Cow<'_, str> {
    if !sql.contains('?') {
        return Cow::Borrowed(sql);
    }
    let mut quoted = false;
    let said = sql.chars().map(|c| {
        quoted ^= c == '\'';
        if c == '?' && !quoted { '$' } else { c }
    });
    Cow::Owned(said.collect())
}

type Wrong = Box<dyn StdError + Sync + Send>;

impl ToSql for Value {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Wrong> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Integer(number) => number.to_sql(kind, out),
            // PostgreSQL's text can hold every character but this one.
            Self::Text(text) if text.contains('\0') => {
                text.replace('\0', "\u{fffd}").to_sql(kind, out)
            }
            Self::Text(text) => text.to_sql(kind, out),
            Self::Bytes(bytes) => bytes.to_sql(kind, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Value {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, Wrong> {
        Ok(match *kind {
            Type::INT8 => Self::Integer(i64::from_sql(kind, raw)?),
            Type::INT4 => Self::Integer(i32::from_sql(kind, raw)?.into()),
            Type::BOOL => Self::Integer(bool::from_sql(kind, raw)?.into()),
            Type::BYTEA => Self::Bytes(raw.to_vec()),
            _ => Self::Text(String::from_sql(kind, raw)?),
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, Wrong> {
        Ok(Self::Null)
    }

    fn accepts(kind: &Type) -> bool {
        matches!(*kind, Type::INT8 | Type::INT4 | Type::BOOL | Type::BYTEA)
            || <String as FromSql<'_>>::accepts(kind)
    }
}

#[cfg(test)]
mod tests;
