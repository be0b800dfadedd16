use super::*;

#[test]
fn changes_modes() {
    let check = |text: &str, file: (u32, u32), directory: (u32, u32)| {
        let chmod = Chmod::parse(text).unwrap();
        assert_eq!(chmod.apply(file.0, false), file.1, "{text} of a file");
        assert_eq!(
            chmod.apply(directory.0, true),
            directory.1,
            "{text} of a directory"
        );
    };
    check("755", (0o644, 0o755), (0o700, 0o755));
    check("0", (0o644, 0), (0o700, 0));
    check("4711", (0o644, 0o4711), (0o700, 0o4711));
    check("u=rwX,go=rX", (0o600, 0o644), (0o700, 0o755));
    check("go-w", (0o666, 0o644), (0o777, 0o755));
    check("+x", (0o644, 0o755), (0o700, 0o711));
    check("a+rX", (0o600, 0o644), (0o700, 0o755));
    check("u+s", (0o755, 0o4755), (0o755, 0o4755));
    check("g+s,+t", (0o755, 0o3755), (0o755, 0o3755));
    check("o+t", (0o755, 0o755), (0o755, 0o755));
    check("a=rx", (0o7755, 0o1555), (0o1777, 0o1555));
    check("go=u-w", (0o640, 0o644), (0o750, 0o755));
    check("a-X", (0o755, 0o644), (0o755, 0o644));
    check("u=,u+X", (0o700, 0o100), (0o700, 0o100));
    check("g=u", (0o640, 0o660), (0o750, 0o770));
    check("u=rw,g=r,o=", (0o777, 0o640), (0o777, 0o640));
    check("u-w+x", (0o644, 0o544), (0o700, 0o500));
    check("=r", (0o755, 0o444), (0o755, 0o444));
}

#[test]
fn refuses_what_is_no_mode() {
    for text in ["64a", "10000", "789", "u", "u=q", "x+r", "u=r,,g=r", "-1"] {
        assert_eq!(
            Chmod::parse(text),
            Err(ChmodError(text.to_owned())),
            "{text}"
        );
    }
}
