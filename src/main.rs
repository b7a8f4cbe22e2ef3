//! The `snaplake` program: parse the arguments, run the command, give its exit code.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    snaplake::cli::main(std::env::args_os())
}
