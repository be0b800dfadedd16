//! Values that go into statements and come out of rows, the same for every database.
//!
//! Knows nothing of a connection.

use std::str::FromStr;

use super::DatabaseError;

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Nothing.
    Null,
    /// A number, a time in microseconds since 1970, or 0 and 1 for no and yes.
    Integer(i64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

/// Sizes and counts; none of ours comes near the sign.
impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Integer(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<bool> for Value {
    fn from(yes: bool) -> Self {
        Self::Integer(i64::from(yes))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<&shiplap_model::Digest> for Value {
    fn from(digest: &shiplap_model::Digest) -> Self {
        Self::Text(digest.as_str().to_owned())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Values for a statement's `?1`, `?2`, …
#[macro_export]
#[doc(hidden)]
macro_rules! values {
    ($($value:expr),* $(,)?) => { &[$($crate::database::Value::from($value)),*] };
}

/// One row of a query's answer.
#[derive(Debug, Clone)]
pub struct Row(pub(super) Vec<Value>);

impl Row {
    fn wrong(&self, column: usize, want: &'static str) -> DatabaseError {
        DatabaseError::Column {
            column,
            want,
            found: match self.0.get(column) {
                None => "no column",
                Some(Value::Null) => "nothing",
                Some(Value::Integer(_)) => "a number",
                Some(Value::Text(_)) => "text",
                Some(Value::Bytes(_)) => "bytes",
            },
        }
    }

    /// A number.
    ///
    /// # Errors
    /// [`DatabaseError::Column`], as all below.
    pub fn integer(&self, column: usize) -> Result<i64, DatabaseError> {
        match self.0.get(column) {
            Some(Value::Integer(number)) => Ok(*number),
            _ => Err(self.wrong(column, "a number")),
        }
    }

    /// A number, if there is one.
    ///
    /// # Errors
    /// As [`Self::integer`].
    pub fn maybe_integer(&self, column: usize) -> Result<Option<i64>, DatabaseError> {
        match self.0.get(column) {
            Some(Value::Null) => Ok(None),
            _ => self.integer(column).map(Some),
        }
    }

    /// A size or count.
    ///
    /// # Errors
    /// As [`Self::integer`].
    pub fn size(&self, column: usize) -> Result<u64, DatabaseError> {
        u64::try_from(self.integer(column)?).map_err(|_| self.wrong(column, "a size"))
    }

    /// Yes or no.
    ///
    /// # Errors
    /// As [`Self::integer`].
    pub fn flag(&self, column: usize) -> Result<bool, DatabaseError> {
        Ok(self.integer(column)? != 0)
    }

    /// Text.
    ///
    /// # Errors
    /// As [`Self::integer`].
    pub fn text(&self, column: usize) -> Result<String, DatabaseError> {
        match self.0.get(column) {
            Some(Value::Text(text)) => Ok(text.clone()),
            _ => Err(self.wrong(column, "text")),
        }
    }

    /// Text, if there is some.
    ///
    /// # Errors
    /// As [`Self::integer`].
    pub fn maybe_text(&self, column: usize) -> Result<Option<String>, DatabaseError> {
        match self.0.get(column) {
            Some(Value::Null) => Ok(None),
            _ => self.text(column).map(Some),
        }
    }

    /// Bytes, moved out of the row.
    ///
    /// # Errors
    /// As [`Self::integer`].
    pub fn take_bytes(&mut self, column: usize) -> Result<Vec<u8>, DatabaseError> {
        match self.0.get_mut(column) {
            Some(Value::Bytes(bytes)) => Ok(std::mem::take(bytes)),
            _ => Err(self.wrong(column, "bytes")),
        }
    }

    /// Text that stands for something.
    ///
    /// # Errors
    /// As [`Self::integer`].
    pub fn parsed<T: FromStr>(
        &self,
        column: usize,
        want: &'static str,
    ) -> Result<T, DatabaseError> {
        match self.0.get(column) {
            Some(Value::Text(text)) => text.parse().map_err(|_| self.wrong(column, want)),
            _ => Err(self.wrong(column, want)),
        }
    }
}
