//! How the view looks.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Clear, Paragraph, Wrap};
use shiplap_ops::analyze::report::Count;
use shiplap_ops::analyze::tree::Shown;

use super::super::plain::{continued, place, told, wrapped};
use super::super::{clean, clean_path, one_line, percent, tail};
use super::rows::{self, Row};
use super::{Pane, View};
use crate::words;

/// What is first stays where the line is cut.
const LAYERS_KEYS: &str =
    "q quit  ? help  tab files  p what to change  ↑↓ layer  a all together  / filter";
const TREE_KEYS: &str =
    "q quit  ? help  tab layers  p changes  ↑↓ move  space open  s size  / filter";
const CHANGES_KEYS: &str = "q quit  ? help  p back  ↑↓ change  enter to its files";

const HELP: &str = "\
tab            the other pane
↑ ↓ k j        one line; PgUp PgDn u d: one page
Home End g G   to the first, to the last
p              what to change, and back; enter: its files
/ or ctrl-f    filter the files; esc shows all again
q or ctrl-c    leave

Layers (dim: of the base)
a or ctrl-a    all layers above the lowest together
l or ctrl-l    this layer alone

Files (+ added, ~ modified, - removed)
space enter    open or close a directory; ← and → too
o, ctrl-space  open or close all
s or ctrl-o    the largest first, or by name
a m r n        show or hide what is added, modified,
               removed, unmodified; ctrl-a -r -u, too
b or ctrl-b    show or hide mode and owner

Waste is certain if no program of the image can miss
it; of the rest only you know what it is for.";

/// From this width on layers and files stand side by side.
const BOTH_PANES: u16 = 72;

/// From this width on what to change stands beside the layers.
const CHANGES_BESIDE: u16 = 120;

/// A tree of this width has room for mode and owner.
const ATTRIBUTES: u16 = 64;

/// Layers of this width have room for their waste.
const WASTE: u16 = 48;

