//! Fast tier: README.md agrees with the sources.

use std::fs;

use serde_yaml_ng::Value;
use template_tests::{profiles, repository, Answers};

fn readme() -> String {
    fs::read_to_string(repository().join("README.md")).expect("README.md")
}

#[test]
fn the_profile_table_is_the_one_in_the_hooks() {
    let readme = readme();
    for profile in profiles::all() {
        let options = match profile.options.as_deref() {
            None | Some("") => String::new(),
            Some(options) => format!("`{options}` "),
        };
        let row = format!("| `{}` | {options}| {} |", profile.name, profile.meaning);
        assert!(readme.contains(&row), "README.md has no row {row}");
    }
}

#[test]
fn the_crate_names_the_same_profiles() {
    let path = repository().join("template/memory/README.md");
    let readme = fs::read_to_string(path).expect("README.md of the memory crate");
    for profile in profiles::all() {
        let row = readme
            .lines()
            .find(|line| line.starts_with(&format!("| `{}` |", profile.name)))
            .unwrap_or_else(|| panic!("no row of {}", profile.name));
        assert!(row.ends_with(&format!("| {} |", profile.meaning)), "{row}");
        let options = profile.options.unwrap_or_default();
        assert!(row.contains(&options), "{row}");
    }
}

#[test]
fn the_guide_has_the_figures_of_the_crate() {
    let service = Answers::new("svc").render().expect("the answers render");
    let (guide, readme) = (
        service.read("docs/memory.md"),
        service.read("memory/README.md"),
    );
    let (_, table) = readme
        .split_once("| figure | meaning |\n|---|---|\n")
        .expect("a table");
    let rows: Vec<&str> = table.lines().take_while(|line| !line.is_empty()).collect();
    assert!(rows.len() > 10, "{rows:?}");
    for row in rows {
        assert!(guide.contains(row), "docs/memory.md does not have {row}");
    }
}

/// The anchor of a heading, as GitHub forms it.
fn anchor(heading: &str) -> String {
    let words = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = words
        .chars()
        .filter(|char| char.is_alphanumeric() || " -".contains(*char));
    kept.collect::<String>().replace(' ', "-")
}

#[test]
fn each_alert_has_its_figure_and_a_link_to_the_guide() {
    let service = Answers::new("svc")
        .with("background", "sqlite")
        .render()
        .expect("the answers render");
    let guide = service.read("docs/memory.md");
    let anchors: Vec<String> = guide
        .lines()
        .filter(|line| line.starts_with("## "))
        .map(anchor)
        .collect();
    let alerts: Value =
        serde_yaml_ng::from_str(&service.read("monitoring/alerts.yaml")).expect("YAML");
    let rules = alerts["groups"][0]["rules"].as_sequence().expect("rules");
    assert!(!rules.is_empty());
    for rule in rules {
        let text = |name: &str| rule["annotations"][name].as_str().unwrap_or_default();
        let url = text("runbook_url");
        let anchor = url.strip_prefix("docs/memory.md#").unwrap_or_default();
        assert!(anchors.iter().any(|known| known == anchor), "{rule:?}");
        let description = text("description");
        assert!(description.contains("{{ $labels."), "{rule:?}");
        // That a target is down is no figure.
        assert!(
            description.contains("{{ $value") || rule["alert"] == "TargetDown",
            "{rule:?}"
        );
    }
}

#[test]
fn the_questions_are_the_ones_asked() {
    let readme = readme();
    let prompts: toml::Table = toml::from_str(
        &fs::read_to_string(repository().join("cargo-generate.toml")).expect("the prompts"),
    )
    .expect("TOML");
    let conditionals = prompts["conditional"]
        .as_table()
        .expect("conditionals")
        .values();
    let tables = conditionals.filter_map(|block| block.get("placeholders"));
    let mut questions = 0;
    for (name, question) in tables.flat_map(|table| table.as_table().expect("questions")) {
        let row = readme
            .lines()
            .find(|line| line.starts_with(&format!("| `{name}` |")))
            .unwrap_or_else(|| panic!("README.md does not have {name}"));
        let prompt = question["prompt"].as_str().expect("text");
        assert!(prompt.len() <= 100, "more than fits on a line: {prompt}");
        let mut from = 0;
        for choice in question
            .get("choices")
            .and_then(toml::Value::as_array)
            .into_iter()
            .flatten()
        {
            let choice = format!("`{}`", choice.as_str().expect("text"));
            let values = row.splitn(4, '|').last().unwrap_or(row);
            let at = values[from..]
                .find(&choice)
                .unwrap_or_else(|| panic!("{name}: no {choice}, in order, in {row}"));
            from += at + choice.len();
        }
        questions += 1;
    }
    assert_eq!(questions, 10);
}

