//! Tars made by hand: whatever name, type or field a library would refuse.

use super::BLOCK_BYTES;

/// A header block with right checksum; `change` may set any field before.
pub(super) fn header(
    name: &[u8],
    type_flag: u8,
    size: usize,
    change: impl FnOnce(&mut [u8]),
) -> Vec<u8> {
    let mut block = vec![0; BLOCK_BYTES];
    block[..name.len()].copy_from_slice(name);
    block[100..107].copy_from_slice(b"0000644");
    block[108..115].copy_from_slice(b"0001750");
    block[116..123].copy_from_slice(b"0000144");
    block[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
    block[136..147].copy_from_slice(b"14235467016");
    block[156] = type_flag;
    block[257..265].copy_from_slice(b"ustar\x0000");
    change(&mut block);
    sum(&mut block);
    block
}

pub(super) fn sum(block: &mut [u8]) {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
}

pub(super) fn padded(data: &[u8]) -> Vec<u8> {
    let mut padded = data.to_vec();
    padded.resize(data.len().next_multiple_of(BLOCK_BYTES), 0);
    padded
}

pub(super) fn file(name: &str, data: &[u8]) -> Vec<u8> {
    [
        header(name.as_bytes(), b'0', data.len(), |_| {}),
        padded(data),
    ]
    .concat()
}

pub(super) fn directory(name: &str) -> Vec<u8> {
    header(name.as_bytes(), b'5', 0, |block| {
        block[100..107].copy_from_slice(b"0000750");
    })
}

pub(super) fn link(name: &str, type_flag: u8, target: &str) -> Vec<u8> {
    header(name.as_bytes(), type_flag, 0, |block| {
        block[157..157 + target.len()].copy_from_slice(target.as_bytes());
    })
}

pub(super) fn symlink(name: &str, target: &str) -> Vec<u8> {
    link(name, b'2', target)
}

pub(super) fn hard_link(name: &str, target: &str) -> Vec<u8> {
    link(name, b'1', target)
}

/// An extension header with its data.
pub(super) fn extension(type_flag: u8, data: &[u8]) -> Vec<u8> {
    [header(b"x", type_flag, data.len(), |_| {}), padded(data)].concat()
}

pub(super) fn pax(records: &[(&str, &str)]) -> Vec<u8> {
    let data: String = records
        .iter()
        .map(|(key, value)| {
            let body = format!(" {key}={value}\n");
            let digits = (1..20)
                .find(|d| (body.len() + d).to_string().len() == *d)
                .unwrap();
            format!("{}{body}", body.len() + digits)
        })
        .collect();
    extension(b'x', data.as_bytes())
}

pub(super) fn end() -> Vec<u8> {
    vec![0; 2 * BLOCK_BYTES]
}

pub(super) fn tar(parts: &[Vec<u8>]) -> Vec<u8> {
    [parts.concat(), end()].concat()
}
