//! Pictures, as SVG. The text in them is drawn by whoever shows them, with a font of
//! theirs.

use std::error::Error;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::contenders::ALL;
use crate::report::bytes;

const SIZE: (u32, u32) = (900, 520);
const FONT: &str = "sans-serif";
const TITLE: (&str, i32) = (FONT, 20);
const LABEL: (&str, i32) = (FONT, 14);
const MARGIN: i32 = 12;
/// The width of the names beside bars.
const NAMES: i32 = 240;
/// The width of the key beside lines, and the distance of its rows.
const KEY: i32 = 130;
const ROW: i32 = 22;
const GREY: RGBColor = RGBColor(90, 90, 90);

/// Colours that people who see fewer of them can tell apart (Okabe and Ito; the last two,
/// which differ from the others in how light they are, are ours).
const COLOURS: [RGBColor; 10] = [
    RGBColor(0, 0, 0),
    RGBColor(213, 94, 0),
    RGBColor(0, 114, 178),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(148, 128, 40),
    RGBColor(170, 170, 170),
    RGBColor(85, 40, 130),
];

/// Each contender has its own.
const _: () = assert!(ALL.len() <= COLOURS.len());

#[derive(Debug)]
pub(crate) enum Picture {
    Lines(Lines),
    #[cfg_attr(
        windows,
        allow(dead_code, reason = "the command, which is drawn so, is not there yet")
    )]
    Bars(Bars),
}

/// A line for each contender.
#[derive(Debug)]
pub(crate) struct Lines {
    /// The file's name, without its ending.
    pub(crate) file: String,
    pub(crate) title: String,
    pub(crate) x: &'static str,
    pub(crate) y: &'static str,
    pub(crate) axes: Axes,
    pub(crate) lines: Vec<(String, Vec<(f64, f64)>)>,
}

/// Lengths, one for each part of each contender.
#[derive(Debug)]
pub(crate) struct Bars {
    /// The file's name, without its ending.
    pub(crate) file: String,
    pub(crate) title: String,
    pub(crate) x: &'static str,
    /// What the parts are.
    pub(crate) parts: [&'static str; 2],
    pub(crate) bars: Vec<(String, [f64; 2])>,
}

/// What the axes of lines count.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Axes {
    /// Powers of 4 of bytes; logarithmic upwards too.
    Bytes,
    /// Powers of 10; logarithmic upwards too.
    Counts,
    /// Powers of 2; per cent upwards.
    Share,
}

