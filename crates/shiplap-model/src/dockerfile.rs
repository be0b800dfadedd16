//! Dockerfiles: text to a tree of instructions with their places (Dockerfile reference,
//! frontend 1.2x).
//!
//! Pure: nothing here expands a variable, looks at a file system or runs anything.

pub mod ast;

pub use ast::{
    ArgDeclaration, Command, Dockerfile, Expose, From, Healthcheck, Heredoc, Instruction, Kind,
    Mount, MountType, Network, Pair, Run, Security, Span, Stage, Transfer, TransferSource,
};
