use super::*;

#[test]
fn cleans_as_go_does() {
    fn check(path: &str, wanted: &str) {
        let found = clean(path.as_bytes());
        assert_eq!(String::from_utf8_lossy(&found), wanted, "{path:?}");
        assert_eq!(clean(&found), found, "{path:?} twice");
    }
    check("", ".");
    check(".", ".");
    check("/", "/");
    check("abc", "abc");
    check("abc/", "abc");
    check("a//b/./c/", "a/b/c");
    check("a/..", ".");
    check("a/../..", "..");
    check("../../a", "../../a");
    check("a/../../b", "../b");
    check("/..", "/");
    check("/../a", "/a");
    check("//a", "/a");
    check("/a/b/../../..", "/");
    check("!./a", "!./a");
    check("!a/../b", "b");
}

#[test]
fn stays_beneath() {
    fn check(path: &str, wanted: &str) {
        assert_eq!(beneath(path.as_bytes()), wanted.as_bytes(), "{path:?}");
    }
    check("", "");
    check(".", "");
    check("/", "");
    check("../../etc/passwd", "etc/passwd");
    check("/a/./b/..", "a");
    check("./x/", "x");
}

#[test]
fn splits_off_the_last_name() {
    assert_eq!(split(b"a/b/c"), (&b"a/b"[..], &b"c"[..]));
    assert_eq!(split(b"a"), (&b""[..], &b"a"[..]));
    assert_eq!(split(b""), (&b""[..], &b""[..]));
}
