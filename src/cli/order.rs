//! Options before the subcommand: `snaplake --memory-limit 512MB run c.sql` is `snaplake run --memory-limit 512MB
//! c.sql`.
//!
//! Each subcommand has options of its own, and judges them; here they are only brought behind it. What is not
//! understood stays where it is, for the parser to say so.

use std::ffi::OsString;

use clap::{Arg, Command};

/// The arguments with the subcommand first, after the program's name.
pub(super) fn subcommand_first(program: &Command, mut arguments: Vec<OsString>) -> Vec<OsString> {
    if let Some(at) = subcommand(program, &arguments) {
        arguments[1..=at].rotate_right(1);
    }
    arguments
}

/// Where the subcommand is, behind options.
fn subcommand(program: &Command, arguments: &[OsString]) -> Option<usize> {
    let mut at = 1;
    loop {
        let word = arguments.get(at)?.to_str()?;
        if !word.starts_with('-') {
            return program.find_subcommand(word).map(|_| at);
        }
        if matches!(word, "-" | "--" | "-h" | "--help" | "-V" | "--version") {
            return None;
        }
        at += if is_value_next(program, word) { 2 } else { 1 };
    }
}

/// Whether the word after an option is its value.
fn is_value_next(program: &Command, word: &str) -> bool {
    let takes_value = |is_it: &dyn Fn(&Arg) -> bool| {
        let mut all = program.get_subcommands().flat_map(Command::get_arguments);
        all.any(|argument| is_it(argument) && argument.get_action().takes_values())
    };
    if let Some(name) = word.strip_prefix("--") {
        return takes_value(&|argument| argument.get_long() == Some(name));
    }
    // Of `-vt`, the last one; what follows an option with a value in one word, is the value.
    let shorts: Vec<char> = word.chars().skip(1).collect();
    let first = shorts.iter().position(|short| takes_value(&|argument| argument.get_short() == Some(*short)));
    first.is_some_and(|first| first + 1 == shorts.len())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use clap::CommandFactory;

    use super::super::arguments::Cli;
    use super::*;

    fn ordered(line: &str) -> String {
        let words = line.split(' ').map(OsString::from).collect();
        let ordered = subcommand_first(&Cli::command(), words);
        ordered.iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn options_before_the_subcommand_follow_it_in_their_order() {
        for (line, expected) in [
            ("snaplake --memory-limit 512MB run c.sql", "snaplake run --memory-limit 512MB c.sql"),
            (
                "snaplake -q --threads=2 --var run=run -t t run c.sql -v",
                "snaplake run -q --threads=2 --var run=run -t t c.sql -v",
            ),
            ("snaplake -qvt run run c.sql", "snaplake run -qvt run c.sql"),
            ("snaplake -trun status c.sql", "snaplake status -trun c.sql"),
            ("snaplake -c stage query c.sql", "snaplake query -c stage c.sql"),
            ("snaplake --nonsense run c.sql", "snaplake run --nonsense c.sql"),
        ] {
            assert_eq!(ordered(line), expected);
        }
        for line in [
            "snaplake run c.sql --threads 2",
            "snaplake --version run",
            "snaplake -h run",
            "snaplake -- run c.sql",
            "snaplake --threads run",
            "snaplake -q c.sql run",
            "snaplake",
        ] {
            assert_eq!(ordered(line), line);
        }
    }

    #[test]
    fn option_takes_a_value_in_all_subcommands_or_in_none() {
        let program = Cli::command();
        let mut known: BTreeMap<String, bool> = BTreeMap::new();
        for argument in program.get_subcommands().flat_map(Command::get_arguments) {
            let takes = argument.get_action().takes_values();
            let names =
                argument.get_long().map(str::to_owned).into_iter().chain(argument.get_short().map(String::from));
            for name in names {
                assert_eq!(*known.entry(name.clone()).or_insert(takes), takes, "{name}");
            }
        }
        assert!(known.len() > 20);
    }
}
