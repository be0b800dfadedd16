//! Executes a parsed template on a value.
//!
//! Never runs without bounds: steps, depth and output have limits, so a template that means harm
//! ends with an error.

use std::fmt::Display;

use shiplap_model::limits;

use super::{
    ast::{Branch, Call, Command, Node, Pipe, Term, TermKind},
    functions::{self, Parameter},
    parse::Bodies,
    printf,
    value::Value,
};

/// How fields that aren't there and functions are taken.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Mode {
    /// A missing key is an error instead of `<no value>`.
    pub(super) missing_is_error: bool,
    /// The data are column names.
    pub(super) is_header: bool,
}

/// Appends the main body's text for `data` to `out`; the error is worded as Go's.
pub(super) fn execute(
    bodies: &Bodies,
    text: &str,
    data: &Value,
    mode: Mode,
    out: &mut String,
) -> Result<(), String> {
    let mut state = State {
        bodies,
        text,
        mode,
        at: At {
            offset: 0,
            node: &"",
        },
        name: "",
        variables: vec![("$", data.clone())],
        most_bytes: out.len() + limits::TEMPLATE_OUTPUT_BYTES,
        out,
        steps: 0,
        depth: 0,
    };
    if let Some(body) = bodies.get("") {
        state.walk(data, body)?;
    }
    Ok(())
}

/// The node in work, for messages.
#[derive(Clone, Copy)]
struct At<'t> {
    offset: usize,
    node: &'t dyn Display,
}

enum Flow {
    Next,
    Break,
    Continue,
}

struct State<'t> {
    bodies: &'t Bodies,
    text: &'t str,
    mode: Mode,
    at: At<'t>,
    /// The body in work, as `define` named it.
    name: &'t str,
    variables: Vec<(&'t str, Value)>,
    out: &'t mut String,
    /// As long as `out` may become.
    most_bytes: usize,
    steps: u64,
    depth: usize,
}

type Result<T, E = String> = std::result::Result<T, E>;

impl<'t> State<'t> {
    fn error<T>(&self, message: impl Display) -> Result<T> {
        let before = self.text.get(..self.at.offset).unwrap_or(self.text);
        let line = 1 + before.matches('\n').count();
        let column = before.len() - before.rfind('\n').map_or(0, |newline| newline + 1);
        let name = printf::quoted(self.name);
        Err(format!(
            "template: :{line}:{column}: executing {name} at <{}>: {message}",
            self.at.node
        ))
    }

    fn step(&mut self) -> Result<()> {
        self.steps += 1;
        if self.steps > limits::TEMPLATE_STEPS {
            return self.error("the template runs too long");
        }
        Ok(())
    }

    fn write(&mut self, text: &str) -> Result<()> {
        if self.out.len() + text.len() > self.most_bytes {
            return self.error("the output is too long");
        }
        self.out.push_str(text);
        Ok(())
    }

    fn deeper(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > limits::TEMPLATE_DEPTH {
            return self.error(format!(
                "exceeded maximum template depth ({})",
                limits::TEMPLATE_DEPTH
            ));
        }
        Ok(())
    }

    fn walk(&mut self, dot: &Value, body: &'t [Node]) -> Result<Flow> {
        self.deeper()?;
        let flow = self.nodes(dot, body)?;
        self.depth -= 1;
        Ok(flow)
    }

