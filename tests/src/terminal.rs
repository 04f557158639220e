//! Draws the screen of a terminal as SVG.

use std::fmt::Write;

use crate::benchmark::plot::Theme;

/// The pictures in README.md.
pub const FILES: [(Theme, &str); 2] = [
    (Theme::Light, ".github/prompts.svg"),
    (Theme::Dark, ".github/prompts-dark.svg"),
];
/// In pixels.
const LINE_HEIGHT: usize = 20;
const CHARACTER_WIDTH: usize = 8;
const MARGIN: usize = 16;

/// Draws lines of text. A line is highlighted if it begins with `❯`, the cursor of a menu.
#[must_use]
pub fn draw(lines: &[String], theme: Theme) -> String {
    let (background, selected) = match theme {
        Theme::Light => ("#f6f8fa", "#1a7f37"),
        Theme::Dark => ("#151b23", "#3fb950"),
    };
    let plotters::style::RGBColor(red, green, blue) = theme.text();
    let text_colour = format!("#{red:02x}{green:02x}{blue:02x}");
    let longest = lines.iter().map(|line| line.chars().count()).max();
    let width = longest.unwrap_or(0) * CHARACTER_WIDTH + 2 * MARGIN;
    let height = lines.len() * LINE_HEIGHT + 2 * MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\">\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"6\" fill=\"{background}\"/>\n\
         <g font-family=\"ui-monospace, Menlo, Consolas, monospace\" font-size=\"13\" \
         xml:space=\"preserve\">\n"
    );
    for (index, line) in lines.iter().enumerate() {
        let fill = if line.starts_with('❯') {
            selected
        } else {
            &text_colour
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
