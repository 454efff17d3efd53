//! How a gate is configured and started.

use crate::command::Output;
use crate::gate::Gate;
use std::path::{Path, PathBuf};

/// How a gate is started.
#[derive(Debug, Clone)]
pub struct Builder {
    pub(crate) server: String,
    pub(crate) listener: String,
    pub(crate) rest: String,
    pub(crate) whole: Option<String>,
    pub(crate) data: Option<PathBuf>,
    pub(crate) variables: Vec<(String, String)>,
    pub(crate) arguments: Vec<String>,
    pub(crate) program: Option<PathBuf>,
    pub(crate) ports: (u16, u16),
}

impl Builder {
    /// Lines of `[server]`, beside `public_url` and `control`.
    #[must_use]
    pub fn server(mut self, lines: &str) -> Self {
        self.server = lines.to_owned();
        self
    }

    /// Lines of the one `[[listener]]`, beside `name` and `bind`.
    #[must_use]
    pub fn listener(mut self, lines: &str) -> Self {
        self.listener = lines.to_owned();
        self
    }

    /// Everything else: issuers, lists, upstreams, routes.
    #[must_use]
    pub fn rest(mut self, lines: &str) -> Self {
        self.rest = lines.to_owned();
        self
    }

    /// The whole file, instead of the three parts. `@gateway@`, `@control@` stand for the two free ports.
    #[must_use]
    pub fn whole(mut self, file: &str) -> Self {
        self.whole = Some(file.to_owned());
        self
    }

    /// A data folder that is kept, instead of one that goes with the gate.
    #[must_use]
    pub fn data(mut self, folder: &Path) -> Self {
        self.data = Some(folder.to_path_buf());
        self
    }

    /// A variable of its environment.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A further argument of `up`.
    #[must_use]
    pub fn argument(mut self, word: &str) -> Self {
        self.arguments.push(word.to_owned());
        self
    }

    /// Another program than the binary under test; for tests of the kit, or of two versions.
    #[must_use]
    pub fn program(mut self, path: &Path) -> Self {
        self.program = Some(path.to_path_buf());
        self
    }

    /// The port that the listener will have.
    pub fn gateway_port(&self) -> u16 {
        self.ports.0
    }

    /// The port that the control plane will have.
    pub fn control_port(&self) -> u16 {
        self.ports.1
    }

    /// The file as it will be written.
    pub fn file(&self) -> String {
        let (gateway, control) = self.ports;
        let text = self.whole.clone().unwrap_or_else(|| {
            format!(
                "version = 1\n\n[server]\npublic_url = \"http://localhost:@control@\"\n\
                 control = \"127.0.0.1:@control@\"\n{}\n\n[[listener]]\nname = \"api\"\n\
                 bind = \"127.0.0.1:@gateway@\"\n{}\n\n{}\n",
                self.server, self.listener, self.rest
            )
        });
        text.replace("@gateway@", &gateway.to_string()).replace("@control@", &control.to_string())
    }

    /// Starts the gate and waits until it is ready.
    ///
    /// # Panics
    /// When it ends instead, or is not ready in time.
    pub fn start(self) -> Gate {
        self.try_start().unwrap_or_else(|output| panic!("the gate did not start: {output:?}"))
    }

    /// The same; what it printed when it ended instead.
    ///
    /// # Errors
    /// When it ends before it is ready.
    ///
    /// # Panics
    /// When it neither ends nor is ready in time, or the binary cannot be run.
    pub fn try_start(self) -> Result<Gate, Output> {
        Gate::launch(self)
    }
}
