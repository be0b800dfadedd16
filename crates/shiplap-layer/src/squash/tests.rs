#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use super::write;
use crate::stack::tests::{TestLayer, TestStack};
use crate::tar::Writer;

/// Squashes all layers above the first `count` into one; the stack with it in their place.
fn squashed(lines: &str, count: usize) -> TestStack {
    let parts: Vec<&str> = lines.split("---").collect();
    let below = TestStack::of_lines(&parts[..count].join("---"));
    let whole = TestStack::of_lines(lines);
    let mut tar = Writer::new(Vec::new());
    write(&whole.stack, &below.stack, &whole.tars(), &mut tar).unwrap();
    let tar = tar.finish().unwrap();
    let mut again = Writer::new(Vec::new());
    write(&whole.stack, &below.stack, &whole.tars(), &mut again).unwrap();
    assert!(tar == again.finish().unwrap(), "{lines}");
    let mut layers = below.layers;
    layers.push(TestLayer::of_tar(&tar));
    TestStack::new(layers)
}

#[test]
fn one_layer_does_what_several_did() {
    for lines in [
        "d a\n f a/x 1\n f a/y 2 --- f a/x 3 --- w a/y\n f b 4",
        "d a\n f a/x 1\n d a/b\n f a/b/c 2 --- w a --- d a\n f a/new 3",
        "d a\n f a/x 1\n f a/y 2 --- d a\n o a\n f a/y 3 --- d a\n f a/z 4",
        "f a 1\n d b\n f b/x 2 --- d a\n f a/x 3\n w b --- f b 4",
        "d a\n f a/x 1\n h a/y a/x --- h b a/x\n w a/x --- f c 2\n h d c",
        "d a\n f a/x 1 --- f a/t 2 --- w a/t",
        "f a 1 --- l b a --- w a\n l a b",
    ] {
        let whole = TestStack::of_lines(lines);
        let layers = lines.split("---").count();
        for count in 1..layers {
            let found = squashed(lines, count);
            assert_eq!(found.layers.len(), count + 1);
            assert_eq!(found.list(), whole.list(), "{lines} above {count}");
        }
    }
}

#[test]
fn what_came_and_went_leaves_nothing() {
    let found = squashed("d a\n f a/x 1 --- f a/big 2 --- w a/big", 1);
    let top = TestStack::new(vec![found.layers.into_iter().next_back().unwrap()]);
    let names = top.list();
    assert!(!names.iter().any(|line| line.contains("big")), "{names:?}");
}
