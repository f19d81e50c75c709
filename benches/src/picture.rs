//! Bars as an SVG, for a README.

use std::fmt::Write;

const WIDTH: f64 = 860.0;
const BAR_HEIGHT: f64 = 20.0;
const ROW_HEIGHT: f64 = 28.0;
const TOP: f64 = 44.0;
/// Where the bars begin, behind their names.
const LEFT: f64 = 330.0;
/// Behind the longest bar there is room for its figure.
const RIGHT: f64 = 110.0;

/// One bar.
#[derive(Debug, Clone)]
pub struct Bar {
    /// What stands in front of it.
    pub name: String,
    /// How long it is; nothing is drawn for what is no number.
    pub value: f64,
    /// What stands behind it.
    pub figure: String,
    /// Whether it is one of ours.
    pub is_ours: bool,
}

/// A picture of these bars, which reads on light and on dark pages.
pub fn bars(title: &str, bars: &[Bar]) -> String {
    let height = TOP + ROW_HEIGHT * bars.len() as f64 + 12.0;
    let longest = bars.iter().map(|bar| bar.value).fold(1e-9, f64::max);
    let mut svg = String::new();
    // Writing to a string cannot fail.
    let _ = write!(
        svg,
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" aria-label="{title}" font-family="system-ui, sans-serif" font-size="13">
<style>text {{ fill: #24292f }} .ours {{ fill: #1f7a5c }} .other {{ fill: #9aa4af }} @media (prefers-color-scheme: dark) {{ text {{ fill: #e6edf3 }} .ours {{ fill: #3fb68b }} .other {{ fill: #6e7781 }} }}</style>
<text x="12" y="26" font-size="15" font-weight="600">{title}</text>
"#,
        title = escaped(title)
    );
    for (row, bar) in bars.iter().enumerate() {
        let top = TOP + ROW_HEIGHT * row as f64;
        let base = top + BAR_HEIGHT * 0.72;
        let value = if bar.value.is_finite() {
            bar.value
        } else {
            0.0
        };
        let width = (WIDTH - LEFT - RIGHT) * value / longest;
        let class = if bar.is_ours { "ours" } else { "other" };
        let _ = writeln!(
            svg,
            r#"<text x="{name_at}" y="{base:.1}" text-anchor="end">{name}</text><rect class="{class}" x="{LEFT}" y="{top:.1}" width="{width:.1}" height="{BAR_HEIGHT}" rx="2"/><text x="{figure_at:.1}" y="{base:.1}">{figure}</text>"#,
            name_at = LEFT - 10.0,
            name = escaped(&bar.name),
            figure_at = LEFT + width + 8.0,
            figure = escaped(&bar.figure)
        );
    }
    svg.push_str("</svg>\n");
    svg
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_bar_fills_the_width_and_names_are_escaped() {
        let bar = |name: &str, value| Bar {
            name: name.to_owned(),
            value,
            figure: String::new(),
            is_ours: false,
        };
        let svg = bars("speed", &[bar("a<b", 10.0), bar("c", 5.0)]);
        assert!(svg.contains("a&lt;b"), "{svg}");
        let widths = [WIDTH - LEFT - RIGHT, (WIDTH - LEFT - RIGHT) / 2.0];
        for width in widths {
            assert!(svg.contains(&format!(r#"width="{width:.1}""#)), "{svg}");
        }
    }
}
