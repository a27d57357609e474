//! A chart of accuracies: its series, and where its points are.

use std::ops::Range;

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

/// The style of a mark and its line, one per series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Style {
    /// Index of the colour; wraps around.
    pub(super) colour: usize,
    /// Index of the shape; wraps around.
    pub(super) shape: usize,
    /// Whether the line is dashed.
    pub(super) dashed: bool,
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
}

impl Chart {
    /// The range of the horizontal axis.
    pub(super) fn across(&self) -> Range<f64> {
        let (low, high) = ends(self.points().map(|point| point.x));
        match self.scale {
            Scale::Names(_) | Scale::Rounds => low - 0.5..high + 0.5,
            // Neighbouring ticks differ by a factor of 2.5 at most: there is one in this range, even for a single point.
            Scale::Logarithm => low.max(1.0) / 1.6..high.max(1.0) * 1.6,
        }
    }

    /// The range of the vertical axis. Student's interval over a few seeds may leave 0 to 100; its whisker then ends at
    /// the edge.
    pub(super) fn upward(&self) -> Range<f64> {
        let whiskers = self.points().filter_map(|point| point.whisker).flatten();
        let (low, high) = ends(self.points().map(|point| point.y).chain(whiskers));
        let room = ((high - low) / 20.0).max(0.5);
        (low - room).max(0.0)..(high + room).min(100.0)
    }

    /// How many ticks the horizontal axis has at most: not more than whole numbers, so that none is in between.
    pub(super) fn ticks(&self) -> usize {
        let Range { start, end } = self.across();
        let whole = (end - start) as usize;
        match self.scale {
            Scale::Names(_) => whole,
            Scale::Rounds | Scale::Logarithm => whole.min(20),
        }
    }

    fn points(&self) -> impl Iterator<Item = &Point> + Clone {
        self.series.iter().flat_map(|series| &series.points)
    }

    /// The text of a tick of the horizontal axis.
    pub(super) fn tick(&self, x: f64) -> String {
        match &self.scale {
            Scale::Names(names) => names.get(x as usize).cloned().unwrap_or_default(),
            Scale::Rounds | Scale::Logarithm => format!("{x:.0}"),
        }
    }

    /// The line of a series. Where it begins at another one's point, that has the shift of its own series.
    pub(super) fn line(&self, at: usize) -> Vec<(f64, f64)> {
        let series = &self.series[at];
        let start = series.start.and_then(|start| {
            self.series[start].points.first().map(|point| self.place(start, point))
        });
        start.into_iter().chain(series.points.iter().map(|point| self.place(at, point))).collect()
    }

    /// Where a point of this series is drawn: aside from those of other series, which it would cover at the same tick.
    pub(super) fn place(&self, at: usize, point: &Point) -> (f64, f64) {
        let apart = match self.scale {
            Scale::Rounds | Scale::Names(_) => 0.06_f64.min(0.5 / self.series.len() as f64),
            Scale::Logarithm => 0.0,
        };
        let shift = (at as f64 - (self.series.len() - 1) as f64 / 2.0) * apart;
        (point.x + shift, point.y)
    }
}

/// The smallest and the largest of these numbers; 0 if there are none.
fn ends(numbers: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let low = numbers.clone().reduce(f64::min);
    (low.unwrap_or(0.0), numbers.reduce(f64::max).unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A chart of rounds with a series for each list of points.
    fn chart(series: &[&[(f64, f64)]]) -> Chart {
        let point =
            |(x, y): &(f64, f64)| Point { x: *x, y: *y, whisker: None, label: String::new() };
        let series = series.iter().map(|points| Series {
            name: "series".to_owned(),
            style: Style { colour: 0, shape: 0, dashed: false },
            joined: true,
            start: None,
            points: points.iter().map(point).collect(),
        });
        let scale = Scale::Rounds;
        Chart {
            title: "title".to_owned(),
            over: "round".to_owned(),
            scale,
            series: series.collect(),
        }
    }

    #[test]
    fn the_vertical_axis_has_room_around_its_points_and_is_within_0_and_100() {
        let upward = |ys: [f64; 2]| chart(&[&ys.map(|y| (0.0, y))]).upward();
        assert_eq!(upward([40.0, 60.0]), 39.0..61.0);
        assert_eq!(upward([50.0, 50.0]), 49.5..50.5);
        assert_eq!(upward([0.0, 0.0]), 0.0..0.5);
        assert_eq!(upward([-20.0, 120.0]), 0.0..100.0);
    }

    #[test]
    fn a_line_begins_at_the_mark_that_it_starts_from() {
        let mut chart = chart(&[&[(0.0, 50.0)], &[(1.0, 60.0), (2.0, 70.0)]]);
        chart.series[1].start = Some(0);
        let base = &chart.series[0];
        let line = chart.line(1);
        assert_eq!((line.len(), line[0]), (3, chart.place(0, &base.points[0])));
        assert!(line[0].0 < 0.0 && line[1].0 > 1.0, "series are side by side: {line:?}");
    }
}
