//! Draws one chart: contenders as lines or dots, with the spread of the rounds.

use super::Drawing;
use super::colours::Key;
use crate::markdown::number;
use plotters::coord::cartesian::Cartesian2d;
use plotters::coord::ranged1d::{KeyPointHint, Ranged};
use plotters::prelude::*;
use plotters::style::Color;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::ops::Range;

/// Median, low end and high end; `None` where the contender takes no part.
pub type Point = Option<(f64, f64, f64)>;

pub struct Series {
    pub name: String,
    pub key: Key,
    /// One for each of the chart's labels.
    pub points: Vec<Point>,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Scale {
    Log,
    FromZero,
}

pub struct Chart {
    pub name: String,
    pub title: String,
    pub subtitle: String,
    /// The name of the horizontal axis, and its values.
    pub x: String,
    pub labels: Vec<String>,
    pub y: String,
    pub scale: Scale,
    pub joined: bool,
    pub series: Vec<Series>,
}

const WIDTH: u32 = 720;
const HEAD: u32 = 54;
const LEGEND: u32 = 168;
const FONT: &str = "system-ui, sans-serif";

type Failed = String;

fn failed<E: std::fmt::Display>(e: E) -> Failed {
    format!("cannot draw: {e}")
}

fn text(size: u32, key: Key) -> TextStyle<'static> {
    TextStyle {
        font: (FONT, size).into_font(),
        color: key.rgb().to_backend_color(),
        pos: Pos::default(),
    }
}

/// Draws the chart in key colours; see `colours`.
pub fn draw(chart: &Chart) -> Result<Drawing, Failed> {
    let height = 380.max(HEAD + 30 + 19 * chart.series.len() as u32);
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        root.fill(&Key::Surface.rgb()).map_err(failed)?;
        root.draw_text(&chart.title, &text(17, Key::Ink), (14, 10)).map_err(failed)?;
        let subtitle = if chart.subtitle.is_empty() {
            chart.y.clone()
        } else {
            format!("{} · {}", chart.subtitle, chart.y)
        };
        root.draw_text(&subtitle, &text(13, Key::Muted), (14, 33)).map_err(failed)?;
        let (_, body) = root.split_vertically(HEAD);
        let (plot, legend) = body.split_horizontally(WIDTH - LEGEND);
        let (low, high) = range(chart);
        match chart.scale {
            Scale::Log => {
                let y = Decades { low: low.log10(), high: high.log10() };
                draw_plot(chart, &plot, y, f64::log10)?;
            }
            Scale::FromZero => draw_plot(chart, &plot, Linear(low..high), |value| value)?,
        }
        draw_legend(chart, &legend)?;
        root.present().map_err(failed)?;
    }
    Ok(Drawing { name: chart.name.clone(), svg })
}

/// The lowest and highest value shown.
fn range(chart: &Chart) -> (f64, f64) {
    let points = chart.series.iter().flat_map(|series| series.points.iter().flatten());
    let (mut low, mut high) = (f64::INFINITY, 0.0f64);
    for &(median, _, _) in points {
        low = low.min(median);
        high = high.max(median);
    }
    match chart.scale {
        Scale::FromZero => (0.0, high.max(100.0) * 1.05),
        // The ends of a wide spread may be outside the picture, medians may not.
        Scale::Log => (low / 1.4, high * 1.4),
    }
}

/// A logarithmic axis with lines at 1, 2 and 5 of each decade, or at fewer where there are many decades.
struct Decades {
    low: f64,
    high: f64,
}

struct Linear(Range<f64>);

fn place(value: f64, low: f64, high: f64, (from, to): (i32, i32)) -> i32 {
    let share = (value - low) / (high - low);
    from + (share * f64::from(to - from)).round() as i32
}

