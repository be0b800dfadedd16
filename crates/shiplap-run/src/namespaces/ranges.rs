//! `/etc/subuid` and `/etc/subgid` (subuid(5)): which IDs a user may give to namespaces.

/// Some IDs in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) start: u32,
    pub(super) count: u32,
}

/// The ranges of a user, who stands there by name or by number. Lines that make no sense are passed
/// over, as the system's own tools do.
pub(super) fn of_user(text: &str, user: &str, uid: u32) -> Vec<Range> {
    text.lines()
        .filter_map(|line| {
            let mut fields = line.trim().split(':');
            let who = fields.next()?;
            let (start, count) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
            let is_user = who == user || who.parse() == Ok(uid);
            (is_user && count > 0 && fields.next().is_none()).then_some(Range { start, count })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_users() {
        let text = "# comment\nalice:100000:65536\n1001:200000:10\nbob:1:0\nbob:x:1\nalice:300000:5\nalice:1:2:3\n";
        let check = |user: &str, uid: u32, found: &[(u32, u32)]| {
            let found: Vec<_> = found
                .iter()
                .map(|(start, count)| Range {
                    start: *start,
                    count: *count,
                })
                .collect();
            assert_eq!(of_user(text, user, uid), found, "{user}");
        };
        check("alice", 1000, &[(100_000, 65_536), (300_000, 5)]);
        check("carol", 1001, &[(200_000, 10)]);
        check("bob", 1002, &[]);
        check("nobody", 65_534, &[]);
    }
}
