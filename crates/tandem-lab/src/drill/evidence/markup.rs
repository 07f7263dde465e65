//! Markup under construction: what is escaped, and where.

use std::fmt::Write as _;

/// Text that cannot be taken for markup.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

/// Markup under construction. Cells are escaped unless they are `raw`.
#[derive(Default)]
pub(super) struct Page(pub(super) String);

impl Page {
    pub(super) fn raw(&mut self, markup: &str) {
        self.0.push_str(markup);
    }

    pub(super) fn heading(&mut self, text: &str) {
        write!(self.0, "<h2>{}</h2>", escape(text)).expect("a string takes everything");
    }

    pub(super) fn paragraph(&mut self, class: &str, text: &str) {
        write!(self.0, "<p class=\"{class}\">{}</p>", escape(text))
            .expect("a string takes everything");
    }

    /// A table; a heading that starts with `#` is a column of numbers. Cells are
    /// markup already.
    pub(super) fn table(&mut self, headings: &[&str], rows: &[Vec<String>]) {
        let class = |heading: &str| {
            if heading.starts_with('#') {
                " class=\"n\""
            } else {
                ""
            }
        };
        self.raw("<div class=\"card\"><table><thead><tr>");
        for heading in headings {
            let text = escape(heading.trim_start_matches('#'));
            self.raw(&format!("<th{}>{text}</th>", class(heading)));
        }
        self.raw("</tr></thead><tbody>");
        for row in rows {
            self.raw("<tr>");
            for (heading, cell) in headings.iter().zip(row) {
                self.raw(&format!("<td{}>{cell}</td>", class(heading)));
            }
            self.raw("</tr>");
        }
        self.raw("</tbody></table></div>");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(
            escape("<a href='x'>\"&"),
            "&lt;a href=&#39;x&#39;&gt;&quot;&amp;"
        );
    }
}