impl Ranged for Decades {
    type FormatOption = plotters::coord::ranged1d::NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        place(*value, self.low, self.high, limit)
    }

    fn key_points<H: KeyPointHint>(&self, _: H) -> Vec<f64> {
        let steps: &[f64] = match self.high - self.low {
            decades if decades > 3.5 => &[1.0],
            decades if decades > 1.8 => &[1.0, 3.0],
            _ => &[1.0, 2.0, 5.0],
        };
        let decades = self.low.floor() as i32..=self.high.ceil() as i32;
        let lines = decades.flat_map(|d| steps.iter().map(move |s| f64::from(d) + s.log10()));
        lines.filter(|at| (self.low..=self.high).contains(at)).collect()
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

impl plotters::coord::ranged1d::ValueFormatter<f64> for Decades {
    fn format(value: &f64) -> String {
        short(10f64.powf(*value))
    }
}

impl Ranged for Linear {
    type FormatOption = plotters::coord::ranged1d::NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        place(*value, self.0.start, self.0.end, limit)
    }

    fn key_points<H: KeyPointHint>(&self, _: H) -> Vec<f64> {
        // The first step with at most eight lines.
        let steps = [20.0, 50.0, 100.0, 200.0, 500.0, 1000.0];
        let fits = |step: &&f64| self.0.end / **step <= 8.0;
        let step = steps.iter().find(fits).copied().unwrap_or(self.0.end / 5.0);
        let lines = std::iter::successors(Some(0.0), |at| Some(at + step));
        lines.take_while(|&at| at < self.0.end).collect()
    }

    fn range(&self) -> Range<f64> {
        self.0.clone()
    }
}

impl plotters::coord::ranged1d::ValueFormatter<f64> for Linear {
    fn format(value: &f64) -> String {
        short(*value)
    }
}

