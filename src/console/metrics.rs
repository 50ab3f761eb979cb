//! The text format of Prometheus (version 0.0.4).

use core::fmt::{Display, Write};

/// Samples, family by family.
pub struct Exposition(pub String);

impl Exposition {
    /// Begins a family.
    pub fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "# HELP keepalived_{name} {help}.");
        let _ = writeln!(self.0, "# TYPE keepalived_{name} {kind}");
    }

    /// Adds a sample to it.
    pub fn sample(&mut self, name: &str, labels: &str, value: impl Display) {
        let _ = match labels {
            "" => writeln!(self.0, "keepalived_{name} {value}"),
            _ => writeln!(self.0, "keepalived_{name}{{{labels}}} {value}"),
        };
    }
}

/// A label's value.
pub struct Quoted<'a>(pub &'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                c => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}