/// Draws a picture into a folder, and says into which file.
pub(crate) fn draw(picture: &Picture, folder: &Path) -> io::Result<PathBuf> {
    let name = match picture {
        Picture::Lines(lines) => &lines.file,
        Picture::Bars(bars) => &bars.file,
    };
    let file = folder.join(name).with_extension("svg");
    let root = SVGBackend::new(&file, SIZE).into_drawing_area();
    let drawn = match picture {
        Picture::Lines(lines) => draw_lines(lines, &root),
        Picture::Bars(bars) => draw_bars(bars, &root),
    };
    let drawn = drawn.and_then(|()| Ok(root.present()?));
    drawn.map_err(|error| io::Error::other(format!("{}: {error}", file.display())))?;
    drop(root);
    Ok(file)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn Error>>;

fn draw_lines(picture: &Lines, root: &Area<'_>) -> Drawn {
    let all = || picture.lines.iter().flat_map(|(_, points)| points);
    let x = span(all().map(|point| point.0), 1.0);
    let y = span(all().map(|point| point.1), 1.3);
    match picture.axes {
        Axes::Bytes => {
            let x = x.log_scale().base(4.0);
            plot(picture, root, x, y.log_scale(), |x| in_bytes(*x))
        }
        Axes::Counts => plot(picture, root, x.log_scale(), y.log_scale(), |x| plain(*x)),
        Axes::Share => plot(picture, root, x.log_scale().base(2.0), 0.0..100.0, |x| {
            plain(*x)
        }),
    }
}

/// From the lowest to the highest, with some room.
fn span(values: impl Iterator<Item = f64>, room: f64) -> Range<f64> {
    let values = values.filter(|value| *value > 0.0);
    let (low, high) = values.fold((f64::INFINITY, 0.0_f64), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    match low < high {
        true => low / room..high * room,
        // One value, or none: any span that holds it.
        false => high.max(1.0) / 2.0..high.max(1.0) * 2.0,
    }
}

/// A number of bytes, of which marks on the axis are whole ones.
fn in_bytes(value: f64) -> String {
    let power = (0..40).find(|&power| (value - 2_f64.powi(power)).abs() < 0.5);
    power.map_or_else(|| plain(value), |power| bytes(1 << power))
}

/// As few digits as tell it from its neighbours.
fn plain(value: f64) -> String {
    match value.abs() {
        10.0.. => format!("{value:.0}"),
        _ => format!("{}", (value * 1000.0).round() / 1000.0),
    }
}

fn plot<X, Y>(
    picture: &Lines,
    root: &Area<'_>,
    x: X,
    y: Y,
    x_label: impl Fn(&f64) -> String,
) -> Drawn
where
    X: AsRangedCoord<Value = f64>,
    Y: AsRangedCoord<Value = f64>,
    X::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
    Y::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(root)
        .caption(&picture.title, TITLE)
        .margin(MARGIN)
        .margin_right(KEY + 2 * MARGIN)
        .x_label_area_size(48)
        .y_label_area_size(70)
        .build_cartesian_2d(x, y)?;
    chart
        .configure_mesh()
        .x_desc(picture.x)
        .y_desc(picture.y)
        .x_label_formatter(&x_label)
        .y_label_formatter(&|y| plain(*y))
        .x_labels(12)
        .label_style(LABEL)
        .light_line_style(TRANSPARENT)
        .draw()?;
    for ((_, points), (_, style)) in picture.lines.iter().zip(styles(picture)) {
        chart.draw_series(LineSeries::new(points.iter().copied(), style))?;
        // A line of a few points shows where it was measured.
        if points.len() <= 16 {
            let dots = points
                .iter()
                .map(|&point| Circle::new(point, 3, style.filled()));
            chart.draw_series(dots)?;
        }
    }
    draw_key(picture, root)
}

/// Which line is whose, beside the picture, where it covers nothing.
fn draw_key(picture: &Lines, root: &Area<'_>) -> Drawn {
    let (width, _) = root.dim_in_pixel();
    let left = i32::try_from(width)? - KEY;
    let text = LABEL
        .into_text_style(root)
        .pos(Pos::new(HPos::Left, VPos::Center));
    for (row, (name, style)) in (1..).zip(styles(picture)) {
        let y = 2 * MARGIN + ROW * row;
        root.draw(&PathElement::new([(left, y), (left + 22, y)], style))?;
        root.draw(&Text::new(name.as_str(), (left + 30, y), text.clone()))?;
    }
    Ok(())
}

/// How the line of each contender is drawn: in every picture alike.
fn styles(picture: &Lines) -> impl Iterator<Item = (&String, ShapeStyle)> {
    picture.lines.iter().map(|(name, _)| {
        let place = ALL.iter().position(|contender| contender.name == name);
        let colour = COLOURS[place.unwrap_or_default()];
        let width = if name == "pipewright" { 4 } else { 2 };
        (name, colour.stroke_width(width))
    })
}

fn draw_bars(picture: &Bars, root: &Area<'_>) -> Drawn {
    root.fill(&WHITE)?;
    let longest = picture.bars.iter().flat_map(|(_, lengths)| lengths);
    let longest = longest
        .copied()
        .filter(|length| length.is_finite())
        .fold(0.0, f64::max);
    let rows = picture.bars.len() as f64;
    let mut chart = ChartBuilder::on(root)
        .caption(&picture.title, TITLE)
        .margin(MARGIN)
        .x_label_area_size(48)
        .y_label_area_size(NAMES)
        // From the top down; and room for the figure beside the longest.
        .build_cartesian_2d(0.0..longest.max(0.001) * 1.12, rows..0.0)?;
    chart
        .configure_mesh()
        .x_desc(picture.x)
        .disable_y_mesh()
        .y_labels(0)
        .label_style(LABEL)
        .light_line_style(TRANSPARENT)
        .draw()?;
    for (part, (name, colour)) in picture
        .parts
        .iter()
        .zip([COLOURS[2], COLOURS[6]])
        .enumerate()
    {
        let top = 0.14 + 0.37 * part as f64;
        let bar = |(row, (_, lengths)): (usize, &(String, [f64; 2]))| {
            let top = row as f64 + top;
            Rectangle::new([(0.0, top), (lengths[part], top + 0.35)], colour.filled())
        };
        chart
            .draw_series(picture.bars.iter().enumerate().map(bar))?
            .label(*name)
            .legend(move |(x, y)| Rectangle::new([(x, y - 6), (x + 16, y + 6)], colour.filled()));
        let figure = LABEL
            .into_text_style(root)
            .pos(Pos::new(HPos::Left, VPos::Center));
        for (row, (_, lengths)) in picture.bars.iter().enumerate() {
            let (x, y) = chart.backend_coord(&(lengths[part], row as f64 + top + 0.18));
            root.draw(&Text::new(plain(lengths[part]), (x + 5, y), figure.clone()))?;
        }
    }
    let beside = LABEL
        .into_text_style(root)
        .pos(Pos::new(HPos::Right, VPos::Center));
    for (row, (name, _)) in picture.bars.iter().enumerate() {
        let (x, y) = chart.backend_coord(&(0.0, row as f64 + 0.5));
        root.draw(&Text::new(name.as_str(), (x - 8, y), beside.clone()))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.85))
        .border_style(GREY)
        .label_font(LABEL)
        .margin(MARGIN)
        .draw()?;
    Ok(())
}
