//! The tables of BuildKit's parser and of real Dockerfiles.

use serde_json::{Value, json};

use super::super::node::Arguments;
use super::super::*;
use crate::expansion;
use crate::quote::quoted;
use crate::table::{self, same, text};

#[test]
fn cuts_as_buildkit() {
    table::run("dockerfile-parse", check_parse);
}

#[test]
fn reads_instructions_as_buildkit() {
    table::run("dockerfile-instructions", check_instruction);
}

#[test]
fn reads_real_files_as_buildkit() {
    table::run("dockerfile-corpus", check_file);
}

/// The nodes of a text, or its first error.
fn nodes(text: &str) -> Result<Vec<Node>, SyntaxError> {
    let mut errors = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let nodes = Reader::of(text.as_bytes()).nodes(&mut errors);
    match errors.into_iter().next() {
        Some(error) => Err(error),
        None => Ok(nodes.into_iter().map(|(node, _)| node).collect()),
    }
}

/// The tree as BuildKit prints it.
fn dump(nodes: &[Node]) -> String {
    let lines: Vec<String> = { nodes.iter() }
        .map(|node| format!("({})", shown(node)))
        .collect();
    lines.join("\n")
}

fn shown(node: &Node) -> String {
    let mut text = node.word.to_lowercase();
    if !node.flags.is_empty() {
        let flags: Vec<String> = node.flags.iter().map(|flag| quoted(flag)).collect();
        text.push_str(&format!(" [{}]", flags.join(" ")));
    }
    if let Arguments::Trigger(trigger) = &node.arguments {
        text.push_str(&format!(" ({})", shown(trigger)));
    }
    for word in words(&node.arguments) {
        text.push(' ');
        text.push_str(&quoted(&word));
    }
    text
}

fn words(arguments: &Arguments) -> Vec<String> {
    match arguments {
        Arguments::Words(words) | Arguments::Exec(words) => words.clone(),
        Arguments::Pairs(pairs) => { pairs.iter() }
            .flat_map(|pair| {
                let sign = if pair.is_legacy { "" } else { "=" };
                [pair.name.clone(), pair.value.clone(), sign.to_owned()]
            })
            .collect(),
        Arguments::Headed(head, rest) => [vec![head.clone()], words(rest)].concat(),
        Arguments::Trigger(_) => Vec::new(),
    }
}

fn shown_heredocs(heredocs: &[Heredoc]) -> Value {
    let shown = |heredoc: &Heredoc| {
        json!({
            "name": heredoc.name,
            "content": heredoc.raw,
            "expand": heredoc.expands,
            "chomp": heredoc.strips_tabs,
            "fd": heredoc.file_descriptor,
        })
    };
    heredocs.iter().map(shown).collect()
}

fn check_parse(case: &Value) -> Result<(), String> {
    let expect = &case["expect"];
    let fails = expect["error"].as_bool() == Some(true);
    let input = case["input"].as_str().unwrap_or_default();
    let file = case["dockerfile"].as_str().unwrap_or_default();
    match text(case, "op") {
        "parse_dump" => match nodes(file) {
            // BuildKit's parser calls a file without instructions an error at once.
            Ok(nodes) => match nodes.is_empty() {
                true => same(&parse(file.as_bytes()).is_err(), &fails),
                false => same(&Some(dump(&nodes).as_str()), &expect["dump"].as_str()),
            },
            Err(_) => same(&fails, &true),
        },
        "line_ranges" => {
            let nodes = nodes(file).map_err(|error| error.to_string())?;
            same(&spans(&nodes), &expect["instructions"])
        }
        "heredocs_of_instruction" => {
            let nodes = nodes(file).map_err(|error| error.to_string())?;
            let index = case["instruction_index"].as_u64().unwrap_or(u64::MAX);
            let node = nodes.get(usize::try_from(index).unwrap_or(usize::MAX));
            let node = node.ok_or("no such instruction")?;
            same(&shown_heredocs(&node.heredocs), &expect["heredocs"])
        }
        "heredoc_word" => match heredoc::read(input) {
            Ok(found) => {
                let name = found.map(|heredoc| heredoc.name);
                same(&name.as_deref(), &expect["name"].as_str())
            }
            Err(_) => same(&fails, &true),
        },
        "heredocs_of_line" => match heredoc::announced(input) {
            Ok(found) => {
                let names: Value = found.into_iter().map(|heredoc| heredoc.name).collect();
                same(&names, &expect["names"])
            }
            Err(_) => same(&fails, &true),
        },
        "json_string_array" => match split::strings(input) {
            Ok(Some(words)) => same(&json!(words), &expect["words"]),
            Ok(None) | Err(_) => same(&fails, &true),
        },
        "split_words" => same(&json!(split::words(input, '\\')), &expect["words"]),
        "name_value" => match nodes(&format!("{} {input}", text(case, "keyword"))) {
            Ok(nodes) => {
                let words = nodes.first().map(|node| words(&node.arguments));
                same(&json!(words), &expect["nodes"])
            }
            Err(error) => same(
                &expect["message"].as_str(),
                &Some(&*error.fault.to_string()),
            ),
        },
        "directives" => {
            let mut lines = Lines::of(file.as_bytes());
            let found = lines
                .next()
                .map(|_| json!({"escape": lines.escape.to_string()}));
            same(&found.unwrap_or_default(), &expect["directives"])
        }
        "syntax" => {
            let found = directive::syntax(file);
            check_directive(found, "ref", expect)
        }
        "directive" => {
            let key = text(case, "key");
            check_directive(directive::find(key, file, "#"), "value", expect)
        }
        op => Err(format!("no such op: {op}")),
    }
}

