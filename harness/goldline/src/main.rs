//! The `goldline` program; everything is in the library.

fn main() -> std::process::ExitCode {
    goldline::cli::main()
}
