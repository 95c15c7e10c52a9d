//! The parts of charts, as SVG.

/// Both colour schemes, on a ground of its own, so that it can be read on a page of the other.
const LIGHT: &str = "\
text{font:12px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;fill:#1f2328}
.title{font-size:17px;font-weight:600}.small{font-size:11px;fill:#59636e}\
.end{text-anchor:end}.middle{text-anchor:middle}
.ground{fill:#ffffff}.grid{stroke:#d1d9e0}.ours{stroke:#1f2328;stroke-width:1.5}";
const DARK: &str = "\
text{fill:#f0f6fc}.small{fill:#9198a1}.ground{fill:#0d1117}.grid{stroke:#3d444d}\
.ours{stroke:#f0f6fc}";

/// Styles of a chart's own.
pub struct Colours {
    pub light: &'static str,
    pub dark: &'static str,
}

/// Where a chart begins; `</svg>` is left to the caller.
pub fn head(
    [width, height]: [f64; 2],
    title: &str,
    subtitles: [&str; 2],
    colours: &Colours,
) -> String {
    let Colours { light, dark } = colours;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         width=\"{width}\" height=\"{height}\" \
         role=\"img\">\n<title>{title}</title>\n<style>{LIGHT}\n{light}\n\
         @media(prefers-color-scheme:dark){{{DARK}\n{dark}}}</style>\n\
         <rect class=\"ground\" width=\"{width}\" height=\"{height}\" rx=\"6\"/>\n"
    );
    svg += &text(20.0, 32.0, "title", title);
    svg += &text(20.0, 52.0, "small", subtitles[0]);
    svg + &text(20.0, 68.0, "small", subtitles[1])
}

pub fn line([x1, y1]: [f64; 2], [x2, y2]: [f64; 2], class: &str) -> String {
    format!(
        "<line class=\"{class}\" x1=\"{x1:.1}\" x2=\"{x2:.1}\" y1=\"{y1:.1}\" y2=\"{y2:.1}\"/>\n"
    )
}

pub fn text(x: f64, y: f64, class: &str, text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    format!("<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>\n")
}

/// Where a value lies between two places, which stand for two values.
pub fn on_log_scale(value: f64, [from, to]: [f64; 2], [start, end]: [f64; 2]) -> f64 {
    start + (end - start) * (value / from).ln() / (to / from).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_factor_is_always_as_far() {
        let at = |value| on_log_scale(value, [10.0, 1000.0], [50.0, 250.0]);
        assert_eq!(
            [at(10.0), at(100.0).round(), at(1000.0)],
            [50.0, 150.0, 250.0]
        );
    }
}
