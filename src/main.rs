//! The `snaplake` program: tell the allocator to keep memory, parse the arguments, run the command, give its exit code.
//! The allocator serves libraries in C too where it can.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    #[cfg(unix)]
    keep_memory();
    snaplake::cli::main(std::env::args_os())
}

/// Lets the allocator keep freed memory for ten seconds. Its own second is shorter than the time between two runs of
/// sorted rows: half of their memory would go back to the system, to be cleared by it and mapped again a moment
/// later.
///
/// It reads its options from the environment before anything else runs, so the program is started once more, in this
/// process. Where that cannot be done it goes on, and is slower.
#[cfg(unix)]
fn keep_memory() {
    use std::os::unix::process::CommandExt;

    const OPTION: &str = "MIMALLOC_PURGE_DELAY";
    const MILLISECONDS: &str = "10000";
    let mut arguments = std::env::args_os();
    let (None, Ok(program), Some(called)) = (std::env::var_os(OPTION), std::env::current_exe(), arguments.next())
    else {
        return;
    };
    // A loader that was called with the program's name, or an emulator, would take the arguments otherwise.
    if program.file_name() == Some(env!("CARGO_BIN_NAME").as_ref()) {
        // Returns only when it failed.
        let _ = std::process::Command::new(program).arg0(called).args(arguments).env(OPTION, MILLISECONDS).exec();
    }
}