    fn nodes(&mut self, dot: &Value, body: &'t [Node]) -> Result<Flow> {
        for node in body {
            self.step()?;
            let flow = match node {
                Node::Text(text) => {
                    self.write(text)?;
                    Flow::Next
                }
                Node::Action(pipe) => {
                    let value = self.pipe(dot, pipe)?;
                    if pipe.variables.is_empty() {
                        self.at = At {
                            offset: pipe.at,
                            node: pipe,
                        };
                        match &value {
                            Value::Str(text) => self.write(text)?,
                            value => self.write(&printf::action(value))?,
                        }
                    }
                    Flow::Next
                }
                Node::If(branch) => self.branch(dot, branch, false)?,
                Node::With(branch) => self.branch(dot, branch, true)?,
                Node::Range(branch) => self.range(dot, branch)?,
                Node::Template(call) => {
                    self.template(dot, call)?;
                    Flow::Next
                }
                Node::Break => Flow::Break,
                Node::Continue => Flow::Continue,
            };
            if !matches!(flow, Flow::Next) {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    fn branch(&mut self, dot: &Value, branch: &'t Branch, with: bool) -> Result<Flow> {
        let mark = self.variables.len();
        let value = self.pipe(dot, &branch.pipe)?;
        let flow = if !value.is_true() {
            self.walk(dot, &branch.otherwise)?
        } else if with {
            self.walk(&value, &branch.body)?
        } else {
            self.walk(dot, &branch.body)?
        };
        self.variables.truncate(mark);
        Ok(flow)
    }

    fn range(&mut self, dot: &Value, branch: &'t Branch) -> Result<Flow> {
        let mark = self.variables.len();
        let value = self.pipe(dot, &branch.pipe)?;
        let mut ran = false;
        match &value {
            Value::Int(_) if branch.pipe.variables.len() > 1 => {
                let shown = printf::plain(&value);
                return self.error(format!(
                    "can't use {shown} to iterate over more than one variable"
                ));
            }
            Value::Int(count) => {
                for number in 0..*count {
                    ran = true;
                    if !self.iteration(branch, Value::Missing, &Value::Int(number))? {
                        break;
                    }
                }
            }
            Value::List { .. } => {
                for (number, item) in (0_i64..).zip(value.items()) {
                    ran = true;
                    if !self.iteration(branch, Value::Int(number), item)? {
                        break;
                    }
                }
            }
            Value::Map { .. } => {
                for (key, item) in value.entries() {
                    ran = true;
                    if !self.iteration(branch, Value::Str(key.clone()), item)? {
                        break;
                    }
                }
            }
            Value::Missing | Value::Nil => {}
            other => {
                let shown = printf::plain(other);
                return self.error(format!("range can't iterate over {shown}"));
            }
        }
        let flow = if ran {
            Flow::Next
        } else {
            self.walk(dot, &branch.otherwise)?
        };
        self.variables.truncate(mark);
        Ok(flow)
    }

    /// Runs a range's body once; whether it goes on.
    fn iteration(&mut self, branch: &'t Branch, index: Value, item: &Value) -> Result<bool> {
        self.step()?;
        let mark = self.variables.len();
        let values = match &branch.pipe.variables[..] {
            [] => vec![],
            [single] => vec![(single, item.clone())],
            [first, second, ..] => vec![(first, index), (second, item.clone())],
        };
        for (name, value) in values {
            if branch.pipe.assigns {
                self.assign(name, value)?;
            } else if let Some(slot) = self
                .variables
                .iter_mut()
                .rev()
                .find(|(known, _)| known == name)
            {
                slot.1 = value;
            }
        }
        let flow = self.walk(item, &branch.body)?;
        self.variables.truncate(mark);
        Ok(!matches!(flow, Flow::Break))
    }

    fn assign(&mut self, name: &str, value: Value) -> Result<()> {
        match self
            .variables
            .iter_mut()
            .rev()
            .find(|(known, _)| *known == name)
        {
            Some(slot) => {
                slot.1 = value;
                Ok(())
            }
            None => self.error(format!("undefined variable: {name}")),
        }
    }

    fn template(&mut self, dot: &Value, call: &'t Call) -> Result<()> {
        self.at = At {
            offset: call.at,
            node: call,
        };
        let Some((name, body)) = self.bodies.get_key_value(&call.name) else {
            return self.error(format!(
                "template {} not defined",
                printf::quoted(&call.name)
            ));
        };
        let data = match &call.pipe {
            Some(pipe) => self.pipe(dot, pipe)?,
            None => Value::Missing,
        };
        let outer_variables = std::mem::replace(&mut self.variables, vec![("$", data.clone())]);
        let outer_name = std::mem::replace(&mut self.name, name);
        self.walk(&data, body)?;
        self.name = outer_name;
        self.variables = outer_variables;
        Ok(())
    }

    fn pipe(&mut self, dot: &Value, pipe: &'t Pipe) -> Result<Value> {
        self.at = At {
            offset: pipe.at,
            node: pipe,
        };
        self.deeper()?;
        let mut last = None;
        for command in &pipe.commands {
            let value = match self.command(dot, command, last)? {
                Value::Nil => Value::Missing,
                value => value,
            };
            last = Some(value);
        }
        self.depth -= 1;
        let value = last.unwrap_or(Value::Missing);
        for name in &pipe.variables {
            if pipe.assigns {
                self.assign(name, value.clone())?;
            } else {
                self.variables.push((name, value.clone()));
            }
        }
        Ok(value)
    }

    /// Evaluates a command; `last` is what the command before it in the pipe gave.
    fn command(&mut self, dot: &Value, command: &'t Command, last: Option<Value>) -> Result<Value> {
        let first = &command.first;
        let has_operands = !command.arguments.is_empty() || last.is_some();
        match &first.kind {
            TermKind::Function(name) => {
                return self.function(dot, first, name, Some(command), last);
            }
            TermKind::Field(fields) if has_operands => {
                return self.field_with_operands(dot, first, dot.clone(), fields);
            }
            TermKind::Variable { name, fields } if has_operands && !fields.is_empty() => {
                let value = self.variable(name);
                return self.field_with_operands(dot, first, value, fields);
            }
            TermKind::Chain { of, fields } if has_operands => {
                let value = self.term(dot, of)?;
                return self.field_with_operands(dot, first, value, fields);
            }
            _ => {}
        }
        if !matches!(first.kind, TermKind::Pipe(_)) {
            self.at = At {
                offset: first.at,
                node: first,
            };
        }
        if has_operands {
            return self.error(format!("can't give argument to non-function {first}"));
        }
        if matches!(first.kind, TermKind::Nil) {
            return self.error("nil is not a command");
        }
        self.term(dot, first)
    }

    /// A field is never a method here, so operands to it are an error, after its own.
    fn field_with_operands(
        &mut self,
        dot: &Value,
        term: &'t Term,
        value: Value,
        fields: &'t [String],
    ) -> Result<Value> {
        self.at = At {
            offset: term.at,
            node: term,
        };
        let Some((last, path)) = fields.split_last() else {
            return Ok(dot.clone());
        };
        let holder = self.fields(value, path)?;
        self.fields(holder.clone(), std::slice::from_ref(last))?;
        if matches!(holder, Value::Map { .. }) {
            return self.error(format!("{last} is not a method but has arguments"));
        }
        self.error(format!(
            "{last} has arguments but cannot be invoked as function"
        ))
    }

    fn variable(&self, name: &str) -> Value {
        let found = self
            .variables
            .iter()
            .rev()
            .find(|(known, _)| *known == name);
        found.map_or(Value::Missing, |(_, value)| value.clone())
    }

    fn term(&mut self, dot: &Value, term: &'t Term) -> Result<Value> {
        if !matches!(term.kind, TermKind::Pipe(_)) {
            self.at = At {
                offset: term.at,
                node: term,
            };
        }
        match &term.kind {
            TermKind::Dot => Ok(dot.clone()),
            TermKind::Nil => Ok(Value::Nil),
            TermKind::Literal { value, .. } => Ok(value.clone()),
            TermKind::Function(name) => self.function(dot, term, name, None, None),
            TermKind::Field(fields) => self.fields(dot.clone(), fields),
            TermKind::Variable { name, fields } => self.fields(self.variable(name), fields),
            TermKind::Pipe(pipe) => self.pipe(dot, pipe),
            TermKind::Chain { of, fields } => {
                if matches!(of.kind, TermKind::Nil) {
                    return self.error(format!("indirection through explicit nil in {term}"));
                }
                let value = self.term(dot, of)?;
                self.fields(value, fields)
            }
        }
    }

    fn fields(&self, value: Value, fields: &[String]) -> Result<Value> {
        fields.iter().try_fold(value, |value, field| match &value {
            Value::Missing if self.mode.missing_is_error => self.error(format!(
                "nil data; no entry for key {}",
                printf::quoted(field)
            )),
            Value::Missing => Ok(Value::Missing),
            Value::Nil | Value::NilStruct(_) => self.error(format!(
                "nil pointer evaluating {}.{field}",
                value.type_name()
            )),
            Value::Map { .. } => match value.get(field) {
                Some(found) => Ok(found.clone()),
                None if self.mode.missing_is_error => self.error(format!(
                    "map has no entry for key {}",
                    printf::quoted(field)
                )),
                None => Ok(Value::Missing),
            },
            other => match value.get(field) {
                Some(found) => Ok(found.clone()),
                None => {
                    let name = other.type_name();
                    self.error(format!("can't evaluate field {field} in type {name}"))
                }
            },
        })
    }

    fn function(
        &mut self,
        dot: &Value,
        term: &'t Term,
        name: &str,
        command: Option<&'t Command>,
        last: Option<Value>,
    ) -> Result<Value> {
        self.at = At {
            offset: term.at,
            node: term,
        };
        let Some(signature) = functions::signature(name) else {
            return self.error(format!(
                "{} is not a defined function",
                printf::quoted(name)
            ));
        };
        let arguments: &'t [Term] = command.map_or(&[], |command| &command.arguments);
        let given = arguments.len() + usize::from(last.is_some());
        let wanted = signature.fixed.len();
        if signature.variadic.is_some() && given < wanted {
            let got = arguments.len();
            return self.error(format!(
                "wrong number of args for {name}: want at least {wanted} got {got}"
            ));
        }
        if signature.variadic.is_none() && given != wanted {
            return self.error(format!(
                "wrong number of args for {name}: want {wanted} got {given}"
            ));
        }
        if matches!(name, "and" | "or") {
            let mut value = Value::Missing;
            for argument in arguments {
                value = self.operand(dot, argument, Parameter::Raw)?;
                if value.is_true() == (name == "or") {
                    return Ok(value);
                }
            }
            return Ok(last.unwrap_or(value));
        }
        let parameter = |number: usize| {
            signature
                .fixed
                .get(number)
                .copied()
                .or(signature.variadic)
                .unwrap_or(Parameter::Any)
        };
        let mut operands = Vec::with_capacity(given);
        for (number, argument) in arguments.iter().enumerate() {
            operands.push(self.operand(dot, argument, parameter(number))?);
        }
        if let Some(last) = last {
            let parameter = parameter(operands.len());
            operands.push(self.fit(last, parameter)?);
        }
        functions::call(name, &operands, self.mode.is_header).or_else(|message| {
            self.at = match command {
                Some(command) => At {
                    offset: command.at,
                    node: command,
                },
                None => At {
                    offset: term.at,
                    node: term,
                },
            };
            self.error(format!("error calling {name}: {message}"))
        })
    }

    fn operand(&mut self, dot: &Value, term: &'t Term, parameter: Parameter) -> Result<Value> {
        if !matches!(term.kind, TermKind::Literal { .. } | TermKind::Nil) {
            let value = self.term(dot, term)?;
            return self.fit(value, parameter);
        }
        self.at = At {
            offset: term.at,
            node: term,
        };
        match (&term.kind, parameter) {
            (TermKind::Nil, Parameter::Text | Parameter::Int) => {
                let wanted = parameter_type(parameter);
                self.error(format!("cannot assign nil to {wanted}"))
            }
            (
                TermKind::Literal {
                    value: Value::Str(_),
                    ..
                },
                Parameter::Int,
            ) => self.error(format!("expected integer; found {term}")),
            (TermKind::Literal { value, .. }, Parameter::Text)
                if !matches!(value, Value::Str(_)) =>
            {
                self.error(format!("expected string; found {term}"))
            }
            (TermKind::Literal { value, .. }, Parameter::Int)
                if !matches!(value, Value::Int(_)) =>
            {
                self.error(format!("expected integer; found {term}"))
            }
            (TermKind::Literal { .. }, Parameter::Texts) => {
                self.error(format!("can't handle {term} for arg of type []string"))
            }
            _ => {
                let value = self.term(dot, term)?;
                self.fit(value, parameter)
            }
        }
    }

    /// Checks a value against a parameter.
    fn fit(&self, value: Value, parameter: Parameter) -> Result<Value> {
        let fits = match (parameter, &value) {
            (Parameter::Raw, _) => true,
            (Parameter::Any, Value::Missing) => return Ok(Value::Nil),
            (Parameter::Any, _) => true,
            (Parameter::Texts, Value::Missing) => return Ok(Value::zero("[]string")),
            (Parameter::Texts, Value::List { .. }) => value
                .items()
                .iter()
                .all(|item| matches!(item, Value::Str(_))),
            (Parameter::Text | Parameter::Int, Value::Missing) => {
                return self.error(format!(
                    "invalid value; expected {}",
                    parameter_type(parameter)
                ));
            }
            (Parameter::Text, Value::Str(_)) | (Parameter::Int, Value::Int(_)) => true,
            _ => false,
        };
        if fits {
            return Ok(value);
        }
        let (wanted, got) = (parameter_type(parameter), value.type_name());
        self.error(format!(
            "wrong type for value; expected {wanted}; got {got}"
        ))
    }
}

fn parameter_type(parameter: Parameter) -> &'static str {
    match parameter {
        Parameter::Text => "string",
        Parameter::Int => "int",
        Parameter::Texts => "[]string",
        Parameter::Any | Parameter::Raw => super::value::ANY,
    }
}
