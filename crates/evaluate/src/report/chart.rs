//! A chart of accuracies: axes with ticks, lines, marks, whiskers, and a legend next to them.

use super::svg::{Anchor, Style, Svg};

/// Accuracies in percent over some quantity.
pub(super) struct Chart {
    /// The title above the chart.
    pub(super) title: String,
    /// The label of the horizontal axis.
    pub(super) over: String,
    /// The scale of the horizontal axis.
    pub(super) scale: Scale,
    /// The series, in the order of the legend.
    pub(super) series: Vec<Series>,
}

/// The scale of a horizontal axis.
pub(super) enum Scale {
    /// Categories: the first name is at 0, the next at 1.
    Names(Vec<String>),
    /// Whole numbers, with a tick at each one that has a point.
    Rounds,
    /// Logarithmic, with ticks at 1, 2 and 5 times the powers of ten.
    Logarithm,
}

/// Points that share a name and a style.
pub(super) struct Series {
    /// The name in the legend.
    pub(super) name: String,
    /// Colour, shape and dashes.
    pub(super) style: Style,
    /// Whether the points are joined by a line, in their order.
    pub(super) joined: bool,
    /// Index of another series; this one's line begins at that series' first point.
    pub(super) start: Option<usize>,
    /// The points.
    pub(super) points: Vec<Point>,
}

/// A point.
pub(super) struct Point {
    /// Position on the horizontal axis.
    pub(super) x: f64,
    /// The accuracy in percent.
    pub(super) y: f64,
    /// The interval of the accuracy.
    pub(super) whisker: Option<[f64; 2]>,
    /// Text next to the point; empty for none.
    pub(super) label: String,
    /// The tooltip.
    pub(super) told: String,
}

const WIDTH: f64 = 800.0;
/// Height in pixels, unless the legend needs more.
const HEIGHT: f64 = 420.0;
/// The margins around the plot, in pixels.
const LEFT: f64 = 56.0;
const RIGHT: f64 = 216.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 52.0;
/// The height of a legend entry, in pixels.
const ENTRY: f64 = 19.0;
/// The approximate width of a letter, in pixels.
const LETTER: f64 = 6.5;
/// Horizontal distance between the points of neighbouring series at the same value, and the limit for all series
/// together, in pixels.
const APART: f64 = 8.0;
const SPREAD: f64 = 64.0;

impl Chart {
    /// Renders the chart as SVG.
    pub(super) fn svg(&self) -> String {
        let needed = TOP + BOTTOM + ENTRY * self.series.len() as f64;
        let height = if needed > HEIGHT { needed } else { HEIGHT };
        let frame = Frame { x: self.x_axis(), y: self.y_axis(), bottom: height - BOTTOM };
        let mut svg = Svg::new(WIDTH, height);
        svg.text([LEFT, 24.0], Anchor::Start, &self.title);
        frame.draw(&mut svg, &self.over);
        for (at, series) in self.series.iter().enumerate() {
            self.draw(&mut svg, &frame, at);
            let (x, y) = (WIDTH - RIGHT + 22.0, TOP + ENTRY * (at as f64 + 0.5));
            if series.joined {
                svg.line(&[[x - 10.0, y], [x + 10.0, y]], series.style);
            }
            svg.sample([x, y], series.style);
            svg.text([x + 16.0, y + 4.0], Anchor::Start, &series.name);
        }
        svg.finish()
    }

    fn draw(&self, svg: &mut Svg, frame: &Frame, at: usize) {
        let series = &self.series[at];
        let place_in = |at: usize, point: &Point| {
            let [x, y] = frame.place([point.x, point.y]);
            [x + self.shift(at), y]
        };
        let place = |point: &Point| place_in(at, point);
        if series.joined {
            // Placed with the shift of its own series, so that the line begins at the mark and not beside it.
            let start = series.start.and_then(|start| {
                self.series[start].points.first().map(|point| place_in(start, point))
            });
            let line: Vec<[f64; 2]> =
                start.into_iter().chain(series.points.iter().map(place)).collect();
            svg.line(&line, series.style);
        }
        for point in &series.points {
            let [x, y] = place(point);
            if let Some(ends) = point.whisker {
                let ends = ends.map(|end| frame.place([point.x, end])[1]);
                svg.whisker(x, ends, series.style);
            }
            svg.mark([x, y], series.style, &point.told);
            if !point.label.is_empty() {
                svg.text([x + 7.0, y - 6.0], Anchor::Start, &point.label);
            }
        }
    }

