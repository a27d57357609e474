//! The page: the template with the data in it, and the scripts, the style sheet and uPlot within.

use minijinja::value::{Serde, Value};
use minijinja::{Environment, context};
use serde::Serialize;
use stage::{Failure, ResultExt};

use crate::accuracy::{Curve, Headline, Row};
use crate::critics::Judge;
use crate::outputs::Provenance;
use crate::problems::Problem;
use crate::rounds::{Filtered, OperatorYield, Prompted, Sampled};
use crate::settings::Change;
use crate::trees::Tree;
use crate::{Cost, Run};

/// The name of the template: that of an HTML file, so that texts are escaped.
const NAME: &str = "page.html";
const PAGE: &str = include_str!("../assets/page.html");
const STYLE: &str = include_str!("../assets/page.css");
/// The scripts, in the order in which they need each other.
const SCRIPTS: [&str; 4] = [
    include_str!("../assets/page.js"),
    include_str!("../assets/charts.js"),
    include_str!("../assets/lists.js"),
    include_str!("../assets/tree.js"),
];
/// uPlot 1.6.32 with its MIT licence, which goes with every copy.
const UPLOT: &str = concat!(
    "/*\n",
    include_str!("../assets/uplot/LICENSE"),
    "*/\n",
    include_str!("../assets/uplot/uPlot.iife.min.js")
);
const UPLOT_STYLE: &str = include_str!("../assets/uplot/uPlot.min.css");

/// Everything that the page shows, but for the trees.
#[derive(Debug, Serialize)]
pub(crate) struct Page {
    pub(crate) run: Run,
    pub(crate) headline: Headline,
    pub(crate) accuracy: Vec<Row>,
    pub(crate) curves: Vec<Curve>,
    pub(crate) critics: Vec<Judge>,
    pub(crate) filter: Vec<Filtered>,
    pub(crate) operators: Vec<OperatorYield>,
    pub(crate) costs: Vec<Cost>,
    pub(crate) settings: Vec<Change>,
    pub(crate) provenance: Vec<Provenance>,
    pub(crate) prompts: Vec<Prompted>,
    pub(crate) sampled: Sampled,
    pub(crate) problems: Vec<Problem>,
    /// How many problems there are in all.
    pub(crate) problems_total: usize,
}

/// The data of the charts.
#[derive(Serialize)]
struct Drawn<'a> {
    accuracy: &'a [Row],
    curves: &'a [Curve],
    critics: &'a [Judge],
}

/// A tree as the page has it: it is parsed when it is opened.
#[derive(Serialize)]
struct Embedded {
    id: String,
    json: String,
}

impl Page {
    /// The page as HTML.
    pub(crate) fn render(&self, trees: &[Tree]) -> Result<String, Failure> {
        let Self { accuracy, curves, critics, .. } = self;
        let drawn = embedded(&Drawn { accuracy, curves, critics })?;
        let tree = |tree: &Tree| Ok(Embedded { id: tree.id.clone(), json: embedded(tree)? });
        let trees: Vec<Embedded> = trees.iter().map(tree).collect::<Result<_, Failure>>()?;
        let mut templates = Environment::new();
        templates.add_template(NAME, PAGE).or_bug(NAME)?;
        let template = templates.get_template(NAME).or_bug(NAME)?;
        let data = Value::from(Serde(self));
        let parts = context! {
            css => STYLE,
            script => SCRIPTS.concat(),
            uplot_css => UPLOT_STYLE,
            uplot_js => UPLOT,
            data_json => drawn,
            trees => Value::from(Serde(trees)),
            ..data
        };
        template.render(parts).or_bug(NAME)
    }
}

/// A value as JSON that may stand within a script element, whatever texts are in it.
fn embedded(value: &impl Serialize) -> Result<String, Failure> {
    let json = serde_json::to_string(value).map_err(Failure::bug)?;
    // Texts alone can have these, and in a text they may be escaped.
    let escapes = [
        ('<', "\\u003c"),
        ('>', "\\u003e"),
        ('&', "\\u0026"),
        ('\u{2028}', "\\u2028"),
        ('\u{2029}', "\\u2029"),
    ];
    Ok(escapes.iter().fold(json, |json, (letter, escape)| json.replace(*letter, escape)))
}

#[cfg(test)]
mod tests {
    use super::embedded;

    #[test]
    fn no_text_can_end_the_script_it_stands_in() {
        let json = embedded(&["</script><script>alert(1)</script>", "a & b\u{2028}"]).unwrap();
        assert!(!json.contains(['<', '>', '&', '\u{2028}']), "{json}");
        let back: Vec<String> = serde_json::from_str(&json).unwrap();
        assert_eq!(back, ["</script><script>alert(1)</script>", "a & b\u{2028}"]);
    }
}
