//! Settings of the system that are ours for as long as we run: what each was before is kept, and put back at the end.

use core::fmt::{self, Write};

use super::world::World;
use crate::io::sysctl::{self, Scope, Setting};
use crate::name::{IfName, Ifindex};
use crate::sorted::{Map, Set};

/// Whose setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// That of all interfaces.
    All,
    /// That of interfaces still to come.
    Default,
    /// That of one.
    Link(Ifindex),
}

/// The settings that are to be, with their values.
pub type Desired = Map<(Place, Setting), i32>;

/// The settings that are ours.
#[derive(Debug, Default)]
pub struct Settings {
    ours: Map<(Place, Setting), Held>,
    /// Whether reports for groups of the link were sent before we stopped them.
    reported: Option<bool>,
    /// Whether it has been told that settings cannot be written.
    told: bool,
}

/// A setting that we hold.
#[derive(Clone, Copy, Debug)]
struct Held {
    before: i32,
    written: Option<i32>,
}

impl Settings {
    /// What a setting was before an earlier run of ours changed it, as a note of that run has it.
    pub fn recall(&mut self, place: Place, setting: Setting, before: i32) {
        let held = Held {
            before,
            written: None,
        };
        self.ours.get_or_insert_with((place, setting), || held);
    }

    /// Reads what is about to be changed, so that it can be noted before it is.
    pub fn learn(&mut self, desired: &Desired, world: &World) {
        for (place, setting) in desired.keys() {
            if self.ours.contains_key(&(*place, *setting)) {
                continue;
            }
            if let Some(before) = get(*place, *setting, world) {
                self.recall(*place, *setting, before);
            }
        }
    }

    /// What is ours about an interface and about all together, and what it was before.
    #[must_use]
    pub fn note(&self, index: Ifindex) -> Note {
        let about = |place| match place {
            Place::All => true,
            Place::Default => false,
            Place::Link(other) => other == index,
        };
        let ours = self.ours.iter().filter(|((place, _), _)| about(*place));
        Note(
            ours.map(|((place, setting), held)| (*place == Place::All, *setting, held.before))
                .collect(),
        )
    }

    /// Makes the settings those that are desired, and what is no longer desired what it was before.
    pub fn apply(&mut self, desired: &Desired, world: &World) {
        self.learn(desired, world);
        let mut raised = Map::new();
        for (key, held) in &mut self.ours {
            let Some(value) = desired.get(key) else {
                continue;
            };
            if held.written == Some(*value) {
                continue;
            }
            if key == &(Place::All, Setting::ReversePath) && held.before > *value {
                raised = raise_reverse_path(held.before, world);
            }
            match set(key.0, key.1, *value, world) {
                Ok(()) => held.written = Some(*value),
                Err(error) => {
                    if !core::mem::replace(&mut self.told, true) {
                        log::error!(
                            "cannot write the system setting {}: {error}; virtual MACs may not answer as they should",
                            key.1.name()
                        );
                    }
                }
            }
        }
        self.ours.extend(raised);
        let all_loosened = desired.contains_key(&(Place::All, Setting::ReversePath));
        let stays = |key: &(Place, Setting)| {
            desired.contains_key(key) || key.1 == Setting::ReversePath && all_loosened
        };
        // What is for all comes first, so that no interface is ever open wider than it was.
        let (stay, go) = core::mem::take(&mut self.ours)
            .into_iter()
            .partition::<Map<_, _>, _>(|(key, _)| stays(key));
        self.ours = stay;
        for ((place, setting), held) in go {
            if let Err(error) = set(place, setting, held.before, world) {
                log::warn!(
                    "cannot put the system setting {} back: {error}",
                    setting.name()
                );
            }
        }
    }

    /// `disable_local_igmp`: no reports of membership in groups of the link, or again as before.
    pub fn report_local_groups(&mut self, report: bool) {
        if report {
            if let Some(before) = self.reported.take() {
                let _ = sysctl::report_local_groups(before);
            }
        } else if self.reported.is_none() {
            match sysctl::report_local_groups(false) {
                Ok(before) => self.reported = Some(before),
                Err(error) => log::warn!("cannot obey disable_local_igmp: {error}"),
            }
        }
    }

    /// An interface is gone, and its settings with it.
    pub fn forget(&mut self, there: impl Fn(Ifindex) -> bool) {
        self.ours.retain(|(place, _), _| match place {
            Place::Link(index) => there(*index),
            Place::All | Place::Default => true,
        });
    }
}

/// Of the value for all and that of an interface the greater one counts: before that for all is lowered, each interface gets
/// it as its own.
fn raise_reverse_path(to: i32, world: &World) -> Map<(Place, Setting), Held> {
    let places = world.links().map(|link| Place::Link(link.index));
    let mut raised = Map::new();
    for place in places.chain([Place::Default]) {
        match get(place, Setting::ReversePath, world) {
            Some(before) if before < to => {
                let _ = set(place, Setting::ReversePath, to, world);
                let held = Held {
                    before,
                    written: Some(to),
                };
                raised.insert((place, Setting::ReversePath), held);
            }
            _ => {}
        }
    }
    raised
}

fn scope(place: Place, world: &World) -> Option<Scope<'_>> {
    match place {
        Place::All => Some(Scope::All),
        Place::Default => Some(Scope::Default),
        Place::Link(index) => world.link(index).map(|link| Scope::Link(&link.name)),
    }
}