impl View<'_> {
    /// Draws all of it.
    pub(super) fn draw(&mut self, frame: &mut Frame<'_>) {
        let [body, foot] =
            Layout::vertical([Constraint::Min(3), Constraint::Length(1)]).areas(frame.area());
        let is_wide = match self.pane {
            Pane::Changes => body.width >= CHANGES_BESIDE,
            Pane::Layers | Pane::Tree => body.width >= BOTH_PANES,
        };
        if is_wide {
            let [left, right] =
                Layout::horizontal([Constraint::Percentage(42), Constraint::Min(20)])
                    .spacing(1)
                    .areas(body);
            self.draw_left(frame, left);
            self.draw_right(frame, right);
        } else if self.pane == Pane::Layers {
            self.draw_left(frame, body);
        } else {
            self.draw_right(frame, body);
        }
        let keys = match self.pane {
            Pane::Layers => LAYERS_KEYS,
            Pane::Tree => TREE_KEYS,
            Pane::Changes => CHANGES_KEYS,
        };
        let foot_line = match self.is_typing {
            true => Line::from(format!(
                "filter: {}▏ (enter keeps it, esc ends it)",
                clean(&self.choice.filter)
            )),
            false => Line::styled(words::ellipsis(keys, foot.width.into()), quiet()),
        };
        frame.render_widget(foot_line, foot);
        if let Some(top) = self.help {
            self.help = Some(draw_help(frame, top));
        }
    }

    /// The layers, and below as much of what is known of one, and of the image, as there is room for.
    fn draw_left(&mut self, frame: &mut Frame<'_>, area: Rect) {
        let (of_layer, of_image) = match area.height {
            ..12 => (0, 0),
            12..16 => (0, 6),
            16..22 => (4, 6),
            _ => (8, 6),
        };
        let [layers, layer, image] = Layout::vertical([
            Constraint::Min(1),
            Constraint::Length(of_layer),
            Constraint::Length(of_image),
        ])
        .areas(area);
        self.draw_layers(frame, layers);
        self.draw_layer(frame, layer);
        self.draw_image(frame, image);
    }

    fn draw_right(&mut self, frame: &mut Frame<'_>, area: Rect) {
        match self.pane {
            Pane::Changes => self.draw_changes(frame, area),
            Pane::Layers | Pane::Tree => self.draw_tree(frame, area),
        }
    }

    /// The style of a colour, where colours are wanted.
    fn colour(&self, colour: Color) -> Style {
        match self.has_colours {
            true => Style::new().fg(colour),
            false => Style::new(),
        }
    }

    fn block(&self, title: String, pane: Option<Pane>) -> Block<'static> {
        let style = match pane == Some(self.pane) {
            true => self.colour(Color::Cyan).add_modifier(Modifier::BOLD),
            false => quiet(),
        };
        Block::new()
            .borders(Borders::TOP)
            .border_style(style)
            .title(Span::styled(title, style))
    }

    fn draw_layers(&mut self, frame: &mut Frame<'_>, area: Rect) {
        let shows_waste = area.width >= WASTE;
        let title = match (self.is_aggregated, shows_waste) {
            (true, _) => " Layers, together ",
            (false, true) => " Layers: size, waste, step ",
            (false, false) => " Layers ",
        };
        let block = self.block(title.to_owned(), Some(Pane::Layers));
        let inner = block.inner(area);
        frame.render_widget(block, area);
        let height = usize::from(inner.height).max(1);
        if self.pane == Pane::Layers {
            self.page = height;
        }
        self.tops.layers = scrolled(self.tops.layers, self.layer, height);
        let layers = (self.tops.layers..self.analysis.paths.layers()).take(height);
        let lines = layers.map(|layer| self.layer_line(layer, shows_waste, inner.width));
        frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), inner);
    }

    fn layer_line(&self, layer: usize, shows_waste: bool, width: u16) -> Line<'static> {
        let step = self.analysis.step_of(layer);
        let instruction = one_line(step.map_or("", |step| &step.instruction));
        let bytes = |of: &[u64]| of.get(layer).copied().unwrap_or(0);
        let waste = match (shows_waste, bytes(&self.waste)) {
            (false, _) => String::new(),
            (true, 0) => format!("{:>9}", "-"),
            (true, bytes) => format!("{:>9}", words::size(bytes)),
        };
        let is_looked_at = match self.is_aggregated {
            true => (1..=self.layer).contains(&layer),
            false => layer == self.layer,
        };
        let mark = if is_looked_at { "▌" } else { " " };
        let size = words::size(bytes(&self.sizes));
        let line = format!("{mark}{layer:>3} {size:>8}{waste}  {instruction}");
        let base_layers = self.analysis.base.as_ref().map_or(0, |base| base.layers);
        let style = match layer {
            layer if layer == self.layer => Style::new().add_modifier(Modifier::REVERSED),
            layer if layer < base_layers => quiet(),
            _ => Style::new(),
        };
        Line::styled(words::ellipsis(&line, width.into()), style)
    }

    fn draw_layer(&self, frame: &mut Frame<'_>, area: Rect) {
        let block = self.block(format!(" Layer {} ", self.layer), None);
        let Some(report) = &self.report else {
            frame.render_widget(block, area);
            return;
        };
        let count = |name: &'static str, count: Count, colour| {
            let text = format!("{name} {} ({})", count.paths, words::size(count.bytes));
            Span::styled(text, self.colour(colour))
        };
        let line = report.line.map(|line| format!("Dockerfile line {line}: "));
        let text = vec![
            Line::from(vec![
                count("+", report.added, Color::Green),
                count("  ~", report.changed, Color::Yellow),
                count("  -", report.removed, Color::Red),
            ]),
            Line::from(format!(
                "waste {}  {}",
                words::size(report.waste_bytes),
                words::id(&report.diff_id, false)
            )),
            Line::from(format!(
                "{}{}",
                line.unwrap_or_default(),
                one_line(report.instruction)
            )),
        ];
        let text = Paragraph::new(text).wrap(Wrap { trim: true }).block(block);
        frame.render_widget(text, area);
    }

    fn draw_image(&self, frame: &mut Frame<'_>, area: Rect) {
        let score = &self.analysis.score;
        let (waste, certain) = self.analysis.waste_bytes();
        let changes = self.analysis.proposals.len();
        let name = clean(&self.analysis.image.name);
        let lines = vec![
            Line::from(tail(&name, area.width.into())),
            Line::from(format!("size        {}", words::size(score.size_bytes))),
            Line::from(format!("efficiency  {}", percent(score.efficiency))),
            Line::from(format!(
                "waste       {}, certain {}",
                words::size(waste),
                words::size(certain)
            )),
            Line::from(format!("changes     {changes}: press p")),
        ];
        let block = self.block(" Image ".to_owned(), None);
        frame.render_widget(Paragraph::new(lines).block(block), area);
    }

    fn draw_tree(&mut self, frame: &mut Frame<'_>, area: Rect) {
        let mut title = " Files".to_owned();
        for (hidden, name) in self
            .choice
            .hidden
            .iter()
            .zip(["added", "modified", "removed", "others"])
        {
            if *hidden {
                title.push_str(&format!(" (no {name})"));
            }
        }
        if !self.choice.filter.is_empty() {
            title.push_str(&format!(" with {:?}", clean(&self.choice.filter)));
        }
        if self.choice.largest_first {
            title.push_str(", largest first");
        }
        title.push(' ');
        let block = self.block(title, Some(Pane::Tree));
        let mut inner = block.inner(area);
        frame.render_widget(block, area);
        if self.pane == Pane::Tree && inner.height > 8 {
            let [list, about] =
                Layout::vertical([Constraint::Min(1), Constraint::Length(1)]).areas(inner);
            inner = list;
            frame.render_widget(self.about(about.width), about);
        }
        let height = usize::from(inner.height).max(1);
        if self.pane == Pane::Tree {
            self.page = height;
        }
        self.shows_attributes = self.attributes.unwrap_or(inner.width >= ATTRIBUTES);
        self.tops.tree = scrolled(self.tops.tree, self.cursor, height);
        let visible = self.rows.iter().enumerate().skip(self.tops.tree);
        let lines: Vec<_> = (visible.take(height))
            .map(|(number, row)| self.tree_line(number, *row, inner.width.into()))
            .collect();
        let text = match lines.is_empty() {
            true => Paragraph::new("nothing to show"),
            false => Paragraph::new(lines),
        };
        frame.render_widget(text, inner);
    }

    /// The whole path that is looked at, with mode and owner.
    fn about(&self, width: u16) -> Line<'static> {
        let paths = &self.analysis.paths;
        let row = self.rows.get(self.cursor);
        let shown = row.and_then(|row| Some((row.path, self.tree.at(row.path)?)));
        let Some((path, shown)) = shown else {
            return Line::default();
        };
        let entry = paths.entry(shown.entry);
        let facts = format!("  {} {}:{}", entry.mode_text(), entry.uid, entry.gid);
        let room = usize::from(width).saturating_sub(facts.len());
        let path = tail(&clean_path(&paths.full(path)), room);
        Line::styled(format!("{path}{facts}"), quiet())
    }

    fn tree_line(&self, number: usize, row: Row, width: usize) -> Line<'static> {
        let paths = &self.analysis.paths;
        let Some(shown) = self.tree.at(row.path) else {
            return Line::default();
        };
        let entry = paths.entry(shown.entry);
        let (mark, colour) = look(shown);
        let mut start = format!("{:>8} ", words::size(shown.bytes));
        if self.shows_attributes {
            let owner = format!("{}:{}", entry.uid, entry.gid);
            start = format!("{} {owner:>9} {start}", entry.mode_text());
        }
        let fold = match (row.has_children, row.is_open) {
            (true, true) => "▾ ",
            (true, false) => "▸ ",
            (false, _) => "  ",
        };
        let indent = "  ".repeat(row.depth.into());
        let name = clean(&String::from_utf8_lossy(paths.name(row.path)));
        let target = paths.target(shown.entry);
        let target = target.map(|target| format!(" → {}", clean(&String::from_utf8_lossy(target))));
        let target = target.unwrap_or_default();
        let slash = if entry.kind.is_directory() { "/" } else { "" };
        let line = format!("{mark} {indent}{fold}{name}{slash}{target}");
        let line = words::ellipsis(&line, width.saturating_sub(start.len()));
        let mut style = colour.map_or_else(Style::new, |colour| self.colour(colour));
        let mut start_style = quiet();
        if number == self.cursor && self.pane == Pane::Tree {
            style = style.add_modifier(Modifier::REVERSED);
            start_style = start_style.add_modifier(Modifier::REVERSED);
        }
        Line::from(vec![
            Span::styled(start, start_style),
            Span::styled(line, style),
        ])
    }

    fn draw_changes(&mut self, frame: &mut Frame<'_>, area: Rect) {
        let proposals = &self.analysis.proposals;
        let block = self.block(
            format!(" What to change, best first ({}) ", proposals.len()),
            Some(Pane::Changes),
        );
        let inner = block.inner(area);
        frame.render_widget(block, area);
        let half = usize::from(inner.height / 2).clamp(1, 12);
        let half = u16::try_from(half.min(proposals.len().max(1))).unwrap_or(1);
        let [list, about] =
            Layout::vertical([Constraint::Length(half), Constraint::Min(1)]).areas(inner);
        let height = usize::from(list.height).max(1);
        self.page = height;
        self.tops.changes = scrolled(self.tops.changes, self.change, height);
        let lines = proposals.iter().enumerate().skip(self.tops.changes);
        let lines: Vec<_> = (lines.take(height))
            .map(|(number, proposal)| {
                let tool = proposal.tool.map(|tool| format!(" ({tool})"));
                let line = format!(
                    "{:>8}  {:<8}  {}{}",
                    words::size(proposal.saves_bytes),
                    match proposal.base {
                        Some(_) => "base".to_owned(),
                        None => format!("layer {}", proposal.layer),
                    },
                    proposal.kind.title(),
                    tool.unwrap_or_default()
                );
                let style = match number == self.change {
                    true => Style::new().add_modifier(Modifier::REVERSED),
                    false => Style::new(),
                };
                Line::styled(words::ellipsis(&line, list.width.into()), style)
            })
            .collect();
        if lines.is_empty() {
            frame.render_widget(Paragraph::new("No waste was found."), list);
        } else {
            frame.render_widget(Paragraph::new(lines), list);
        }
        self.draw_change(frame, about);
    }

    fn draw_change(&self, frame: &mut Frame<'_>, area: Rect) {
        let Some(proposal) = self.analysis.proposals.get(self.change) else {
            return;
        };
        let width = usize::from(area.width).max(10);
        let mut lines = vec![Line::styled("─".repeat(width), quiet())];
        let cut = |text: &str| Line::from(words::ellipsis(text, width));
        lines.push(cut(&match proposal.base {
            Some(_) => one_line(&proposal.made_by),
            None => place(proposal.layer, proposal.line, &proposal.made_by),
        }));
        if let (Some(layer), Some(instruction)) = (proposal.hidden_in_layer, &proposal.hidden_by) {
            lines.push(cut(&place(layer, proposal.hidden_line, instruction)));
        }
        lines.extend(wrapped(&proposal.advice, width).into_iter().map(Line::from));
        let green = self.colour(Color::Green);
        for line in proposal.instead.iter().flat_map(|text| text.lines()) {
            for part in continued(&clean(line), width.saturating_sub(2)) {
                lines.push(Line::styled(format!("  {part}"), green));
            }
        }
        for path in &proposal.paths {
            let parts = told(path, width).into_iter();
            lines.extend(parts.map(|part| Line::styled(part, quiet())));
        }
        frame.render_widget(Paragraph::new(lines), area);
    }
}

