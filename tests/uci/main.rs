//! OpenWrt's configuration: each `NAME.uci` here means what `NAME.conf` says, and `NAME.said` is what is told of it.
//! `UPDATE=1` writes both anew.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]

use std::fs;
use std::path::{Path, PathBuf};

use keepalite::config::{self, Options, files::Memory};
use keepalite::uci;

fn cases() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/uci");
    let entries = fs::read_dir(directory).unwrap();
    let mut cases: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "uci"))
        .collect();
    cases.sort();
    assert!(cases.len() > 3);
    cases
}

/// The translation of a case, and what is told.
fn translate(case: &Path) -> (String, String) {
    let meant = uci::translate(&fs::read_to_string(case).unwrap());
    let said = meant.remarks.iter().map(|remark| format!("{remark}\n"));
    (meant.text, said.collect())
}

#[test]
fn each_file_is_translated_as_written_down() {
    for case in cases() {
        let (text, said) = translate(&case);
        for (name, is) in [("conf", text), ("said", said)] {
            let path = case.with_extension(name);
            if std::env::var_os("UPDATE").is_some() {
                if is.is_empty() {
                    let _ = fs::remove_file(&path);
                } else {
                    fs::write(&path, &is).unwrap();
                }
            }
            let wanted = fs::read_to_string(&path).unwrap_or_default();
            assert_eq!(is, wanted, "{}", path.display());
        }
    }
}

#[test]
fn what_comes_out_is_read_without_an_error() {
    for case in cases() {
        let mut files = Memory::new();
        files.insert("keepalived.conf", translate(&case).0);
        let options = Options::default();
        let loaded = config::load_from(&files, "keepalived.conf".as_ref(), &options).unwrap();
        let errors = loaded
            .diags
            .iter()
            .filter(|d| d.level == config::Level::Error);
        let errors: Vec<_> = errors.collect();
        assert!(errors.is_empty(), "{}: {errors:?}", case.display());
    }
}

#[test]
fn the_example_that_the_package_installs_means_nothing_until_it_is_filled_in() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("cross/openwrt/files/etc/config/keepalived");
    let text = fs::read_to_string(path).unwrap();
    let empty = uci::translate(&text);
    assert_eq!(empty.remarks, []);
    assert!(!empty.text.contains("vrrp_instance"), "{}", empty.text);
    // With its comment signs taken away it is a whole configuration.
    let filled: String = text
        .lines()
        .map(|line| format!("{}\n", line.strip_prefix('#').unwrap_or(line)))
        .collect();
    let full = uci::translate(&filled);
    assert_eq!(full.remarks, []);
    for word in [
        "vrrp_instance",
        "vrrp_sync_group",
        "track_script",
        "virtual_server",
        "real_server",
    ] {
        assert!(full.text.contains(word), "{word} is not in\n{}", full.text);
    }
}
