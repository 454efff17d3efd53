//! A real browser: Debian's Chromium, driven through `chromedriver` by the W3C WebDriver protocol.
//!
//! Owns: starting and ending both; the few commands that tests of pages need. Never does: wait for a guess; a command
//! returns once the page it leads to is loaded. The browser reaches nothing but this machine.

use crate::client::RawClient;
use crate::{places, wait};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long a command may take: the first starts a browser on a busy machine.
const COMMAND: Duration = Duration::from_secs(120);
/// How long `chromedriver` may take until it listens.
const START: Duration = Duration::from_secs(30);
/// How often it is looked where the focus is, and how far apart: a second in all.
const FOCUS_LOOKS: usize = 50;
const FOCUS_AGAIN: Duration = Duration::from_millis(20);
/// Characters of a command that a failing test shows.
const SHOWN: usize = 500;
/// The member under which WebDriver names an element (W3C WebDriver §12.1).
pub(crate) const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// The Tab key (W3C WebDriver §17.4.2).
pub const TAB: &str = "\u{E004}";
/// The Enter key.
pub const ENTER: &str = "\u{E007}";

/// What keeps the browser quiet and on this machine.
const SWITCHES: [&str; 13] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
];

/// A browser with a profile of its own. It ends when this is dropped.
#[derive(Debug)]
pub struct WebDriver {
    child: Child,
    address: String,
    session: String,
    /// Goes with the browser.
    _profile: tempfile::TempDir,
}

impl WebDriver {
    /// Starts a browser in which pages run their scripts.
    ///
    /// # Panics
    /// When `chromedriver` or Chromium is not there, or does not start.
    pub fn start() -> Self {
        Self::launch(&json!({ "browser": "ALL" }))
    }

