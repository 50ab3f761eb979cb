//! The kernel's threads that copy connections from director to director (`lvs_sync_daemon`): who is master tells, who is not
//! listens, so that connections go on when the other one takes over.

use crate::error::Chain;
use crate::io::error::{Failed, NetError};
use crate::io::ipvs::{Ipvs, SyncRole, SyncSettings};
use crate::model::lvs::SyncDaemon;
use crate::sorted::Map;
use crate::vrrp::{Engine, Instance};

/// The threads, and the virtual router that they follow.
#[derive(Debug, Default)]
pub struct Replicator {
    config: Option<SyncDaemon>,
    /// The way to the kernel, once it was needed.
    ipvs: Option<Ipvs>,
    /// What we have started.
    running: Map<SyncRole, SyncSettings>,
    /// Something was refused, as has been told: it is tried again when the world has changed.
    refused: bool,
}

impl Replicator {
    /// Stops what an earlier run left behind, and starts what is wanted now.
    #[must_use]
    pub fn start(config: Option<SyncDaemon>, engine: &Engine) -> Self {
        let mut replicator = Self::default();
        replicator.reload(config, engine);
        replicator
    }

    /// Another configuration.
    pub fn reload(&mut self, config: Option<SyncDaemon>, engine: &Engine) {
        self.config = config;
        self.refused = false;
        if self.config.is_some() && self.ipvs.is_none() {
            self.open();
        }
        self.follow(engine);
    }

    /// The configuration that is in force.
    #[must_use]
    pub const fn config(&self) -> Option<&SyncDaemon> {
        self.config.as_ref()
    }

    fn open(&mut self) {
        match Ipvs::open() {
            Ok(mut ipvs) => {
                self.running = ipvs.daemons().unwrap_or_default();
                self.stop_all(&mut ipvs);
                self.ipvs = Some(ipvs);
            }
            Err(error) => log::error!("no sync daemon: {}", Chain(&error)),
        }
    }

    /// The world has changed: what was refused may be possible now.
    pub fn try_again(&mut self, engine: &Engine) {
        if self.refused {
            self.follow(engine);
        }
    }

    /// Makes the threads what the virtual router is now.
    pub fn follow(&mut self, engine: &Engine) {
        let Some(mut ipvs) = self.ipvs.take() else {
            return;
        };
        let wanted = self.wanted(engine);
        let again = core::mem::take(&mut self.refused);
        let stale = |(role, settings): (&SyncRole, &SyncSettings)| {
            (wanted.get(role) != Some(settings)).then_some(*role)
        };
        for role in self.running.iter().filter_map(stale).collect::<Vec<_>>() {
            self.stop_one(&mut ipvs, role);
        }
        for (role, settings) in wanted {
            if self.running.contains_key(&role) {
                continue;
            }
            match ipvs.start_daemon(role, &settings) {
                Ok(()) => {
                    log::info!("sync daemon runs as {role} on {}", settings.interface);
                    self.running.insert(role, settings);
                }
                Err(error) => {
                    self.refused = true;
                    if !again {
                        log::error!(
                            "{}; trying again when links or addresses change",
                            Chain(&error)
                        );
                    }
                }
            }
        }
        self.ipvs = Some(ipvs);
    }

    /// Stops the threads.
    pub fn stop(&mut self) {
        if let Some(mut ipvs) = self.ipvs.take() {
            self.stop_all(&mut ipvs);
        }
    }

    fn stop_all(&mut self, ipvs: &mut Ipvs) {
        while let Some((role, _)) = self.running.iter().next() {
            self.stop_one(ipvs, *role);
        }
    }

    fn stop_one(&mut self, ipvs: &mut Ipvs, role: SyncRole) {
        self.running.remove(&role);
        match ipvs.stop_daemon(role) {
            Err(NetError::Kernel(refused)) if Failed::already_gone(&refused) => {}
            Err(error) => log::error!("{}", Chain(&error)),
            Ok(()) => {}
        }
    }

    /// Both roles where there is no virtual router to follow: nobody knows who is master.
    fn wanted(&self, engine: &Engine) -> Map<SyncRole, SyncSettings> {
        let Some(config) = &self.config else {
            return Map::new();
        };
        let settings = |vrid| SyncSettings {
            interface: config.interface.clone(),
            id: config.id.unwrap_or(vrid),
            max_len: config.max_len,
            group: config.group,
            port: config.port,
            ttl: config.ttl,
        };
        let Some(name) = &config.instance else {
            let roles = [SyncRole::Master, SyncRole::Backup];
            return roles.map(|role| (role, settings(0))).into();
        };
        let mut instances = engine.iter().map(|(_, instance)| instance);
        let followed = instances.find(|instance| instance.config().name == *name);
        let role = match followed.is_some_and(Instance::owns_addresses) {
            true => SyncRole::Master,
            false => SyncRole::Backup,
        };
        let vrid = followed.map_or(0, |instance| instance.config().vrid.get());
        Map::from([(role, settings(vrid))])
    }
}
