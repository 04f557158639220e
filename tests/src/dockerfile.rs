//! Parses a Dockerfile and its `.dockerignore`, as far as the generated ones need it.

use std::path::{Component, Path};

/// A build stage: from one `FROM` to the next.
#[derive(Debug)]
pub struct Stage {
    /// The image or stage that this one starts from.
    pub base: String,
    /// Its name, as given with `AS`.
    pub name: Option<String>,
    /// Keywords in upper case with their arguments, in order.
    pub instructions: Vec<(String, String)>,
}

/// A `COPY` or `ADD`.
#[derive(Debug)]
pub struct Copy {
    /// The stage to copy from, or `None` for the build context.
    pub from: Option<String>,
    pub sources: Vec<String>,
    pub destination: String,
}

/// The stages of a Dockerfile, without comments and with continued lines joined.
///
/// # Panics
///
/// If an instruction other than `ARG` comes before the first `FROM`.
#[must_use]
pub fn stages(text: &str) -> Vec<Stage> {
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .collect();
    let mut stages: Vec<Stage> = Vec::new();
    for line in lines.join("\n").replace("\\\n", " ").lines() {
        let Some((keyword, arguments)) = line.trim().split_once(char::is_whitespace) else {
            continue;
        };
        let (keyword, arguments) = (keyword.to_uppercase(), arguments.trim().to_string());
        if keyword == "FROM" {
            let words: Vec<&str> = arguments.split_whitespace().collect();
            stages.push(Stage {
                base: words[0].to_string(),
                name: words.get(2).map(ToString::to_string),
                instructions: Vec::new(),
            });
        } else if let Some(stage) = stages.last_mut() {
            stage.instructions.push((keyword, arguments));
        } else {
            assert_eq!(keyword, "ARG", "only ARG may come before FROM");
        }
    }
    stages
}

impl Stage {
    /// The arguments of each instruction with this keyword.
    pub fn all<'a>(&'a self, keyword: &'a str) -> impl Iterator<Item = &'a str> {
        self.instructions
            .iter()
            .filter(move |(name, _)| name == keyword)
            .map(|(_, arguments)| arguments.as_str())
    }

    pub fn copies(&self) -> impl Iterator<Item = Copy> + '_ {
        self.all("COPY").map(Copy::parse)
    }
}

impl Copy {
    /// Parses the arguments of a `COPY`.
    ///
    /// # Panics
    ///
    /// If there are none.
    #[must_use]
    pub fn parse(arguments: &str) -> Self {
        let (flags, mut paths): (Vec<&str>, Vec<&str>) = arguments
            .split_whitespace()
            .partition(|word| word.starts_with("--"));
        let destination = paths.pop().expect("a destination").to_string();
        Self {
            from: flags
                .iter()
                .find_map(|flag| flag.strip_prefix("--from="))
                .map(String::from),
            sources: paths.into_iter().map(String::from).collect(),
            destination,
        }
    }
}

/// Whether a `.dockerignore` excludes this path, directly or through a parent directory. Supports
/// only `*` within a name, which is all that the generated file uses.
#[must_use]
pub fn is_ignored(dockerignore: &str, path: &Path) -> bool {
    let names: Vec<String> = path
        .components()
        .filter(|part| matches!(part, Component::Normal(_)))
        .map(|part| part.as_os_str().to_string_lossy().into_owned())
        .collect();
    dockerignore
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .any(|pattern| {
            let pattern: Vec<&str> = pattern.split('/').collect();
            pattern.len() <= names.len()
                && pattern
                    .iter()
                    .zip(&names)
                    .all(|(pattern, name)| matches_name(pattern, name))
        })
}

fn matches_name(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => name.strip_prefix(start).is_some_and(|name| {
            name.char_indices()
                .map(|(index, _)| &name[index..])
                .chain([""])
                .any(|end| matches_name(rest, end))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dockerignore_excludes_what_it_names_and_nothing_else() {
        let dockerignore = "# a comment\ntarget\n*.sqlite-*\nconfig/*.local.yaml\n";
        for (path, ignored) in [
            ("target/debug/svc", true),
            ("src/target.rs", false),
            ("svc.sqlite-wal", true),
            ("svc.sqlite", false),
            ("config/test.local.yaml", true),
            ("config/test.yaml", false),
            ("migration/target", false),
        ] {
            assert_eq!(is_ignored(dockerignore, Path::new(path)), ignored, "{path}");
        }
    }

    #[test]
    fn stages_are_parsed_with_continued_lines_and_without_comments() {
        let stages = stages(
            "# first\nFROM rust:1 AS build\nCOPY --from=x a b/ c/\nFROM debian\nCMD \\\n  [\"a\"]\n",
        );
        assert_eq!(stages.len(), 2);
        assert_eq!(stages[0].name.as_deref(), Some("build"));
        let copy = stages[0].copies().next().expect("a COPY");
        assert_eq!(copy.from.as_deref(), Some("x"));
        assert_eq!(copy.sources, ["a", "b/"]);
        assert_eq!(copy.destination, "c/");
        assert_eq!(stages[1].all("CMD").next().map(str::trim), Some("[\"a\"]"));
    }
}
