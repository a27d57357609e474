//! Writes SVG as text. Coordinates are pixels with one decimal, so that equal charts give equal bytes.

/// An SVG document, line by line.
pub(super) struct Svg {
    size: [f64; 2],
    lines: Vec<String>,
}

/// The alignment of a text relative to its position.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
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

/// A palette for people with colour vision deficiency (Okabe and Ito), without its yellow, which is too light for
/// lines.
const COLOURS: [&str; 7] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"];

impl Svg {
    /// An empty sheet of the given size in pixels.
    pub(super) fn new(width: f64, height: f64) -> Self {
        Self { size: [width, height], lines: Vec::new() }
    }

    /// Returns the whole document.
    pub(super) fn finish(self) -> String {
        let [width, height] = self.size;
        let head = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
             viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
        );
        head + &self.lines.join("\n") + "\n</svg>\n"
    }

    /// Writes a text whose baseline is at `at`.
    pub(super) fn text(&mut self, at: [f64; 2], anchor: Anchor, text: &str) {
        let [x, y] = at;
        let (anchor, text) = (anchor.name(), escaped(text));
        self.lines.push(format!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"#222222\">{text}</text>"
        ));
    }

    /// Writes a text rotated to read upwards, centred on `at`.
    pub(super) fn upward(&mut self, at: [f64; 2], text: &str) {
        let ([x, y], text) = (at, escaped(text));
        self.lines.push(format!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" transform=\"rotate(-90 {x:.1} {y:.1})\" text-anchor=\"middle\" \
             fill=\"#222222\">{text}</text>"
        ));
    }

    /// Draws a thin grey line.
    pub(super) fn rule(&mut self, from: [f64; 2], to: [f64; 2]) {
        self.stroke(&[from, to], "stroke=\"#d0d0d0\"");
    }

    /// Draws a line through the points.
    pub(super) fn line(&mut self, points: &[[f64; 2]], style: Style) {
        let dashes = if style.dashed { " stroke-dasharray=\"6 4\"" } else { "" };
        let colour = style.colour();
        self.stroke(points, &format!("stroke=\"{colour}\" stroke-width=\"1.8\"{dashes}"));
    }

    /// Draws a vertical interval with a bar at both ends.
    pub(super) fn whisker(&mut self, x: f64, ends: [f64; 2], style: Style) {
        let colour = style.colour();
        let stroke = format!("class=\"whisker\" stroke=\"{colour}\"");
        let [low, high] = ends;
        let bar = |y: f64| [[x - 3.0, y], [x + 3.0, y]];
        let path = [bar(low)[0], bar(low)[1], [x, low], [x, high], bar(high)[0], bar(high)[1]];
        self.stroke(&path, &stroke);
    }

    /// Draws the mark of a point, with a tooltip.
    pub(super) fn mark(&mut self, at: [f64; 2], style: Style, text: &str) {
        let shape = style.shape_at(at);
        let text = escaped(text);
        self.lines.push(format!("<g class=\"mark\"><title>{text}</title>{shape}</g>"));
    }

    /// Draws a mark in the legend.
    pub(super) fn sample(&mut self, at: [f64; 2], style: Style) {
        self.lines.push(style.shape_at(at));
    }

    fn stroke(&mut self, points: &[[f64; 2]], attributes: &str) {
        let points: Vec<String> = points.iter().map(|[x, y]| format!("{x:.1},{y:.1}")).collect();
        let points = points.join(" ");
        self.lines.push(format!("<polyline points=\"{points}\" fill=\"none\" {attributes}/>"));
    }
}

impl Anchor {
    fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Middle => "middle",
            Self::End => "end",
        }
    }
}

impl Style {
    fn colour(self) -> &'static str {
        COLOURS[self.colour % COLOURS.len()]
    }

    fn shape_at(self, [x, y]: [f64; 2]) -> String {
        let colour = self.colour();
        let polygon = |corners: &[[f64; 2]]| {
            let corners: Vec<String> =
                corners.iter().map(|[dx, dy]| format!("{:.1},{:.1}", x + dx, y + dy)).collect();
            format!("<polygon points=\"{}\" fill=\"{colour}\"/>", corners.join(" "))
        };
        match self.shape % 4 {
            0 => format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4.5\" fill=\"{colour}\"/>"),
            1 => polygon(&[[-4.0, -4.0], [4.0, -4.0], [4.0, 4.0], [-4.0, 4.0]]),
            2 => polygon(&[[0.0, -5.5], [5.0, 4.0], [-5.0, 4.0]]),
            _ => polygon(&[[0.0, -5.5], [5.5, 0.0], [0.0, 5.5], [-5.5, 0.0]]),
        }
    }
}

/// Escapes text for XML; characters that XML cannot hold become U+FFFD.
fn escaped(text: &str) -> String {
    let piece = |character: char| match character {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '"' => "&quot;".to_owned(),
        '\u{fffe}' | '\u{ffff}' => '\u{fffd}'.to_string(),
        '\t' | '\n' | '\r' => ' '.to_string(),
        character if character < ' ' => '\u{fffd}'.to_string(),
        character => character.to_string(),
    };
    text.chars().map(piece).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_held_whatever_it_is() {
        assert_eq!(escaped("a<b & \"c\"\n\u{7}é>"), "a&lt;b &amp; &quot;c&quot; \u{fffd}é&gt;");
    }
}
