//! Draws a chart as SVG, with `plotters`.

use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::coord::types::RangedCoordf64;
use plotters::element::{DashedPathElement, DynElement};
use plotters::prelude::*;

use super::chart::{Chart, Scale, Series, Style};

/// A palette for people with colour vision deficiency (Okabe and Ito), without its yellow, which is too light for
/// lines.
struct OkabeIto;

impl Palette for OkabeIto {
    const COLORS: &'static [(u8, u8, u8)] = &[
        (0x00, 0x72, 0xb2),
        (0xd5, 0x5e, 0x00),
        (0x00, 0x9e, 0x73),
        (0xcc, 0x79, 0xa7),
        (0xe6, 0x9f, 0x00),
        (0x56, 0xb4, 0xe9),
        (0x00, 0x00, 0x00),
    ];
}

/// The corners of marks: a round one, a square, a triangle and a diamond; in pixels from the point.
const SHAPES: [&[(i32, i32)]; 4] = [
    &[(-2, -5), (2, -5), (5, -2), (5, 2), (2, 5), (-2, 5), (-5, 2), (-5, -2)],
    &[(-4, -4), (4, -4), (4, 4), (-4, 4)],
    &[(0, -6), (5, 4), (-5, 4)],
    &[(0, -6), (6, 0), (0, 6), (-6, 0)],
];

/// The smallest size of a plot with its axes, in pixels.
const PLOT: (u32, u32) = (584, 420);
/// The font. `plotters` divides sizes by 1.24: this is one of 12 pixels.
const FONT: (&str, u32) = ("sans-serif", 15);
/// The approximate width of a letter and the height of a line, in pixels.
const LETTER: (u32, u32) = (7, 19);
/// The colour of axes and grid lines.
const GREY: RGBColor = RGBColor(0xd0, 0xd0, 0xd0);

type Svg<'a> = SVGBackend<'a>;
type Area<'a> = DrawingArea<Svg<'a>, Shift>;
type Element<'a, C> = DynElement<'static, Svg<'a>, C>;
type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// The chart as SVG, its legend to the right. Equal charts give equal bytes.
pub(super) fn svg(chart: &Chart) -> String {
    let mut svg = String::new();
    draw(chart, &mut svg).expect("a string can always be written to");
    // `plotters` escapes what has a meaning in XML, but passes on what XML cannot hold.
    let refused = |letter: char| {
        letter.is_control() && letter != '\n' || matches!(letter, '\u{fffe}' | '\u{ffff}')
    };
    svg.replace(refused, "\u{fffd}")
}

fn draw(chart: &Chart, svg: &mut String) -> Drawn {
    let names = chart.series.iter().map(|series| &series.name);
    let legend = (60 + widest(names), 40 + LETTER.1 * chart.series.len() as u32);
    let width = match &chart.scale {
        Scale::Names(names) => PLOT.0.max(60 + (widest(names) + LETTER.0) * names.len() as u32),
        Scale::Rounds | Scale::Logarithm => PLOT.0,
    };
    let size = (width + legend.0, PLOT.1.max(legend.1));
    let sheet = SVGBackend::with_string(svg, size).into_drawing_area();
    sheet.fill(&WHITE)?;
    let (plot, legend) = sheet.split_horizontally(width);
    let across = chart.across();
    match chart.scale {
        Scale::Logarithm => draw_plot(chart, &plot, across.log_scale().with_key_points(steps()))?,
        Scale::Names(_) | Scale::Rounds => draw_plot(chart, &plot, across)?,
    }
    draw_legend(chart, &legend)?;
    sheet.present()
}

/// Draws the axes and all series.
fn draw_plot<X>(chart: &Chart, area: &Area<'_>, across: X) -> Drawn
where
    X: AsRangedCoord<Value = f64>,
    X::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let mut plot = ChartBuilder::on(area)
        .caption(&chart.title, FONT)
        .margin(8)
        .set_label_area_size(LabelAreaPosition::Left, 48)
        .set_label_area_size(LabelAreaPosition::Bottom, 44)
        .build_cartesian_2d(across, chart.upward())?;
    plot.configure_mesh()
        .disable_x_mesh()
        .max_light_lines(0)
        .bold_line_style(GREY)
        .axis_style(GREY)
        .label_style(FONT)
        .axis_desc_style(FONT)
        .x_desc(&chart.over)
        .x_labels(chart.ticks())
        .x_label_formatter(&|x| chart.tick(*x))
        .y_desc("right, %")
        .y_label_formatter(&|y| format!("{}", (y * 10.0).round() / 10.0))
        .draw()?;
    (0..chart.series.len()).try_for_each(|at| draw_series(chart, at, &mut plot))
}