#[test]
fn the_readme_installs_the_tested_cargo_generate() {
    let manifest: toml::Table = toml::from_str(
        &fs::read_to_string(repository().join("tests/Cargo.toml")).expect("the manifest"),
    )
    .expect("TOML");
    let version = manifest["dependencies"]["cargo-generate"]["version"]
        .as_str()
        .expect("a version");
    let version = version.trim_start_matches('=');

    assert!(readme().contains(&format!("cargo install --locked cargo-generate@{version} ")));
    let prompts =
        fs::read_to_string(repository().join("cargo-generate.toml")).expect("the prompts");
    assert!(prompts.contains(&format!("cargo_generate_version = \">={version}\"")));
}

#[test]
fn the_development_guide_names_existing_files() {
    let services = ["rest-api", "saas-server", "saas-client"].map(|starter| {
        let answers = Answers::new("svc").with("starter", starter);
        answers.render().expect("the answers render")
    });
    // Created by the reader
    let examples = [
        "post",
        "thumbnail",
        "countries",
        "config/scheduler.yaml",
        "src/mailers/shared",
    ];
    let guide = services[0].read("docs/development.md");
    let folders = [
        "src/",
        "tests/",
        "config/",
        "assets/",
        "frontend/",
        "migration/",
        "docs/",
    ];
    let paths = guide
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|code| folders.iter().any(|folder| code.starts_with(folder)))
        .filter(|path| !path.contains([' ', '*', '<']))
        .filter(|path| !examples.iter().any(|example| path.contains(example)));
    let mut count = 0;
    for path in paths {
        let exists = services.iter().any(|service| service.has(path));
        assert!(exists, "docs/development.md names {path}");
        count += 1;
    }
    assert!(count > 30, "{count}");
}

/// What both languages share: headings by level, tables by their cells' figures, code, and links.
#[derive(Debug, PartialEq, Eq)]
struct Content {
    headings: Vec<usize>,
    tables: Vec<Vec<Vec<String>>>,
    blocks: Vec<String>,
    inline: Vec<String>,
    links: Vec<String>,
}

impl Content {
    fn of(readme: &str) -> Self {
        let parts = || readme.split("```").enumerate();
        let blocks = parts().filter(|(number, _)| number % 2 == 1);
        let prose: String = parts()
            .filter(|(number, _)| number % 2 == 0)
            .map(|(_, prose)| prose)
            .collect();
        let level = |line: &str| line.chars().take_while(|char| *char == '#').count();
        let row = |line: &str| line.split('|').map(figures).collect();
        let code = prose.split('`').skip(1).step_by(2);
        let code = code.map(|code| code.split_whitespace().collect::<Vec<_>>().join(" "));
        let links = prose
            .split("](")
            .skip(1)
            .filter_map(|link| link.split_once(')'))
            .map(|(link, _)| link.to_string())
            // Those to the other language, and to headings
            .filter(|link| !link.starts_with("README") && !link.starts_with('#'));
        Self {
            headings: prose
                .lines()
                .map(level)
                .filter(|level| *level > 0)
                .collect(),
            tables: prose
                .lines()
                .filter(|line| line.starts_with('|'))
                .map(row)
                .collect(),
            blocks: blocks.map(|(_, block)| block.to_string()).collect(),
            inline: sorted(code),
            links: sorted(links),
        }
    }
}

/// The numbers in a text, in ascending order, as the languages order them differently.
fn figures(text: &str) -> Vec<String> {
    let numbers = text.split(|char: char| !char.is_ascii_digit() && char != '.');
    let numbers = numbers.map(|number| number.trim_matches('.').to_string());
    sorted(numbers.filter(|number| !number.is_empty()))
}

fn sorted(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut texts: Vec<String> = texts.collect();
    texts.sort();
    texts
}

#[test]
fn the_chinese_readme_has_the_same_figures_code_and_links() {
    let path = repository().join("README.zh-CN.md");
    let chinese = fs::read_to_string(path).expect("README.zh-CN.md");
    let (chinese, english) = (Content::of(&chinese), Content::of(&readme()));

    assert_eq!(chinese.headings, english.headings);
    for (chinese, english) in chinese.tables.iter().zip(&english.tables) {
        assert_eq!(chinese, english);
    }
    assert_eq!(chinese, english);
}

#[test]
fn links_within_a_readme_lead_to_its_headings() {
    for file in ["README.md", "README.zh-CN.md"] {
        let text = fs::read_to_string(repository().join(file)).expect(file);
        let headings: Vec<String> = text
            .lines()
            .filter(|line| line.starts_with("## "))
            .map(anchor)
            .collect();
        let mut links = 0;
        for link in text.split("](#").skip(1) {
            let (link, _) = link.split_once(')').expect("a link ends");
            assert!(
                headings.iter().any(|heading| heading == link),
                "{file}: {link}"
            );
            links += 1;
        }
        assert!(links > 0, "{file}");
    }
}
