//! What went wrong between us and the kernel: what was tried, with the kernel's reason as the source.

use core::fmt;
use std::error::Error;
use std::io;

use crate::name::IfName;

/// Something that the kernel did not do for us.
#[derive(Debug)]
pub enum NetError {
    /// A socket could not be opened or set up.
    Socket {
        /// What it is for, as in "cannot open the VRRP socket".
        what: &'static str,
        /// The interface that it is bound to.
        ifname: Option<IfName>,
        /// The kernel's reason.
        source: io::Error,
    },
    /// A request was refused.
    Kernel(Failed),
    /// A request was sent and its answer is lost or late: what it did can only be found by reading again.
    Unanswered {
        /// The request in words, as in "add 10.0.0.1/24 to eth0".
        op: String,
        /// What became of the answer.
        source: io::Error,
    },
    /// There is no such interface, now.
    NoSuchInterface(IfName),
    /// A module of the kernel is missing and could not be loaded.
    Module {
        /// Its name.
        name: &'static str,
        /// The package of OpenWrt that has it.
        package: &'static str,
        /// Why it could not be loaded; `None` if it was, and was of no use.
        source: Option<io::Error>,
    },
}

impl fmt::Display for NetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket {
                what, ifname: None, ..
            } => write!(f, "cannot open the {what} socket"),
            Self::Socket {
                what,
                ifname: Some(name),
                ..
            } => write!(f, "cannot open the {what} socket on {name}"),
            Self::Kernel(failed) => failed.fmt(f),
            Self::Unanswered { op, .. } => {
                write!(f, "no answer from the kernel to the request to {op}")
            }
            Self::NoSuchInterface(name) => write!(f, "interface {name} does not exist"),
            Self::Module { name, package, .. } => write!(
                f,
                "the kernel lacks the module {name} ({package} on OpenWrt) and could not load it"
            ),
        }
    }
}

impl Error for NetError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Socket { source, .. } | Self::Unanswered { source, .. } => Some(source),
            Self::Kernel(failed) => failed.source(),
            Self::NoSuchInterface(_) => None,
            Self::Module { source, .. } => Some(source.as_ref()?),
        }
    }
}

/// One request of a batch that the kernel refused.
#[derive(Debug)]
pub struct Failed {
    /// Its place among the requests, counted from zero.
    pub place: usize,
    /// The request in words, as in "add 10.0.0.1/24 to eth0".
    pub op: String,
    /// The kernel's reason as an error number.
    pub source: io::Error,
    /// The kernel's reason in words (extended acknowledgement), since Linux 4.12 for some requests.
    pub kernel_says: Option<String>,
}

impl Failed {
    /// An addition of what is there already.
    #[must_use]
    pub fn already_there(&self) -> bool {
        self.source.raw_os_error() == Some(libc::EEXIST)
    }

    /// The kernel was built without what the request is about.
    #[must_use]
    pub fn not_supported(&self) -> bool {
        matches!(
            self.source.raw_os_error(),
            Some(libc::EOPNOTSUPP | libc::EAFNOSUPPORT)
        )
    }

    /// A removal of what is not there any more, be it because its interface is gone.
    #[must_use]
    pub fn already_gone(&self) -> bool {
        matches!(
            self.source.raw_os_error(),
            Some(libc::ESRCH | libc::EADDRNOTAVAIL | libc::ENOENT | libc::ENODEV)
        )
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kernel refused to {}", self.op)?;
        match &self.kernel_says {
            Some(words) => write!(f, " ({words})"),
            None => Ok(()),
        }
    }
}

impl Error for Failed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

impl From<Failed> for NetError {
    fn from(failed: Failed) -> Self {
        Self::Kernel(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Chain;

    #[test]
    fn a_refusal_says_what_was_tried_then_the_kernels_words_then_its_number() {
        let failed = Failed {
            place: 0,
            op: "add 10.0.0.1/24 to eth0".to_owned(),
            source: io::Error::from_raw_os_error(libc::EEXIST),
            kernel_says: Some("ipv4: Address already assigned".to_owned()),
        };
        assert!(failed.already_there() && !failed.already_gone());
        assert_eq!(
            Chain(&NetError::from(failed)).to_string(),
            "kernel refused to add 10.0.0.1/24 to eth0 (ipv4: Address already assigned): File exists (os error 17)"
        );
    }
}
