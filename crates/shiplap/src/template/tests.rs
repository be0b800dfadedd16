//! Go's own text/template is the judge: `testdata/go-template.json` holds what it makes of each
//! template.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that panics has failed"
)]

use super::*;

fn ints(entries: &[(&str, i64)]) -> Value {
    let entries = entries
        .iter()
        .map(|(key, number)| ((*key).into(), Value::Int(*number)));
    Value::map("int", entries.collect())
}

fn texts(entries: &[(&str, &str)]) -> Value {
    Value::string_map(entries.iter().map(|(key, text)| (*key, (*text).to_owned())))
}

fn layer(id: &str, size: i64) -> Value {
    Value::record(
        "main.Layer",
        [("ID", Value::from(id)), ("Size", Value::Int(size))],
    )
}

fn raw() -> Value {
    Value::from_json(&serde_json::json!({
        "n": null, "num": 7, "list": ["x", 2, true, null, 1.5],
        "map": {"k": "v", "z": "é\u{2028}<>&"}, "text": "tab\tq\"\\\u{1}",
    }))
}

fn data() -> Value {
    let nothing = || Value::record("struct {}", Vec::<(&str, Value)>::new());
    let config = Value::record(
        "main.Config",
        [
            ("User", Value::from("")),
            ("Env", Value::strings(["PATH=/bin", "A=b=c"])),
            ("Cmd", Value::strings(["sh", "-c", "echo \"hi\""])),
            ("Labels", texts(&[("k", "v")])),
            (
                "Volumes",
                Value::map("struct {}", vec![("/data".into(), nothing())]),
            ),
            ("Health", Value::NilStruct("main.Health")),
        ],
    );
    let layers = [layer("aa", 10), layer("bb", 0), layer("cc", 30)];
    Value::record(
        "main.Image",
        [
            ("ID", Value::from("sha256:0123456789abcdef")),
            ("Name", Value::from("library/python")),
            ("Markup", Value::from("<a href=\"x\">O'Neil & co</a>")),
            ("Tags", Value::strings(["3.11", "latest"])),
            ("Empty", Value::strings([""; 0])),
            (
                "NilList",
                Value::List {
                    element: "string",
                    items: None,
                },
            ),
            (
                "Labels",
                texts(&[("b", "2"), ("a", "1"), ("com.example.x", "dotted")]),
            ),
            (
                "NilMap",
                Value::Map {
                    element: "string",
                    entries: None,
                },
            ),
            ("Counts", ints(&[("one", 1), ("ten", 10)])),
            ("Size", Value::Int(123_456_789)),
            ("Zero", Value::Int(0)),
            ("Ratio", Value::Float(0.25)),
            ("Big", Value::Float(1e21)),
            ("Ok", Value::Bool(true)),
            ("No", Value::Bool(false)),
            ("Nothing", Value::Nil),
            ("Config", config),
            (
                "Layers",
                Value::List {
                    element: "main.Layer",
                    items: Some(layers.into()),
                },
            ),
            ("Raw", raw()),
        ],
    )
}

/// Where ours differs, and why.
const DIFFERENT: &[(&str, &str, &str)] = &[
    (
        "{{9223372036854775808}}",
        "integer overflow: \"9223372036854775808\"",
        "known when parsed",
    ),
    (
        "{{089}}",
        "illegal number syntax: \"089\"",
        "that is what is wrong with it",
    ),
    (
        "{{''}}",
        "malformed character constant: ''",
        "says what is malformed",
    ),
    (
        "{{len nil}}",
        "error calling len: len of nil pointer",
        "as for any other nil",
    ),
    (
        "{{eq .Config .Config}}",
        "map[/data:{}] <nil>}: main.Config",
        "Go's message has a bad verb in it",
    ),
    (
        "{{call .Name}}",
        "function \"call\" not defined",
        "values are data",
    ),
    (
        "{{json .}}",
        "map[ID:IMAGE ID Name:NAME Size:SIZE]",
        "in a header, json takes what it gets",
    ),
    (
        "{{.map.k.x}}",
        "can't evaluate field x in type string",
        "names the type that is there",
    ),
];

