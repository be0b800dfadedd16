//! What differs between two image configs, name by name.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use shiplap_model::ImageConfig;

/// A setting that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConfigChange {
    /// Which: `Cmd`, `Env.PATH`, `Labels.version`, `architecture`, …
    pub name: String,
    /// What the first image has.
    pub before: Option<String>,
    /// What the second has.
    pub after: Option<String>,
}

/// All settings that differ, by name.
pub(super) fn changes(before: &ImageConfig, after: &ImageConfig) -> Vec<ConfigChange> {
    let (mut before, mut after) = (settings(before), settings(after));
    let names: Vec<String> = before.keys().chain(after.keys()).cloned().collect();
    let mut changes = Vec::new();
    for name in names {
        let (before, after) = (before.remove(&name), after.remove(&name));
        if before != after {
            changes.push(ConfigChange {
                name,
                before,
                after,
            });
        }
    }
    changes.sort_by(|a, b| a.name.cmp(&b.name));
    changes
}

/// The settings as text; lists of variables and of labels one by one.
fn settings(config: &ImageConfig) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::new();
    settings.insert("platform".to_owned(), config.platform().to_string());
    if let Some(author) = config.author.clone().filter(|author| !author.is_empty()) {
        settings.insert("author".to_owned(), author);
    }
    for variable in &config.config.env {
        let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
        settings.insert(format!("Env.{name}"), value.to_owned());
    }
    // A config that was read can be written.
    let Ok(Value::Object(fields)) = serde_json::to_value(&config.config) else {
        return settings;
    };
    for (name, value) in fields {
        match value {
            _ if name == "Env" => {}
            Value::Object(members) => {
                for (key, value) in members {
                    settings.insert(format!("{name}.{key}"), text(&value));
                }
            }
            value => {
                let text = text(&value);
                if !matches!(text.as_str(), "" | "null" | "[]" | "false") {
                    settings.insert(name, text);
                }
            }
        }
    }
    settings
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use shiplap_model::ImageConfig;

    use super::changes;

    #[test]
    fn settings_that_differ() {
        let config = |text: &str| ImageConfig::parse(text.as_bytes()).unwrap();
        let before = config(
            r#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]},
               "config":{"Env":["A=1","B=2"],"Cmd":["a"],"Labels":{"x":"1"},"User":"me"}}"#,
        );
        let after = config(
            r#"{"architecture":"arm64","os":"linux","rootfs":{"type":"layers","diff_ids":[]},
               "config":{"Env":["A=1","B=3","C=4"],"Cmd":["a","b"],"Labels":{"y":"1"},"User":""}}"#,
        );
        let lines: Vec<_> = changes(&before, &after)
            .into_iter()
            .map(|change| {
                let text = |side: Option<String>| side.unwrap_or_else(|| "-".to_owned());
                format!(
                    "{} {} {}",
                    change.name,
                    text(change.before),
                    text(change.after)
                )
            })
            .collect();
        assert_eq!(
            lines,
            [
                r#"Cmd ["a"] ["a","b"]"#,
                "Env.B 2 3",
                "Env.C - 4",
                "Labels.x 1 -",
                "Labels.y - 1",
                "User me -",
                "platform linux/amd64 linux/arm64",
            ]
        );
        assert!(changes(&before, &before).is_empty());
    }
}
