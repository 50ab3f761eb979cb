//! The configuration language by examples: `ok/*.conf` beside what they amount to, `bad/*.conf` beside what is said
//! about them. `UPDATE=1` writes the second halves anew, and review happens in the difference.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod random;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use keepalite::config::dump::dump;
use keepalite::config::files::Memory;
use keepalite::config::{Loaded, OneLine, Options, keys, load, load_from};

fn read(path: &Path) -> Loaded {
    let options = Options {
        config_id: Some("main".to_owned()),
        require_includes: false,
    };
    load(path, &options).unwrap()
}

fn files(kind: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(Path::new("tests/config").join(kind)).unwrap();
    let mut files: Vec<_> = entries
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "conf"))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

/// Compares with the file beside, or writes it.
fn golden(path: &Path, extension: &str, found: &str) -> Result<(), String> {
    let beside = path.with_extension(extension);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&beside, found).unwrap();
        return Ok(());
    }
    let expected = fs::read_to_string(&beside).unwrap_or_default();
    if expected == found {
        Ok(())
    } else {
        Err(format!("{}\n{found}", beside.display()))
    }
}

/// A place for files of one test.
fn scratch(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&directory).unwrap();
    directory
}

#[test]
fn files_that_are_right_amount_to_their_dumps() {
    let wrong: Vec<String> = files("ok")
        .iter()
        .filter_map(|path| {
            let loaded = read(path);
            let errors: Vec<String> = loaded
                .findings()
                .filter(|f| f.diag.level == keepalite::config::Level::Error)
                .map(|f| f.to_string())
                .collect();
            assert!(errors.is_empty(), "{}", errors.join("\n"));
            golden(path, "dump", &dump(&loaded.model)).err()
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn what_is_wrong_is_said_with_its_place_and_what_to_do() {
    let wrong: Vec<String> = files("bad")
        .iter()
        .filter_map(|path| {
            let loaded = read(path);
            let mut said: String = loaded.findings().map(|f| format!("{f}\n")).collect();
            said.push_str(&format!(
                "{} errors, {} warnings\n",
                loaded.diags.errors(),
                loaded.diags.warnings()
            ));
            golden(path, "said", &said).err()
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn a_dump_parses_back_to_an_equal_model_and_to_the_same_dump() {
    let directory = scratch("again");
    for path in files("ok").iter().chain(&files("bad")) {
        let first = read(path);
        let text = dump(&first.model);
        let again = directory.join(path.file_name().unwrap());
        fs::write(&again, &text).unwrap();
        let second = read(&again);
        assert!(
            first.model == second.model,
            "{}\n{text}\n{}",
            path.display(),
            dump(&second.model)
        );
        assert_eq!(text, dump(&second.model), "{}", path.display());
    }
}

#[test]
fn every_keyword_of_keepalived_is_in_the_tables() {
    let known: BTreeSet<&str> = keys::table().into_iter().map(|row| row.keyword).collect();
    let keywords = include_str!("keywords.txt");
    assert!(keywords.lines().count() > 350);
    let unknown: Vec<&str> = keywords.lines().filter(|k| !known.contains(k)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn a_finding_fits_on_one_line_for_a_log() {
    let loaded = read(Path::new("tests/config/bad/keyword_misspelt.conf"));
    let diag = loaded.diags.iter().next().unwrap();
    let line = OneLine {
        diag,
        sources: &loaded.sources,
    };
    let expected = "tests/config/bad/keyword_misspelt.conf:4:5: error: unknown keyword 'priorty' in vrrp_instance (did you mean 'priority'?)";
    assert_eq!(line.to_string(), expected);
}

#[test]
fn only_a_main_file_that_cannot_be_read_is_an_error_of_the_call() {
    let options = Options::default();
    let missing = load(Path::new("tests/config/no-such-file.conf"), &options);
    assert!(
        missing
            .unwrap_err()
            .to_string()
            .contains("no-such-file.conf")
    );
    assert!(
        load(Path::new("tests/config"), &options).is_err(),
        "a directory"
    );
    assert!(load(Path::new("/dev/zero"), &options).is_err(), "a device");
}

#[test]
fn a_missing_include_is_told_apart_where_it_must_be_there() {
    let path = scratch("include").join("main.conf");
    let missing = |text: &str, require_includes: bool| {
        fs::write(&path, text).unwrap();
        let options = Options {
            config_id: None,
            require_includes,
        };
        load(&path, &options).unwrap().diags.missing_include()
    };
    assert!(!missing("include nothing.conf\n", false));
    assert!(!missing("include *.nothing\n", false));
    assert!(missing("includem nothing.conf\n", false));
    assert!(missing("includew *.nothing\n", false));
    assert!(missing("include *.nothing\n", true));
    assert!(missing(
        "global_defs {\n include_check +match\n}\ninclude nothing.conf\n",
        false
    ));
}

#[test]
fn a_script_that_others_can_write_is_refused_under_script_security_only() {
    use std::os::unix::fs::PermissionsExt;
    let directory = scratch("security");
    let script = directory.join("open.sh");
    fs::write(&script, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o777)).unwrap();
    let path = directory.join("main.conf");
    let body = |defs: &str, user: &str| {
        let instance = "interface eth0\nvirtual_router_id 1\nvirtual_ipaddress { 192.0.2.1 }";
        format!(
            "global_defs {{\n{defs}\n}}\nvrrp_instance A {{\n{instance}\nnotify_master {} {user}\n}}\n",
            script.display()
        )
    };
    let result = |text: String| {
        fs::write(&path, text).unwrap();
        let loaded = read(&path);
        (
            loaded.diags.insecure_scripts() > 0,
            loaded.model.instances[0].notify.master.is_some(),
        )
    };
    assert_eq!(result(body("enable_script_security", "0")), (true, false));
    assert_eq!(result(body("", "0")), (false, true));
    assert_eq!(
        result(body("enable_script_security", "65534")),
        (false, true)
    );
}

#[test]
fn a_line_of_a_megabyte_takes_time_in_proportion() {
    let path = scratch("long").join("main.conf");
    for piece in [
        "$", "${", "{", "\"", "'", "a ", "\\", "@", "~SEQ(", "#", "\u{fffd}",
    ] {
        fs::write(&path, piece.repeat(1_000_000 / piece.len())).unwrap();
        let begun = std::time::Instant::now();
        let loaded = read(&path);
        let shown: usize = loaded.findings().map(|f| f.to_string().len()).sum();
        assert!(shown < 100_000, "{piece:?}");
        // Quadratic behaviour would take hours.
        assert!(
            begun.elapsed() < std::time::Duration::from_secs(60),
            "{piece:?}"
        );
    }
}

#[test]
fn many_findings_are_counted_but_not_all_kept() {
    let path = scratch("many").join("main.conf");
    fs::write(&path, "foo\n".repeat(5000)).unwrap();
    let loaded = read(&path);
    assert_eq!(loaded.diags.errors(), 5000);
    assert!(loaded.diags.iter().count() <= 1000);
}

#[test]
fn a_mistyped_sequence_ends_after_100000_lines() {
    let mut files = Memory::new();
    files.insert("main.conf", "~SEQ(N, 1, 2147483648) no_such_keyword $N\n");
    let loaded = load_from(&files, Path::new("main.conf"), &Options::default()).unwrap();
    let last = loaded.findings().last().unwrap().to_string();
    let told = loaded.diags.errors() - 1;
    assert_eq!(told, 100_000, "{last}");
}
