//! Command lines that can't be understood, told in Docker's words and with its exit codes: 125 for
//! a wrong flag, 1 for a wrong verb or number of arguments.

use std::{ffi::OsString, path::Path, process::ExitCode};

use clap::{
    ArgAction, Command,
    error::{ContextKind, ContextValue, ErrorKind},
};

use crate::output::Output;

const WRONG_FLAG: u8 = 125;
const WRONG_COUNT: u8 = 1;

/// The name that the program was called by; `shiplap`, if it is not known.
pub(super) fn program(first: Option<&OsString>) -> String {
    let name = first
        .and_then(|path| Path::new(path).file_name())
        .and_then(|name| name.to_str());
    name.filter(|name| !name.is_empty())
        .unwrap_or("shiplap")
        .to_owned()
}

/// Docker also takes `--quiet=true` and `--quiet=false`. What stands behind an image belongs to
/// the program run in it, and stays as it is.
pub(super) fn plain_switches(command: &Command, arguments: Vec<OsString>) -> Vec<OsString> {
    let mut plain = Vec::with_capacity(arguments.len());
    let (mut verb, mut words) = (command, 0);
    let (mut is_over, mut is_value) = (false, false);
    for argument in arguments {
        is_over |= argument == "--";
        let text = argument.to_str().filter(|_| !is_over && !is_value);
        is_value = text.is_some_and(|text| wants_value(&[verb, command], text));
        if let Some(word) = text.filter(|text| !text.starts_with('-')) {
            match verb.find_subcommand(word) {
                Some(below) => (verb, words) = (below, 0),
                None => words += 1,
            }
            is_over = ends_flags(verb, words);
        }
        match text.and_then(|text| switch(command, text)) {
            Some((name, true)) => plain.push(name.into()),
            Some((_, false)) => {}
            None => plain.push(argument),
        }
    }
    plain
}

/// Whether so many words leave the rest to the program run.
fn ends_flags(verb: &Command, words: usize) -> bool {
    let mut positionals = verb.get_positionals();
    positionals.any(clap::Arg::is_trailing_var_arg_set) && words >= verb.get_positionals().count()
}

/// Whether the flag's value is the next word.
fn wants_value(verbs: &[&Command], text: &str) -> bool {
    let find = |is_it: &dyn Fn(&clap::Arg) -> bool| {
        let mut known = verbs.iter().flat_map(|verb| verb.get_arguments());
        known
            .find(|argument| is_it(argument))
            .is_some_and(|flag| flag.get_action().takes_values() && !flag.is_require_equals_set())
    };
    if let Some(long) = text.strip_prefix("--") {
        return find(&|flag| {
            let aliases = flag.get_all_aliases().unwrap_or_default();
            flag.get_long() == Some(long) || aliases.contains(&long)
        });
    }
    let letters = text.strip_prefix('-').unwrap_or_default();
    let mut letters = letters.chars().peekable();
    while let Some(letter) = letters.next() {
        if find(&|flag| flag.get_short() == Some(letter)) {
            return letters.peek().is_none();
        }
    }
    false
}

/// A switch with its value, if the text is one and every verb that has the flag has it as a switch.
fn switch<'a>(command: &Command, text: &'a str) -> Option<(&'a str, bool)> {
    let (name, value) = text.split_once('=')?;
    let is_on = match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => true,
        "0" | "f" | "F" | "false" | "FALSE" | "False" => false,
        _ => return None,
    };
    let long = name.strip_prefix("--")?;
    let uses = uses(command, long);
    (!uses.is_empty() && uses.iter().all(|is_switch| *is_switch)).then_some((name, is_on))
}

fn uses(command: &Command, long: &str) -> Vec<bool> {
    let own = command
        .get_arguments()
        .filter(|argument| argument.get_long() == Some(long));
    let own = own.map(|argument| matches!(argument.get_action(), ArgAction::SetTrue));
    own.chain(command.get_subcommands().flat_map(|verb| uses(verb, long)))
        .collect()
}

