use super::{architecture, takes};

fn elf(class: u8, order: u8, machine: [u8; 2]) -> Vec<u8> {
    let mut header = vec![0x7f, b'E', b'L', b'F', class, order, 1];
    header.resize(18, 0);
    header[16] = 2;
    header.extend(machine);
    header.resize(64, 0);
    header
}

#[test]
fn an_elf_file_says_what_it_is_for() {
    let check = |header: &[u8], wanted| assert_eq!(architecture(header), wanted, "{header:?}");
    check(&elf(2, 1, [62, 0]), Some("amd64"));
    check(&elf(1, 1, [3, 0]), Some("386"));
    check(&elf(2, 1, [183, 0]), Some("arm64"));
    check(&elf(2, 2, [0, 22]), Some("s390x"));
    check(&elf(2, 1, [21, 0]), Some("ppc64le"));
    check(&elf(2, 2, [0, 21]), Some("ppc64"));
    check(&elf(2, 1, [2, 1]), Some("loong64"));
    check(&elf(2, 1, [0, 62]), None);
    check(b"#!/bin/sh\n", None);
    check(&elf(2, 1, [62, 0])[..19], None);
    check(b"", None);
}

#[test]
fn an_entry_of_binfmt_takes_what_its_mask_says() {
    // As the kernel writes that of Debian's qemu-user-static.
    let arm64 = "enabled\ninterpreter /usr/libexec/qemu-binfmt/aarch64-binfmt-P\nflags: POCF\n\
                 offset 0\nmagic 7f454c460201010000000000000000000200b700\n\
                 mask ffffffffffffff00fffffffffffffffffeffffff\n";
    let check = |text: &str, header: &[u8], wanted| {
        assert_eq!(takes(text, header), wanted, "{text}");
    };
    check(arm64, &elf(2, 1, [183, 0]), Some(true));
    check(arm64, &elf(2, 1, [62, 0]), Some(false));
    check(
        &arm64.replace("enabled", "disabled"),
        &elf(2, 1, [183, 0]),
        Some(false),
    );
    check(
        "enabled\ninterpreter /x\nflags: \noffset 4\nmagic 02\n",
        &elf(2, 1, [62, 0]),
        Some(true),
    );
    check(
        "enabled\ninterpreter /x\nflags: \nextension .py\n",
        &elf(2, 1, [62, 0]),
        None,
    );
    check(arm64, b"short", None);
    check("", b"", None);
}