    /// Horizontal shift of a series, in pixels. Without it, points of several series at the same tick would cover one
    /// another.
    fn shift(&self, at: usize) -> f64 {
        match self.scale {
            Scale::Rounds | Scale::Names(_) => {
                let apart = APART.min(SPREAD / self.series.len() as f64);
                (at as f64 - (self.series.len() - 1) as f64 / 2.0) * apart
            }
            Scale::Logarithm => 0.0,
        }
    }

    fn x_axis(&self) -> Axis {
        let xs = || self.series.iter().flat_map(|series| &series.points).map(|point| point.x);
        match &self.scale {
            Scale::Names(names) => Axis::of_names(names),
            Scale::Rounds => Axis::of_rounds(xs().collect()),
            Scale::Logarithm => {
                Axis::of_logarithms(xs().fold(f64::MAX, f64::min), xs().fold(0.0, f64::max))
            }
        }
    }

    fn y_axis(&self) -> Axis {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let ends = points().filter_map(|point| point.whisker).flatten();
        let ys: Vec<f64> = points().map(|point| point.y).chain(ends).collect();
        // Student's interval over a few seeds may leave 0 to 100. Its whisker then ends at the edge.
        let low = ys.iter().fold(100.0, |low: f64, y| low.min(*y)).max(0.0);
        let high = ys.iter().fold(0.0, |high: f64, y| high.max(*y)).min(100.0);
        Axis::of_shares(low, high)
    }
}

/// A horizontal or vertical axis: maps values to positions from 0 to 1.
struct Axis {
    low: f64,
    high: f64,
    logarithm: bool,
    ticks: Vec<(f64, String)>,
    /// Number of rows that the tick labels alternate between, so that long neighbours do not overlap.
    rows: usize,
}

impl Axis {
    fn of_names(names: &[String]) -> Self {
        let longest = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        let room = (WIDTH - RIGHT - LEFT) / names.len().max(1) as f64;
        let rows = if longest as f64 * LETTER > room { 2 } else { 1 };
        let ticks = names.iter().enumerate().map(|(at, name)| (at as f64, name.clone()));
        let high = names.len() as f64 - 0.5;
        Self { low: -0.5, high, logarithm: false, ticks: ticks.collect(), rows }
    }

    fn of_rounds(mut numbers: Vec<f64>) -> Self {
        numbers.sort_by(f64::total_cmp);
        numbers.dedup();
        // Half a step at both ends leaves room for shifted points.
        let low = numbers.first().copied().unwrap_or(0.0) - 0.5;
        let high = numbers.last().copied().unwrap_or(0.0) + 0.5;
        let ticks = numbers.into_iter().map(|number| (number, format!("{number:.0}"))).collect();
        Self { low, high, logarithm: false, ticks, rows: 1 }
    }

    /// From the last tick at or below `least` to the first tick at or above `most`.
    fn of_logarithms(least: f64, most: f64) -> Self {
        let steps = (0..=9).flat_map(|power| [1.0, 2.0, 5.0].map(|step| step * 10_f64.powi(power)));
        let steps: Vec<f64> = steps.collect();
        let last = steps.len() - 1;
        let from = steps.iter().rposition(|step| *step <= least).unwrap_or(0);
        let to = steps.iter().position(|step| *step >= most).unwrap_or(last);
        // A single value still needs two ticks.
        let (from, to) =
            if from < to { (from, to) } else { (from.min(last - 1), from.min(last - 1) + 1) };
        let ticks = steps[from..=to].iter().map(|step| (*step, format!("{step:.0}"))).collect();
        Self { low: steps[from], high: steps[to], logarithm: true, ticks, rows: 1 }
    }

