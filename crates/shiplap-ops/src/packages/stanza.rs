//! Fields as mail has them: `Name: value`, continued on lines that begin with a blank; an empty line
//! ends a stanza. dpkg's databases, copyright files and Python's metadata are written so.

/// The fields of one stanza, in order, as they lie in the text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stanza<'a> {
    fields: Vec<(&'a str, &'a str)>,
}

impl<'a> Stanza<'a> {
    /// The whole value of a field, continued lines and all; names are not told apart by case.
    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        self.all(name).next()
    }

    /// The values of a field that may be there more than once.
    pub(super) fn all<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'a str> + use<'s, 'a> {
        self.fields
            .iter()
            .filter(move |(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| *value)
    }

    /// The first line of a field, if it says anything.
    pub(super) fn line(&self, name: &str) -> Option<&'a str> {
        let line = self.get(name)?.lines().next()?.trim();
        (!line.is_empty()).then_some(line)
    }
}

/// The stanzas of a text, in order.
pub(super) fn stanzas(text: &str) -> impl Iterator<Item = Stanza<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let stanza;
            (stanza, rest) = take(rest);
            if !stanza.fields.is_empty() {
                return Some(stanza);
            }
        }
        None
    })
}

/// The first stanza of a text, which may have none.
pub(super) fn first(text: &str) -> Stanza<'_> {
    take(text).0
}

/// Takes one stanza and the empty line behind it off the front.
fn take(text: &str) -> (Stanza<'_>, &str) {
    let mut fields: Vec<(&str, usize, usize)> = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let content = line.trim_end_matches(['\n', '\r']);
        if content.is_empty() {
            break;
        }
        if content.starts_with([' ', '\t']) {
            if let Some(field) = fields.last_mut() {
                field.2 = start + content.len();
            }
        } else if let Some((name, value)) = content.split_once(':') {
            let end = start + content.len();
            fields.push((name, end - value.len(), end));
        }
    }
    let value = |(name, start, end)| (name, text.get(start..end).unwrap_or_default().trim());
    let fields = fields.into_iter().map(value).collect();
    (Stanza { fields }, text.get(at..).unwrap_or_default())
}
