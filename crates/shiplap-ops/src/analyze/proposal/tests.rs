use shiplap_model::config::History;
use shiplap_model::{ImageConfig, Reference};

use super::super::tests::Item::{self, File, Gone, Owned};
use super::super::tests::image;
use super::super::{origin::Base, steps::steps, waste};
use super::{Proposal, ProposalKind, proposals};
use crate::base::{Smaller, Suggestion};

/// Proposals for layers, each with the instruction that made it.
fn made(layers: &[(&str, &[Item<'_>])], base: Option<&Base>) -> Vec<Proposal> {
    with_suggestion(layers, base, None)
}

fn with_suggestion(
    layers: &[(&str, &[Item<'_>])],
    base: Option<&Base>,
    suggestion: Option<&Suggestion>,
) -> Vec<Proposal> {
    let items: Vec<_> = layers.iter().map(|(_, items)| *items).collect();
    let image = image(&items);
    let history = layers.iter().map(|(created_by, _)| History {
        created_by: Some((*created_by).to_owned()),
        ..History::default()
    });
    let config = ImageConfig {
        history: history.collect(),
        ..ImageConfig::default()
    };
    let steps = steps(&config, layers.len(), None);
    let findings = waste::find(&image.paths, &image.tars()).unwrap();
    proposals(&image.paths, &findings, &steps, base, suggestion)
}

/// Saving and what to write instead, of each proposal.
fn check(layers: &[(&str, &[Item<'_>])], expected: &[(u64, Option<&str>)]) {
    let proposals = made(layers, None);
    let found: Vec<_> = proposals
        .iter()
        .map(|proposal| (proposal.saves_bytes, proposal.instead.as_deref()))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn what_to_write_instead() {
    check(
        &[
            ("RUN /bin/sh -c make # buildkit", &[File("a", b"12345")]),
            ("RUN /bin/sh -c rm /a # buildkit", &[Gone("a")]),
        ],
        &[(5, Some("RUN make && rm /a"))],
    );
    check(
        &[
            (
                "COPY src /src # buildkit",
                &[Owned("src/a", b"12345", 0o644, 0)],
            ),
            (
                "RUN /bin/sh -c chown -R 7 /src # buildkit",
                &[Owned("src/a", b"12345", 0o755, 7)],
            ),
        ],
        &[(5, Some("COPY --chown=7:7 --chmod=755 src /src"))],
    );
    check(
        &[(
            "RUN /bin/sh -c dnf install x # buildkit",
            &[File("var/cache/dnf/x", b"1")],
        )],
        &[(
            1,
            Some(
                "RUN dnf install x && dnf clean all\nor\nRUN --mount=type=cache,target=/var/cache/dnf \
                 --mount=type=cache,target=/var/cache/libdnf5 dnf install x",
            ),
        )],
    );
}

#[test]
fn best_first_and_all_told() {
    let layers: [(&str, &[Item<'_>]); 2] = [
        (
            "ADD x / # buildkit",
            &[File("tmp/a", b"1"), File("x/.git/HEAD", b"4444")],
        ),
        (
            "RUN /bin/sh -c y # buildkit",
            &[File("tmp/b", b"22"), File("tmp/c", b"333")],
        ),
    ];
    let proposals = made(&layers, None);
    let told: Vec<_> = proposals
        .iter()
        .map(|one| (one.saves_bytes, one.files, one.layer, one.made_by.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (5, 2, 1, "RUN y"),
            (4, 1, 0, "ADD x /"),
            (1, 1, 0, "ADD x /")
        ]
    );
    let paths: Vec<_> = proposals[0]
        .paths
        .iter()
        .map(|one| one.path.as_str())
        .collect();
    assert_eq!(paths, ["/tmp/c", "/tmp/b"]);
}

/// What a base brings is told at once; what the image does to it stays the image's.
#[test]
fn of_a_base() {
    let layers: [(&str, &[Item<'_>]); 3] = [
        ("one", &[File("tmp/a", b"1"), File("x", b"22")]),
        ("two", &[File("tmp/b", b"333")]),
        (
            "RUN /bin/sh -c rm x # buildkit",
            &[Gone("x"), File("tmp/c", b"4")],
        ),
    ];
    let base = Base {
        name: "base:1".to_owned(),
        layers: 2,
    };
    let proposals = made(&layers, Some(&base));
    let told: Vec<_> = proposals
        .iter()
        .map(|one| {
            let hidden = one.hidden_by.as_deref().unwrap_or("");
            (one.saves_bytes, one.made_by.as_str(), hidden)
        })
        .collect();
    assert_eq!(
        told,
        [
            (4, "FROM base:1", ""),
            (2, "FROM base:1", "RUN rm x"),
            (1, "RUN rm x", ""),
        ]
    );
}

/// A form of the base with the base's C library goes before a smaller one with another, and takes its place among the
/// others by what it saves.
#[test]
fn a_smaller_base() {
    let layers: [(&str, &[Item<'_>]); 2] = [
        ("one", &[File("usr/lib/gcc/12/cc1", b"123456789")]),
        ("RUN /bin/sh -c x # buildkit", &[File("tmp/a", b"1")]),
    ];
    let base = Base {
        name: "base:1".to_owned(),
        layers: 1,
    };
    let reference = |name: &str| Reference::parse(name).unwrap();
    let form = |name: &str, here_bytes, size_bytes| Smaller {
        reference: reference(name),
        size_bytes,
        here_bytes,
    };
    let mut suggestion = Suggestion {
        base: reference("base:1"),
        size_bytes: Some(8),
        here_bytes: Some(9),
        smaller: vec![
            form("base:1-alpine", None, Some(2)),
            form("base:1-slim", Some(5), None),
        ],
    };
    let check = |suggestion: &Suggestion, expected: &[(u64, &str)], words: &str| {
        let proposals = with_suggestion(&layers, Some(&base), Some(suggestion));
        let told: Vec<_> = proposals
            .iter()
            .map(|one| (one.saves_bytes, one.instead.as_deref().unwrap_or("")))
            .filter(|(_, instead)| instead.starts_with("FROM"))
            .collect();
        assert_eq!(told, expected);
        let is_it = |one: &&Proposal| one.kind == ProposalKind::SmallerBase;
        let advice = proposals.iter().find(is_it).map(|one| one.advice.as_str());
        assert!(advice.unwrap_or("").contains(words), "{advice:?}");
    };
    let build =
        |name: &str| format!("FROM base:1 AS build\n…\nFROM {name}\nCOPY --from=build /app /app");
    check(
        &suggestion,
        &[(9, &build("base:1-slim")), (4, "FROM base:1-slim")],
        "base:1-slim has 5B where base:1 has 9B; what",
    );
    suggestion.smaller.pop();
    check(
        &suggestion,
        &[(9, &build("base:1-alpine")), (6, "FROM base:1-alpine")],
        "has 2B where base:1 has 8B, compressed in the registry",
    );
    suggestion.size_bytes = None;
    check(&suggestion, &[(9, &build("SMALLER"))], "");
}
