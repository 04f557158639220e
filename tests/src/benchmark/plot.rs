//! A chart of memory over time.

use plotters::{
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use super::{Memory, Results};

#[derive(Clone, Copy)]
pub enum Theme {
    Light,
    Dark,
}

/// The charts in README.md.
pub const FILES: [(Theme, &str); 2] = [
    (Theme::Light, ".github/memory.svg"),
    (Theme::Dark, ".github/memory-dark.svg"),
];

/// The size of an image in a README on GitHub.
const SIZE: (u32, u32) = (880, 460);
const LABELS: u32 = 190;
/// The seconds after the load that are shown, in which everything of interest happens.
const SHOWN: f64 = 8.0;
pub(crate) const FONT: &str = "sans-serif";

impl Theme {
    pub(crate) fn text(self) -> RGBColor {
        match self {
            Self::Light => RGBColor(0x1f, 0x23, 0x28),
            Self::Dark => RGBColor(0xe6, 0xed, 0xf3),
        }
    }

    fn grid(self) -> RGBColor {
        match self {
            Self::Light => RGBColor(0xd8, 0xde, 0xe4),
            Self::Dark => RGBColor(0x30, 0x36, 0x3d),
        }
    }

    /// Colours that remain distinct with a colour vision deficiency (Okabe and Ito).
    pub(crate) fn line(self, index: usize) -> RGBColor {
        let colours = match self {
            Self::Light => [
                (0xd5, 0x5e, 0x00),
                (0x00, 0x72, 0xb2),
                (0x00, 0x8f, 0x68),
                (0xb5, 0x56, 0x8f),
                (0x9a, 0x6f, 0x00),
                (0x59, 0x63, 0x6e),
            ],
            Self::Dark => [
                (0xff, 0x8a, 0x3d),
                (0x56, 0xb4, 0xe9),
                (0x2f, 0xcc, 0x9c),
                (0xe0, 0x92, 0xc0),
                (0xe0, 0xb4, 0x30),
                (0x9d, 0xa7, 0xb1),
            ],
        };
        let (red, green, blue) = colours[index % colours.len()];
        RGBColor(red, green, blue)
    }
}

/// Draws the resident memory of every profile over time, as SVG.
///
/// # Errors
///
/// If the chart cannot be drawn.
pub fn draw(results: &Results, theme: Theme) -> Result<String, Box<dyn std::error::Error>> {
    let mut svg = String::new();
    let rows: Vec<&Memory> = results
        .memory
        .iter()
        .filter(|row| results.large.iter().any(|large| large.name == row.name))
        .collect();
    let load = f64::from(results.load.seconds);
    let highest = rows.iter().map(|row| row.peak_mb.max).fold(0.0, f64::max);
    // With room for the labels above the lines.
    let top = (highest * 1.05 / 100.0).ceil() * 100.0;
    let end = SHOWN;
    let text = theme.text();

    let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
    let (plot, labels) = root.split_horizontally(SIZE.0 - LABELS);
    let mut chart = ChartBuilder::on(&plot)
        .margin(12)
        .margin_right(0)
        .x_label_area_size(46)
        .y_label_area_size(62)
        .caption(
            "Memory of a Loco service before, under and after a burst of requests",
            (FONT, 17).into_font().color(&text),
        )
        .build_cartesian_2d(-load..end, 0.0..top)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .bold_line_style(theme.grid())
        .light_line_style(TRANSPARENT)
        .axis_style(theme.grid())
        .label_style((FONT, 13).into_font().color(&text))
        .axis_desc_style((FONT, 14).into_font().color(&text))
        .x_desc("seconds after the load")
        .y_desc("resident memory (MB)")
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| format!("{y:.0}"))
        .draw()?;
    // The end of the load.
    chart.draw_series(std::iter::once(PathElement::new(
        vec![(0.0, 0.0), (0.0, top)],
        theme.grid().stroke_width(2),
    )))?;
    for (at, what, side) in [
        (-0.1, "under load", HPos::Right),
        (0.1, "at rest", HPos::Left),
    ] {
        let style = (FONT, 13)
            .into_font()
            .color(&text)
            .pos(Pos::new(side, VPos::Top));
        chart.draw_series(std::iter::once(Text::new(what, (at, top), style)))?;
    }

    for (index, row) in rows.iter().enumerate() {
        let points = row
            .series
            .iter()
            .copied()
            .filter(|(at, _)| (-load..=end).contains(at));
        chart.draw_series(LineSeries::new(points, theme.line(index).stroke_width(2)))?;
    }

    // Each line is named at its end; labels that would overlap are moved apart.
    let mut ends: Vec<(usize, i32)> = rows
        .iter()
        .enumerate()
        .map(|(index, row)| (index, chart.backend_coord(&(end, at_end(row, end))).1))
        .collect();
    ends.sort_by_key(|(_, y)| std::cmp::Reverse(*y));
    let mut lowest = i32::try_from(SIZE.1)? - 30;
    for (index, y) in ends {
        let label_y = y.min(lowest);
        lowest = label_y - 18;
        let row = rows[index];
        let colour = theme.line(index);
        labels.draw(&PathElement::new(
            vec![(2, y), (12, label_y), (16, label_y)],
            colour.stroke_width(1),
        ))?;
        let style = (FONT, 14)
            .into_font()
            .color(&colour)
            .pos(Pos::new(HPos::Left, VPos::Center));
        labels.draw(&Text::new(
            format!("{}: {:.0} MB", row.name, at_end(row, end)),
            (20, label_y),
            style,
        ))?;
    }
    root.present()?;
    drop((root, plot, labels, chart));
    Ok(svg)
}

/// The last value shown.
fn at_end(row: &Memory, end: f64) -> f64 {
    row.series
        .iter()
        .rev()
        .find(|(at, _)| *at <= end)
        .map_or(0.0, |(_, mb)| *mb)
}
