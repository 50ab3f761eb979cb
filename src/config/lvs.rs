//! `virtual_server_group`, `virtual_server`, `real_server`, `SSL`, and `lvs_sync_daemon`.

use super::value::Args;
use crate::model::lvs::SyncDaemon;

/// `interface [[inst] instance] [id N] [maxlen N] [port N] [ttl N] [group address]`.
pub(super) fn sync_daemon(a: &mut Args<'_, '_, '_>) -> Option<SyncDaemon> {
    let mut daemon = SyncDaemon {
        interface: a.interface()?,
        instance: None,
        id: None,
        max_len: None,
        port: None,
        ttl: None,
        group: None,
    };
    while let Some(word) = a.word() {
        match word.text {
            "inst" => daemon.instance = a.text("an instance"),
            "id" => daemon.id = a.number(0..=255),
            "maxlen" => daemon.max_len = a.number(1..=65_507),
            "port" => daemon.port = a.number(1..=65_535),
            "ttl" => daemon.ttl = a.number(1..=255),
            "group" => daemon.group = a.address(),
            _ if daemon.instance.is_none() => daemon.instance = Some(word.text.to_owned()),
            _ => {
                a.error(
                    word,
                    format!("unknown option '{}' of lvs_sync_daemon", word.text),
                );
            }
        }
    }
    Some(daemon)
}
