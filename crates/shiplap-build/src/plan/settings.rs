//! Instructions that change the config alone, and what histories say of them.

use shiplap_model::config::Healthcheck;
use shiplap_model::container::signal;
use shiplap_model::dockerfile::{self, ArgDeclaration, Command, Expose, Pair};
use shiplap_model::{change, path, quote};

use super::draft::{Done, Draft};
use super::error::Fault;
use super::{Action, Workdir, paths};

impl Draft<'_> {
    pub(super) fn arg(&mut self, arguments: &[ArgDeclaration]) -> Result<String, Fault> {
        let mut words = vec!["ARG".to_owned()];
        for argument in arguments {
            let name = &argument.name;
            let given = self.graph.input.build_args.get(name);
            let value = match (given, &argument.default) {
                (Some(given), _) => Some(given.clone()),
                (None, Some(default)) => Some(self.expand(default)?),
                (None, None) => self.graph.globals.get(name).map(str::to_owned),
            };
            words.push(match &value {
                Some(value) => format!("{name}={value}"),
                None => name.clone(),
            });
            if let Some(value) = &value {
                self.state.variables.set(name, value);
            }
            self.state.args.declare(name, value);
        }
        Ok(words.join(" "))
    }

    fn pairs(&self, pairs: &[Pair]) -> Result<Vec<(String, String)>, Fault> {
        let expand = |pair: &Pair| Ok((self.expand(&pair.name)?, self.expand(&pair.value)?));
        pairs.iter().map(expand).collect()
    }

    pub(super) fn env(&mut self, pairs: &[Pair]) -> Result<String, Fault> {
        let mut words = vec!["ENV".to_owned()];
        let pairs = self.pairs(pairs)?;
        for (name, value) in &pairs {
            self.state.variables.set(name, value);
            words.push(format!("{name}={value}"));
        }
        change::set_variables(&mut self.config().env, &pairs);
        Ok(words.join(" "))
    }

    pub(super) fn label(&mut self, pairs: &[Pair]) -> Result<String, Fault> {
        let mut words = vec!["LABEL".to_owned()];
        for (name, value) in self.pairs(pairs)? {
            words.push(format!("{name}={value}"));
            self.config().labels.insert(name, value);
        }
        Ok(words.join(" "))
    }

    /// The command's words, with the stage's shell before a line.
    pub(super) fn words_of(&self, command: &Command) -> Vec<String> {
        match command {
            Command::Exec(words) => words.clone(),
            Command::Shell(line) => self.in_shell(line),
        }
    }

    /// A line for the stage's shell.
    pub(super) fn in_shell(&self, line: &str) -> Vec<String> {
        let default: &[&str] = match self.state.image.os.as_str() {
            "windows" => &["cmd", "/S", "/C"],
            _ => &["/bin/sh", "-c"],
        };
        let mut words = match &self.state.image.config.shell {
            Some(shell) if !shell.is_empty() => shell.clone(),
            _ => default.iter().map(|&word| word.to_owned()).collect(),
        };
        words.push(line.to_owned());
        words
    }

    pub(super) fn cmd(&mut self, command: &Command) -> String {
        let words = self.words_of(command);
        let created_by = format!("CMD {}", list_of_quoted(&words));
        let config = self.config();
        config.cmd = (!words.is_empty()).then_some(words);
        config.args_escaped = true;
        self.is_cmd_set = true;
        created_by
    }

    pub(super) fn entrypoint(&mut self, command: &Command) -> String {
        let words = self.words_of(command);
        let created_by = format!("ENTRYPOINT {}", list_of_quoted(&words));
        let keeps_cmd = self.is_cmd_set;
        let config = self.config();
        config.entrypoint = (!words.is_empty()).then_some(words);
        if !keeps_cmd {
            config.cmd = None;
        }
        created_by
    }

    pub(super) fn expose(&mut self, expose: &Expose) -> Result<String, Fault> {
        let mut words = expose.ports.clone();
        words.sort();
        let mut ports = Vec::new();
        for word in &words {
            for port in self.state.variables.expand_words(word, self.escape())? {
                let read = change::exposed_ports(&port);
                ports.extend(read.ok_or_else(|| Fault::Port(port.clone()))?);
            }
        }
        let created_by = format!("EXPOSE [{}]", ports.join(" "));
        self.config().exposed_ports.extend(ports);
        Ok(created_by)
    }

    pub(super) fn healthcheck(&mut self, check: &dockerfile::Healthcheck) -> String {
        let healthcheck = Healthcheck::from(check);
        let created_by = format!(
            "HEALTHCHECK {{Test:[{}] Interval:{} Timeout:{} StartPeriod:{} StartInterval:{} \
             Retries:{}}}",
            healthcheck.test.join(" "),
            quote::duration(healthcheck.interval),
            quote::duration(healthcheck.timeout),
            quote::duration(healthcheck.start_period),
            quote::duration(healthcheck.start_interval),
            healthcheck.retries
        );
        self.config().healthcheck = Some(healthcheck);
        created_by
    }

    pub(super) fn stopsignal(&mut self, word: &str) -> Result<String, Fault> {
        let name = self.expand(word)?;
        if signal::parse(&name).is_err() {
            return Err(Fault::Signal(name));
        }
        self.config().stop_signal = Some(name.clone());
        Ok(format!("STOPSIGNAL {name}"))
    }

    pub(super) fn user(&mut self, word: &str) -> Result<String, Fault> {
        let user = self.expand(word)?;
        self.config().user.clone_from(&user);
        Ok(format!("USER {user}"))
    }

    pub(super) fn volume(&mut self, words: &[String]) -> Result<String, Fault> {
        let mut volumes = Vec::new();
        for word in words {
            let volume = self.expand(word)?;
            if volume.is_empty() {
                return Err(Fault::EmptyVolume);
            }
            volumes.push(volume);
        }
        let created_by = format!("VOLUME [{}]", volumes.join(" "));
        self.config().volumes.extend(volumes);
        Ok(created_by)
    }

    pub(super) fn workdir(&mut self, word: &str) -> Result<Done, Fault> {
        let word = self.expand(word)?;
        let directory = paths::joined(&self.config().working_dir, &word);
        self.config().working_dir.clone_from(&directory);
        Ok(Done {
            created_by: format!("WORKDIR {directory}"),
            action: match directory.as_str() {
                "/" => Action::Config,
                directory => Action::Workdir(Workdir {
                    path: path::absolute(directory),
                }),
            },
            name: None,
        })
    }
}

/// Go's `%q` of a list.
fn list_of_quoted(words: &[String]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| quote::quoted(word)).collect();
    format!("[{}]", quoted.join(" "))
}
