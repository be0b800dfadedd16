//! Dockerfiles that mean harm: refused, soon, and without much memory.

use super::*;

fn fault_of(text: &str) -> Fault {
    plan_text(text, &input()).unwrap_err().fault
}

/// `name` doubled until it is half a MiB long.
fn long(word: &str, name: &str) -> String {
    let mut text = format!("{word} {name}={}\n", "x".repeat(32 << 10));
    for _ in 0..4 {
        text.push_str(&format!("{word} {name}=${name}${name}\n"));
    }
    text
}

#[test]
fn variables_that_multiply() {
    let large = long("ENV", "A");
    let many: String = (0..2000)
        .map(|number| format!("ENV B{number}=$A\n"))
        .collect();
    assert_eq!(fault_of(&format!("FROM a\n{large}{many}")), Fault::TooLarge);
    let commands = "RUN x\n".repeat(400);
    let text = format!("FROM a\n{large}ENV B=$A C=$A\n{commands}");
    assert_eq!(fault_of(&text), Fault::TooLarge);
    let stages: String = (0..900)
        .map(|number| format!("FROM s\nCOPY --from={number} a b\n"))
        .collect();
    let text = format!("FROM a AS s\n{large}{stages}");
    assert_eq!(fault_of(&text), Fault::TooLarge);
}

#[test]
fn images_that_nobody_takes() {
    let large = long("ENV", "A");
    let pairs: String = (0..9).map(|number| format!(" B{number}=$A")).collect();
    let text = format!("FROM a\n{large}LABEL{pairs}\n");
    assert_eq!(fault_of(&text), Fault::ConfigTooLarge);
    let commands = "RUN x\n".repeat(500);
    assert_eq!(
        fault_of(&format!("FROM a\n{commands}")),
        Fault::TooManyLayers
    );
}

#[test]
fn many_stages() {
    let mut text = String::from("FROM a AS s0\n");
    for number in 1..4000 {
        text.push_str(&format!("FROM s{} AS s{number}\n", number - 1));
    }
    assert_eq!(plan_text(&text, &input()).unwrap().stages.len(), 4000);
    let mut text = String::new();
    for number in 0..4000 {
        text.push_str(&format!("FROM i{} AS s{number}\n", "y".repeat(number % 60)));
    }
    text.push_str("FROM scratch\n");
    for number in 0..400 {
        text.push_str(&format!("COPY --from=s{number} a b\n"));
    }
    assert_eq!(plan_text(&text, &input()).unwrap().stages.len(), 401);
}
