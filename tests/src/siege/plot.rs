//! A chart of who survives, and what honest clients get.

use plotters::{
    coord::Shift,
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use super::{results::Row, Attack, Siege};
use crate::benchmark::plot::{Theme, FONT};

/// The charts in README.md.
pub const FILES: [(Theme, &str); 2] = [
    (Theme::Light, ".github/siege.svg"),
    (Theme::Dark, ".github/siege-dark.svg"),
];

const WIDTH: u32 = 880;
/// Where the names of the attacks end, and the width of a service's column.
const NAMES: i32 = 300;
const COLUMN: i32 = 285;
const HEADER: i32 = 64;
const ROW: i32 = 22;
/// The lowest and highest value on the logarithmic scale of the bars, in milliseconds.
const SCALE_MS: (f64, f64) = (1.0, 10_000.0);

type DrawResult = Result<(), Box<dyn std::error::Error>>;

/// Draws a bar for each attack on each service: the p99 latency of honest requests.
///
/// # Errors
///
/// If the chart cannot be drawn.
pub fn draw(siege: &Siege, theme: Theme) -> Result<String, Box<dyn std::error::Error>> {
    let mut svg = String::new();
    let rows = i32::try_from(Attack::ALL.len())?;
    let height = u32::try_from(HEADER + rows * ROW + 12)?;
    let root = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
    let title = format!(
        "Attacked for {} s in a container of {} MiB: honest clients' p99",
        siege.seconds, siege.limit_mib
    );
    write(
        &root,
        theme,
        &title,
        (i32::try_from(WIDTH / 2)?, 18),
        HPos::Center,
    )?;
    for (column, service) in siege.services().into_iter().enumerate() {
        let x = NAMES + 12 + COLUMN * i32::try_from(column)?;
        write(&root, theme, service, (x, 46), HPos::Left)?;
        for (index, attack) in Attack::ALL.into_iter().enumerate() {
            let y = HEADER + ROW * i32::try_from(index)?;
            bar(&root, theme, &siege.row(service, attack), (x, y))?;
        }
    }
    for (index, attack) in Attack::ALL.into_iter().enumerate() {
        let y = HEADER + ROW * i32::try_from(index)? + ROW / 2;
        write(&root, theme, attack.name(), (NAMES, y), HPos::Right)?;
    }
    root.present()?;
    drop(root);
    Ok(svg)
}

fn bar(
    root: &DrawingArea<SVGBackend<'_>, Shift>,
    theme: Theme,
    row: &Row<'_>,
    (x, y): (i32, i32),
) -> DrawResult {
    let middle = y + ROW / 2;
    if row.killed() > 0 {
        let colour = theme.line(0);
        let all = Rectangle::new(
            [(x, y + 3), (x + COLUMN - 24, y + ROW - 3)],
            colour.mix(0.25).filled(),
        );
        root.draw(&all)?;
        return write(root, theme, "killed", (x + 6, middle), HPos::Left);
    }
    let unanswered = match row.unanswered() {
        0 => String::new(),
        _ => format!(", {:.1} % answered", row.answered_percent()),
    };
    let width = f64::from(COLUMN - 170);
    let (least, most) = SCALE_MS;
    let part = (row.p99_ms().clamp(least, most) / least).log10() / (most / least).log10();
    #[allow(clippy::cast_possible_truncation)]
    let end = x + 2 + (part * width) as i32;
    root.draw(&Rectangle::new(
        [(x, y + 4), (end, y + ROW - 4)],
        theme.line(1).filled(),
    ))?;
    let text = format!("{:.0} ms{unanswered}", row.p99_ms());
    write(root, theme, &text, (end + 6, middle), HPos::Left)
}

fn write(
    root: &DrawingArea<SVGBackend<'_>, Shift>,
    theme: Theme,
    text: &str,
    at: (i32, i32),
    side: HPos,
) -> DrawResult {
    let style = (FONT, 13)
        .into_font()
        .color(&theme.text())
        .pos(Pos::new(side, VPos::Center));
    Ok(root.draw(&Text::new(text.to_string(), at, style))?)
}
