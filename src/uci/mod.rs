//! The configuration as OpenWrt has it (UCI, `/etc/config/keepalived`) → the text of a keepalived.conf.
//!
//! The schema is that of OpenWrt's keepalived package, so that its configuration and its web page go on working. Sections
//! refer to each other by their option `name`. What cannot be meant, such as a name that nothing has, is told by line.

mod package;
mod pool;
mod router;
mod text;

pub use package::{Remark, Section, read};

use text::Text;

/// The sections of a file, and what is wrong with them.
struct Package<'a> {
    sections: &'a [Section],
    remarks: Vec<Remark>,
}

impl<'a> Package<'a> {
    fn all(&self, kind: &'a str) -> impl Iterator<Item = &'a Section> + use<'a> {
        self.sections.iter().filter(move |s| s.kind == kind)
    }

    fn find(&self, kind: &'a str, name: &str) -> Option<&'a Section> {
        self.all(kind).find(|s| s.called() == Some(name))
    }

    fn remark(&mut self, section: &Section, what: String) {
        let line = section.line;
        self.remarks.push(Remark { line, what });
    }

    /// Its name, which it must have.
    fn name(&mut self, section: &'a Section) -> Option<&'a str> {
        let name = section.called();
        if name.is_none() {
            self.remark(section, format!("{} has no name: left out", section.kind));
        }
        name
    }

    /// The sections that a list names.
    fn named(&mut self, of: &'a Section, list: &str, kind: &'a str) -> Vec<&'a Section> {
        let mut found = Vec::new();
        for name in of.list(list) {
            match self.find(kind, name) {
                Some(section) => found.push(section),
                None => self.missing(of, list, kind, name),
            }
        }
        found
    }

    fn missing(&mut self, of: &Section, list: &str, kind: &str, name: &str) {
        self.remark(
            of,
            format!("{list} '{name}': no {kind} has this name, left out"),
        );
    }
}

/// How an option is written.
#[derive(Clone, Copy)]
enum Form {
    /// Keyword and value.
    Value,
    /// The keyword alone, when the option is on.
    Flag,
}

/// Writes those of the options that are given.
fn put(section: &Section, options: &[(&str, Form)], package: &mut Package<'_>, out: &mut Text) {
    for (option, form) in options {
        let Some(value) = section.get(option) else {
            continue;
        };
        match (form, section.flag(option)) {
            (Form::Value, _) => out.put(option, value),
            (Form::Flag, Some(true)) => out.line(option),
            (Form::Flag, Some(false)) => {}
            (Form::Flag, None) => package.remark(
                section,
                format!("{option} is 0 or 1, not '{value}': taken as 0"),
            ),
        }
    }
}

/// Whoever wants to know is told by OpenWrt's hotplug scripts. They see nothing else of the environment, as ever.
fn hotplug(words: &[(&str, &str)]) -> String {
    let mut command = "\"/bin/busybox env -i".to_owned();
    for (variable, value) in words {
        command.extend([" ", variable, "=", value]);
    }
    command + " /sbin/hotplug-call keepalived\""
}

fn notify(kind: &str, name: &str, keywords: &[&str], out: &mut Text) {
    for keyword in keywords {
        let action = keyword.to_uppercase();
        let words = [("ACTION", action.as_str()), ("TYPE", kind), ("NAME", name)];
        out.line(format_args!("{keyword} {}", hotplug(&words)));
    }
}

/// What a UCI file means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Translation {
    /// The keepalived.conf.
    pub text: String,
    /// What is wrong with the file, in the order of its lines.
    pub remarks: Vec<Remark>,
    /// Whether all of it is UCI at all.
    pub well_formed: bool,
}

/// The keepalived.conf that a UCI file means; what is wrong in it is left out.
///
/// Two options are not for the daemon but for who starts it: `enabled` and `alt_config_file` of `globals`.
#[must_use]
pub fn translate(text: &str) -> Translation {
    let (sections, remarks) = read(text);
    let well_formed = remarks.is_empty();
    let mut package = Package {
        sections: &sections,
        remarks,
    };
    let mut out = Text::default();
    for section in &sections {
        if !KINDS.contains(&section.kind.as_str()) {
            package.remark(
                section,
                format!("config {} is not known: left out", section.kind),
            );
        }
    }
    global(&mut package, &mut out);
    router::write(&mut package, &mut out);
    pool::write(&mut package, &mut out);
    package.remarks.sort_by_key(|remark| remark.line);
    Translation {
        text: out.text,
        remarks: package.remarks,
        well_formed,
    }
}

/// Every kind of section.
const KINDS: &[&str] = &[
    "globals",
    "ipaddress",
    "static_ipaddress",
    "route",
    "static_routes",
    "interface_up_down_delays",
    "vrrp_script",
    "track_script",
    "track_interface",
    "bfd_instance",
    "peer",
    "vrrp_sync_group",
    "vrrp_instance",
    "virtual_server",
    "real_server",
    "url",
];

const GLOBALS: &[(&str, Form)] = &[
    ("notification_email_from", Form::Value),
    ("smtp_server", Form::Value),
    ("smtp_connect_timeout", Form::Value),
    ("router_id", Form::Value),
    ("vrrp_mcast_group4", Form::Value),
    ("vrrp_mcast_group6", Form::Value),
    ("vrrp_startup_delay", Form::Value),
];

fn global(package: &mut Package<'_>, out: &mut Text) {
    out.block("global_defs", |out| {
        out.line("script_user root");
        out.line("enable_script_security");
        for section in package.all("globals") {
            out.block("notification_email", |out| {
                section
                    .list("notification_email")
                    .for_each(|to| out.line(to));
            });
            put(section, GLOBALS, package, out);
        }
        for event in ["startup", "shutdown"] {
            out.line(format_args!(
                "{event}_script {}",
                hotplug(&[("ACTION", event)])
            ));
            out.line(format_args!("{event}_script_timeout 10"));
        }
    });
    let delays = package.all("interface_up_down_delays");
    out.block("interface_up_down_delays", |out| {
        for section in delays {
            let (Some(device), Some(down)) = (section.get("device"), section.get("down_delay"))
            else {
                let what = "interface_up_down_delays needs device and down_delay: left out";
                package.remark(section, what.to_owned());
                continue;
            };
            let up = section.get("up_delay").unwrap_or("");
            out.line(format_args!("{device} {down} {up}").to_string().trim_end());
        }
    });
}
