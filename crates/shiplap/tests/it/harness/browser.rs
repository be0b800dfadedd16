//! A headless Chromium, told what to do by DevTools' protocol over its own pair of pipes. Notes whatever
//! it complains of: errors of scripts, what a page's policy forbids, what can't be loaded.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::judge;

/// How long the browser may take for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// A browser with one tab.
pub(crate) struct Browser {
    process: Child,
    pipe: ChildStdin,
    messages: Receiver<Value>,
    /// Number of the last command.
    number: u64,
    session: Option<String>,
    /// Events that nobody waited for.
    events: Vec<Value>,
    complaints: Vec<String>,
    _profile: TempDir,
}

impl Browser {
    /// Starts it; nothing where there is none.
    pub(crate) fn start() -> Option<Self> {
        let program = judge::program("chromium")?;
        let profile = TempDir::new().unwrap();
        // The protocol's pipes are descriptors 3 and 4.
        let script = "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1";
        let mut process = Command::new("sh")
            .args(["-c", script])
            .arg(program)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
            ])
            .args(["--disable-dev-shm-usage", "--hide-scrollbars", "--lang=en"])
            .args([
                "--disable-background-networking",
                "--disable-component-update",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .args(["--remote-debugging-pipe", "about:blank"])
            .env("HOME", profile.path())
            // Its socket would stay in /tmp.
            .env("TMPDIR", profile.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let pipe = process.stdin.take().unwrap();
        let mut replies = BufReader::new(process.stdout.take().unwrap());
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            while replies.read_until(0, &mut bytes).is_ok_and(|read| read > 0) {
                bytes.pop();
                let message = serde_json::from_slice(&bytes).unwrap();
                if sender.send(message).is_err() {
                    return;
                }
                bytes.clear();
            }
        });
        let mut browser = Self {
            process,
            pipe,
            messages,
            number: 0,
            session: None,
            events: Vec::new(),
            complaints: Vec::new(),
            _profile: profile,
        };
        let tab = browser.command("Target.createTarget", &json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": tab["targetId"], "flatten": true });
        let attached = browser.command("Target.attachToTarget", &attach);
        browser.session = Some(attached["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.command(&format!("{domain}.enable"), &json!({}));
        }
        Some(browser)
    }

    /// Runs a command of the protocol.
    #[track_caller]
    pub(crate) fn command(&mut self, method: &str, parameters: &Value) -> Value {
        self.number += 1;
        let mut message = json!({ "id": self.number, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        let mut bytes = serde_json::to_vec(&message).unwrap();
        bytes.push(0);
        self.pipe.write_all(&bytes).unwrap();
        loop {
            let message = self.next(method);
            if message["id"] == self.number {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].clone();
            }
        }
    }

    #[track_caller]
    fn next(&mut self, waiting_for: &str) -> Value {
        let message = self.messages.recv_timeout(PATIENCE);
        let message = message.unwrap_or_else(|_| panic!("waited for {waiting_for} in vain"));
        if message["id"].is_null() {
            self.note(&message);
            self.events.push(message.clone());
        }
        message
    }

    fn note(&mut self, event: &Value) {
        let told = &event["params"];
        match event["method"].as_str().unwrap_or("") {
            "Runtime.exceptionThrown" => self.complaints.push(told.to_string()),
            "Log.entryAdded" if told["entry"]["level"] == "error" => {
                self.complaints.push(told["entry"].to_string());
            }
            "Runtime.consoleAPICalled" if told["type"] == "error" => {
                self.complaints.push(told["args"].to_string());
            }
            _ => {}
        }
    }

    /// Waits for an event.
    #[track_caller]
    fn wait(&mut self, event: &str) {
        while !self.events.iter().any(|it| it["method"] == event) {
            self.next(event);
        }
        self.events.clear();
    }

    /// Opens a page and waits until it is loaded.
    #[track_caller]
    pub(crate) fn open(&mut self, url: &str) {
        self.events.clear();
        let opened = self.command("Page.navigate", &json!({ "url": url }));
        assert!(opened["errorText"].is_null(), "{url}: {opened}");
        self.wait("Page.loadEventFired");
    }

    /// Does what leads to another page, and waits until that is loaded.
    #[track_caller]
    pub(crate) fn leave(&mut self, script: &str) {
        self.events.clear();
        self.evaluate(script);
        self.wait("Page.loadEventFired");
    }

    /// The value of a script's expression.
    #[track_caller]
    pub(crate) fn evaluate(&mut self, script: &str) -> Value {
        let parameters = json!({
            "expression": script, "returnByValue": true, "awaitPromise": true, "userGesture": true,
        });
        let done = self.command("Runtime.evaluate", &parameters);
        assert!(done["exceptionDetails"].is_null(), "{script}: {done}");
        done["result"]["value"].clone()
    }

    /// Waits until an expression is true.
    #[track_caller]
    pub(crate) fn until(&mut self, condition: &str) {
        let script = format!(
            "new Promise((done) => {{
              const end = Date.now() + 20000;
              const look = () => ({condition}) ? done(true)
                : Date.now() > end ? done(false) : setTimeout(look, 20);
              look();
            }})"
        );
        assert_eq!(self.evaluate(&script), true, "{condition}");
    }

    /// Types text into the field that a selector finds.
    #[track_caller]
    pub(crate) fn write(&mut self, selector: &str, text: &str) {
        self.evaluate(&format!("document.querySelector({selector:?}).focus()"));
        self.command("Input.insertText", &json!({ "text": text }));
    }

    /// Shows pages as a window of this width does, in light or dark.
    pub(crate) fn show(&mut self, width: u32, is_dark: bool) {
        let is_phone = width < 600;
        let (height, scale) = if is_phone { (844, 2) } else { (900, 1) };
        let metrics = json!({
            "width": width, "height": height, "deviceScaleFactor": scale, "mobile": is_phone,
        });
        self.command("Emulation.setDeviceMetricsOverride", &metrics);
        let scheme = if is_dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.command(
            "Emulation.setEmulatedMedia",
            &json!({ "features": features }),
        );
    }

    /// Runs scripts of pages, or none.
    pub(crate) fn run_scripts(&mut self, yes: bool) {
        let disabled = json!({ "value": !yes });
        self.command("Emulation.setScriptExecutionDisabled", &disabled);
    }

    /// Writes a picture of the whole page.
    pub(crate) fn picture(&mut self, file: &Path) {
        let whole = json!({ "format": "png", "captureBeyondViewport": true });
        let taken = self.command("Page.captureScreenshot", &whole);
        std::fs::write(file, base64(taken["data"].as_str().unwrap())).unwrap();
    }

    /// What it complained of since it was asked last.
    pub(crate) fn complaints(&mut self) -> Vec<String> {
        // What came before the answer to a command has been read then.
        self.evaluate("1");
        std::mem::take(&mut self.complaints)
    }
}

fn base64(text: &str) -> Vec<u8> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => Some(u32::from(byte - b'A')),
        b'a'..=b'z' => Some(u32::from(byte - b'a') + 26),
        b'0'..=b'9' => Some(u32::from(byte - b'0') + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let digits: Vec<u32> = text.bytes().filter_map(digit).collect();
    let mut bytes = Vec::new();
    for four in digits.chunks(4) {
        let bits = four.iter().fold(0, |bits, digit| bits << 6 | digit);
        let bits = bits << (6 * (4 - four.len()));
        let three = [(bits >> 16) as u8, (bits >> 8) as u8, bits as u8];
        bytes.extend(&three[..four.len() - 1]);
    }
    bytes
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