/// Without trailing zeros: 0.5, 20, 3,000.
fn short(value: f64) -> String {
    if value >= 1.0 {
        return number(value.round()).trim_end_matches(".00").trim_end_matches(".0").to_owned();
    }
    let shown = number(value);
    shown.trim_end_matches('0').trim_end_matches('.').to_owned()
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn draw_plot<Y>(chart: &Chart, area: &Area<'_>, y: Y, up: fn(f64) -> f64) -> Result<(), Failed>
where
    Y: Ranged<ValueType = f64> + plotters::coord::ranged1d::ValueFormatter<f64>,
{
    let bounds = y.range();
    let count = chart.labels.len() as f64;
    let mut context = ChartBuilder::on(area)
        .margin(8)
        .margin_right(14)
        .set_label_area_size(LabelAreaPosition::Left, 58)
        .set_label_area_size(LabelAreaPosition::Bottom, 56)
        .build_cartesian_2d(Linear(-0.35..count - 0.65), y)
        .map_err(failed)?;
    context
        .configure_mesh()
        .disable_x_mesh()
        .disable_x_axis()
        .light_line_style(Key::Surface.rgb())
        .bold_line_style(Key::Grid.rgb())
        .axis_style(Key::Grid.rgb())
        .y_label_style(text(12, Key::Muted))
        .draw()
        .map_err(failed)?;
    for at in 0..chart.series.len() {
        draw_series(chart, at, &mut context, up)?;
    }
    label_bottom(chart, area, &context, bounds.start)
}

/// A plot with the chart's labels along the bottom.
type Plot<'a, Y> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<Linear, Y>>;

/// Draws the series with this index: its points with their spread, and the lines between them.
fn draw_series<Y>(
    chart: &Chart,
    at: usize,
    plot: &mut Plot<'_, Y>,
    up: fn(f64) -> f64,
) -> Result<(), Failed>
where
    Y: Ranged<ValueType = f64>,
{
    let series = &chart.series[at];
    let bounds = plot.y_range();
    let inside = |value: f64| value.clamp(bounds.start, bounds.end);
    // Dots of different contenders at one value are drawn side by side.
    let shift = if chart.joined {
        0.0
    } else {
        let middle = (chart.series.len() as f64 - 1.0) / 2.0;
        0.6 * (at as f64 - middle) / chart.series.len() as f64
    };
    let across = |n: usize| n as f64 + shift;
    let colour = series.key.rgb();
    let strong = matches!(series.key, Key::Ours(_));
    let width = if strong { 3 } else { 2 };
    if chart.joined {
        for (n, pair) in series.points.windows(2).enumerate() {
            let [Some(a), Some(b)] = pair else { continue };
            let ends = vec![(across(n), up(a.0)), (across(n + 1), up(b.0))];
            let line = PathElement::new(ends, colour.stroke_width(width));
            plot.draw_series([line]).map_err(failed)?;
        }
    }
    for (n, point) in series.points.iter().enumerate() {
        let &Some((median, low, high)) = point else {
            continue;
        };
        let ends = vec![(across(n), inside(up(low))), (across(n), inside(up(high)))];
        let spread = PathElement::new(ends, colour.mix(0.45).stroke_width(5));
        plot.draw_series([spread]).map_err(failed)?;
        let size = if strong { 5 } else { 4 };
        let dot = Circle::new((across(n), up(median)), size, colour.filled());
        plot.draw_series([dot]).map_err(failed)?;
    }
    Ok(())
}

/// Labels the horizontal axis, whose values are words. Two parts of a long label are written below
/// each other.
fn label_bottom<Y>(
    chart: &Chart,
    area: &Area<'_>,
    plot: &Plot<'_, Y>,
    bottom: f64,
) -> Result<(), Failed>
where
    Y: Ranged<ValueType = f64>,
{
    let style = text(12, Key::Muted).pos(Pos::new(HPos::Center, VPos::Top));
    let (left, top) = area.get_base_pixel();
    let write = |words: &str, at: f64, line: i32| {
        let (x, y) = plot.backend_coord(&(at, bottom));
        let place = (x - left, y - top + 7 + 15 * line);
        area.draw_text(words, &style, place).map_err(failed)
    };
    for (n, label) in chart.labels.iter().enumerate() {
        for (line, part) in label.splitn(2, ", ").enumerate() {
            write(part, n as f64, line as i32)?;
        }
    }
    let lines = if chart.labels.iter().any(|l| l.contains(", ")) { 2 } else { 1 };
    write(&chart.x, (chart.labels.len() as f64 - 1.0) / 2.0, lines)
}

/// Names in the order of the lines' last points.
fn draw_legend(chart: &Chart, area: &Area<'_>) -> Result<(), Failed> {
    let last = |series: &Series| series.points.iter().rev().flatten().next().map_or(0.0, |p| p.0);
    let mut order: Vec<&Series> = chart.series.iter().collect();
    order.sort_by(|a, b| last(b).total_cmp(&last(a)));
    for (at, series) in order.into_iter().enumerate() {
        let y = 16 + 19 * at as i32;
        let swatch = Circle::new((8, y), 5, series.key.rgb().filled());
        area.draw(&swatch).map_err(failed)?;
        let key = if matches!(series.key, Key::Ours(_)) { Key::Ink } else { Key::Muted };
        let style = text(13, key).pos(Pos::new(HPos::Left, VPos::Center));
        area.draw_text(&series.name, &style, (20, y)).map_err(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axis_numbers_carry_no_empty_digits() {
        let shown = [0.001, 0.5, 1.0, 20.0, 300.0, 50_000.0].map(short);
        assert_eq!(shown, ["0.001", "0.5", "1", "20", "300", "50,000"]);
    }

    #[test]
    fn a_chart_with_gaps_is_drawn() {
        let series =
            |name: &str, points| Series { name: name.to_owned(), key: Key::Peer(0), points };
        let chart = Chart {
            name: "n".to_owned(),
            title: "Title".to_owned(),
            subtitle: String::new(),
            x: "threads".to_owned(),
            labels: vec!["1".to_owned(), "4".to_owned()],
            y: "y".to_owned(),
            scale: Scale::Log,
            joined: true,
            series: vec![
                series("a", vec![Some((1.0, 0.9, 1.1)), None]),
                series("b", vec![Some((10.0, 9.0, 11.0)), Some((20.0, 2.0, 30.0))]),
            ],
        };
        let svg = draw(&chart).expect("drawn").svg;
        assert!(svg.contains("</svg>") && svg.contains("Title"));
    }
}
