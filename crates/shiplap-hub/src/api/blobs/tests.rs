use super::*;

#[test]
fn ranges_are_read() {
    let check = |header: &str, size: u64, want: Option<Range>| {
        assert_eq!(range(header, size), want, "{header} of {size}");
    };
    check("bytes=0-99", 1000, Some(Range::Part(0, 99)));
    check("bytes=500-", 1000, Some(Range::Part(500, 999)));
    check("bytes=-500", 1000, Some(Range::Part(500, 999)));
    check("bytes=-5000", 1000, Some(Range::Part(0, 999)));
    check("bytes=900-5000", 1000, Some(Range::Part(900, 999)));
    check("bytes=999-999", 1000, Some(Range::Part(999, 999)));
    check("bytes=1000-1001", 1000, Some(Range::Outside));
    check("bytes=500-0", 1000, Some(Range::Outside));
    check("bytes=-0", 1000, Some(Range::Outside));
    check("bytes=0-0", 0, Some(Range::Outside));
    check("bytes=-1", 0, Some(Range::Outside));
    check("bytes=0-1,5-6", 1000, None);
    check("bytes=a-b", 1000, None);
    check("bytes=18446744073709551616-", 1000, None);
    check("lines=0-1", 1000, None);
    check("", 1000, None);
}
