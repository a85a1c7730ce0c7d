//! `SECURITY.md` says for each class of weakness which tests show that it is ruled
//! out. These tests hold it to that: what it names must exist and be run. And what it
//! says of the code as a whole is looked up in the code.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking, like the tests"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Cargo starts tests in the folder of their crate.
const ROOT: &str = "../..";

/// The classes that have a row.
const CLASSES: [&str; 10] = [
    "CWE-284", "CWE-435", "CWE-664", "CWE-682", "CWE-691", "CWE-693", "CWE-697", "CWE-703",
    "CWE-707", "CWE-710",
];

#[test]
fn every_class_has_one_row_that_says_what_why_and_names_tests() {
    let page = read("SECURITY.md");
    for class in CLASSES {
        let rows = rows(&page).filter(|row| row[0].starts_with(class));
        let rows: Vec<_> = rows.collect();
        assert_eq!(rows.len(), 1, "rows of {class}");
        assert_eq!(rows[0].len(), 4, "columns of {class}");
        assert!(!rows[0][1].is_empty() && !rows[0][2].is_empty(), "{class}");
        assert!(!named_tests(rows[0][3]).is_empty(), "tests of {class}");
    }
    assert_eq!(rows(&page).count(), CLASSES.len());
}

#[test]
fn every_test_that_is_named_exists_and_is_run() {
    let page = read("SECURITY.md");
    let named: Vec<_> = rows(&page).flat_map(|row| named_tests(row[3])).collect();
    let wrong: Vec<_> = named
        .iter()
        .filter_map(|name| look_up(name).err().map(|why| format!("{name}: {why}")))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let different: BTreeSet<_> = named.iter().collect();
    assert_eq!(different.len(), named.len(), "a test is named twice");
}

#[test]
fn a_test_is_found_only_if_it_is_one_and_is_run() {
    let source = "
            #[test]
            fn is_run() {}
            /// With a word on it.
            #[test]
            #[cfg_attr(
                unix,
                should_panic
            )]
            // And another one.
            fn is_run_too() {}
            #[test]
            #[ignore = \"too slow\"]
            fn is_ignored() {}
            #[test]
            #[cfg_attr(windows, ignore)]
            fn is_ignored_somewhere() {}
            fn is_a_helper() {}
            // #[test]
            fn was_a_test() {}
        ";
    assert_eq!(find(source, "is_run"), Ok(()));
    assert_eq!(find(source, "is_run_too"), Ok(()));
    assert_eq!(find(source, "is_ignored"), Err("is ignored"));
    assert_eq!(find(source, "is_ignored_somewhere"), Err("is ignored"));
    assert_eq!(find(source, "is_a_helper"), Err("is no test"));
    assert_eq!(find(source, "was_a_test"), Err("is no test"));
    assert_eq!(find(source, "is_ru"), Err("does not exist"));
}

#[test]
fn unsafe_code_is_in_its_few_places_only() {
    let mut sources = Vec::new();
    for package in packages() {
        collect_sources(&package.join("src"), &mut sources);
    }
    let with_unsafe = |path: &PathBuf| {
        let text = fs::read_to_string(path).unwrap();
        text.lines().any(is_unsafe)
    };
    let found: Vec<_> = sources.into_iter().filter(with_unsafe).collect();
    let places = [
        "crates/pipewright/src/sys",
        "crates/pipewright-cli/src/os/windows/sys",
        // Not published.
        "crates/pipewright-bench",
    ]
    .map(|place| Path::new(ROOT).join(place));
    let elsewhere: Vec<_> = found
        .iter()
        .filter(|path| !places.iter().any(|place| path.starts_with(place)))
        .collect();
    assert!(elsewhere.is_empty(), "unsafe code in {elsewhere:#?}");
    assert!(!found.is_empty(), "and it is seen where it is");
    let core = read("crates/pipewright-core/src/lib.rs");
    assert!(core.contains("#![forbid(unsafe_code)]"));
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    let packages = packages();
    assert!(packages.len() >= 3, "{packages:?}");
    for package in packages {
        let manifest = fs::read_to_string(package.join("Cargo.toml")).unwrap();
        let manifest = manifest.replace('\r', "");
        assert!(
            manifest.contains("[lints]\nworkspace = true\n"),
            "{package:?}"
        );
    }
    let workspace = read("Cargo.toml");
    for lint in ["undocumented_unsafe_blocks", "unsafe_op_in_unsafe_fn"] {
        assert!(
            workspace.contains(&format!("\n{lint} = \"deny\"")),
            "{lint}"
        );
    }
}

/// The rows of the table, without its head, cut into columns.
fn rows(page: &str) -> impl Iterator<Item = Vec<&str>> {
    page.lines()
        .filter(|line| line.starts_with("| CWE-"))
        .map(|line| {
            let columns = line.trim().trim_matches('|').split('|');
            columns.map(str::trim).collect()
        })
}

/// Everything of the form `CRATE/FILE::TEST` in a column.
fn named_tests(column: &str) -> Vec<&str> {
    let quoted = column.split('`').skip(1).step_by(2);
    quoted.filter(|name| name.contains("::")).collect()
}

fn look_up(name: &str) -> Result<(), String> {
    let (file, test) = name.rsplit_once("::").unwrap();
    let (package, file) = file.split_once('/').ok_or("names no crate")?;
    let folder = if file.starts_with("src/") {
        ""
    } else {
        "tests/"
    };
    let path = format!("crates/{package}/{folder}{file}.rs");
    let source = fs::read_to_string(Path::new(ROOT).join(&path))
        .map_err(|error| format!("{path}: {error}"))?;
    Ok(find(&source, test)?)
}

/// Whether `source` has this test, and it is run wherever its file is compiled.
fn find(source: &str, test: &str) -> Result<(), &'static str> {
    let mut attributes = String::new();
    for line in source.lines().map(str::trim) {
        // An attribute may go on over several lines.
        let is_open = attributes.matches('[').count() > attributes.matches(']').count();
        if is_open || line.starts_with("#[") {
            attributes.push_str(line);
        } else if is_function(line, test) {
            return match attributes {
                list if list.contains("ignore") => Err("is ignored"),
                list if list.contains("#[test]") => Ok(()),
                _ => Err("is no test"),
            };
        } else if !line.is_empty() && !line.starts_with("//") {
            attributes.clear();
        }
    }
    Err("does not exist")
}

fn is_function(line: &str, name: &str) -> bool {
    line.strip_prefix("fn ")
        .and_then(|rest| rest.strip_prefix(name))
        .is_some_and(|rest| rest.starts_with('('))
}

/// Whether a line opens something unsafe. Lints and comments may speak of it.
fn is_unsafe(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    let opens = [
        "unsafe {",
        "unsafe fn",
        "unsafe impl",
        "unsafe extern",
        "unsafe trait",
    ];
    opens.iter().any(|opening| code.contains(opening)) || code.contains("unsafe(")
}

fn packages() -> Vec<PathBuf> {
    let crates = fs::read_dir(Path::new(ROOT).join("crates")).unwrap();
    crates.map(|entry| entry.unwrap().path()).collect()
}

fn collect_sources(folder: &Path, sources: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect_sources(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push(path);
        }
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(path)).unwrap()
}
