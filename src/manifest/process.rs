//! Which process wrote something, so that another one on the same machine can tell whether it is still there.
//!
//! A number alone is taken again by the next process; with the time at which it began it is not. The machine is named
//! by a hash of its boot, so no host is reported. Only Linux has all this: elsewhere nothing is known of a process.

use std::path::Path;

use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};

/// A process of some machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Hash of the machine's boot.
    pub(super) machine: String,
    pub(super) pid: u32,
    /// Clock ticks since the boot.
    pub(super) began: u64,
}

impl Process {
    /// This one; `None` where the system does not say.
    pub(crate) fn here() -> Option<Self> {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let machine = Md5::digest(boot.trim()).iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        let pid = std::process::id();
        Some(Self { machine, pid, began: began(pid)?.1 })
    }

    /// Whether it is there and not stopped; `None` if it is one of another machine.
    pub(super) fn is_there(&self) -> Option<bool> {
        let here = Self::here()?;
        (self.machine == here.machine)
            .then(|| began(self.pid).is_some_and(|(state, began)| began == self.began && !"TtZX".contains(state)))
    }
}

/// State of a process and when it began: fields 3 and 22 of `stat`, see proc_pid_stat(5). The name before them may have
/// any letters, but ends with the last bracket.
fn began(pid: u32) -> Option<(char, u64)> {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn living_process_is_there_and_an_ended_one_is_not() {
        let here = Process::here().unwrap();
        assert_eq!(here.is_there(), Some(true));
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let of_child = Process { pid: child.id(), began: began(child.id()).unwrap().1, ..here };
        assert_eq!(of_child.is_there(), Some(true));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(of_child.is_there(), Some(false));
    }
}
