//! Command lines that can't be understood, told in Docker's words and with its exit codes: 125 for
//! a wrong flag, 1 for a wrong verb or number of arguments.

use std::{ffi::OsString, path::Path, process::ExitCode};

use clap::{
    ArgAction, Command,
    error::{ContextKind, ContextValue, ErrorKind},
};

use crate::output::Output;

const WRONG_FLAG: u8 = 125;

/// The name that the program was called by; `shiplap`, if it is not known.
pub(super) fn program(first: Option<&OsString>) -> String {
    let name = first
        .and_then(|path| Path::new(path).file_name())
        .and_then(|name| name.to_str());
    name.filter(|name| !name.is_empty())
        .unwrap_or("shiplap")
        .to_owned()
}

/// Docker also takes `--quiet=true` and `--quiet=false`.
pub(super) fn plain_switches(command: &Command, arguments: Vec<OsString>) -> Vec<OsString> {
    let mut plain = Vec::with_capacity(arguments.len());
    let mut is_over = false;
    for argument in arguments {
        is_over |= argument == "--";
        let switch = argument
            .to_str()
            .filter(|_| !is_over)
            .and_then(|text| switch(command, text));
        match switch {
            Some((name, true)) => plain.push(name.into()),
            Some((_, false)) => {}
            None => plain.push(argument),
        }
    }
    plain
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

/// Tells what is wrong; help that was asked for goes to stdout.
pub(super) fn tell(
    command: &mut Command,
    program: &str,
    output: &Output,
    error: &clap::Error,
) -> ExitCode {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join(", "),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    let argument = text(ContextKind::InvalidArg);
    let (message, code) = match error.kind() {
        ErrorKind::DisplayHelp => {
            return match output.data(&error.to_string()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::FAILURE,
            };
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            let verb = verb(command, error);
            let help = verb.1.render_help().to_string();
            return match output.data(&help) {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::FAILURE,
            };
        }
        ErrorKind::InvalidSubcommand => {
            let path = verb(command, error).0;
            let unknown = text(ContextKind::InvalidSubcommand);
            let mut message = format!("{program}: unknown command: {path} {unknown}\n");
            if let Some(suggestions) = suggested(error) {
                message.push_str(&format!("\nDid you mean {suggestions}?\n"));
            }
            output.talk(&format!(
                "{message}\nRun '{path} --help' for more information"
            ));
            return ExitCode::FAILURE;
        }
        ErrorKind::UnknownArgument if argument.starts_with("--") => {
            (format!("unknown flag: {argument}"), WRONG_FLAG)
        }
        ErrorKind::UnknownArgument if argument.starts_with('-') && argument.len() > 1 => {
            let letter = argument
                .trim_start_matches('-')
                .chars()
                .next()
                .unwrap_or('-');
            (
                format!("unknown shorthand flag: '{letter}' in {argument}"),
                WRONG_FLAG,
            )
        }
        ErrorKind::UnknownArgument
        | ErrorKind::MissingRequiredArgument
        | ErrorKind::TooManyValues => {
            let (path, verb) = verb(command, error);
            (format!("{program}: '{path}' {}", wanted(verb)), 1)
        }
        ErrorKind::InvalidValue if text(ContextKind::InvalidValue).is_empty() => (
            format!("flag needs an argument: {}", flag(&argument)),
            WRONG_FLAG,
        ),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let mut reason = std::error::Error::source(error)
                .map_or_else(String::new, |source| format!(": {source}"));
            let valid = text(ContextKind::ValidValue);
            if !valid.is_empty() {
                reason = format!(": there are {valid}");
            }
            let value = text(ContextKind::InvalidValue);
            let what = if argument.starts_with('-') {
                "flag"
            } else {
                "argument"
            };
            (
                format!(
                    "invalid argument {value:?} for {:?} {what}{reason}",
                    flag(&argument)
                ),
                WRONG_FLAG,
            )
        }
        _ => {
            let whole = error.to_string();
            let line = whole.lines().next().unwrap_or_default();
            (line.trim_start_matches("error: ").to_owned(), WRONG_FLAG)
        }
    };
    let (path, verb) = verb(command, error);
    let usage = verb.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").trim().to_owned();
    output.talk(&format!(
        "{message}\n\nUsage:  {usage}\n\nRun '{path} --help' for more information"
    ));
    ExitCode::from(code)
}

/// `--name` of `--name <value>`.
fn flag(argument: &str) -> &str {
    argument.split([' ', '=']).next().unwrap_or(argument)
}

fn suggested(error: &clap::Error) -> Option<String> {
    match error.get(ContextKind::SuggestedSubcommand)? {
        ContextValue::String(text) => Some(format!("'{text}'")),
        ContextValue::Strings(texts) if !texts.is_empty() => Some(
            texts
                .iter()
                .map(|text| format!("'{text}'"))
                .collect::<Vec<_>>()
                .join(" or "),
        ),
        _ => None,
    }
}

/// The verb that was called, with the words that call it: told by the usage in clap's error.
fn verb<'c>(command: &'c mut Command, error: &clap::Error) -> (String, &'c mut Command) {
    let usage = match error.get(ContextKind::Usage) {
        Some(ContextValue::StyledStr(usage)) => usage.to_string(),
        _ => String::new(),
    };
    let mut path = command.get_name().to_owned();
    let mut verb = command;
    for word in usage
        .trim_start_matches("Usage:")
        .split_whitespace()
        .skip(1)
    {
        if verb.find_subcommand(word).is_none() {
            break;
        }
        path = format!("{path} {word}");
        verb = verb
            .find_subcommand_mut(word)
            .expect("because it was found just now");
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