fn draw_series<X: Ranged<ValueType = f64>>(
    chart: &Chart,
    at: usize,
    plot: &mut ChartContext<'_, Svg<'_>, Cartesian2d<X, RangedCoordf64>>,
) -> Drawn {
    let series = &chart.series[at];
    let style = series.style;
    if series.joined {
        plot.draw_series([style.line(chart.line(at))])?;
    }
    let places = || series.points.iter().map(|point| (chart.place(at, point), point));
    plot.draw_series(places().filter_map(|((x, y), point)| {
        let [low, high] = point.whisker?;
        Some(ErrorBar::new_vertical(x, low, y, high, style.colour(), 6))
    }))?;
    plot.draw_series(places().map(|(place, _)| EmptyElement::at(place) + style.mark()))?;
    let labelled = places().filter(|(_, point)| !point.label.is_empty());
    plot.draw_series(labelled.map(|(place, point)| {
        EmptyElement::at(place) + Text::new(point.label.clone(), (7, -16), FONT)
    }))?;
    Ok(())
}

/// Draws the legend: a second chart, without axes, whose series are empty.
fn draw_legend(chart: &Chart, area: &Area<'_>) -> Drawn {
    let mut legend = ChartBuilder::on(area).margin_top(26).build_cartesian_2d(0..1, 0..1)?;
    for Series { name, style, joined, .. } in &chart.series {
        let entry = legend.draw_series(None::<Circle<_, i32>>)?.label(name);
        let mark = |(x, y)| EmptyElement::at((x + 10, y)) + style.mark();
        if *joined {
            entry.legend(move |at| mark(at) + style.line(vec![(-10, 0), (10, 0)]));
        } else {
            entry.legend(mark);
        }
    }
    legend
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .legend_area_size(26)
        .label_font(FONT)
        .draw()
}

impl Style {
    fn colour(self) -> ShapeStyle {
        OkabeIto::pick(self.colour).filled()
    }

    fn line<'a, C: Clone + 'static>(self, points: Vec<C>) -> Element<'a, C> {
        let style = self.colour().stroke_width(2);
        if self.dashed {
            DashedPathElement::new(points, 6, 4, style).into_dyn()
        } else {
            PathElement::new(points, style).into_dyn()
        }
    }

    /// The mark, around its point.
    fn mark(self) -> Polygon<(i32, i32)> {
        Polygon::new(SHAPES[self.shape % SHAPES.len()], self.colour())
    }
}

/// The ticks of the logarithmic axis.
fn steps() -> Vec<f64> {
    (0..=9).flat_map(|power| [1.0, 2.0, 5.0].map(|step| step * 10_f64.powi(power))).collect()
}

/// The width of the longest of these names, in pixels.
fn widest(names: impl IntoIterator<Item = impl AsRef<str>>) -> u32 {
    let letters = names.into_iter().map(|name| name.as_ref().chars().count() as u32);
    letters.max().unwrap_or(0) * LETTER.0
}

#[cfg(test)]
mod tests {
    use super::super::chart::Point;
    use super::*;

    fn chart(scale: Scale, xs: &[f64]) -> Chart {
        let point = |x: &f64| Point { x: *x, y: 50.0, whisker: None, label: String::new() };
        let series = Series {
            name: "series".to_owned(),
            style: Style { colour: 0, shape: 0, dashed: false },
            joined: true,
            start: None,
            points: xs.iter().map(point).collect(),
        };
        Chart { title: "title".to_owned(), over: "over".to_owned(), scale, series: vec![series] }
    }

    /// The texts of the ticks below the plot: those between the label of the horizontal axis and the legend that are
    /// centred.
    fn ticks(chart: &Chart) -> Vec<String> {
        let svg = svg(chart);
        let (_, rest) = svg.split_once("\nover\n").unwrap();
        let texts = rest.split("<text ").skip(1).filter(|text| text.contains("\"middle\""));
        texts.map(|text| text.lines().nth(1).unwrap().to_owned()).collect()
    }

    #[test]
    fn names_and_rounds_have_a_tick_each_and_none_in_between() {
        for count in 1..=20 {
            let numbers: Vec<f64> = (0..count).map(f64::from).collect();
            let expected: Vec<String> = numbers.iter().map(f64::to_string).collect();
            assert_eq!(ticks(&chart(Scale::Rounds, &numbers)), expected);
            let names: Vec<String> =
                expected.iter().map(|number| format!("model {number}")).collect();
            assert_eq!(ticks(&chart(Scale::Names(names.clone()), &numbers)), names);
        }
    }

    #[test]
    fn a_logarithmic_axis_has_ticks_at_round_numbers() {
        let found = ticks(&chart(Scale::Logarithm, &[52.0, 700.0]));
        assert_eq!(found, ["50", "100", "200", "500", "1000"]);
        assert_eq!(ticks(&chart(Scale::Logarithm, &[300.0])), ["200"]);
        assert_eq!(ticks(&chart(Scale::Logarithm, &[0.0])), ["1"]);
    }

    #[test]
    fn a_text_is_held_whatever_it_is() {
        let names = vec!["a<b & \"c\"\u{7}é>".to_owned()];
        let svg = svg(&chart(Scale::Names(names), &[0.0]));
        assert!(svg.contains("\na&lt;b &amp; &quot;c&quot;\u{fffd}é&gt;\n"), "{svg}");
    }
}
