//! Explains a name by its row in the tables of this crate's README.md.

const README: &str = include_str!("../README.md");

/// A row of a table: what it is about, and its cells, each with the heading of its column.
struct Row {
    kind: &'static str,
    name: String,
    cells: Vec<(&'static str, &'static str)>,
}

/// What a figure of the report, an option, a profile or a setting means, and where it is set.
///
/// # Errors
///
/// If there is no such name: the error lists all of them.
pub fn explain(name: &str) -> Result<String, String> {
    let mut known = Vec::new();
    for row in rows() {
        if row.name != name {
            known.push(row.name);
            continue;
        }
        let mut lines = vec![format!("{name}: {}", row.kind)];
        for (heading, cell) in row.cells {
            if !cell.is_empty() {
                lines.push(format!("{heading}: {cell}"));
            }
        }
        lines.extend(source(row.kind, name));
        return Ok(lines.join("\n"));
    }
    Err(format!(
        "{name} is unknown. These are known: {}",
        known.join(", ")
    ))
}

/// Where a value is set.
fn source(kind: &str, name: &str) -> Option<String> {
    match kind {
        "profile" | "option" => {
            Some("set in: [env] of .cargo/config.toml, or MALLOC_CONF for a single run".to_string())
        }
        "setting" => Some(format!("set in: config/*.yaml, settings.{name}")),
        _ => None,
    }
}

fn rows() -> impl Iterator<Item = Row> {
    let mut headings: Vec<&'static str> = Vec::new();
    let is_content = |line: &&str| !line.starts_with("|-");
    README.lines().filter(is_content).filter_map(move |line| {
        let Some(row) = line
            .strip_prefix("| ")
            .and_then(|row| row.strip_suffix('|'))
        else {
            headings.clear();
            return None;
        };
        let cells: Vec<&'static str> = row.split('|').map(str::trim).collect();
        if headings.is_empty() {
            headings = cells;
            return None;
        }
        Some(Row {
            kind: headings[0],
            name: cells[0].replace('`', ""),
            cells: headings.iter().copied().zip(cells).skip(1).collect(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_options_profiles_and_settings_are_explained() {
        for (name, expected) in [
            ("live", "live: figure\nmeaning: what the service"),
            ("dirty_decay_ms", "set in: [env]"),
            ("lean", "options: `background_thread:true"),
            ("requests.in_flight", "default: `null`"),
            (
                "requests.in_flight",
                "config/*.yaml, settings.requests.in_flight",
            ),
        ] {
            let text = explain(name).expect(name);
            assert!(text.contains(expected), "{text}");
        }
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let error = explain("drity").expect_err("unknown");

        for name in ["drity is unknown", "dirty,", "memory.budget_percent"] {
            assert!(error.contains(name), "{error}");
        }
    }
}