    /// The same, where [`Self::network`] tells what was asked of whom.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub fn watched() -> Self {
        Self::launch(&json!({ "browser": "ALL", "performance": "ALL" }))
    }

    fn launch(logs: &Value) -> Self {
        let profile = tempfile::tempdir().expect("a folder");
        let port = places::free_port();
        let child = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .env("HOME", profile.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver runs: Debian's chromium-driver");
        let address = format!("127.0.0.1:{port}");
        let data = format!("--user-data-dir={}", profile.path().join("data").display());
        let mut driver = Self { child, address, session: String::new(), _profile: profile };
        wait::until(START, "chromedriver", || {
            std::net::TcpStream::connect(&driver.address).is_ok()
        });
        let args: Vec<&str> = SWITCHES.into_iter().chain([data.as_str()]).collect();
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": { "args": args },
            "goog:loggingPrefs": logs,
        } } });
        let made = driver.ask("POST", "/session", &wanted);
        driver.session = made["sessionId"].as_str().expect("a session").to_owned();
        driver.resize(1280, 800);
        driver
    }

    /// The same, where pages run no script.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub fn without_scripts() -> Self {
        let driver = Self::start();
        driver.scripts(false);
        driver
    }

    /// Whether pages that are opened from now on run their scripts.
    pub fn scripts(&self, run: bool) {
        self.devtools("Emulation.setScriptExecutionDisabled", &json!({ "value": !run }));
    }

    /// Opens an address and waits until it is loaded.
    pub fn open(&self, url: &str) {
        self.post("/url", &json!({ "url": url }));
    }

    /// The address of the page.
    pub fn url(&self) -> String {
        text(&self.get("/url"))
    }

    /// The title of the page.
    pub fn title(&self) -> String {
        text(&self.get("/title"))
    }

    /// The page as it stands, as HTML.
    pub fn source(&self) -> String {
        text(&self.get("/source"))
    }

    /// Whether something matches the selector.
    pub fn has(&self, css: &str) -> bool {
        self.post("/elements", &by(css)).as_array().is_some_and(|all| !all.is_empty())
    }

    /// The text of the first element that matches, as it is shown.
    ///
    /// # Panics
    /// When none does.
    pub fn text(&self, css: &str) -> String {
        text(&self.get(&format!("/element/{}/text", self.find(css))))
    }

    /// What a property of the first element that matches holds.
    ///
    /// # Panics
    /// When none does.
    pub fn property(&self, css: &str, name: &str) -> Value {
        self.get(&format!("/element/{}/property/{name}", self.find(css)))
    }

    /// Whether the first element that matches is shown.
    ///
    /// # Panics
    /// When none does.
    pub fn is_shown(&self, css: &str) -> bool {
        self.get(&format!("/element/{}/displayed", self.find(css))) == json!(true)
    }

    /// Types into the first field that matches, which is emptied before.
    ///
    /// # Panics
    /// When none does, or nobody could type there.
    pub fn fill(&self, css: &str, text: &str) {
        let at = format!("/element/{}", self.find(css));
        self.post(&format!("{at}/clear"), &json!({}));
        self.post(&format!("{at}/value"), &json!({ "text": text }));
    }

    /// Clicks the first element that matches, and waits until the page to which that leads is loaded.
    ///
    /// # Panics
    /// When none does, nobody could click it, or it leads nowhere.
    pub fn click(&self, css: &str) {
        let at = format!("/element/{}/click", self.find(css));
        self.leave(|| drop(self.post(&at, &json!({}))));
    }

    /// Clicks an element that leads nowhere: it opens, or is ticked.
    pub fn touch(&self, css: &str) {
        drop(self.post(&format!("/element/{}/click", self.find(css)), &json!({})));
    }

    /// Presses Enter, and waits until the page to which that leads is loaded.
    ///
    /// # Panics
    /// When it leads nowhere.
    pub fn enter(&self) {
        self.leave(|| self.press(ENTER));
    }

    /// Presses the space bar, and waits until the page to which that leads is loaded.
    ///
    /// # Panics
    /// When it leads nowhere.
    pub fn space(&self) {
        self.leave(|| self.press(" "));
    }

    /// Does what leads to another page. WHY a mark: a command may return before the browser has left.
    fn leave(&self, act: impl FnOnce()) {
        self.run("window.leaving = true;", &[]);
        act();
        let script = "return !window.leaving && document.readyState === 'complete';";
        let ask = json!({ "script": script, "args": [] });
        let path = format!("/session/{}/execute/sync", self.session);
        wait::until(COMMAND, "the next page", || {
            // Between two pages there is none that could be asked.
            self.exchange("POST", &path, &ask, COMMAND).is_ok_and(|it| it["value"] == json!(true))
        });
    }

    /// Presses keys one after the other, wherever the focus is.
    pub fn press(&self, keys: &str) {
        let strokes: Vec<Value> = keys
            .chars()
            .flat_map(|key| ["keyDown", "keyUp"].map(|it| json!({ "type": it, "value": key })))
            .collect();
        self.post(
            "/actions",
            &json!({ "actions": [
            { "type": "key", "id": "keyboard", "actions": strokes }
        ] }),
        );
    }

    /// What has the focus, as `TAG#ID` or `TAG[name=value]`; where nothing has, that is `body`.
    pub fn focus(&self) -> String {
        // A page that has just come gives the focus away with its first frame, which may be late on a busy machine.
        for _ in 0..FOCUS_LOOKS {
            let found = self.focused();
            if found != "body" {
                return found;
            }
            wait::pause(FOCUS_AGAIN);
        }
        "body".to_owned()
    }

    fn focused(&self) -> String {
        text(&self.run(
            "const it = document.activeElement, tag = it.tagName.toLowerCase(); \
             if (it.id) return tag + '#' + it.id; \
             return it.name ? tag + '[' + it.name + '=' + it.value + ']' : tag;",
            &[],
        ))
    }

    /// Runs the body of a function in the page, and gives what it returns. Works where pages run no scripts, too.
    pub fn run(&self, script: &str, args: &[Value]) -> Value {
        self.post("/execute/sync", &json!({ "script": script, "args": args }))
    }

    /// The same with a function whose last argument is called with the result.
    pub fn run_async(&self, script: &str, args: &[Value]) -> Value {
        self.post("/execute/async", &json!({ "script": script, "args": args }))
    }

    /// Makes what is seen of pages so many CSS pixels wide and high.
    pub fn resize(&self, width: u32, height: u32) {
        let metrics = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false,
        });
        self.devtools("Emulation.setDeviceMetricsOverride", &metrics);
    }

    /// Whether the person prefers dark pages.
    pub fn dark(&self, dark: bool) {
        let value = if dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": value }]);
        self.devtools("Emulation.setEmulatedMedia", &json!({ "media": "", "features": features }));
    }

    /// A picture (PNG) of the whole page, however high.
    ///
    /// # Panics
    /// When the browser gives none.
    pub fn screenshot(&self) -> Vec<u8> {
        let size = self.run(
            "const it = document.documentElement; \
             return [it.clientWidth, Math.max(it.scrollHeight, innerHeight)];",
            &[],
        );
        let clip = json!({ "x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1 });
        let wanted = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let taken = self.devtools("Page.captureScreenshot", &wanted);
        let data = taken["data"].as_str().expect("a picture");
        STANDARD.decode(data).expect("a picture in Base64")
    }

    /// What the browser has written to its console since this was last asked: what a content security policy stopped,
    /// what could not be loaded, what scripts complained of.
    pub fn console(&self) -> Vec<String> {
        let lines = self.post("/se/log", &json!({ "type": "browser" }));
        let line = |it: &Value| format!("{}: {}", text(&it["level"]), text(&it["message"]));
        lines.as_array().into_iter().flatten().map(line).collect()
    }

    /// A command of the DevTools protocol.
    pub fn devtools(&self, command: &str, params: &Value) -> Value {
        self.post("/goog/cdp/execute", &json!({ "cmd": command, "params": params }))
    }

    fn find(&self, css: &str) -> String {
        let found = self.post("/element", &by(css));
        found[ELEMENT].as_str().unwrap_or_else(|| panic!("{css} is nowhere: {found}")).to_owned()
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        self.ask("GET", &format!("/session/{}{path}", self.session), &Value::Null)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Value {
        self.ask("POST", &format!("/session/{}{path}", self.session), body)
    }

    pub(crate) fn delete(&self, path: &str) -> Value {
        self.ask("DELETE", &format!("/session/{}{path}", self.session), &Value::Null)
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.exchange(method, path, body, COMMAND).expect("chromedriver answers");
        let value = &answer["value"];
        // A body may be a whole library.
        let body: String = body.to_string().chars().take(SHOWN).collect();
        assert!(value["error"].is_null(), "{method} {path} {body}: {}", value["message"]);
        value.clone()
    }

    fn exchange(
        &self,
        method: &str,
        path: &str,
        body: &Value,
        patience: Duration,
    ) -> std::io::Result<Value> {
        let body = if method == "POST" { body.to_string() } else { String::new() };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        let mut client = RawClient::connect(&self.address);
        client.patience(patience);
        client.try_send(&[head.as_bytes(), body.as_bytes()].concat())?;
        Ok(client.try_response(method)?.json())
    }
}

impl Drop for WebDriver {
    fn drop(&mut self) {
        // The driver ends its browser; without a session there is none.
        if !self.session.is_empty() {
            let path = format!("/session/{}", self.session);
            let _ = self.exchange("DELETE", &path, &Value::Null, START);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn by(css: &str) -> Value {
    json!({ "using": "css selector", "value": css })
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