/// Draws the help from a line on; from which it was possible.
fn draw_help(frame: &mut Frame<'_>, top: u16) -> u16 {
    let whole = frame.area();
    let lines = u16::try_from(HELP.lines().count()).unwrap_or(0);
    let [area] = Layout::vertical([Constraint::Length(lines + 2)])
        .flex(ratatui::layout::Flex::Center)
        .areas(whole);
    let [area] = Layout::horizontal([Constraint::Length(60)])
        .flex(ratatui::layout::Flex::Center)
        .areas(area);
    frame.render_widget(Clear, area);
    let hidden = (lines + 2).saturating_sub(area.height);
    let title = match hidden {
        0 => " Keys: any key closes this ",
        _ => " Keys: ↑↓ for more, any other key closes this ",
    };
    let top = top.min(hidden);
    let block = Block::bordered().title(title);
    frame.render_widget(Paragraph::new(HELP).scroll((top, 0)).block(block), area);
    top
}

fn quiet() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

/// The first line on the screen, so that line `at` is on it.
fn scrolled(top: usize, at: usize, height: usize) -> usize {
    top.min(at).max((at + 1).saturating_sub(height))
}

/// The mark of a change, for those who see no colours, and its colour.
fn look(shown: &Shown) -> (char, Option<Color>) {
    let colours = [
        Some(Color::Green),
        Some(Color::Yellow),
        Some(Color::Red),
        None,
    ];
    let kind = rows::kind(shown);
    let mark = match (kind, shown.change) {
        (0, _) => '+',
        (1, Some(_)) => '~',
        (2, _) => '-',
        _ => ' ',
    };
    (mark, colours[kind])
}
