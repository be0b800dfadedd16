//! One line of comma-separated values, as flags and Dockerfiles write lists of `key=value`
//! (`--mount`, `--secret`, `--output`): a field in quotes may hold commas, and quotes twice.
//!
//! What fields mean is for whoever asked; a line has at least one, which may be empty.

/// A quote where none can be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} has a quote in the wrong place")]
pub struct QuoteError(pub String);

/// The fields of a line, without their quotes.
///
/// # Errors
/// [`QuoteError`].
pub fn fields(line: &str) -> Result<Vec<String>, QuoteError> {
    let wrong = || QuoteError(line.to_owned());
    let mut fields = Vec::new();
    let mut field = String::new();
    let mut letters = line.chars().peekable();
    let (mut is_quoted, mut is_start) = (false, true);
    while let Some(letter) = letters.next() {
        match letter {
            '"' if is_start => is_quoted = true,
            '"' if !is_quoted => return Err(wrong()),
            '"' if letters.peek() == Some(&'"') => {
                letters.next();
                field.push('"');
            }
            '"' => {
                is_quoted = false;
                if letters.peek().is_some_and(|next| *next != ',') {
                    return Err(wrong());
                }
            }
            ',' if !is_quoted => {
                fields.push(std::mem::take(&mut field));
                is_start = true;
                continue;
            }
            letter => field.push(letter),
        }
        is_start = false;
    }
    if is_quoted {
        return Err(wrong());
    }
    fields.push(field);
    Ok(fields)
}

#[cfg(test)]
mod tests;
