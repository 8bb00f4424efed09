use std::os::unix::fs::symlink;

use super::*;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn messages(result: Result<Files, Vec<Problem>>) -> Vec<String> {
    result.unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn reads_what_a_config_map_mounts() {
    let root = folder();
    let data = root.path().join("..2026_01_01");
    fs::create_dir_all(data.join("tools")).unwrap();
    fs::write(data.join("a.cedar"), "permit").unwrap();
    fs::write(data.join("tools/k.json"), "{}").unwrap();
    symlink("..2026_01_01", root.path().join("..data")).unwrap();
    symlink("..data/a.cedar", root.path().join("a.cedar")).unwrap();
    symlink("..data/tools", root.path().join("tools")).unwrap();
    let files = Files::read(root.path()).unwrap();
    let paths: Vec<&str> = files.iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["a.cedar", "tools/k.json"]);
    assert_eq!(
        files.under("tools", ".json").collect::<Vec<_>>(),
        ["tools/k.json"]
    );
    assert_eq!(files.under("", ".cedar").collect::<Vec<_>>(), ["a.cedar"]);
}

#[test]
fn refuses_a_link_that_leads_out_of_the_directory() {
    let (root, outside) = (folder(), folder());
    fs::write(outside.path().join("x.cedar"), "permit").unwrap();
    symlink(outside.path().join("x.cedar"), root.path().join("x.cedar")).unwrap();
    assert_eq!(
        messages(Files::read(root.path())),
        ["x.cedar: is a link that leads out of the policy directory"]
    );
}

#[test]
fn refuses_a_link_that_goes_round_in_circles() {
    let root = folder();
    for name in ["a", "b", "c", "d", "e", "f"] {
        symlink(".", root.path().join(name)).unwrap();
    }
    let found = messages(Files::read(root.path()));
    assert!(found[0].ends_with("more than 8 folders deep"), "{found:?}");
    assert!(found.len() < MAX_FOLDERS, "{}", found.len());
}

#[test]
fn refuses_files_that_are_too_large_one_by_one_and_together() {
    let root = folder();
    fs::write(root.path().join("a.cedar"), vec![b' '; 11]).unwrap();
    fs::write(root.path().join("b.cedar"), vec![b' '; 10]).unwrap();
    let limits = Limits {
        file: 10,
        total: 100,
        count: 10,
    };
    assert_eq!(
        messages(Files::read_within(root.path(), limits)),
        ["a.cedar: larger than 10 bytes"]
    );
    let limits = Limits {
        file: 100,
        total: 20,
        count: 10,
    };
    assert_eq!(
        messages(Files::read_within(root.path(), limits)),
        ["b.cedar: with it, the files are larger than 20 bytes"]
    );
}

#[test]
fn leaves_alone_what_is_no_policy_file() {
    let root = folder();
    fs::write(root.path().join("README.md"), "hello").unwrap();
    fs::write(root.path().join(".a.cedar.swp"), "x").unwrap();
    fs::write(root.path().join("a.cedar~"), "x").unwrap();
    assert!(Files::read(root.path()).unwrap().is_empty());
}

#[test]
fn tells_a_directory_that_is_not_there() {
    let found = messages(Files::read(Path::new("/nowhere/at/all")));
    assert!(
        found[0].starts_with(".: can't open `/nowhere/at/all`"),
        "{found:?}"
    );
}
