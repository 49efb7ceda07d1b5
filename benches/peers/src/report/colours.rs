//! Colours that work on a light and on a dark page.
//!
//! A chart is drawn in key colours, one per role, and a style sheet replaces them in either scheme. A CSS
//! rule overrides an SVG attribute, so one drawing serves both, alone or within the page.

use plotters::style::RGBColor;
use std::fmt::Write;

/// What a key colour stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Key {
    Surface,
    Ink,
    Muted,
    Grid,
    /// Ours, one after another.
    Ours(usize),
    Limit,
    /// A peer, by its place in the group.
    Peer(usize),
}

/// The colour on a light page and on a dark one.
type Look = (&'static str, &'static str);

const SURFACE: Look = ("#ffffff", "#1b1e24");
const INK: Look = ("#1f2328", "#e6e8eb");
const MUTED: Look = ("#5c6570", "#a0a8b3");
const GRID: Look = ("#e3e6ea", "#353a43");
const LIMIT: Look = ("#8a929c", "#7d8590");
const OURS: [Look; 3] = [("#d11149", "#ff5c8a"), ("#7a0c2e", "#ffb3c7"), ("#ff6b35", "#ffa07a")];
const PEERS: [Look; 12] = [
    ("#1f6feb", "#6cb0ff"),
    ("#2da44e", "#56d364"),
    ("#bf6a02", "#f0a35e"),
    ("#8250df", "#c297ff"),
    ("#0e8a96", "#4fd1d9"),
    ("#8a5a2b", "#c99a6b"),
    ("#7d8a00", "#c6d14a"),
    ("#b83d94", "#f08fd0"),
    ("#2b4a8b", "#93a9e0"),
    ("#c9a000", "#ffd84d"),
    ("#3c6e47", "#8fbf9a"),
    ("#6b5b73", "#b7a6c0"),
];

impl Key {
    /// A colour that no other key has, for plotters to write down.
    pub fn rgb(self) -> RGBColor {
        match self {
            Self::Surface => RGBColor(1, 0, 0),
            Self::Ink => RGBColor(1, 0, 1),
            Self::Muted => RGBColor(1, 0, 2),
            Self::Grid => RGBColor(1, 0, 3),
            Self::Limit => RGBColor(1, 0, 4),
            Self::Ours(n) => RGBColor(2, 0, (n % OURS.len()) as u8),
            Self::Peer(n) => RGBColor(3, 0, (n % PEERS.len()) as u8),
        }
    }

    fn look(self) -> Look {
        match self {
            Self::Surface => SURFACE,
            Self::Ink => INK,
            Self::Muted => MUTED,
            Self::Grid => GRID,
            Self::Limit => LIMIT,
            Self::Ours(n) => OURS[n % OURS.len()],
            Self::Peer(n) => PEERS[n % PEERS.len()],
        }
    }
}

fn keys() -> Vec<Key> {
    let fixed = [Key::Surface, Key::Ink, Key::Muted, Key::Grid, Key::Limit];
    let ours = (0..OURS.len()).map(Key::Ours);
    let peers = (0..PEERS.len()).map(Key::Peer);
    fixed.into_iter().chain(ours).chain(peers).collect()
}

/// The rules for charts, for both schemes.
pub fn style() -> String {
    let rules = |of: fn(Look) -> &'static str| {
        let mut rules = String::new();
        for key in keys() {
            let RGBColor(r, g, b) = key.rgb();
            let look = of(key.look());
            for attribute in ["fill", "stroke"] {
                // Writing to a String cannot fail.
                let _ = write!(
                    rules,
                    "svg [{attribute}=\"#{r:02X}{g:02X}{b:02X}\"]{{{attribute}:{look}}}"
                );
            }
        }
        rules
    };
    format!(
        "{}@media (prefers-color-scheme:dark){{{}}}",
        rules(|look| look.0),
        rules(|look| look.1)
    )
}

/// A drawing with its own style sheet, for a file of its own.
pub fn styled(svg: &str) -> String {
    match svg.find('>') {
        Some(end) => format!("{}\n<style>{}</style>{}", &svg[..=end], style(), &svg[end + 1..]),
        None => svg.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_keys_are_drawn_alike() {
        let mut seen: Vec<_> = keys()
            .into_iter()
            .map(|key| {
                let RGBColor(r, g, b) = key.rgb();
                (r, g, b)
            })
            .collect();
        let count = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), count);
    }

    #[test]
    fn a_file_gets_the_style_right_after_its_opening_tag() {
        let file = styled("<svg a=\"b\">\n<rect/></svg>");
        assert!(file.starts_with("<svg a=\"b\">\n<style>svg [fill="), "{file}");
        assert!(file.ends_with("</style>\n<rect/></svg>"));
    }
}
