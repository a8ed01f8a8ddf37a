//! The shape of the workspace: which crate may know which, and the habits that a search can check.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Who may depend on whom; `tests`, `benches` and `runtime` may on all.
const ALLOWED: [(&str, &[&str]); 5] = [
    ("apex-config", &[]),
    ("apex-storage", &["apex-config"]),
    ("apex-actors", &["apex-storage", "apex-config"]),
    ("apex-http", &["apex-actors", "apex-storage", "apex-config"]),
    ("apex-sandbox", &[]),
];
const FREE: [&str; 3] = ["apex-runtime", "apex-tests", "apex-benches"];
const VAGUE: [&str; 4] = ["utils", "helpers", "common", "misc"];
const LONGEST_FILE: usize = 400;

struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    /// The text up to the tests at its end.
    fn before_tests(&self) -> &str {
        let is_tests = self.path.file_stem().is_some_and(|stem| stem == "tests");
        let end = if is_tests { Some(0) } else { self.text.find("#[cfg(test)]\nmod tests {") };
        &self.text[..end.unwrap_or(self.text.len())]
    }

    /// The same without comment lines.
    fn code(&self) -> String {
        let lines = self.before_tests().lines().filter(|line| !line.trim_start().starts_with("//"));
        lines.flat_map(|line| [line, "\n"]).collect()
    }

    fn is_in(&self, folder: &str) -> bool {
        self.path.starts_with(folder)
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace")
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON")
}

/// Every member with the names it depends on, for whatever purpose.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = metadata();
    let name = |value: &Value| value["name"].as_str().expect("a name").to_owned();
    let packages = metadata["packages"].as_array().expect("packages");
    packages
        .iter()
        .map(|package| {
            let names = package["dependencies"].as_array().expect("dependencies").iter().map(name).collect();
            (name(package), names)
        })
        .collect()
}

/// Every Rust file of the members, with its path from the root.
fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![root().to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of the workspace") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if path.is_dir() && !name.starts_with('.') && name != "target" {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("a text file");
                found.push(Source { path: path.strip_prefix(root()).expect("below the root").to_path_buf(), text });
            }
        }
    }
    assert!(found.len() > 20, "the sources were not found");
    found
}

fn complain(rule: &str, offenders: &[String]) {
    assert!(offenders.is_empty(), "{rule}:\n  {}", offenders.join("\n  "));
}

/// What stands in the round brackets that open at `from`, and what follows them.
fn call(code: &str, from: usize) -> Option<(&str, &str)> {
    let mut depth = 0_usize;
    for (at, letter) in code[from..].char_indices() {
        match letter {
            '(' => depth += 1,
            ')' if depth == 1 => return Some((&code[from + 1..from + at], &code[from + at + 1..])),
            ')' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Every call of a function whose name begins with `name`: the function, its arguments, what follows.
fn calls<'a>(code: &'a str, name: &'a str) -> impl Iterator<Item = (&'a str, &'a str, &'a str)> {
    code.match_indices(name).filter_map(move |(at, _)| {
        let open = at + code[at..].find('(')?;
        let function = &code[at..open];
        let is_name = function.chars().all(|letter| letter.is_alphanumeric() || "._".contains(letter));
        let (arguments, rest) = call(code, open)?;
        is_name.then_some((function, arguments, rest))
    })
}

#[test]
fn crates_know_only_those_below_them() {
    let allowed: BTreeMap<_, _> = ALLOWED.into_iter().collect();
    let mut offenders = Vec::new();
    for (member, names) in dependencies() {
        let Some(below) = allowed.get(member.as_str()) else {
            assert!(FREE.contains(&member.as_str()), "{member} has no place in the order of crates");
            continue;
        };
        let above = names.iter().filter(|name| name.starts_with("apex-") && !below.contains(&name.as_str()));
        offenders.extend(above.map(|name| format!("{member} -> {name}")));
    }
    complain("edges that go the wrong way", &offenders);
}

#[test]
fn errors_without_a_type_stay_in_the_outermost_crates() {
    let users = dependencies().into_iter().filter(|(_, names)| names.contains("anyhow"));
    let offenders: Vec<_> = users.map(|(member, _)| member).filter(|member| !FREE.contains(&member.as_str())).collect();
    complain("anyhow belongs in runtime, tests and benches", &offenders);
}

#[test]
fn every_workspace_dependency_is_used_and_says_why() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).expect("the manifest");
    let used: BTreeSet<_> = dependencies().into_values().flatten().collect();
    let section = manifest.lines().skip_while(|line| *line != "[workspace.dependencies]").skip(1);
    let (mut unused, mut silent) = (Vec::new(), Vec::new());
    for line in section.take_while(|line| !line.starts_with('[')) {
        let Some((name, value)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) else { continue };
        if !used.contains(name) {
            unused.push(name.to_owned());
        }
        let reason = value.rsplit_once(" # ").map(|(_, reason)| reason.trim()).unwrap_or_default();
        if reason.is_empty() && !value.contains("path = ") {
            silent.push(name.to_owned());
        }
    }
    complain("dependencies without a reason", &silent);
    complain("dependencies that no member uses", &unused);
}

