//! What every drawing must satisfy.

/// Checks every drawing of a page.
pub(crate) fn check_all(page: &str) {
    let mut rest = page;
    while let Some(start) = rest.find("<svg") {
        let end = start + rest[start..].find("</svg>").unwrap() + 6;
        check(&rest[start..end]);
        rest = &rest[end..];
    }
}

/// Well formed, every number finite, every text inside the picture.
pub(crate) fn check(text: &str) {
    let document = roxmltree::Document::parse(text).unwrap_or_else(|e| panic!("{e}: {text}"));
    let view: Vec<f64> = numbers(document.root_element().attribute("viewBox").unwrap());
    let (width, height) = (view[2], view[3]);
    for node in document.descendants().filter(roxmltree::Node::is_element) {
        for name in ["x", "y", "cx", "cy", "width", "height", "d"] {
            let Some(value) = node.attribute(name).filter(|v| !v.ends_with('%')) else {
                continue;
            };
            assert!(numbers(value).iter().all(|n| n.is_finite()), "{value}");
        }
        if node.has_tag_name("text") {
            let (x, y) = (
                numbers(node.attribute("x").unwrap()),
                numbers(node.attribute("y").unwrap()),
            );
            assert!(
                (0.0..=width).contains(&x[0]) && (0.0..=height).contains(&y[0]),
                "{node:?}"
            );
            assert!(!node.text().unwrap_or_default().contains("NaN"), "{node:?}");
        }
    }
}

fn numbers(text: &str) -> Vec<f64> {
    let words = text
        .split(|c: char| "MLh ".contains(c))
        .filter(|w| !w.is_empty());
    words
        .map(|w| w.parse().unwrap_or_else(|_| panic!("{w} in {text}")))
        .collect()
}
