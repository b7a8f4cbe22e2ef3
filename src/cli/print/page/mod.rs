//! The report as one HTML page that needs nothing else: no network, no other file.
//!
//! ```text
//! assets/page.html   {title} {style} {data} {d3} {plot} {script}     filled in here, each once
//! ```
//!
//! The data of the page is JSON without `<`: whatever a table, a file or a value is called, it cannot end
//! the element that holds it. The script makes text of it, never markup. The charts are drawn by Observable Plot.

pub(crate) mod data;

use crate::inspect::lineage::Lineage;

const PAGE: &str = include_str!("../assets/page.html");
const STYLE: &str = include_str!("../assets/page.css");
const SCRIPT: &str = include_str!("../assets/page.js");
const CHARTS: &str = include_str!("../assets/charts.js");
const D3: &str = include_str!("../assets/d3-7.9.2.min.js");
const PLOT: &str = include_str!("../assets/plot-0.6.17.min.js");

/// The page.
pub(super) fn page(lineage: &Lineage) -> String {
    let tables: Vec<&str> = lineage.tables.iter().map(|table| table.table.as_str()).collect();
    let title = text(&format!("{}: {}", lineage.database, tables.join(", ")));
    let data = in_script(&data::of_page(lineage).to_string());
    let parts: [(&str, &str); 7] = [
        ("{title}", &title),
        ("{style}", STYLE),
        ("{data}", &data),
        ("{d3}", D3),
        ("{plot}", PLOT),
        ("{charts}", CHARTS),
        ("{script}", SCRIPT),
    ];
    // In the order of the page, and never twice: what was filled in is not looked at again.
    let (mut page, mut rest) = (String::with_capacity(data.len() + D3.len() + PLOT.len() + (1 << 16)), PAGE);
    for (mark, part) in parts {
        if let Some((before, after)) = rest.split_once(mark) {
            page.push_str(before);
            page.push_str(part);
            rest = after;
        }
    }
    page + rest
}

/// JSON that may be in a `<script>`: outside of its strings there is none of these characters.
fn in_script(json: &str) -> String {
    json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

/// Text that may be in an element.
fn text(plain: &str) -> String {
    plain.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_ends_the_element_that_holds_it() {
        let hostile = "</script><!--<script>alert(1)</script>&amp;{data}{script}";
        let json = in_script(&serde_json::json!({ "name": hostile }).to_string());
        assert!(!json.contains(['<', '>', '&']), "{json}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap()["name"], hostile);
        assert!(!text(hostile).contains('<'));
    }

    #[test]
    fn page_has_each_part_once_and_asks_for_nothing() {
        let mut lineage = Lineage::of_nothing("shop");
        lineage.database = "</title><script>{data}".to_owned();
        let page = page(&lineage);
        for mark in ["{title}", "{style}", "{d3}", "{plot}", "{charts}", "{script}"] {
            assert!(!page.contains(mark), "{mark} is not filled in");
        }
        assert_eq!(page.matches("<script").count(), 5, "data, two libraries, charts and the page's own");
        assert!(page.contains("default-src 'none'"));
        for asset in [PAGE, STYLE, SCRIPT, CHARTS] {
            assert!(!asset.contains("http://") && !asset.contains("innerHTML"), "{asset}");
        }
    }
}