fn get(place: Place, setting: Setting, world: &World) -> Option<i32> {
    sysctl::get(scope(place, world)?, setting).ok()
}

fn set(place: Place, setting: Setting, value: i32, world: &World) -> std::io::Result<()> {
    match scope(place, world) {
        Some(scope) => sysctl::set(scope, setting, value),
        None => Ok(()),
    }
}

/// Begins the note on a virtual MAC interface of ours.
const OURS: &str = "keepalite";

/// What stands on a virtual MAC interface: who made it, and what settings were before. It is there for as long as the interface,
/// so that a run after a crash finds both or neither.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Note(pub Vec<(bool, Setting, i32)>);

impl Note {
    /// The note as text, by the process of this number.
    #[must_use]
    pub fn write(&self, process: u32) -> String {
        let mut text = format!("{OURS} {process}");
        for (all, setting, before) in &self.0 {
            let all = if *all { "all." } else { "" };
            // Writing into a String cannot fail.
            let _ = write!(text, " {all}{}={before}", setting.name());
        }
        text
    }

    /// A note of ours, with the number of the process that wrote it.
    #[must_use]
    pub fn read(text: &str) -> Option<(u32, Self)> {
        let mut words = text.split(' ');
        words.next().filter(|word| *word == OURS)?;
        let process = words.next()?.parse().ok()?;
        let mut all = Vec::new();
        for word in words {
            let (name, before) = word.split_once('=')?;
            let (of_all, name) = match name.strip_prefix("all.") {
                Some(name) => (true, name),
                None => (false, name),
            };
            all.push((of_all, Setting::named(name)?, before.parse().ok()?));
        }
        Some((process, Self(all)))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Default => f.write_str("default"),
            Self::Link(index) => index.fmt(f),
        }
    }
}

/// The interfaces whose settings are to be changed because a virtual MAC lives over them.
#[must_use]
pub fn of_parents(parents: &Set<Ifindex>, promoted: &Set<Ifindex>) -> Desired {
    let mut desired = Desired::new();
    if !parents.is_empty() {
        desired.insert((Place::All, Setting::ReversePath), 0);
    }
    for parent in parents {
        // Only the virtual MAC answers for what is on it, and who asks for a host in the name of a virtual address tells the
        // host its own MAC: keepalived leaves that as it is, and hosts learn the wrong one (RFC 9568 section 8.1.2).
        desired.insert((Place::Link(*parent), Setting::ArpAnnounce), 2);
        desired.insert((Place::Link(*parent), Setting::ArpIgnore), 1);
        desired.insert((Place::Link(*parent), Setting::ArpFilter), 1);
    }
    for index in promoted {
        desired.insert((Place::Link(*index), Setting::PromoteSecondaries), 1);
    }
    desired
}

/// The settings of a virtual MAC interface itself, which nobody has to put back.
#[must_use]
pub fn of_virtual_mac(v4: bool, v6: bool) -> Vec<(Setting, i32)> {
    // Otherwise it answers for the IPv4 addresses of its parent and of all others, also where it is for IPv6 alone: keepalived
    // leaves that, and hosts learn the MAC of the wrong family.
    let mut all = vec![(Setting::ArpIgnore, 1)];
    if v4 {
        all.extend([
            // With 1, as keepalived has it, a master that gives way answers the gratuitous ARP of its successor, which comes
            // before the address has gone: from the virtual MAC, whose traffic the switch then brings to the wrong port.
            (Setting::AcceptLocal, 0),
            (Setting::ReversePath, 0),
            (Setting::PromoteSecondaries, 1),
        ]);
    }
    if v6 {
        // Neither a route nor an address by what is heard here, and nothing asked for with the virtual MAC as a backup.
        all.push((Setting::AcceptRouterAdverts, 0));
    }
    all.push((Setting::DisableIpv6, i32::from(!v6)));
    all
}

/// Writes the settings of a virtual MAC interface.
pub fn prepare(name: &IfName, v4: bool, v6: bool) {
    for (setting, value) in of_virtual_mac(v4, v6) {
        if let Err(error) = sysctl::set(Scope::Link(name), setting, value) {
            // A kernel without IPv6 has nothing to switch off.
            log::debug!("{name}: cannot set {}: {error}", setting.name());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_reads_back_as_it_was_written() {
        let note = Note(vec![
            (true, Setting::ReversePath, 2),
            (false, Setting::ArpFilter, 0),
        ]);
        let text = note.write(1234);
        assert_eq!(text, "keepalite 1234 all.rp_filter=2 arp_filter=0");
        assert_eq!(Note::read(&text), Some((1234, note)));
    }

    #[test]
    fn what_others_wrote_on_an_interface_is_no_note() {
        for text in [
            "",
            "uplink",
            "keepalite",
            "keepalite x",
            "keepalite 1 nonsense=0",
        ] {
            assert_eq!(Note::read(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_parent_leaves_arp_to_its_virtual_macs() {
        let desired = of_parents(&[2].into(), &Set::new());
        assert_eq!(desired.get(&(Place::Link(2), Setting::ArpIgnore)), Some(&1));
        assert_eq!(desired.get(&(Place::Link(2), Setting::ArpFilter)), Some(&1));
        assert_eq!(desired.get(&(Place::All, Setting::ReversePath)), Some(&0));
        assert!(of_parents(&Set::new(), &Set::new()).is_empty());
    }
}
