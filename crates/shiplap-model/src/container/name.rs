//! Names of containers and volumes.

/// Why something can't be called so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "Invalid name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed, at least two of them and at most 255"
)]
pub struct NameError {
    /// As given.
    pub name: String,
}

/// Checks a name.
///
/// # Errors
/// [`NameError`].
pub fn check(name: &str) -> Result<(), NameError> {
    let is_first = |byte: &u8| byte.is_ascii_alphanumeric();
    let is_word = |byte: &u8| is_first(byte) || b"_.-".contains(byte);
    let bytes = name.as_bytes();
    let is_fine = (2..=255).contains(&bytes.len())
        && bytes.first().is_some_and(is_first)
        && bytes.iter().all(is_word);
    if is_fine {
        return Ok(());
    }
    Err(NameError {
        name: name.chars().take(300).collect(),
    })
}

/// A name out of random bytes, as Docker makes them: how somebody is, and who.
#[must_use]
pub fn generate(random: [u8; 4]) -> String {
    let pick = |words: &[&'static str], bytes: [u8; 2]| {
        let number = usize::from(u16::from_be_bytes(bytes));
        words.get(number % words.len()).copied().unwrap_or_default()
    };
    let [a, b, c, d] = random;
    format!("{}_{}", pick(&HOW, [a, b]), pick(&WHO, [c, d]))
}

const HOW: [&str; 64] = [
    "able", "agile", "amber", "balmy", "bold", "brave", "breezy", "bright", "brisk", "calm",
    "candid", "cheery", "civil", "clear", "clever", "cosy", "crisp", "daring", "deft", "eager",
    "early", "earnest", "fair", "fleet", "fond", "frank", "fresh", "gentle", "glad", "golden",
    "grand", "handy", "happy", "hardy", "honest", "humble", "jolly", "keen", "kind", "light",
    "lively", "loyal", "lucid", "mellow", "merry", "mild", "modest", "neat", "nimble", "noble",
    "patient", "plain", "proud", "quick", "quiet", "ready", "serene", "silver", "steady", "sunny",
    "tidy", "warm", "wise", "witty",
];

/// Makers of ships and travellers at sea.
const WHO: [&str; 64] = [
    "amundsen", "anson", "baffin", "barents", "baret", "barnum", "bering", "blackwood", "bligh",
    "brunel", "byron", "cabot", "chapman", "chichester", "columbus", "cook", "cousteau", "dampier",
    "davis", "drake", "ericson", "fincham", "franklin", "froude", "frobisher", "gama", "gray",
    "hanno", "harrison", "herreshoff", "hudson", "joyon", "kane", "laperouse", "lind", "macarthur",
    "magellan", "maury", "mckay", "moitessier", "mudge", "nansen", "nelson", "parry", "peary",
    "pett", "polynesian", "pytheas", "ross", "saltonstall", "scott", "shackleton", "slocum",
    "somerville", "steers", "stevin", "sutton", "tasman", "tilman", "vancouver", "vespucci",
    "webb", "weddell", "zheng",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_some() {
        let ok = |name: &str| assert_eq!(check(name), Ok(()), "{name}");
        ok("ab");
        ok("web-1.test_2");
        ok("0a");
        ok(&"a".repeat(255));
        let bad = |name: &str| assert!(check(name).is_err(), "{name}");
        bad("");
        bad("a");
        bad("-ab");
        bad("a/b");
        bad("../x");
        bad("é1");
        bad(&"a".repeat(256));
    }

    #[test]
    fn names_that_are_made_up() {
        assert_eq!(generate([0; 4]), "able_amundsen");
        assert_eq!(check(&generate([255; 4])), Ok(()));
        let all = HOW.iter().chain(&WHO);
        assert!(all.clone().all(|word| check(word) == Ok(())));
        let mut sorted: Vec<_> = all.clone().collect();
        sorted.sort();
        sorted.dedup();
        assert_eq!(sorted.len(), all.count());
    }
}
