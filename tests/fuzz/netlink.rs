//! Whatever comes out of a netlink socket is read or skipped quietly.

#![no_main]

use keepalite::io::monitor::{Change, changes};
use keepalite::io::netlink::message::{attributes, ip, messages, text};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|datagram: &[u8]| {
    let mut found: Vec<Change> = Vec::new();
    changes(datagram, &mut found);
    let rows = messages(datagram).count();
    assert!(found.len() <= rows && rows <= datagram.len() / 16);
    for change in &found {
        // What is logged of it.
        let _ = format!("{change:?}");
        if let Change::Address(address) | Change::AddressGone(address) = change {
            let _ = address.to_string();
        }
    }
    for (_, value) in messages(datagram).flat_map(|m| attributes(m.payload)) {
        assert!(text(value).is_none_or(|text| !text.contains('\0')));
        assert!(ip(value).is_none_or(|_| value.len() == 4 || value.len() == 16));
    }
});
