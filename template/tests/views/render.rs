use std::{collections::BTreeSet, fs, path::PathBuf};

use fluent_templates::FluentLoader;
use loco_rs::controller::views::{engines::TeraView, ViewRenderer};
use serde_json::json;

use {{crate_name}}::initializers::view_engine::TEXTS;

fn files(directory: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(self::files(path.to_str().expect("text")));
        } else {
            files.push(path);
        }
    }
    files
}

/// The keys of a Fluent file.
fn keys(file: &str) -> BTreeSet<String> {
    fs::read_to_string(file)
        .expect("a Fluent file")
        .lines()
        .filter(|line| line.starts_with(|first: char| first.is_ascii_alphabetic()))
        .filter_map(|line| Some(line.split_once(" =")?.0.to_string()))
        .collect()
}

#[test]
fn home_is_rendered_without_a_request() {
    let engine = TeraView::build_with_post_process(|tera| {
        tera.register_function("t", FluentLoader::new(&*TEXTS));
        Ok(())
    })
    .expect("the views load");

    let html = engine
        .render("home/hello.html", json!({}))
        .expect("the view is rendered");

    assert!(html.contains("<h1>Hello World!</h1>"), "{html}");
}

#[test]
fn each_language_has_all_texts() {
    let english = keys("assets/i18n/en-US/main.ftl");
    for file in files("assets/i18n") {
        let language = file.display().to_string();
        assert_eq!(keys(&language), english, "{language}");
    }
}

#[test]
fn each_text_of_a_view_exists() {
    let mut texts = keys("assets/i18n/en-US/main.ftl");
    texts.extend(keys("assets/shared.ftl"));
    let mut count = 0;
    for view in files("assets/views") {
        let html = fs::read_to_string(&view).expect("a view");
        for part in html.split("t(key=\"").skip(1) {
            let (key, rest) = part.split_once('"').expect("a closing quote");
            // A key may continue with a variable.
            if !rest.starts_with(" ~") {
                assert!(texts.contains(key), "{key} in {}", view.display());
                count += 1;
            }
        }
    }
    assert!(count > 0, "no view has a text");
}
