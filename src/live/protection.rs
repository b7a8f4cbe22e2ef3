//! How a connection is protected, and where it need not be.

use std::net::IpAddr;

/// How a connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TlsMode {
    /// Not at all.
    Disable,
    /// Encrypted; whoever answers is believed.
    Require,
    /// The certificate has to be of a trusted authority, for whatever host.
    VerifyCa,
    /// And for this host.
    VerifyFull,
}

/// Whether what is sent to a host does not leave this machine.
pub(crate) fn is_this_machine(host: &str) -> bool {
    host.starts_with('/') || host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
