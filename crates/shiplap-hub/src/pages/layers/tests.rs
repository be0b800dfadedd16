#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use shiplap_model::{Descriptor, Digest};

use super::*;

#[test]
fn lines_of_history_are_told_plainly() {
    let check = |line: &str, instruction: &str, rest: &str| {
        let found = super::instruction(line);
        assert_eq!(found, (instruction.to_owned(), rest.to_owned()), "{line}");
    };
    check("/bin/sh -c #(nop)  CMD [\"bash\"]", "CMD", "[\"bash\"]");
    check("/bin/sh -c apt-get update", "RUN", "apt-get update");
    check("RUN /bin/sh -c make   all # buildkit", "RUN", "make all");
    check("COPY . /app # buildkit", "COPY", ". /app");
    check("/bin/sh -c #(nop) ADD file:0 in / ", "ADD", "file:0 in /");
    check("ENV A=1", "ENV", "A=1");
    check("debuerreotype 0.15", "", "debuerreotype 0.15");
    check("", "", "");
    check("a\t\nb", "", "a b");
}

#[test]
fn strips_are_as_wide_as_layers_are_big() {
    let check = |sizes: &[u64], want: &[(u64, u64)]| {
        let found: Vec<(u64, u64)> = strips(sizes)
            .iter()
            .map(|strip| (strip.start, strip.width))
            .collect();
        assert_eq!(found, want, "{sizes:?}");
    };
    check(&[], &[]);
    check(&[0, 0], &[(0, 0), (0, 0)]);
    check(&[75, 25], &[(0, 750), (750, 250)]);
    check(&[1, 1, 1], &[(0, 333), (333, 333), (666, 334)]);
    check(&[u64::MAX, u64::MAX], &[(0, 500), (500, 500)]);
}

fn manifest(sizes: &[u64]) -> Manifest {
    let part = |size: u64| Descriptor::new("x", Digest::of(&size.to_le_bytes()), size);
    Manifest::new(part(7), sizes.iter().map(|size| part(*size)).collect())
}

fn config(history: &str) -> ImageConfig {
    let text = format!(
        "{{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{{\"type\":\"layers\",\"diff_ids\":[]}},\
         \"history\":{history}}}"
    );
    ImageConfig::parse(text.as_bytes()).unwrap()
}

#[test]
fn layers_stand_beside_what_made_them() {
    let history = r#"[{"created_by":"ADD x"},{"created_by":"ENV A=1","empty_layer":true},
      {"created_by":"RUN y"}]"#;
    let check = |sizes: &[u64], history: &str, want: &[(usize, &str)]| {
        let config = config(history);
        let found = Layers::of(&manifest(sizes), Some(&config));
        let found: Vec<(usize, &str)> = found
            .steps
            .iter()
            .map(|step| (step.number, step.instruction.as_str()))
            .collect();
        assert_eq!(found, want);
    };
    check(&[1, 2], history, &[(1, "ADD"), (0, "ENV"), (2, "RUN")]);
    check(&[1, 2, 3], history, &[(1, ""), (2, ""), (3, "")]);
    check(&[1], "[]", &[(1, "")]);
    let many = format!("[{}]", vec![r#"{"empty_layer":true}"#; 3000].join(","));
    let bounded = Layers::of(&manifest(&[]), Some(&config(&many)));
    assert_eq!(bounded.steps.len(), limits::HISTORY_SHOWN);
    assert_eq!(bounded.more, 3000 - limits::HISTORY_SHOWN);
}

#[test]
fn long_values_are_cut() {
    let long = "x".repeat(limits::SHOWN_CHARACTERS + 1);
    let found = fact("a", &long);
    assert_eq!(found.value.chars().count(), limits::SHOWN_CHARACTERS + 1);
    assert!(found.value.ends_with('…'));
}
