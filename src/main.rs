//! The `snaplake` program: parse the arguments, run the command, give its exit code.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long the allocator keeps freed memory, in milliseconds. Its own second is shorter than the time between two runs of
/// sorted rows: half of their memory would go back to the system, to be cleared by it and mapped again a moment later.
#[cfg(unix)]
const KEPT_MEMORY: (&str, &str) = ("MIMALLOC_PURGE_DELAY", "10000");

fn main() -> ExitCode {
    #[cfg(unix)]
    keep_memory();
    snaplake::cli::main(std::env::args_os())
}

/// Starts the program once more in this process: the allocator reads its options from the environment, before anything
/// else runs. Where that cannot be done, the program goes on, and is slower.
#[cfg(unix)]
fn keep_memory() {
    use std::os::unix::process::CommandExt;

    let (name, milliseconds) = KEPT_MEMORY;
    let mut arguments = std::env::args_os();
    let (None, Ok(program), Some(called)) = (std::env::var_os(name), std::env::current_exe(), arguments.next()) else {
        return;
    };
    // Returns only when it failed.
    let _ = std::process::Command::new(program).arg0(called).args(arguments).env(name, milliseconds).exec();
}
