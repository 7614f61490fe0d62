//! A measure over the nights: a line for each target, with axes.

use std::fmt::Write;

use parallax_report::html::still::escape;

use super::html::shown;
use super::series::version;

/// The picture, and the place of the lines in it.
const SIZE: [f64; 2] = [330.0, 104.0];
const LEFT: f64 = 58.0;
const RIGHT: f64 = 322.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 82.0;
/// How lines are told apart.
const CLASSES: [&str; 6] = ["", "dash", "dot", "long", "mixed", "sparse"];

/// A measure.
#[derive(Debug)]
pub(super) struct Chart {
    name: String,
    /// What each line is called, and its points: a night and a value.
    lines: Vec<(String, Vec<(i64, f64)>)>,
}

impl Chart {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), lines: Vec::new() }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Adds a point to the line that is called so.
    pub(super) fn add(&mut self, line: &str, night: i64, value: f64) {
        match self.lines.iter_mut().find(|(name, _)| name == line) {
            Some((_, points)) => points.push((night, value)),
            None => self.lines.push((line.to_owned(), vec![(night, value)])),
        }
    }

    /// Its lines in the order of their targets.
    pub(super) fn sort(&mut self) {
        self.lines.sort_by_key(|(name, _)| version(name));
    }

    fn points(&self) -> impl Iterator<Item = (i64, f64)> {
        self.lines.iter().flat_map(|(_, points)| points.iter().copied())
    }

    /// A figure: what the last value is, and the lines with their least and greatest value, first and last night.
    pub(super) fn html(&self) -> String {
        let values = || self.points().map(|(_, value)| value);
        let (low, high) = (values().fold(f64::MAX, f64::min), values().fold(f64::MIN, f64::max));
        let nights = || self.points().map(|(night, _)| night);
        let (first, last) = (nights().min().unwrap_or_default(), nights().max().unwrap_or_default());
        let x = |night: i64| match last - first {
            0 => LEFT + 6.0,
            wide => LEFT + 6.0 + (RIGHT - LEFT - 12.0) * (night - first) as f64 / wide as f64,
        };
        let y = |value: f64| match high - low {
            wide if wide > 0.0 => BOTTOM - 6.0 - (BOTTOM - TOP - 12.0) * (value - low) / wide,
            _ => f64::midpoint(TOP, BOTTOM),
        };
        let mut picture =
            format!("<path class=\"axis\" d=\"M{LEFT} {TOP}V{BOTTOM}H{RIGHT}\" fill=\"none\"/>");
        let mut label = |x: f64, y: f64, anchor: &str, text: &str| {
            // Writing to a string cannot fail.
            let _ = write!(
                picture,
                "<text x=\"{x}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>",
                escape(text)
            );
        };
        label(LEFT - 4.0, y(high) + 3.5, "end", &shown(high));
        if high > low {
            label(LEFT - 4.0, y(low) + 3.5, "end", &shown(low));
        }
        label(x(first), BOTTOM + 14.0, "start", &format!("night {first}"));
        if last > first {
            label(x(last), BOTTOM + 14.0, "end", &last.to_string());
        }
        for (index, (_, points)) in self.lines.iter().enumerate() {
            let class = CLASSES[index % CLASSES.len()];
            let line: Vec<String> =
                points.iter().map(|(night, value)| format!("{:.1},{:.1}", x(*night), y(*value))).collect();
            let _ = write!(
                picture,
                "<polyline class=\"{class}\" points=\"{}\" fill=\"none\" stroke=\"currentColor\" stroke-width=\"1.5\"/>",
                line.join(" ")
            );
            for (night, value) in points {
                let _ = write!(
                    picture,
                    "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"2.5\" fill=\"currentColor\"><title>night {night}: {}</title></circle>",
                    x(*night),
                    y(*value),
                    shown(*value)
                );
            }
        }
        let told: Vec<String> = self.lines.iter().map(|(name, points)| told(name, points)).collect();
        let extent = match self.points().count() {
            _ if high > low => format!("; from {} to {}", shown(low), shown(high)),
            0 | 1 => String::new(),
            _ => ", always the same".to_owned(),
        };
        let (name, words) = (escape(&self.name), escape(&format!("{}{extent}", told.join("; "))));
        let [wide, tall] = SIZE;
        format!(
            "<figure><figcaption><b>{name}</b>{words}</figcaption>\
             <svg viewBox=\"0 0 {wide} {tall}\" role=\"img\" aria-label=\"{name}: {words}\">{picture}</svg></figure>\n"
        )
    }
}

/// The last value of a line, and what has changed since the night before.
fn told(name: &str, points: &[(i64, f64)]) -> String {
    let name = if name.is_empty() { String::new() } else { format!("{name}: ") };
    let Some((_, last)) = points.last() else { return name };
    let before = points.len().checked_sub(2).map(|index| points[index].1);
    let since = match before {
        Some(before) if before != *last => {
            let (step, part) = (last - before, (last - before) / before.abs());
            let percent = if before != 0.0 && part.abs() >= 0.0005 {
                format!(" ({:+.1} %)", 100.0 * part)
            } else {
                String::new()
            };
            let arrow = if step > 0.0 { '▲' } else { '▼' };
            format!(", {arrow} {}{percent} since the night before", shown(step.abs()))
        }
        _ => String::new(),
    };
    format!("{name}{}{since}", shown(*last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_has_axes_with_least_and_greatest_and_a_title_at_each_point() {
        let mut chart = Chart::new("operations a second");
        for (night, value) in [(1, 1500.0), (3, 1470.0), (4, 1520.0)] {
            chart.add("", night, value);
        }
        let html = chart.html();
        for part in [
            ">1,520</text>",
            ">1,470</text>",
            ">night 1</text>",
            ">4</text>",
            "<title>night 3: 1,470</title>",
            "▲ 50 (+3.4 %) since the night before",
            "from 1,470 to 1,520",
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
    }

    #[test]
    fn targets_are_lines_of_their_own() {
        let mut chart = Chart::new("instructions of x");
        chart.add("hyp", 1, 10.0);
        chart.add("pkvm:7.3", 1, 20.0);
        let html = chart.html();
        assert!(html.contains("hyp: 10; pkvm:7.3: 20; from 10 to 20"), "{html}");
        assert_eq!((html.matches("<polyline").count(), html.matches("class=\"dash\"").count()), (2, 1));
    }

    #[test]
    fn a_single_night_has_a_chart_too() {
        let mut chart = Chart::new("x");
        chart.add("", 7, 0.0);
        assert!(chart.html().contains("<title>night 7: 0</title>") && !chart.html().contains("NaN"));
    }
}
