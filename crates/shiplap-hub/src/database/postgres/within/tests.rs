use super::*;

#[test]
fn parameters_are_told_in_dollars() {
    let check = |sql: &str, wanted: &str| assert_eq!(dollars(sql), wanted);
    check("SELECT 1", "SELECT 1");
    check(
        "SELECT ?1 WHERE a = ?12 AND b LIKE '?1'",
        "SELECT $1 WHERE a = $12 AND b LIKE '?1'",
    );
    check("SELECT 'it''s ?', ?2", "SELECT 'it''s ?', $2");
}
