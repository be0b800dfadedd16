//! The page of `--html`: one file, with a map of the image's tree, bars of its layers and what to
//! change. It refers to nothing outside, runs nothing, and shows names of an image as text only.

use std::collections::HashMap;
use std::fmt::Write as _;

use shiplap_model::quote;
use shiplap_ops::analyze::Analysis;
use shiplap_ops::analyze::paths::{Change, PathId};
use shiplap_ops::analyze::proposal::Proposal;
use shiplap_ops::analyze::report::{Count, LayerReport};
use shiplap_ops::analyze::tree::{Shown, Tree};

use super::map::{Area, divide};
use super::{clean, clean_path, one_line, percent, rest};
use crate::words;

const STYLE: &str = include_str!("page.css");

/// The map's size; it is drawn as large as the page is wide.
const MAP: Area = Area {
    x: 0.0,
    y: 0.0,
    width: 1200.0,
    height: 640.0,
};

/// How deep directories are drawn within directories.
const MAP_DEPTH: usize = 6;

/// Most rectangles of the map: a page with more is slow to draw.
const MAP_AREAS: usize = 4000;

/// Most changes that the page tells: an image of hundreds of layers has thousands.
const SHOWN_CHANGES: usize = 100;

/// The page.
pub(super) fn page(analysis: &Analysis) -> String {
    let name = text(&analysis.image.name);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{name}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{name}</h1>\n"
    );
    page.push_str(&facts(analysis));
    page.push_str(&layers(analysis));
    page.push_str("<h2>Files</h2>\n");
    page.push_str(&Map::of(analysis).svg());
    page.push_str(&changes(analysis));
    page.push_str(&several(analysis));
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

/// Text of an image for a page: visible, and no markup.
fn text(raw: &str) -> String {
    quote::html(&clean(raw))
}

fn facts(analysis: &Analysis) -> String {
    let score = &analysis.score;
    let (waste, certain) = analysis.waste_bytes();
    let config = &analysis.image.config;
    let created = config.created.as_deref().unwrap_or("unknown");
    let base = analysis.base.as_ref().map(|base| {
        let layers = base.layers;
        format!(
            " · on {} ({layers} layer{})",
            text(&base.name),
            if layers == 1 { "" } else { "s" }
        )
    });
    let small = format!(
        "<p class=\"quiet\">{} · {} · made {}{}</p>\n",
        text(&analysis.image.id.to_string()),
        text(&config.platform().to_string()),
        text(created),
        base.unwrap_or_default()
    );
    let fact = |name: &str, value: &str, more: &str| {
        format!("<div class=\"fact\"><span>{name}</span><b>{value}</b><span>{more}</span></div>\n")
    };
    let layers = match analysis.image.layers.len() {
        1 => "in 1 layer".to_owned(),
        layers => format!("in {layers} layers"),
    };
    [
        small,
        "<div class=\"facts\">\n".to_owned(),
        fact("Size", &words::size(score.size_bytes), &layers),
        fact(
            "Efficiency",
            &percent(score.efficiency),
            "by dive’s formula",
        ),
        fact(
            "In several layers",
            &words::size(score.wasted_bytes),
            "by dive’s count",
        ),
        fact(
            "Waste found",
            &words::size(waste),
            "if the image can do without",
        ),
        fact(
            "Certain waste",
            &words::size(certain),
            "whatever the image is for",
        ),
        "</div>\n".to_owned(),
    ]
    .concat()
}

#[expect(clippy::cast_precision_loss, reason = "a width in per cent")]
fn part(bytes: u64, whole: u64) -> f64 {
    bytes as f64 * 100.0 / whole.max(1) as f64
}

fn layers(analysis: &Analysis) -> String {
    let reports: Vec<_> = (0..analysis.image.layers.len())
        .map(|layer| analysis.layer_report(layer))
        .collect();
    let most = reports.iter().map(|report| report.size_bytes).max();
    let mut page =
        "<h2>Layers</h2>\n<p class=\"quiet\">oldest first; the striped part of a bar is \
                    waste</p>\n<div class=\"layers\">\n"
            .to_owned();
    for report in &reports {
        page.push_str(&layer(report, most.unwrap_or(0)));
    }
    page.push_str("</div>\n");
    page
}