#[test]
fn no_file_outgrows_its_reader() {
    let promises = Path::new("tests/it");
    let long = sources().into_iter().filter(|source| !source.path.starts_with(promises));
    let offenders: Vec<_> = long
        .map(|source| (source.before_tests().lines().count(), source))
        .filter(|(lines, _)| *lines > LONGEST_FILE)
        .map(|(lines, source)| format!("{}: {lines} lines", source.path.display()))
        .collect();
    complain("files longer than 400 lines before their tests", &offenders);
}

#[test]
fn every_module_has_a_name_that_says_something() {
    let vague = |source: &Source| {
        let stem = source.path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let inline = VAGUE.iter().any(|name| source.code().contains(&format!("mod {name} {{")));
        inline || VAGUE.contains(&stem) || stem == "mod"
    };
    let folder =
        |source: &Source| source.path.components().any(|part| VAGUE.iter().any(|name| part.as_os_str() == *name));
    let offenders: Vec<_> = sources()
        .into_iter()
        .filter(|source| vague(source) || folder(source))
        .map(|source| source.path.display().to_string())
        .collect();
    complain("files called utils, helpers, common, misc or mod.rs", &offenders);
}

#[test]
fn the_model_is_pure() {
    let impure = |source: &Source| {
        let code = source.code();
        let words: BTreeSet<_> = code.split(|letter: char| !letter.is_alphanumeric() && letter != '_').collect();
        ["async", "await", "tokio", "reqwest"].into_iter().find(|word| words.contains(word)).map(str::to_owned)
    };
    let model = sources()
        .into_iter()
        .filter(|source| source.is_in("storage/src/model") || source.is_in("storage/src/model.rs"));
    let offenders: Vec<_> =
        model.filter_map(|source| Some(format!("{}: {}", source.path.display(), impure(&source)?))).collect();
    complain("rules that wait for something", &offenders);
}

#[test]
fn actors_have_no_names() {
    let mut offenders = Vec::new();
    for source in sources().into_iter().filter(|source| source.is_in("actors/src")) {
        let code = source.code();
        let named = calls(&code, "spawn").filter(|(_, arguments, _)| arguments.trim_start().starts_with("Some("));
        offenders.extend(named.map(|(function, ..)| format!("{}: {function}(Some(..", source.path.display())));
    }
    complain("the registry of names is global: two nodes in one process collide", &offenders);
}

#[test]
fn a_caller_that_left_never_kills_an_actor() {
    let mut offenders = Vec::new();
    for source in sources().into_iter().filter(|source| source.is_in("actors/src")) {
        let code = source.code();
        let fatal = calls(&code, ".send").filter(|(function, _, rest)| *function == ".send" && rest.starts_with('?'));
        offenders.extend(fatal.map(|(_, sent, _)| format!("{}: .send({sent})?", source.path.display())));
    }
    complain("a reply that cannot be sent is no failure", &offenders);
}

#[test]
fn tests_wait_for_a_state_and_never_for_time() {
    let waits = Path::new("tests/harness/wait.rs");
    let pauses = ["sleep", "sleep_until"].map(|name| format!("{name}("));
    let tests = sources().into_iter().filter(|source| source.is_in("tests") && source.path != waits);
    let offenders: Vec<_> = tests
        .filter(|source| pauses.iter().any(|pause| source.text.contains(pause)))
        .map(|source| source.path.display().to_string())
        .collect();
    complain("sleep stands in tests/harness/wait.rs only", &offenders);
}

#[test]
fn the_searches_find_what_they_look_for() {
    let code =
        "x.spawn_linked(\n Some(a.into()), b); reply.send(answer(1))?; let spawned = f(2); let _ = other.send(3);";
    let spawned: Vec<_> = calls(code, "spawn").collect();
    assert_eq!(spawned, [("spawn_linked", "\n Some(a.into()), b", &code[code.find("; reply").unwrap()..])]);
    let fatal: Vec<_> =
        calls(code, ".send").filter(|(.., rest)| rest.starts_with('?')).map(|(_, sent, _)| sent).collect();
    assert_eq!(fatal, ["answer(1)"]);
}
