use super::super::tests::Item::{Directory, File, Gone, HardLink, Opaque, Sized};
use super::super::tests::{Item, image};
use super::score;

/// Efficiency, bytes of all layers, of all but the first, and wasted ones.
fn check(what: &str, layers: &[&[Item<'_>]], expected: (f64, u64, u64, u64)) {
    let score = score(&image(layers).paths);
    assert!(
        (score.efficiency - expected.0).abs() < 1e-12,
        "{what}: {} is not {}",
        score.efficiency,
        expected.0
    );
    let counted = (score.size_bytes, score.user_size_bytes, score.wasted_bytes);
    assert_eq!(counted, (expected.1, expected.2, expected.3), "{what}");
    assert!(score.inefficient.is_sorted_by(|a, b| a.bytes >= b.bytes));
}

/// The answers of dive's own tests (wagoodman/dive, MIT), and answers counted by hand.
#[test]
fn as_dive_scores() {
    check("nothing", &[&[]], (1.0, 0, 0, 0));
    check(
        "an empty file",
        &[&[File("nothing", b"")], &[], &[]],
        (1.0, 0, 0, 0),
    );
    check(
        "its test of the score",
        &[
            &[
                Sized("etc/nginx/nginx.conf", 2000),
                Sized("etc/nginx/public", 3000),
            ],
            &[
                Sized("etc/nginx/nginx.conf", 5000),
                Sized("etc/athing", 10000),
            ],
            &[Gone("etc/nginx")],
        ],
        (0.75, 20000, 15000, 7000),
    );
    check(
        "its test image",
        &[
            &[
                Sized("bin/[", 1_154_361),
                Directory("root"),
                Directory("tmp"),
            ],
            &[Sized("somefile.txt", 6405)],
            &[
                Directory("root"),
                Directory("root/example"),
                Directory("root/example/really"),
                Directory("root/example/really/nested"),
            ],
            &in_example("root/example/somefile1.txt"),
            &in_example("root/example/somefile1.txt"),
            &in_example("root/example/somefile2.txt"),
            &in_example("root/example/somefile3.txt"),
            &[
                Directory("root"),
                Directory("root/example"),
                Gone("root/example/somefile3.txt"),
                Sized("root/saved.txt", 6405),
            ],
            &[Directory("root"), Sized("root/.saved.txt", 6405)],
            &[Directory("root"), Gone("root/example")],
            &[
                Directory("root"),
                Directory("root/.data"),
                Sized("root/.data/tag.sh", 917),
                Sized("root/.data/test.sh", 1270),
            ],
            &[Directory("tmp"), Sized("tmp/saved.again1.txt", 6405)],
            &[
                Directory("root"),
                Directory("root/.data"),
                Sized("root/.data/saved.again2.txt", 6405),
            ],
            &[Directory("root"), Sized("root/saved.txt", 6405)],
        ],
        (0.984_421_213_418_430_9, 1_220_598, 66_237, 32_025),
    );
}

fn in_example(file: &str) -> [Item<'_>; 3] {
    [
        Directory("root"),
        Directory("root/example"),
        Sized(file, 6405),
    ]
}

#[test]
fn corners_of_the_formula() {
    check(
        "a removed directory with an entry of its own costs what was in it, once more",
        &[
            &[
                Directory("a"),
                Sized("a/x", 100),
                Sized("a/y", 50),
                Sized("b", 50),
            ],
            &[Gone("a")],
        ],
        // x 100, y 50, b 50 and a 150, each as small as it gets; one entry for each.
        (1.0, 200, 0, 0),
    );
    check(
        "what was removed before is not counted again",
        &[
            &[Directory("a"), Sized("a/x", 100)],
            &[Gone("a")],
            &[Directory("a"), Sized("a/x", 10)],
            &[Gone("a")],
        ],
        // x: 100 + 10, least 10; a: 100 + 10, least 10.
        (20.0 / 220.0, 110, 10, 220),
    );
    check(
        "a file that becomes an empty directory",
        &[&[Sized("a", 100)], &[Directory("a")]],
        (0.0, 100, 0, 100),
    );
    check(
        "an opaque directory hides nothing from it",
        &[
            &[Directory("a"), Sized("a/x", 100)],
            &[Opaque("a"), Sized("a/y", 100)],
            &[Gone("a")],
        ],
        // In the second layer the directory has no entry of its own.
        (1.0, 200, 100, 0),
    );
    check(
        "further names of a file cost nothing",
        &[
            &[Sized("a", 100), HardLink("b", "a")],
            &[Sized("a", 100), HardLink("b", "a")],
        ],
        (0.5, 200, 100, 200),
    );
    check(
        "a whiteout of nothing",
        &[&[Sized("a", 100)], &[Gone("b"), Sized("a", 100)]],
        (0.5, 200, 100, 200),
    );
}
