//! Which file uses which: from `use` lines and paths in the code, through re-exports to the file that defines the name.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;

use super::source::Source;

/// Names of a module from the crate's root on; empty for the root.
pub(super) type Module = Vec<String>;

/// The module that a file below `src` is.
pub(super) fn module_of(path: &str) -> Module {
    let path = path.strip_suffix(".rs").unwrap_or(path);
    let path = path.strip_suffix("/mod").unwrap_or(path);
    if path == "lib" { Vec::new() } else { path.split('/').map(str::to_owned).collect() }
}

/// Files and the files that each of them uses.
pub(super) type Graph = BTreeMap<String, BTreeSet<String>>;

/// The leaves of a `use` tree, each as path segments with the name that it gets.
fn leaves(tree: &str) -> Vec<(Vec<String>, String)> {
    fn walk(prefix: &[String], tree: &str, found: &mut Vec<(Vec<String>, String)>) {
        let tree = tree.trim();
        let segments = |text: &str| -> Vec<String> {
            text.split("::").map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
        };
        let Some((head, inner)) = tree.split_once('{') else {
            let (path, alias) = tree.split_once(" as ").unwrap_or((tree, ""));
            let path = [prefix, &segments(path)].concat();
            let name =
                if alias.is_empty() { path.last().cloned().unwrap_or_default() } else { alias.trim().to_owned() };
            found.push((path, name));
            return;
        };
        let prefix = [prefix, &segments(head)].concat();
        let inner = inner.rsplit_once('}').map_or(inner, |(inner, _)| inner);
        let (mut depth, mut start) = (0, 0);
        for (at, letter) in inner.char_indices().chain([(inner.len(), ',')]) {
            match letter {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    if !inner[start..at].trim().is_empty() {
                        walk(&prefix, &inner[start..at], found);
                    }
                    start = (at + 1).min(inner.len());
                }
                _ => {}
            }
        }
    }
    let mut found = Vec::new();
    walk(&[], tree, &mut found);
    found
}

struct Crate<'a> {
    /// Folders without a file of their own have none.
    files: BTreeMap<Module, Option<&'a str>>,
    /// What a name that a module re-exports is elsewhere.
    reexports: BTreeMap<(Module, String), (Module, String)>,
}

impl Crate<'_> {
    /// The module that a path from `at` begins with, and the first name in it.
    fn resolve(&self, at: &Module, path: &[String]) -> Option<(Module, Option<String>)> {
        let mut rest = path;
        let mut module = match path.first()?.as_str() {
            "crate" | "snaplake" => Vec::new(),
            "self" => at.clone(),
            "super" => at[..at.len().saturating_sub(1)].to_vec(),
            first if self.files.contains_key(&[at.as_slice(), &[first.to_owned()]].concat()) => {
                let mut module = at.clone();
                module.push(first.to_owned());
                module
            }
            _ => return None,
        };
        rest = &rest[1..];
        while rest.first().is_some_and(|part| part == "super") {
            module.pop();
            rest = &rest[1..];
        }
        while let Some(part) = rest.first() {
            let inner = [module.as_slice(), std::slice::from_ref(part)].concat();
            if !self.files.contains_key(&inner) {
                break;
            }
            module = inner;
            rest = &rest[1..];
        }
        Some((module, rest.first().cloned()))
    }

    /// The module that defines a name which `module` has.
    fn home(&self, module: Module, name: String) -> Module {
        let (mut at, mut seen) = ((module, name), BTreeSet::new());
        while let Some(next) = self.reexports.get(&at).filter(|_| seen.insert(at.clone())) {
            at = next.clone();
        }
        at.0
    }
}

/// Reads which file uses which.
pub(super) fn graph(sources: &[Source]) -> Graph {
    let mut files = BTreeMap::new();
    for source in sources {
        let module = module_of(&source.path);
        for length in 0..module.len() {
            files.entry(module[..length].to_vec()).or_insert(None);
        }
        files.insert(module, Some(source.path.as_str()));
    }
    let mut all = Crate { files, reexports: BTreeMap::new() };
    let line = Regex::new(r"\b(pub(?:\([^)]*\))?\s+)?use\s+([^;]+);").unwrap();
    let path = Regex::new(r"\b(?:crate|super|self|snaplake)(?:::\w+)+").unwrap();
    for source in sources {
        let module = module_of(&source.path);
        for found in line.captures_iter(&source.code).filter(|found| found.get(1).is_some()) {
            for (path, name) in leaves(&found[2]) {
                if let Some((home, Some(known))) = all.resolve(&module, &path) {
                    all.reexports.insert((module.clone(), name), (home, known));
                }
            }
        }
    }
    let mut graph = Graph::new();
    for source in sources {
        let module = module_of(&source.path);
        let uses = line.captures_iter(&source.code).filter(|found| found.get(1).is_none());
        let mut paths: Vec<Vec<String>> = uses.flat_map(|found| leaves(&found[2])).map(|(path, _)| path).collect();
        let code = line.replace_all(&source.code, "");
        paths.extend(path.find_iter(&code).map(|found| found.as_str().split("::").map(str::to_owned).collect()));
        let used = paths.iter().filter_map(|path| {
            let (module, name) = all.resolve(&module, path)?;
            let home = match name {
                Some(name) => all.home(module, name),
                None => module,
            };
            all.files.get(&home).copied().flatten().map(str::to_owned)
        });
        let used = used.filter(|file| *file != source.path && file != "lib.rs").collect();
        graph.insert(source.path.clone(), used);
    }
    graph
}

/// What each name reaches over arrows.
fn reached<'a>(from: &'a str, arrows: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> BTreeSet<&'a str> {
    let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(at) = open.pop() {
        for next in arrows.get(at).into_iter().flatten() {
            if seen.insert(*next) {
                open.push(next);
            }
        }
    }
    seen
}

/// Circles among the children of each folder: files, and folders as a whole.
pub(super) fn circles(graph: &Graph) -> Vec<String> {
    let folders: BTreeSet<Module> = graph
        .keys()
        .flat_map(|file| {
            let module = module_of(file);
            (0..module.len()).map(|length| module[..length].to_vec()).collect::<Vec<_>>()
        })
        .collect();
    let modules: BTreeMap<&str, Module> = graph.keys().map(|file| (file.as_str(), module_of(file))).collect();
    let mut complaints = Vec::new();
    for folder in folders {
        let child = |file: &str| -> Option<&str> {
            let module = modules.get(file)?;
            if *module == folder { Some("mod") } else { None }.or_else(|| {
                let rest = module.strip_prefix(folder.as_slice())?;
                rest.first().map(String::as_str)
            })
        };
        let mut arrows = BTreeMap::<&str, BTreeSet<&str>>::new();
        for (from, used) in graph {
            let Some(from) = child(from) else { continue };
            let used = used.iter().filter_map(|to| child(to)).filter(|to| *to != from);
            arrows.entry(from).or_default().extend(used);
        }
        let in_circles: Vec<&str> =
            arrows.keys().copied().filter(|name| reached(name, &arrows).contains(name)).collect();
        if !in_circles.is_empty() {
            complaints.push(format!("a circle in src/{}: {}", folder.join("/"), in_circles.join(", ")));
        }
    }
    complaints
}