fn check_directive(found: Option<Directive>, key: &str, expect: &Value) -> Result<(), String> {
    let Some(found) = found else {
        return same(&expect["none"], &json!(true));
    };
    let first = found.value.split(' ').next();
    same(&first, &expect[key].as_str())?;
    if let Some(whole) = expect["cmdline"].as_str() {
        same(&found.value.as_str(), &whole)?;
    }
    same(&json!(found.line), &expect["line"])
}

fn spans(nodes: &[Node]) -> Value {
    { nodes.iter() }
        .map(|node| json!([node.span.first, node.span.last]))
        .collect()
}

fn check_instruction(case: &Value) -> Result<(), String> {
    let expect = &case["expect"];
    let file = case["dockerfile"].as_str().unwrap_or_default();
    match text(case, "op") {
        "parse_instruction" => {
            let read = nodes(file).map_err(|error| error.fault).and_then(|nodes| {
                let node = nodes.first().ok_or(Fault::NoInstructions)?;
                Ok((node.clone(), instruction::read(node)?))
            });
            match read {
                Ok((node, Statement::Other(kind))) => check_kind(&node, &kind, expect),
                Ok((_, Statement::From(_))) => Err("a FROM".to_owned()),
                Err(fault) => check_fault(&fault.to_string(), expect),
            }
        }
        "build_error_lines" => check_lines(file, expect),
        "run_device_flag" => match instruction::device(text(case, "input")) {
            Ok(device) => {
                same(&json!(device.name), &expect["name"])?;
                same(&json!(device.required), &expect["required"])
            }
            Err(fault) => check_fault(&fault.to_string(), expect),
        },
        "doc_comments" => check_comments(file, expect),
        "builder_flags" => {
            let flags: Vec<String> =
                serde_json::from_value(case["args"].clone()).unwrap_or_default();
            check_flags(&flags, expect)
        }
        op => Err(format!("no such op: {op}")),
    }
}

fn check_fault(found: &str, expect: &Value) -> Result<(), String> {
    match (expect["error"].as_str(), expect["error_contains"].as_str()) {
        (Some(wanted), _) => same(&found, &wanted),
        (_, Some(part)) if found.contains(part) => Ok(()),
        _ => Err(format!("error: {found}")),
    }
}

fn check_kind(node: &Node, kind: &Kind, expect: &Value) -> Result<(), String> {
    if expect["flags_used"] != Value::Null {
        let names: Value = { node.flags.iter() }
            .filter_map(|flag| flag.strip_prefix("--")?.split('=').next())
            .collect();
        return same(&names, &expect["flags_used"]);
    }
    let found = match kind {
        Kind::Copy(copy) => {
            let (mut paths, mut heredocs) = (Vec::new(), Vec::new());
            for source in &copy.sources {
                match source {
                    TransferSource::Path(path) => paths.push(path.clone()),
                    TransferSource::Heredoc(heredoc) => heredocs.push(json!({
                        "path": heredoc.name,
                        "data": heredoc.content,
                        "expand": heredoc.expands,
                    })),
                }
            }
            json!({"dest": copy.destination, "sources": paths, "heredocs": heredocs})
        }
        Kind::Run(run) => {
            let (is_shell, words) = match &run.command {
                Command::Shell(line) => (true, vec![line.clone()]),
                Command::Exec(words) => (false, words.clone()),
            };
            let files: Vec<Value> = { run.heredocs.iter() }
                .map(|file| json!({"name": file.name, "data": file.raw, "chomp": file.strips_tabs}))
                .collect();
            json!({"shell_form": is_shell, "command": words, "files": files})
        }
        _ => json!({"ok": true}),
    };
    same(&found, expect)
}

