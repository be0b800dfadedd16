//! One word of a shell's text.

/// A word as written, and what it says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::lint) struct Word {
    /// Where it begins in the text.
    pub(in crate::lint) start: usize,
    /// One behind its end.
    pub(in crate::lint) end: usize,
    /// Without its quotes; expansions as they are written.
    pub(in crate::lint) value: String,
    /// What is expanded in it.
    pub(in crate::lint) expansions: Vec<Expansion>,
    /// Some of it is quoted or escaped.
    pub(in crate::lint) is_quoted: bool,
    /// It has `*`, `?` or `[` outside quotes.
    pub(in crate::lint) has_pattern: bool,
    /// Parts in single quotes that look as if they were to be expanded.
    pub(in crate::lint) unexpanded: Option<(usize, usize)>,
}

/// `$name`, `$(…)` and the like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::lint) struct Expansion {
    /// Where it begins in the text.
    pub(in crate::lint) start: usize,
    /// One behind its end.
    pub(in crate::lint) end: usize,
    /// What is expanded.
    pub(in crate::lint) subject: Subject,
    /// It stands in double quotes.
    pub(in crate::lint) is_quoted: bool,
}

/// What is expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::lint) enum Subject {
    /// A variable, or a parameter as `@` or `1`; `is_plain`: without default, length or the like.
    Variable {
        /// Its name.
        name: String,
        /// Nothing is done to its value.
        is_plain: bool,
        /// It has another value, or an error, if it is empty: `${x:-y}`, `${x:?}`.
        has_default: bool,
    },
    /// What a command writes: `$(…)`.
    Command,
    /// The same in the old form.
    Backticks,
    /// A number.
    Arithmetic,
}

impl Word {
    /// What it says, if that is certain before it is run.
    pub(in crate::lint) fn literal(&self) -> Option<&str> {
        self.expansions.is_empty().then_some(self.value.as_str())
    }

    /// It says exactly this.
    pub(in crate::lint) fn is(&self, text: &str) -> bool {
        self.literal() == Some(text)
    }

    /// Text of one variable's name and value, if it is `name=value`.
    pub(in crate::lint) fn assignment(&self) -> Option<(&str, &str)> {
        let (name, value) = self.value.split_once('=')?;
        let name = name.strip_suffix('+').unwrap_or(name);
        is_name(name).then_some((name, value))
    }
}

/// Whether a variable may be called so.
pub(in crate::lint) fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    let first = chars.next();
    first.is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && chars.all(|char| char.is_ascii_alphanumeric() || char == '_')
}
