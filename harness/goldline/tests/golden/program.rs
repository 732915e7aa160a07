//! What the `goldline` program says of its own commands.
//!
//! Finds the commands in the help itself, so that a new one needs no line here.

use std::{
    env,
    process::{Command, Stdio},
};

/// The help of each command, from `goldline` itself down; the path of a command is its words.
pub fn helps() -> Vec<(Vec<String>, String)> {
    let mut found = Vec::new();
    let mut open = vec![Vec::new()];
    while let Some(command) = open.pop() {
        let text = help(&command);
        for name in subcommands(&text) {
            open.push([command.clone(), vec![name]].concat());
        }
        found.push((command, text));
    }
    found
}

fn help(command: &[String]) -> String {
    let mut goldline = Command::new(env!("CARGO_BIN_EXE_goldline"));
    // Help shows what a variable holds; and its width is the terminal's, where there is one.
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("GOLDLINE_") {
            goldline.env_remove(name);
        }
    }
    goldline.env("COLUMNS", "100").stdin(Stdio::null());
    let output = goldline.args(command).arg("--help").output().expect("goldline starts");
    assert!(output.status.success(), "goldline {command:?} --help: {}", output.status);
    String::from_utf8(output.stdout).expect("help is text")
}

/// The names in the list under `Commands:`, except `help` itself.
fn subcommands(help: &str) -> Vec<String> {
    let list = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let entries = list.take_while(|line| line.starts_with(' '));
    // A name is indented by two; further lines of its description by more.
    let names = entries.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    names.filter(|name| !name.is_empty() && *name != "help").map(str::to_owned).collect()
}
