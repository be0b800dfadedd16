use shiplap_model::ImageConfig;
use shiplap_model::config::History;

use super::{instruction, steps};

#[test]
fn instructions_of_histories() {
    let check = |created_by: &str, expected: &str| {
        assert_eq!(instruction(created_by), expected, "{created_by}");
    };
    check(
        "RUN /bin/sh -c apt-get update # buildkit",
        "RUN apt-get update",
    );
    check("RUN |1 A=b c /bin/sh -c make # buildkit", "RUN make");
    check("|2 A=1 B=2 /bin/sh -c make", "RUN make");
    check("/bin/sh -c make", "RUN make");
    check("/bin/sh -c #(nop)  CMD [\"bash\"]", "CMD [\"bash\"]");
    check("/bin/sh -c #(nop) ADD file:ab in / ", "ADD file:ab in /");
    check("COPY . /app # buildkit", "COPY . /app");
    check("ENV A=b", "ENV A=b");
    check("RUN python -V # buildkit", "RUN python -V");
    check("", "");
}

fn entry(created_by: &str, empty_layer: bool) -> History {
    History {
        created_by: Some(created_by.to_owned()),
        empty_layer,
        ..History::default()
    }
}

fn config() -> ImageConfig {
    ImageConfig {
        history: vec![
            entry("/bin/sh -c #(nop) ADD file:ab in /", false),
            entry("CMD [\"bash\"]", true),
            entry("RUN /bin/sh -c apt-get update # buildkit", false),
            entry("ENV A=b", true),
            entry("COPY . /app # buildkit", false),
        ],
        ..ImageConfig::default()
    }
}

#[test]
fn layers_of_steps() {
    let found = steps(&config(), 4, None);
    let layers: Vec<_> = found.iter().map(|step| step.layer).collect();
    assert_eq!(layers, [Some(0), None, Some(1), None, Some(2), Some(3)]);
    assert_eq!(found[5].instruction, "");
}

#[test]
fn lines_of_steps() {
    let check = |dockerfile: &str, expected: [Option<u32>; 5]| {
        let dockerfile = shiplap_model::dockerfile::parse(dockerfile.as_bytes()).unwrap();
        let found = steps(&config(), 3, Some(&dockerfile));
        let lines: Vec<_> = found.iter().map(|step| step.line).collect();
        assert_eq!(lines, expected);
    };
    let all = [None, None, Some(2), Some(4), Some(5)];
    check(
        "FROM x\nRUN apt-get \\\n  update\nENV A=b\nCOPY . /app\n",
        all,
    );
    check(
        "FROM x\nrun apt-get update\nARG Y\nENV A=b\nCOPY . /app\n",
        all,
    );
    check(
        "FROM x AS x\nRUN apt-get update\nFROM x AS x\nENV A=b\nCOPY . /app\n",
        all,
    );
    // Another file: what fits from the end on.
    check(
        "FROM x\nRUN a\nUSER me\nCOPY . /app\n",
        [None, None, None, None, Some(4)],
    );
}