fn layer(report: &LayerReport<'_>, most: u64) -> String {
    let needed = report.size_bytes.saturating_sub(report.waste_bytes);
    let line = report.line.map(|line| format!("line {line} · "));
    let mut page = format!(
        "<details><summary><span class=\"number\">{}</span><span class=\"size\">{}</span>\
         <span class=\"bar\"><i style=\"width:{:.2}%\"></i><i class=\"waste\" style=\"width:{:.2}%\"></i></span>\
         <code>{}{}</code></summary>\n",
        report.layer,
        words::size(report.size_bytes),
        part(needed, most),
        part(report.waste_bytes, most),
        line.unwrap_or_default(),
        text(&one_line(report.instruction)),
    );
    let count =
        |name: &str, count: Count| format!("{name} {} ({})", count.paths, words::size(count.bytes));
    let _infallible = writeln!(
        page,
        "<p class=\"quiet\">{} · {} · {} · waste {} · {}</p>",
        count("added", report.added),
        count("changed", report.changed),
        count("removed", report.removed),
        words::size(report.waste_bytes),
        text(&report.diff_id),
    );
    page.push_str("<table>");
    for file in &report.largest {
        let _infallible = writeln!(
            page,
            "<tr><td class=\"size\">{}</td><td><code>{}</code></td></tr>",
            words::size(file.bytes),
            text(&file.path)
        );
    }
    page.push_str("</table></details>\n");
    page
}

fn changes(analysis: &Analysis) -> String {
    let mut page = "<h2>What to change</h2>\n".to_owned();
    if analysis.proposals.is_empty() {
        page.push_str("<p>No waste was found.</p>\n");
        return page;
    }
    page.push_str(
        "<p class=\"quiet\">best first; each saving is the size of the files that go</p>\n",
    );
    let is_worth = |proposal: &&Proposal| proposal.saves_bytes > 0;
    let shown = analysis.proposals.iter().take(SHOWN_CHANGES);
    for proposal in shown.filter(is_worth) {
        page.push_str(&change(proposal));
    }
    if let Some((hidden, bytes)) = rest(analysis, SHOWN_CHANGES) {
        let size = words::size(bytes);
        let _infallible = writeln!(page, "<p>{hidden} more would save {size}</p>");
    }
    page
}

fn change(proposal: &Proposal) -> String {
    let tool = proposal.tool.map(|tool| format!(" ({})", text(tool)));
    let place = |layer: usize, line: Option<u32>, instruction: &str| {
        let line = line
            .map(|line| format!(", line {line}"))
            .unwrap_or_default();
        format!(
            "<p>layer {layer}{line}: <code>{}</code></p>\n",
            text(&one_line(instruction))
        )
    };
    let doubt = if proposal.certain {
        ""
    } else {
        " class=\"doubt\""
    };
    let files = match proposal.files {
        0 => String::new(),
        1 => ", 1 file".to_owned(),
        files => format!(", {files} files"),
    };
    let mut page = format!(
        "<section{doubt}><h3><b>{}</b> {}{}{files}</h3>\n{}",
        words::size(proposal.saves_bytes),
        proposal.kind.title(),
        tool.unwrap_or_default(),
        match &proposal.base {
            Some(_) => format!("<p><code>{}</code></p>\n", text(&proposal.made_by)),
            None => place(proposal.layer, proposal.line, &proposal.made_by),
        },
    );
    if let (Some(layer), Some(instruction)) = (proposal.hidden_in_layer, &proposal.hidden_by) {
        page.push_str(&place(layer, proposal.hidden_line, instruction));
    }
    let _infallible = writeln!(page, "<p>{}</p>", text(&proposal.advice));
    if let Some(instead) = &proposal.instead {
        let lines: Vec<_> = instead.lines().map(text).collect();
        let _infallible = writeln!(page, "<pre>{}</pre>", lines.join("\n"));
    }
    if proposal.paths.is_empty() {
        page.push_str("</section>\n");
        return page;
    }
    page.push_str("<details><summary>the largest files</summary><table>");
    for path in &proposal.paths {
        let twin = path
            .twin
            .as_deref()
            .map(|twin| format!(" = {}", text(twin)));
        let _infallible = writeln!(
            page,
            "<tr><td class=\"size\">{}</td><td><code>{}{}</code></td></tr>",
            words::size(path.bytes),
            text(&path.path),
            twin.unwrap_or_default()
        );
    }
    page.push_str("</table></details></section>\n");
    page
}

fn several(analysis: &Analysis) -> String {
    let report = analysis.report(false);
    let costly = || report.inefficient.iter().filter(|one| one.bytes > 0);
    if costly().next().is_none() {
        return String::new();
    }
    let mut page = "<h2>Paths of several layers</h2>\n<table>\
                    <tr><th>bytes in all</th><th>layers</th><th>path</th></tr>\n"
        .to_owned();
    for one in costly() {
        let _infallible = writeln!(
            page,
            "<tr><td class=\"size\">{}</td><td>{}</td><td><code>{}</code></td></tr>",
            words::size(one.bytes),
            one.layers,
            text(&one.path)
        );
    }
    page.push_str("</table>\n");
    page
}

