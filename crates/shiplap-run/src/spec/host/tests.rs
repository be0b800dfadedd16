//! The texts of `/proc`, read.

use super::*;

#[test]
fn maps_of_ids() {
    let first = "         0          0 4294967295\n";
    let rootless = "0 1000 1\n1 100000 65536\n";
    let single = "0 1000 1\n";
    for (map, is_first, tty) in [
        (first, true, true),
        (rootless, false, true),
        (single, false, false),
        ("5 18446744073709551615 18446744073709551615", false, true),
        ("", false, false),
        ("x y z\n0 0", false, false),
    ] {
        assert_eq!(
            (is_first_namespace(map), is_mapped(map, 5)),
            (is_first, tty),
            "{map:?}"
        );
    }
}

#[test]
fn versions_of_kernels() {
    for (release, wanted) in [
        ("6.18.44-fc-v445\n", (6, 18)),
        ("5.4", (5, 4)),
        ("4", (4, 0)),
        ("6.1-rc3", (6, 1)),
        ("", (0, 0)),
        ("99999999999.1", (0, 1)),
    ] {
        assert_eq!(kernel_version(release), wanted, "{release:?}");
    }
}

#[test]
fn masks_of_capabilities() {
    let status = "Name:\tx\nCapBnd:\t00000000a80425fb\nCapEff:\tzz\n";
    assert_eq!(mask(status, "CapBnd:"), 0xa804_25fb);
    assert_eq!(mask(status, "CapEff:"), 0);
    assert_eq!(mask(status, "CapAmb:"), 0);
}