#[derive(serde::Deserialize)]
struct Table {
    cases: Vec<Case>,
}

#[derive(serde::Deserialize)]
struct Case {
    template: String,
    #[serde(default)]
    header: bool,
    #[serde(default)]
    strict: bool,
    want: Option<String>,
    error: Option<String>,
}

fn run(case: &Case) -> Result<String, String> {
    let template = Template::parse(&case.template).map_err(|error| error.to_string())?;
    let made = if case.header {
        template.header(&texts(&[
            ("ID", "IMAGE ID"),
            ("Name", "NAME"),
            ("Size", "SIZE"),
        ]))
    } else if case.strict {
        template.execute_strictly(&raw())
    } else {
        template.execute(&data())
    };
    made.map_err(|error| error.to_string())
}

#[test]
fn makes_what_go_makes() {
    let table = include_str!("../../../../testdata/go-template.json");
    let table: Table = serde_json::from_str(table).unwrap();
    assert!(table.cases.len() > 400);
    let mut wrong = Vec::new();
    for case in &table.cases {
        let want = match (&case.want, &case.error) {
            (Some(text), None) => Ok(text.clone()),
            (None, Some(message)) => Err(format!("template parsing error: {message}")),
            _ => panic!("{:?} has no outcome", case.template),
        };
        let got = run(case);
        let difference = DIFFERENT.iter().find(|(template, ..)| {
            *template == case.template && case.header == (*template == "{{json .}}")
        });
        let fits = match difference {
            Some((_, ours, _)) => {
                got != want && got.as_ref().unwrap_or_else(|error| error).ends_with(ours)
            }
            None => got == want,
        };
        if !fits {
            wrong.push(format!(
                "{:?}\n  want {want:?}\n  got  {got:?}",
                case.template
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn hostile_templates_end_with_an_error() {
    let check = |template: &str, ending: &str| {
        let error = match Template::parse(template) {
            Ok(template) => template.execute(&data()).unwrap_err(),
            Err(error) => error,
        };
        assert!(error.to_string().ends_with(ending), "{error}");
    };
    let deep = limits::TEMPLATE_DEPTH + 1;
    check(
        &format!(
            "{}1{}",
            "{{(".to_owned() + &"(".repeat(deep),
            ")".repeat(deep + 1) + "}}"
        ),
        "max expression depth exceeded",
    );
    check(&"{{if 1}}".repeat(deep), "max expression depth exceeded");
    check(
        &("{{if 0}}{{else ".to_owned() + &"if 0}}{{else ".repeat(deep)),
        "max expression depth exceeded",
    );
    check(
        "{{define \"x\"}}{{template \"x\"}}{{end}}{{template \"x\"}}",
        "exceeded maximum template depth (100)",
    );
    check("{{template \"\"}}", "exceeded maximum template depth (100)");
    check(
        "{{range 9000000000000000000}}{{end}}",
        "the template runs too long",
    );
    check(
        &"{{range 9000000000000000000}}aaaaaaaaaaaaaaaaaaaaaa{{end}}"
            .replace("aa", &"a".repeat(40)),
        "the output is too long",
    );
    check(
        "{{$x := \"aaaaaaaa\"}}{{range 64}}{{$x = print $x $x}}{{end}}",
        "error calling print: the result is too long",
    );
    check(
        "{{pad \"x\" 9000000000000000000 0}}",
        "the result is too long",
    );
    check(
        "{{printf \"%9999999d\" 1}}{{.Nope}}",
        "can't evaluate field Nope in type main.Image",
    );
    check(
        &"x".repeat(limits::TEMPLATE_BYTES + 1),
        "the text is longer than 65536 bytes",
    );
}
