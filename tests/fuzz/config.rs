//! Files of any bytes, up to the model: nothing stops the reader, every finding can be shown, and what the model's dump says
//! is that model.
//!
//! The input is several files, the main one first, with the ASCII file separator (0x1c) between them.

#![no_main]

use std::path::Path;

use keepalite::config::dump::dump;
use keepalite::config::files::Memory;
use keepalite::config::{Loaded, OneLine, Options, load_from};
use libfuzzer_sys::fuzz_target;

const SEPARATOR: u8 = 0x1c;
const NAMES: [&str; 5] = ["main.conf", "a.conf", "b.conf", "d/c.conf", "d/d.conf"];

fn read(files: &Memory) -> Loaded {
    let options = Options {
        config_id: Some("main".to_owned()),
        require_includes: false,
    };
    load_from(files, Path::new("main.conf"), &options).expect("it is there")
}

fuzz_target!(|input: &[u8]| {
    let mut files = Memory::new();
    let texts = input.splitn(NAMES.len(), |byte| *byte == SEPARATOR);
    for (name, text) in NAMES.iter().zip(texts) {
        files.insert(name, text);
    }
    let first = read(&files);
    for diag in first.diags.iter() {
        let sources = &first.sources;
        let line = OneLine { diag, sources }.to_string();
        assert!(!line.contains('\n'), "{line:?}");
    }
    let shown: usize = first
        .findings()
        .map(|finding| finding.to_string().len())
        .sum();
    assert!(shown > 0 || first.diags.errors() == 0);

    let text = dump(&first.model);
    let mut files = Memory::new();
    files.insert("main.conf", text.as_str());
    let second = read(&files);
    let again = dump(&second.model);
    assert_eq!(
        text,
        again,
        "{:?}",
        second.findings().map(|f| f.to_string()).collect::<String>()
    );
    assert!(
        first.model == second.model,
        "unequal models with one dump:\n{text}\n{:?}\n{:?}",
        first.model,
        second.model
    );
});