/// Tells what is wrong; help goes to stdout.
pub(super) fn tell(
    command: &mut Command,
    arguments: &[OsString],
    output: &Output,
    error: &clap::Error,
) -> ExitCode {
    let program = command.get_name().to_owned();
    let (path, verb) = verb(command, arguments);
    let help = match error.kind() {
        ErrorKind::DisplayHelp => Some(error.to_string()),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            Some(verb.render_help().to_string())
        }
        _ => None,
    };
    if let Some(help) = help {
        return match output.data(&help) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    let more = format!("Run '{path} --help' for more information");
    if error.kind() == ErrorKind::InvalidSubcommand {
        let unknown = fact(error, ContextKind::InvalidSubcommand);
        let meant =
            suggested(error).map_or_else(String::new, |verbs| format!("\nDid you mean {verbs}?\n"));
        output.talk(&format!(
            "{program}: unknown command: {path} {unknown}\n{meant}\n{more}"
        ));
        return ExitCode::FAILURE;
    }
    let (message, code) = match error.kind() {
        ErrorKind::UnknownArgument if !fact(error, ContextKind::InvalidArg).starts_with('-') => {
            (format!("{program}: '{path}' {}", wanted(verb)), WRONG_COUNT)
        }
        ErrorKind::MissingRequiredArgument
            if !verb.get_positionals().any(clap::Arg::is_required_set) =>
        {
            let missing = fact(error, ContextKind::InvalidArg);
            let missing = missing.trim_matches(['<', '>']);
            (
                format!("{program}: '{path}' requires {missing}"),
                WRONG_COUNT,
            )
        }
        // A word too many behind one that was no command.
        ErrorKind::ArgumentConflict if verb.is_args_conflicts_with_subcommands_set() => {
            (format!("{program}: '{path}' {}", wanted(verb)), WRONG_COUNT)
        }
        ErrorKind::MissingRequiredArgument | ErrorKind::TooManyValues => {
            (format!("{program}: '{path}' {}", wanted(verb)), WRONG_COUNT)
        }
        _ => (wrong_flag(error), WRONG_FLAG),
    };
    let usage = verb.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").trim();
    output.talk(&format!("{message}\n\nUsage:  {usage}\n\n{more}"));
    ExitCode::from(code)
}

/// What clap knows of the mistake.
fn fact(error: &clap::Error, kind: ContextKind) -> String {
    match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join(", "),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

/// What is wrong with a flag.
fn wrong_flag(error: &clap::Error) -> String {
    let argument = fact(error, ContextKind::InvalidArg);
    let value = fact(error, ContextKind::InvalidValue);
    match error.kind() {
        ErrorKind::UnknownArgument if argument.starts_with("--") => {
            format!("unknown flag: {argument}")
        }
        ErrorKind::UnknownArgument => {
            let letter = argument.chars().nth(1).unwrap_or('-');
            format!("unknown shorthand flag: '{letter}' in {argument}")
        }
        ErrorKind::InvalidValue if value.is_empty() => {
            format!("flag needs an argument: {}", flag(&argument))
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let valid = fact(error, ContextKind::ValidValue);
            let reason = match std::error::Error::source(error) {
                _ if !valid.is_empty() => format!(": there are {valid}"),
                Some(source) => format!(": {source}"),
                None => String::new(),
            };
            let what = if argument.starts_with('-') {
                "flag"
            } else {
                "argument"
            };
            format!(
                "invalid argument {value:?} for {:?} {what}{reason}",
                flag(&argument)
            )
        }
        _ => {
            let whole = error.to_string();
            let line = whole.lines().next().unwrap_or_default();
            line.trim_start_matches("error: ").to_owned()
        }
    }
}

/// `--name` of `--name <value>`.
fn flag(argument: &str) -> &str {
    argument.split([' ', '=', '[']).next().unwrap_or(argument)
}

fn suggested(error: &clap::Error) -> Option<String> {
    match error.get(ContextKind::SuggestedSubcommand)? {
        ContextValue::String(text) => Some(format!("'{text}'")),
        ContextValue::Strings(texts) if !texts.is_empty() => Some(
            texts
                .iter()
                .rev()
                .map(|text| format!("'{text}'"))
                .collect::<Vec<_>>()
                .join(" or "),
        ),
        _ => None,
    }
}

/// The verb that was called, with the words that call it.
fn verb<'c>(command: &'c mut Command, arguments: &[OsString]) -> (String, &'c mut Command) {
    let mut path = command.get_name().to_owned();
    let mut verb = command;
    let mut is_value = false;
    for argument in arguments.iter().skip(1).map(|word| word.to_string_lossy()) {
        if is_value || argument.starts_with('-') {
            is_value = !is_value && wants_value(&[&*verb], &argument);
            continue;
        }
        let Some(below) = verb.find_subcommand(&*argument) else {
            break;
        };
        let name = below.get_name().to_owned();
        path = format!("{path} {name}");
        verb = verb
            .find_subcommand_mut(&name)
            .expect("because it was just found by its name");
    }
    (path, verb)
}

/// How many arguments a verb takes, in Docker's words.
fn wanted(verb: &Command) -> String {
    let least = verb
        .get_positionals()
        .filter(|argument| argument.is_required_set())
        .count();
    let is_open = verb
        .get_positionals()
        .any(|argument| matches!(argument.get_action(), ArgAction::Append));
    let most = verb.get_positionals().count();
    let arguments = |count: usize| {
        if count == 1 {
            "1 argument".to_owned()
        } else {
            format!("{count} arguments")
        }
    };
    match (least, most, is_open) {
        (_, 0, _) => "accepts no arguments".into(),
        (least, _, true) => format!("requires at least {}", arguments(least)),
        (least, most, false) if least == most => format!("requires {}", arguments(least)),
        (0, most, false) => format!("requires at most {}", arguments(most)),
        (least, most, false) => {
            format!("requires at least {least} and at most {}", arguments(most))
        }
    }
}
