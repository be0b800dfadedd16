use super::DetachKeys;

#[test]
fn keys_that_detach() {
    let check = |keys: &[u8], typed: &[&[u8]], sent: &[u8], detached: bool| {
        let mut finder = DetachKeys::new(keys);
        let mut out = Vec::new();
        let mut is_detached = false;
        for bytes in typed {
            let (bytes, detaches) = finder.take(bytes);
            out.extend(bytes);
            is_detached |= detaches;
        }
        assert_eq!((&*out, is_detached), (sent, detached), "{typed:?}");
    };
    let keys = b"\x10\x11";
    check(keys, &[b"abc"], b"abc", false);
    check(keys, &[b"ab\x10\x11"], b"ab", true);
    check(keys, &[b"\x10", b"\x11"], b"", true);
    check(keys, &[b"\x10x"], b"\x10x", false);
    check(keys, &[b"\x10\x10\x11"], b"\x10", true);
    check(keys, &[b"\x11\x10"], b"\x11", false);
    check(b"", &[b"\x10\x11"], b"\x10\x11", false);
}
