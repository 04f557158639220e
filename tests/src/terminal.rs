//! Draws the screen of a terminal as SVG.

use std::fmt::Write;

/// The colours of a theme: background, text, and the line with the cursor.
struct Theme {
    background: &'static str,
    text: &'static str,
    selected: &'static str,
}

/// The files that README.md shows, and whether each is for dark pages.
pub const FILES: [(bool, &str); 2] = [
    (false, ".github/prompts.svg"),
    (true, ".github/prompts-dark.svg"),
];
const LIGHT: Theme = Theme {
    background: "#f6f8fa",
    text: "#1f2328",
    selected: "#1a7f37",
};
const DARK: Theme = Theme {
    background: "#151b23",
    text: "#f0f6fc",
    selected: "#3fb950",
};
/// In pixels.
const LINE_HEIGHT: usize = 20;
const CHARACTER_WIDTH: usize = 8;
const MARGIN: usize = 16;

/// Draws lines of text. A line is highlighted if it begins with `❯`, the cursor of a menu.
#[must_use]
pub fn draw(lines: &[String], is_dark: bool) -> String {
    let theme = if is_dark { DARK } else { LIGHT };
    let longest = lines.iter().map(|line| line.chars().count()).max();
    let width = longest.unwrap_or(0) * CHARACTER_WIDTH + 2 * MARGIN;
    let height = lines.len() * LINE_HEIGHT + 2 * MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\">\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"6\" fill=\"{}\"/>\n\
         <g font-family=\"ui-monospace, Menlo, Consolas, monospace\" font-size=\"13\" \
         xml:space=\"preserve\">\n",
        theme.background
    );
    for (index, line) in lines.iter().enumerate() {
        let fill = if line.starts_with('❯') {
            theme.selected
        } else {
            theme.text
        };
        let y = MARGIN + index * LINE_HEIGHT + LINE_HEIGHT * 3 / 4;
        let text = line.replace('&', "&amp;").replace('<', "&lt;");
        writeln!(
            svg,
            "<text x=\"{MARGIN}\" y=\"{y}\" fill=\"{fill}\">{text}</text>"
        )
        .expect("infallible");
    }
    svg + "</g>\n</svg>\n"
}
