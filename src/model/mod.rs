//! What a configuration asks for, as plain data: every default filled in, every unit converted.
//!
//! [`config`](crate::config) makes it; the engines and [`run`](crate::run) read it. Nothing here has behaviour beyond
//! telling what it is, so that two models can be compared and their difference carried out.

pub mod address;
pub mod global;
pub mod lvs;
pub mod route;
pub mod script;
pub mod track;
pub mod vrrp;

pub use address::{Address, Broadcast};
pub use global::Global;
pub use lvs::Lvs;
pub use route::{Encapsulation, Hop, Route, Rule};
pub use script::{Command, Connection, Notify, User};
pub use track::{ArgumentMatch, FileTracker, ProcessTracker, ScriptTracker, Tracking, Weight};
pub use vrrp::{Announcing, Auth, Instance, Peering, SyncGroup, Vmac, Wish};

/// A whole configuration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Model {
    /// `global_defs` and the settings that stand outside any block.
    pub global: Global,
    /// `static_ipaddress`, `static_routes`, `static_rules`: there from start to stop, whoever is master.
    pub statics: Statics,
    /// `vrrp_script`.
    pub scripts: Vec<ScriptTracker>,
    /// `track_file`.
    pub files: Vec<FileTracker>,
    /// `vrrp_track_process`.
    pub processes: Vec<ProcessTracker>,
    /// `bfd_instance`, by name: there is no BFD in this program yet.
    pub bfds: Vec<String>,
    /// `vrrp_sync_group`.
    pub groups: Vec<SyncGroup>,
    /// `vrrp_instance`, in the order of the file.
    pub instances: Vec<Instance>,
    /// `virtual_server_group`, `virtual_server`, `SSL`.
    pub lvs: Lvs,
}

/// `track_group`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackGroup {
    /// Its name.
    pub name: String,
    /// Names of its instances.
    pub members: Vec<String>,
}

/// What is put in place at start and taken away at stop, independently of any virtual router.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Statics {
    /// `static_ipaddress`; every one has a device.
    pub addresses: Vec<Address>,
    /// `static_routes`.
    pub routes: Vec<Route>,
    /// `static_rules`.
    pub rules: Vec<Rule>,
    /// `track_group`: instances that track what names the group.
    pub groups: Vec<TrackGroup>,
}

impl Statics {
    /// The groups that something is tracked for.
    pub fn groups_in_use(&self) -> impl Iterator<Item = &TrackGroup> {
        self.groups.iter().filter(|group| {
            let of_group = |tracked: bool, name: &Option<String>| {
                tracked && name.as_ref() == Some(&group.name)
            };
            self.addresses.iter().any(|a| of_group(a.tracked, &a.group))
                || self.routes.iter().any(|r| of_group(r.tracked, &r.group))
                || self.rules.iter().any(|r| of_group(r.tracked, &r.group))
        })
    }
}
