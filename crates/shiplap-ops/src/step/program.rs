//! Why a program can't be executed: it is made for another kind of processor, and nothing on this
//! machine runs it.
//!
//! Only looked at after a failure, in the layers, without a mount. A program that is a script is not
//! followed to what runs it.

use std::fs;
use std::io::Read;

use shiplap_layer::stack::{Found, StackError, Type};

use super::Step;
use crate::container::changes::OpenTree;

/// Bytes of an ELF file that say what it is for (elf(5)): up to `e_machine`, and some that masks of
/// binfmt may cover.
const HEADER_BYTES: usize = 64;

/// The architecture of the step's program, if it is one that can't run here.
pub(super) fn foreign(tree: &OpenTree, step: &Step) -> Option<&'static str> {
    let header = header(tree, step).ok().flatten()?;
    let architecture = architecture(&header)?;
    let is_native = match std::env::consts::ARCH {
        "x86_64" => ["amd64", "386"].contains(&architecture),
        "aarch64" => ["arm64", "arm"].contains(&architecture),
        "x86" => architecture == "386",
        "powerpc64" => architecture == "ppc64le",
        own => architecture == own,
    };
    (!is_native && !is_emulated(&header)).then_some(architecture)
}

/// The first bytes of the step's program.
fn header(tree: &OpenTree, step: &Step) -> Result<Option<Vec<u8>>, StackError> {
    let Some(found) = find(tree, step)? else {
        return Ok(None);
    };
    let mut header = Vec::new();
    let limit = HEADER_BYTES as u64;
    let read = match tree.merged.file(&found)? {
        Some(file) => file.take(limit).read_to_end(&mut header),
        None => {
            let content = tree.merged.content(&found)?;
            let Some(tar) = tree.image.tars.get(content.layer) else {
                return Ok(None);
            };
            content.reader(tar).take(limit).read_to_end(&mut header)
        }
    };
    Ok(read.is_ok().then_some(header))
}

/// The step's program, where a runtime finds it.
fn find(tree: &OpenTree, step: &Step) -> Result<Option<Found>, StackError> {
    let Some(program) = step.args.first() else {
        return Ok(None);
    };
    let candidates: Vec<String> = if program.contains('/') {
        vec![match program.starts_with('/') {
            true => program.clone(),
            false => format!("{}/{program}", step.working_dir),
        }]
    } else {
        let path = step.env.iter().find_map(|line| line.strip_prefix("PATH="));
        path.unwrap_or_default()
            .split(':')
            .map(|directory| format!("{directory}/{program}"))
            .collect()
    };
    for candidate in candidates {
        match tree.merged.resolve(candidate.as_bytes(), true) {
            Ok(found) if matches!(found.facts.kind, Type::File { .. }) => return Ok(Some(found)),
            Ok(_) => {}
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// What an ELF file is for, in the words of images.
fn architecture(header: &[u8]) -> Option<&'static str> {
    let [0x7f, b'E', b'L', b'F', _, order, ..] = header else {
        return None;
    };
    let machine: [u8; 2] = header.get(18..20)?.try_into().ok()?;
    let is_big = *order == 2;
    let machine = match is_big {
        true => u16::from_be_bytes(machine),
        false => u16::from_le_bytes(machine),
    };
    Some(match (machine, is_big) {
        (3, _) => "386",
        (8, true) => "mips64",
        (8, false) => "mips64le",
        (21, true) => "ppc64",
        (21, false) => "ppc64le",
        (22, _) => "s390x",
        (40, _) => "arm",
        (62, _) => "amd64",
        (183, _) => "arm64",
        (243, _) => "riscv64",
        (258, _) => "loong64",
        _ => return None,
    })
}

/// Whether the kernel hands such a program to another one.
fn is_emulated(header: &[u8]) -> bool {
    let entries = fs::read_dir("/proc/sys/fs/binfmt_misc");
    entries.into_iter().flatten().flatten().any(|entry| {
        fs::read_to_string(entry.path()).is_ok_and(|text| takes(&text, header).unwrap_or(false))
    })
}

/// Whether an entry of binfmt, by the kernel's text of it, is enabled and takes a file that begins so.
fn takes(text: &str, header: &[u8]) -> Option<bool> {
    if text.lines().next()? != "enabled" {
        return Some(false);
    }
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
    let offset: usize = field("offset ")?.trim().parse().ok()?;
    let magic = bytes(field("magic ")?)?;
    let mask = match field("mask ") {
        Some(mask) => bytes(mask)?,
        None => vec![0xff; magic.len()],
    };
    let part = header.get(offset..offset.checked_add(magic.len())?)?;
    let mut both = part.iter().zip(&magic).zip(&mask);
    Some(both.all(|((found, wanted), mask)| (found ^ wanted) & mask == 0))
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let hex = hex.trim().as_bytes();
    hex.chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests;