/// The map of the tree as it runs.
struct Map<'a> {
    analysis: &'a Analysis,
    tree: Tree,
    /// Bytes of waste at and below each path.
    waste: HashMap<PathId, u64>,
    areas: usize,
    svg: String,
}

impl<'a> Map<'a> {
    fn of(analysis: &'a Analysis) -> Self {
        let paths = &analysis.paths;
        let last = paths.layers().saturating_sub(1);
        let mut waste = HashMap::new();
        for finding in &analysis.findings {
            let entry = paths.entry(finding.entry);
            if !entry.is_live() {
                continue;
            }
            let mut here = entry.path;
            loop {
                *waste.entry(here).or_insert(0) += finding.bytes;
                if here == paths.root() {
                    break;
                }
                here = paths.parent(here);
            }
        }
        Self {
            analysis,
            tree: paths.tree(last, last),
            waste,
            areas: 0,
            svg: String::new(),
        }
    }

    fn svg(mut self) -> String {
        let root = self.analysis.paths.root();
        self.children(root, MAP, 0);
        format!(
            "<p class=\"quiet\">the image as it runs; the redder, the more of it is waste; a name's \
             whole path and size show under the mouse</p>\n\
             <div class=\"map\"><svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"map of the files\">\n{}</svg></div>\n",
            MAP.width, MAP.height, self.svg
        )
    }

    #[expect(clippy::cast_precision_loss, reason = "areas for people")]
    fn children(&mut self, path: PathId, area: Area, depth: usize) {
        let mut children: Vec<(u64, PathId)> = Vec::new();
        for child in self.analysis.paths.children(path) {
            let shown = self.tree.at(*child);
            if let Some(shown) = shown.filter(|shown| is_there(shown) && shown.bytes > 0) {
                children.push((shown.bytes, *child));
            }
        }
        children.sort_by_key(|(bytes, path)| (std::cmp::Reverse(*bytes), *path));
        let sizes: Vec<_> = children.iter().map(|(bytes, _)| *bytes as f64).collect();
        let areas = divide(area, &sizes);
        for ((bytes, child), area) in children.into_iter().zip(areas) {
            // What nobody could see.
            if area.width * area.height < 12.0 || area.width.min(area.height) < 1.5 {
                continue;
            }
            if self.areas >= MAP_AREAS {
                return;
            }
            self.areas += 1;
            self.draw(child, bytes, area, depth);
        }
    }

    fn draw(&mut self, path: PathId, bytes: u64, area: Area, depth: usize) {
        let paths = &self.analysis.paths;
        let waste = self.waste.get(&path).copied().unwrap_or(0).min(bytes);
        let share = part(waste, bytes).round();
        let full = text(&clean_path(&paths.full(path)));
        let note = match waste {
            0 => String::new(),
            waste => format!(", {} of it waste", words::size(waste)),
        };
        let _infallible = writeln!(
            self.svg,
            "<g><title>{full}: {}{note}</title><rect class=\"d{depth}\" style=\"--waste:{share}%\" x=\"{:.1}\" y=\"{:.1}\" \
             width=\"{:.1}\" height=\"{:.1}\"/>",
            words::size(bytes),
            area.x,
            area.y,
            area.width,
            area.height
        );
        let name = String::from_utf8_lossy(paths.name(path)).into_owned();
        let has_room = area.height > 16.0 && area.width > 30.0;
        if has_room {
            let letters = fits(area.width);
            let label = text(&words::ellipsis(&clean(&name), letters));
            let _infallible = writeln!(
                self.svg,
                "<text x=\"{:.1}\" y=\"{:.1}\">{label}</text>",
                area.x + 4.0,
                area.y + 11.5
            );
        }
        self.svg.push_str("</g>\n");
        let has_more = has_room && area.height > 34.0 && depth + 1 < MAP_DEPTH;
        if has_more && !paths.children(path).is_empty() {
            self.children(path, area.within(2.0, 15.0), depth + 1);
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "letters that fit"
)]
fn fits(width: f64) -> usize {
    ((width - 6.0) / 5.8).max(1.0) as usize
}

fn is_there(shown: &Shown) -> bool {
    shown.change != Some(Change::Removed)
}

#[cfg(test)]
mod tests;
