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

/// `word` with so many pairs, each on a line of its own.
fn pairs(word: &str, count: usize, value: &str) -> String {
    let pairs = (0..count).map(|number| format!(" \\\n  V{number}={value}"));
    format!("{word}{}\n", pairs.collect::<String>())
}

#[test]
fn many_variables() {
    const COUNT: usize = 100_000;
    let first = pairs("ENV", COUNT, "1");
    let again = pairs("ENV", COUNT, "2$V1");
    let text = format!("FROM a\n{first}{again}RUN x\n");
    let plan = plan_text(&text, &input()).unwrap();
    let env = &plan.stages[0].config.config.env;
    assert_eq!(env.len(), COUNT + 1);
    assert_eq!(
        env[0],
        stand_in().config.env[0],
        "what is set again keeps its place"
    );
    assert_eq!((&*env[1], &*env[COUNT]), ("V0=21", "V99999=21"));
    let Action::Run(run) = &plan.stages[0].steps[2].action else {
        panic!("{:?}", plan.stages[0].steps[2].name);
    };
    assert_eq!(run.env, *env);

    let text = format!("FROM a\n{}RUN x\n", pairs("ARG", COUNT, "1"));
    let plan = plan_text(&text, &input()).unwrap();
    let Action::Run(run) = &plan.stages[0].steps[1].action else {
        panic!("{:?}", plan.stages[0].steps[1].name);
    };
    assert_eq!(run.args_used.len(), COUNT);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(48))]

    /// Real files with lines taken out, doubled and swapped: whatever is left is planned or refused.
    #[test]
    fn takes_any_shuffle_of_lines(
        file in 0..1000_usize,
        cuts in proptest::collection::vec((0..400_usize, 0..3_u8, 0..400_usize), 1..8),
    ) {
        let names = table("dockerfile-corpus");
        let name = names[file % names.len()]["file"].as_str().unwrap();
        let path = format!("{}/../../testdata/dockerfiles/{name}", env!("CARGO_MANIFEST_DIR"));
        let bytes = std::fs::read(&path).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        let mut lines: Vec<&str> = text.lines().collect();
        for (at, how, other) in cuts {
            if lines.len() < 2 {
                break;
            }
            let (at, other) = (at % lines.len(), other % lines.len());
            match how {
                0 => {
                    lines.remove(at);
                }
                1 => lines.insert(other, lines[at]),
                _ => lines.swap(at, other),
            }
        }
        let text = lines.join("\n");
        if dockerfile::parse(text.as_bytes()).is_ok() {
            let _ = plan_text(&text, &input());
        }
    }
}
