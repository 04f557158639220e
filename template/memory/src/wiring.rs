//! The lines with which an application uses this crate. Where the sources are available, as in
//! development, missing ones are reported.

use std::fs;

/// A line of a file. The file contains one of `markers` if the line is there.
struct Line {
    file: &'static str,
    markers: &'static [&'static str],
    text: &'static str,
}

const LINES: [Line; 5] = [
    Line {
        file: "src/bin/main.rs",
        markers: &["#[global_allocator]"],
        text: "#[global_allocator] static ALLOCATOR: memory::Allocator = memory::Allocator;",
    },
    Line {
        file: "src/bin/main.rs",
        markers: &["memory::block_on"],
        text: "memory::block_on(cli::main::<App, Migrator>())",
    },
    Line {
        file: "src/app.rs",
        markers: &["MemoryInitializer"],
        text: "Box::new(memory::MemoryInitializer), in `initializers`",
    },
    Line {
        file: "src/app.rs",
        markers: &["MemoryTask"],
        text: "tasks.register(memory::MemoryTask); in `register_tasks`",
    },
    Line {
        file: "src/app.rs",
        markers: &["memory::serve", "serve::<"],
        text: "memory::serve::<Self>(app, ctx, params).await, in `serve`",
    },
];

#[cfg(feature = "traces")]
const LINES_FOR_TRACES: &[Line] = &[Line {
    file: "src/logs.rs",
    markers: &["trace_layer"],
    text: ".with(memory::trace_layer::<H, _>()), where the subscriber is set up",
}];
#[cfg(not(feature = "traces"))]
const LINES_FOR_TRACES: &[Line] = &[];

/// One sentence for each missing line. Empty if there are no sources, as in production.
pub fn problems() -> Vec<String> {
    missing(|file| fs::read_to_string(file).ok())
}

fn missing(read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    LINES
        .iter()
        .chain(LINES_FOR_TRACES)
        .filter_map(
            |Line {
                 file,
                 markers,
                 text,
             }| {
                let source = read(file)?;
                let is_there = markers.iter().any(|marker| source.contains(marker));
                (!is_there).then(|| format!("{file} lacks {text}"))
            },
        )
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_that_is_missing_is_named() {
        let app = "Box::new(memory::MemoryInitializer) \
                   memory::serve::<Self>(app, ctx, params)";
        let main = "#[global_allocator] memory::block_on(";
        let sources = |file: &str| match file {
            "src/app.rs" => Some(app.to_string()),
            "src/bin/main.rs" => Some(main.to_string()),
            _ => None,
        };

        let missing = missing(sources);

        assert_eq!(
            missing,
            ["src/app.rs lacks tasks.register(memory::MemoryTask); in `register_tasks`"]
        );
    }

    #[test]
    fn without_sources_nothing_is_missing() {
        assert!(missing(|_| None).is_empty());
    }
}
