//! The command `shiplap`.
#![forbid(unsafe_code)]

mod template;

fn main() {}
