//! `--call`: what is asked of a Dockerfile instead of building it, and the answers as Docker prints them.

use std::{io, str::FromStr};

use shiplap_build::{BuildOptions, outline::Outline, outline::Targets};
use shiplap_model::csv;

use crate::{
    face::{Face, Failure},
    table,
};

/// Columns stand by so many blanks apart: of what is told of one target, and of lists.
const NEAR: table::Spacing = table::Spacing {
    width: 0,
    padding: 1,
};
const WIDE: table::Spacing = table::Spacing {
    width: 0,
    padding: 3,
};

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) method: Method,
    /// For programs.
    pub(super) is_json: bool,
    /// What was found is no failure.
    pub(super) ignores_status: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Build,
    Check,
    Outline,
    Targets,
}

impl FromStr for Call {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut call = Self {
            method: Method::Build,
            is_json: false,
            ignores_status: false,
        };
        let fields = csv::fields(text).map_err(|error| error.to_string())?;
        for (number, field) in fields.iter().enumerate() {
            match (number, field.split_once('=')) {
                (0, None) => call.method = method(field)?,
                (_, Some(("format", "json"))) => call.is_json = true,
                (_, Some(("format", "text" | "default" | ""))) => call.is_json = false,
                (_, Some(("ignorestatus", "true" | "1"))) => call.ignores_status = true,
                (_, Some(("ignorestatus", "false" | "0"))) => call.ignores_status = false,
                _ => {
                    return Err(format!(
                        "{field:?} is none of format=json, format=text and ignorestatus=true"
                    ));
                }
            }
        }
        Ok(call)
    }
}

fn method(name: &str) -> Result<Method, String> {
    match name {
        "build" => Ok(Method::Build),
        "check" | "lint" => Ok(Method::Check),
        "outline" => Ok(Method::Outline),
        "targets" => Ok(Method::Targets),
        _ => Err("there are build, check, outline and targets".to_owned()),
    }
}

impl Call {
    /// `--check`.
    pub(super) fn check() -> Self {
        Self {
            method: Method::Check,
            is_json: false,
            ignores_status: false,
        }
    }

    /// Asks, and says what the answer is.
    pub(super) fn run(self, face: &Face, options: &BuildOptions) -> Result<(), Failure> {
        let context = face.session(true)?.context;
        let mut stdin = io::stdin();
        match self.method {
            Method::Build => Ok(()),
            Method::Check => {
                let checked = shiplap_build::check(&context, options, &mut stdin);
                self.report(face, &checked.map_err(|error| failed("check", &error))?)
            }
            Method::Outline => {
                let told = shiplap_build::outline(&context, options, &mut stdin);
                let told = told.map_err(|error| failed("outline", &error))?;
                let text = match self.is_json {
                    true => json(&told),
                    false => outline(&told),
                };
                Ok(face.output.data(&text)?)
            }
            Method::Targets => {
                let told = shiplap_build::targets(&context, options, &mut stdin);
                let told = told.map_err(|error| failed("list targets", &error))?;
                let text = match self.is_json {
                    true => json(&told),
                    false => targets(&told),
                };
                Ok(face.output.data(&text)?)
            }
        }
    }

    /// Says what checks found: on stdout as Docker, and why a build would fail on stderr. What was found
    /// makes it fail.
    fn report(self, face: &Face, checked: &shiplap_build::Checked) -> Result<(), Failure> {
        let report = checked.report();
        match self.is_json {
            true => face.output.line(&format!("{:#}", report.json()))?,
            false => face.output.data(&report.text())?,
        }
        match report.failure() {
            Some(failure) if !self.is_json => Err(Failure::plain(failure.trim_end())),
            _ if report.is_clean() || self.ignores_status => Ok(()),
            _ => Err(Failure::told()),
        }
    }
}

fn failed(what: &str, error: &shiplap_build::BuildError) -> Failure {
    let message = format!("failed to {what}: {error}");
    let lines = error.excerpt.trim_end();
    match lines.is_empty() {
        true => Failure::plain(message),
        false => Failure::plain(format!("{message}\n{lines}")),
    }
}

fn json(told: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(told).unwrap_or_default() + "\n"
}

fn targets(told: &Targets) -> String {
    let lines = told.targets.iter().map(|target| {
        let name = match (target.name.as_str(), target.is_default) {
            ("", true) => "(default)".to_owned(),
            (name, true) => format!("{name} (default)"),
            (name, false) => name.to_owned(),
        };
        format!("{name}\t{}\n", target.description)
    });
    let lines: String = lines.collect();
    table::align_by(&format!("TARGET\tDESCRIPTION\n{lines}"), NEAR)
}

fn outline(told: &Outline) -> String {
    let mut head = format!("TARGET:\t{}\n", told.name);
    if !told.description.is_empty() {
        head.push_str(&format!("DESCRIPTION:\t{}\n", told.description));
    }
    let mut text = table::align_by(&head, NEAR) + "\n";
    let mut list = |names: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            let lines = lines.concat();
            text.push_str(&table::align_by(&format!("{names}\n{lines}"), WIDE));
            text.push('\n');
        }
    };
    let arguments = told.arguments.iter();
    let arguments = arguments.map(|argument| {
        let (name, value) = (&argument.name, &argument.value);
        format!("{name}\t{value}\t{}\n", argument.description)
    });
    list("BUILD ARG\tVALUE\tDESCRIPTION", arguments.collect());
    for (names, wanted) in [
        ("SECRET\tREQUIRED", &told.secrets),
        ("SSH\tREQUIRED", &told.agents),
    ] {
        let wanted = wanted.iter().map(|wanted| {
            let required = if wanted.required { "true" } else { "" };
            format!("{}\t{required}\n", wanted.name)
        });
        list(names, wanted.collect());
    }
    text
}
