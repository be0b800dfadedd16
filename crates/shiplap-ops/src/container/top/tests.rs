#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use super::*;

#[test]
fn lines_of_ps_are_chosen_by_their_process() {
    let text = "UID          PID    PPID CMD\nroot           1       0 /sbin/init splash\n\
                root          77       1 sleep 5\nme            78       1\n";
    let pids = BTreeSet::from([77, 78, 79]);
    let found = chosen(text, &pids).unwrap();
    assert_eq!(found.titles, ["UID", "PID", "PPID", "CMD"]);
    assert_eq!(
        found.rows,
        [["root", "77", "1", "sleep 5"], ["me", "78", "1", ""]]
    );
    assert_eq!(chosen("UID CMD\nroot init\n", &pids), None);
    assert_eq!(chosen("", &pids), None);
}

#[test]
fn a_process_is_told_without_ps() {
    let own = i32::try_from(std::process::id()).unwrap();
    let found = from_proc(&BTreeSet::from([own, i32::MAX]));
    assert_eq!(found.rows.len(), 1);
    assert_eq!(found.rows[0][1], own.to_string());
    assert_eq!(found.rows[0].len(), found.titles.len());
}
