#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests fail by panicking and say what they skip"
)]

mod judges;

use super::{ExportError, export, write};
use crate::stack::tests::{TestLayer, TestStack};
use crate::tar::Writer;

pub(crate) fn exported(stack: &TestStack) -> Vec<u8> {
    let mut tar = Writer::new(Vec::new());
    export(&stack.stack, &stack.tars(), &mut tar).unwrap();
    tar.finish().unwrap()
}

/// The corrections as one more layer on top.
pub(crate) fn corrected(stack: TestStack) -> TestStack {
    let mut tar = Writer::new(Vec::new());
    let corrections = stack.stack.corrections().unwrap();
    write(
        &stack.stack,
        &stack.tars(),
        corrections.into_iter().map(Ok),
        &mut tar,
    )
    .unwrap();
    let mut layers = stack.layers;
    layers.push(TestLayer::of_tar(&tar.finish().unwrap()));
    TestStack::new(layers)
}

#[test]
fn an_exported_stack_is_one_layer_that_shows_the_same() {
    for lines in [
        "d a\n f a/x 1\n h a/y a/x --- D a\n f a/z 2\n w a/x",
        "D a\n f a/x 1\n l l a --- f a/y 2 --- h b a/x\n h a/c a/y",
        "d .\n f e ",
        "f a/b/c 1 --- o a",
    ] {
        let stack = TestStack::of_lines(lines);
        let tar = exported(&stack);
        assert!(tar == exported(&stack), "{lines}");
        assert!(
            tar == exported(&TestStack::of_lines(lines).indexed()),
            "{lines}"
        );
        let flat = TestStack::new(vec![TestLayer::of_tar(&tar)]);
        assert_eq!(flat.list(), stack.list(), "{lines}");
        assert!(exported(&flat) == tar, "{lines}");
    }
}

#[test]
fn names_of_one_file_stay_links() {
    let stack = TestStack::of_lines("f a 1\n h b a --- h c b");
    let flat = TestStack::new(vec![TestLayer::of_tar(&exported(&stack))]);
    let [a, b, c] = ["a", "b", "c"].map(|p| flat.stack.resolve(p.as_bytes(), false).unwrap());
    assert_eq!((a.inode, b.inode, a.nlink()), (b.inode, c.inode, 3));
}

#[test]
fn corrections_leave_nothing_to_correct() {
    for lines in [
        "d a\n D a/b\n f a/b/x 1 --- f a/b/y 2",
        "d d\n f d/a 1\n f d/e 2 --- d d\n h d/b d/a\n h d/c d/a --- f d/e/f 3",
    ] {
        let stack = TestStack::of_lines(lines);
        let list = stack.list();
        let corrected = corrected(stack);
        assert_eq!(corrected.list(), list);
        assert!(corrected.stack.corrections().unwrap().is_empty(), "{lines}");
    }
}

#[test]
fn a_missing_tar_is_an_error() {
    let stack = TestStack::of_lines("f a 1 --- f b 2");
    let mut tar = Writer::new(Vec::new());
    let error = export(&stack.stack, &stack.tars()[..1], &mut tar).unwrap_err();
    assert!(
        matches!(error, ExportError::NoTar { layer: 1, .. }),
        "{error}"
    );
}
