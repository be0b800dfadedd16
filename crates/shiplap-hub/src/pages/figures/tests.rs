use super::*;

#[test]
fn numbers_are_short() {
    let check = |number: u64, want: &str| assert_eq!(count(number), want);
    check(0, "0");
    check(999, "999");
    check(1000, "1K");
    check(1234, "1.2K");
    check(9949, "9.9K");
    check(9950, "10K");
    check(99_949, "100K");
    check(999_499, "999K");
    check(999_500, "1M");
    check(5_600_000, "5.6M");
    check(u64::MAX, "18446744074B");
}

#[test]
fn long_numbers_are_in_groups() {
    let check = |number: u64, want: &str| assert_eq!(grouped(number), want);
    check(0, "0");
    check(999, "999");
    check(1000, "1,000");
    check(100_000, "100,000");
    check(1_234_567, "1,234,567");
}

#[test]
fn sizes_have_units() {
    assert_eq!(size(0), "0\u{a0}B");
    assert_eq!(size(72_800_000), "72.8\u{a0}MB");
}

#[test]
fn parts_are_told_of_a_whole() {
    let check = |part: u64, whole: u64, want: &str| assert_eq!(percent(part, whole), want);
    check(0, 0, "0%");
    check(0, 10, "0%");
    check(1, 1000, "<1%");
    check(1, 8, "12%");
    check(10, 10, "100%");
}

#[test]
fn times_are_told_as_people_do() {
    let hour = 3_600_000_000;
    assert_eq!(When::of(now_us()).ago, "just now");
    assert_eq!(When::of(now_us() + hour).ago, "just now");
    assert_eq!(When::of(now_us() - hour).ago, "about an hour ago");
    assert_eq!(When::of(1_700_000_000_000_000).day, "2023-11-14");
    assert!(When::parse("1970-01-01T00:00:00Z").is_none());
    assert!(When::parse("yesterday").is_none());
    let parsed = When::parse("2023-11-14T22:13:20Z");
    assert_eq!(parsed.map(|when| when.day).as_deref(), Some("2023-11-14"));
}