/// Where a build fails: what is wrong with the text is told here; of the rest the place is known.
fn check_lines(file: &str, expect: &Value) -> Result<(), String> {
    let lines = |span: Span| -> Value { (span.first..=span.last).collect() };
    match parse(file.as_bytes()) {
        Err(errors) => {
            let found = errors.0.first().map(|error| lines(error.span));
            same(&found.as_ref(), &Some(&expect["lines"]))
        }
        Ok(file) => {
            let mut steps = file.stages.iter().flat_map(|stage| &stage.instructions);
            let is_there = steps.any(|step| lines(step.span) == expect["lines"]);
            same(&is_there, &true)
        }
    }
}

fn check_comments(file: &str, expect: &Value) -> Result<(), String> {
    let file = parse(file.as_bytes()).map_err(|errors| errors.to_string())?;
    let about = |comments: &[String], name: &str| -> String {
        let text = comments
            .iter()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        text.unwrap_or_default().to_owned()
    };
    let args = |instructions: &[Instruction]| -> Value {
        let mut found = json!({});
        for instruction in instructions {
            if let Kind::Arg(args) = &instruction.kind {
                for arg in args {
                    found[&arg.name] = json!(about(&instruction.comments, &arg.name));
                }
            }
        }
        found
    };
    let stage = file.stages.first().ok_or("no stage")?;
    let name = stage.from.name.as_deref().unwrap_or_default();
    same(
        &json!(about(&stage.comments, name)),
        &expect["stage_comment"],
    )?;
    same(&args(&file.global_args), &expect["meta_args"])?;
    same(&args(&stage.instructions), &expect["stage_args"])
}

fn check_flags(flags: &[String], expect: &Value) -> Result<(), String> {
    use super::super::flags::{Flags, Takes};
    // A line's `--` is gone when its flags are cut.
    let flags: Vec<String> = flags.iter().filter(|flag| *flag != "--").cloned().collect();
    match Flags::read(&flags, &[("str1", Takes::Value), ("bool1", Takes::Boolean)]) {
        Ok(found) => {
            let is_wanted = |key: &str| expect[key] != Value::Null;
            if is_wanted("str1") {
                same(&json!(found.given("str1")), &expect["str1"])?;
            }
            if is_wanted("bool1") {
                same(&json!(found.boolean("bool1")), &expect["bool1"])?;
            }
            same(&expect["error"].is_null(), &true)
        }
        Err(_) => same(&expect["error"], &json!(true)),
    }
}

fn check_file(case: &Value) -> Result<(), String> {
    let expect = &case["expect"];
    let name = text(case, "file");
    let path = format!(
        "{}/../../testdata/dockerfiles/{name}",
        env!("CARGO_MANIFEST_DIR")
    );
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    let nodes = nodes(&String::from_utf8_lossy(&bytes)).map_err(|error| error.to_string())?;
    same(&Some(dump(&nodes).as_str()), &expect["dump"].as_str())?;
    same(&spans(&nodes), &expect["lines"])?;
    let heredocs: usize = nodes.iter().map(|node| node.heredocs.len()).sum();
    same(&json!(heredocs), &expect["heredocs"])?;
    let file = parse(&bytes).map_err(|errors| errors.to_string())?;
    let warnings = expect["parse_warnings"].as_array().map(Vec::len);
    same(&Some(file.gaps.len()), &warnings)?;
    let stages = expect["stages"].as_array().ok_or("no stages")?;
    same(&file.stages.len(), &stages.len())?;
    for (stage, wanted) in file.stages.iter().zip(stages) {
        let name = stage.from.name.as_deref().unwrap_or_default();
        same(&json!(name.to_lowercase()), &wanted["name"])?;
        same(&json!(stage.from.image), &wanted["base"])?;
        let platform = stage.from.platform.as_deref().unwrap_or_default();
        same(&json!(platform), &wanted["platform"])?;
        let words: Vec<String> = { stage.instructions.iter() }
            .map(|instruction| instruction.word.to_uppercase())
            .collect();
        let wanted: Vec<String> =
            serde_json::from_value(wanted["commands"].clone()).unwrap_or_default();
        same(&words, &wanted)?;
    }
    let args: Vec<&str> = { file.global_args.iter() }
        .flat_map(|instruction| match &instruction.kind {
            Kind::Arg(args) => args.as_slice(),
            _ => &[],
        })
        .map(|arg| arg.name.as_str())
        .collect();
    same(&json!(args), &expect["global_args"])?;
    check_words(&file)
}

/// Each word of a real file can be expanded, with nothing set.
fn check_words(file: &Dockerfile) -> Result<(), String> {
    let expand = |word: &str| match expansion::expand(word, &|_| Some("x"), file.escape) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("{word}: {error}")),
    };
    for stage in &file.stages {
        expand(&stage.from.image)?;
        for instruction in &stage.instructions {
            if let Kind::Env(pairs) | Kind::Label(pairs) = &instruction.kind {
                for pair in pairs {
                    expand(&pair.value)?;
                }
            }
        }
    }
    Ok(())
}