    /// Picks the smallest step that covers both values in at most eight steps.
    fn of_shares(low: f64, high: f64) -> Self {
        const STEPS: [f64; 8] = [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0];
        let ends = |step: f64| ((low / step).floor(), (high / step).ceil());
        let fits = |step: &&f64| ends(**step).1 - ends(**step).0 <= 8.0;
        let step = STEPS.iter().find(fits).copied().unwrap_or(20.0);
        let (from, to) = ends(step);
        // If all values are equal the axis still needs a length, by which `share` divides.
        let from = if from < to { from } else { (from - 1.0).max(0.0) };
        let to = if from < to { to } else { from + 1.0 };
        let digits = usize::from(step < 1.0);
        let tick = |i: i64| (i as f64 * step, format!("{:.digits$}", i as f64 * step));
        let ticks = (from as i64..=to as i64).map(tick).collect();
        Self { low: from * step, high: to * step, logarithm: false, ticks, rows: 1 }
    }

    /// The position of a value along the axis, 0 to 1. Values beyond the axis are put at its end.
    fn share(&self, number: f64) -> f64 {
        let number = number.clamp(self.low, self.high);
        if self.logarithm {
            (number / self.low).ln() / (self.high / self.low).ln()
        } else {
            (number - self.low) / (self.high - self.low)
        }
    }
}

/// Maps values to positions on the sheet.
struct Frame {
    x: Axis,
    y: Axis,
    bottom: f64,
}

impl Frame {
    fn place(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        let right = WIDTH - RIGHT;
        let (x, y) = (self.x.share(x), self.y.share(y));
        [LEFT + x * (right - LEFT), self.bottom - y * (self.bottom - TOP)]
    }

    /// Draws the ticks, the grid lines and the labels of the axes.
    fn draw(&self, svg: &mut Svg, over: &str) {
        let right = WIDTH - RIGHT;
        for (number, text) in &self.y.ticks {
            let y = self.place([self.x.low, *number])[1];
            svg.rule([LEFT, y], [right, y]);
            svg.text([LEFT - 8.0, y + 4.0], Anchor::End, text);
        }
        for (at, (number, text)) in self.x.ticks.iter().enumerate() {
            let x = self.place([*number, self.y.low])[0];
            svg.rule([x, self.bottom], [x, self.bottom + 5.0]);
            let row = (at % self.x.rows) as f64;
            svg.text([x, self.bottom + 19.0 + 13.0 * row], Anchor::Middle, text);
        }
        svg.rule([LEFT, TOP], [LEFT, self.bottom]);
        svg.text([LEFT.midpoint(right), self.bottom + 46.0], Anchor::Middle, over);
        svg.upward([18.0, TOP.midpoint(self.bottom)], "right, %");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, text)| text.as_str()).collect()
    }

    #[test]
    fn axes_begin_and_end_at_round_numbers() {
        assert_eq!(
            ticks(&Axis::of_shares(37.2, 43.3)),
            ["37", "38", "39", "40", "41", "42", "43", "44"]
        );
        assert_eq!(ticks(&Axis::of_shares(0.0, 100.0)), ["0", "20", "40", "60", "80", "100"]);
        assert_eq!(ticks(&Axis::of_shares(50.0, 50.0)), ["49.9", "50.0"]);
        assert_eq!(ticks(&Axis::of_shares(0.0, 0.0)), ["0.0", "0.1"]);
        assert_eq!(ticks(&Axis::of_logarithms(52.0, 700.0)), ["50", "100", "200", "500", "1000"]);
        assert_eq!(ticks(&Axis::of_logarithms(100.0, 100.0)), ["100", "200"]);
        assert_eq!(ticks(&Axis::of_rounds(vec![2.0, 0.0, 2.0, 1.0])), ["0", "1", "2"]);
    }

    #[test]
    fn names_that_are_too_long_for_one_row_take_turns_in_two() {
        let axis = |name: &str| Axis::of_names(&[name, "b", "c"].map(str::to_owned));
        let (short, long) = (axis("a"), axis("a name of thirty letters, or so"));
        assert_eq!((ticks(&short), short.rows), (vec!["a", "b", "c"], 1));
        assert_eq!(long.rows, 2);
        assert!((short.share(1.0) - 0.5).abs() < 1e-12 && (short.share(2.5) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_number_stands_between_the_ends_of_its_axis() {
        let axis = Axis::of_logarithms(10.0, 1000.0);
        let shares = [10.0, 100.0, 1000.0, 1.0, 1e9].map(|number| axis.share(number));
        for (share, expected) in shares.into_iter().zip([0.0, 0.5, 1.0, 0.0, 1.0]) {
            assert!((share - expected).abs() < 1e-12, "{share} is not {expected}");
        }
    }
}
