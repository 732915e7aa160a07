//! The stand-in for Wokwi's service as a process of a test.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

/// What it takes; no output may show it.
pub const TOKEN: &str = "wok_0f5e1d4c3b2a69788796a5b4c3d2e1f0";

/// A service that ends with the test.
pub struct Service {
    child: Child,
    pub url: String,
}

impl Service {
    /// A sound one.
    pub fn start() -> Self {
        Self::that(&[])
    }

    /// One that behaves as these options say.
    pub fn that(options: &[&str]) -> Self {
        let built = Path::new(env!("CARGO_BIN_EXE_goldline")).with_file_name("examples");
        let program = built.join("wokwi_stand_in");
        assert!(program.is_file(), "{} is not built: cargo build --examples", program.display());
        let mut child = Command::new(program)
            .args(options)
            .env("WOKWI_STAND_IN_TOKEN", TOKEN)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut line = String::new();
        let output = child.stdout.take().expect("it is piped");
        BufReader::new(output).read_line(&mut line).expect("it says where it is");
        let url = line.trim().to_owned();
        assert!(url.starts_with("ws://127.0.0.1:"), "{url}");
        Self { child, url }
    }

    /// The environment of a client that may use it.
    pub fn admit<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("WOKWI_CLI_SERVER", &self.url).env("WOKWI_CLI_TOKEN", TOKEN)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Closing its input ends it in order, and it may have ended already.
        drop(self.child.stdin.take());
        let _ended = self.child.wait();
    }
}
