//! How the view looks.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Clear, Paragraph, Wrap};
use shiplap_ops::analyze::report::Count;
use shiplap_ops::analyze::tree::Shown;

use super::super::plain::wrapped;
use super::super::{clean, one_line, percent};
use super::rows::{self, Row};
use super::{Pane, View};
use crate::words;

const KEYS: &str =
    "tab pane  ↑↓ move  space open  / filter  a m r n show/hide  p changes  ? help  q quit";

const HELP: &str = "\
tab            the other pane
↑ ↓ k j        one line
PgUp PgDn u d  one page
Home End g G   to the first, to the last
p              what to change, and back
/ or ctrl-f    filter the tree; esc shows all again
q or ctrl-c    leave

Layers
a or ctrl-a    all layers above the base together
l or ctrl-l    this layer alone

Tree
space enter    open or close a directory; ← and → too
o, ctrl-space  open or close all
a m r n        show or hide what is added, modified,
               removed, unmodified
b or ctrl-b    show or hide mode, owner and size";

impl View<'_> {
    /// Draws all of it.
    pub(super) fn draw(&mut self, frame: &mut Frame<'_>) {
        let [body, foot] =
            Layout::vertical([Constraint::Min(3), Constraint::Length(1)]).areas(frame.area());
        let [left, right] = Layout::horizontal([Constraint::Percentage(42), Constraint::Min(20)])
            .spacing(1)
            .areas(body);
        let [layers, layer, image] = Layout::vertical([
            Constraint::Min(4),
            Constraint::Length(8),
            Constraint::Length(6),
        ])
        .areas(left);
        self.draw_layers(frame, layers);
        self.draw_layer(frame, layer);
        self.draw_image(frame, image);
        if self.pane == Pane::Changes {
            self.draw_changes(frame, right);
        } else {
            self.draw_tree(frame, right);
        }
        let foot_line = match self.is_typing {
            true => Line::from(format!("filter: {}▏", clean(&self.choice.filter))),
            false => Line::styled(KEYS, Style::new().add_modifier(Modifier::DIM)),
        };
        frame.render_widget(foot_line, foot);
        if self.shows_help {
            draw_help(frame);
        }
    }

    fn block(&self, title: String, pane: Option<Pane>) -> Block<'static> {
        let style = match pane == Some(self.pane) {
            true => Style::new().fg(Color::Cyan).add_modifier(Modifier::BOLD),
            false => Style::new().add_modifier(Modifier::DIM),
        };
        Block::new()
            .borders(Borders::TOP)
            .border_style(style)
            .title(Span::styled(title, style))
    }

    fn draw_layers(&self, frame: &mut Frame<'_>, area: Rect) {
        let title = match self.is_aggregated {
            true => " Layers, together ".to_owned(),
            false => " Layers ".to_owned(),
        };
        let block = self.block(title, Some(Pane::Layers));
        let inner = block.inner(area);
        frame.render_widget(block, area);
        let height = usize::from(inner.height).max(1);
        let count = self.analysis.paths.layers();
        let top = (self.layer + 1).saturating_sub(height);
        let lines = (top..count).take(height).map(|layer| {
            let step = self.analysis.step_of(layer);
            let instruction = one_line(step.map_or("", |step| &step.instruction));
            let bytes = self.sizes.get(layer).copied().unwrap_or(0);
            let is_looked_at = match self.is_aggregated {
                true => (1..=self.layer).contains(&layer),
                false => layer == self.layer,
            };
            let mark = if is_looked_at { "▌" } else { " " };
            let line = format!("{mark}{layer:>3} {:>8}  {instruction}", words::size(bytes));
            let style = match layer == self.layer {
                true => Style::new().add_modifier(Modifier::REVERSED),
                false => Style::new(),
            };
            Line::styled(line, style)
        });
        frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), inner);
    }

    fn draw_layer(&self, frame: &mut Frame<'_>, area: Rect) {
        let block = self.block(format!(" Layer {} ", self.layer), None);
        let Some(report) = &self.report else {
            frame.render_widget(block, area);
            return;
        };
        let count = |name: &'static str, count: Count, colour| {
            let text = format!("{name} {} ({})  ", count.paths, words::size(count.bytes));
            Span::styled(text, Style::new().fg(colour))
        };
        let line = report.line.map(|line| format!("Dockerfile line {line}: "));
        let text = vec![
            Line::from(vec![
                count("+", report.added, Color::Green),
                count("~", report.changed, Color::Yellow),
                count("-", report.removed, Color::Red),
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
        let lines = vec![
            Line::from(clean(&self.analysis.image.name)),
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
        title.push(' ');
        let block = self.block(title, Some(Pane::Tree));
        let inner = block.inner(area);
        frame.render_widget(block, area);
        let height = usize::from(inner.height).max(1);
        self.page = height;
        self.top = self.top.min(self.cursor);
        self.top = self.top.max((self.cursor + 1).saturating_sub(height));
        let visible = self.rows.iter().enumerate().skip(self.top).take(height);
        let lines: Vec<_> = visible
            .map(|(number, row)| self.tree_line(number, *row))
            .collect();
        let text = match lines.is_empty() {
            true => Paragraph::new("nothing to show"),
            false => Paragraph::new(lines),
        };
        frame.render_widget(text, inner);
    }

    fn tree_line(&self, number: usize, row: Row) -> Line<'static> {
        let paths = &self.analysis.paths;
        let Some(shown) = self.tree.at(row.path) else {
            return Line::default();
        };
        let entry = paths.entry(shown.entry);
        let (mark, colour) = look(shown);
        let mut start = String::new();
        if self.shows_attributes {
            start = format!(
                "{} {:>9} {:>8} ",
                entry.mode_text(),
                format!("{}:{}", entry.uid, entry.gid),
                words::size(shown.bytes)
            );
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
        let mut style = Style::new();
        if let Some(colour) = colour {
            style = style.fg(colour);
        }
        let mut quiet = Style::new().add_modifier(Modifier::DIM);
        if number == self.cursor && self.pane == Pane::Tree {
            style = style.add_modifier(Modifier::REVERSED);
            quiet = quiet.add_modifier(Modifier::REVERSED);
        }
        Line::from(vec![
            Span::styled(start, quiet),
            Span::styled(format!("{mark} {indent}{fold}{name}{slash}{target}"), style),
        ])
    }

    fn draw_changes(&self, frame: &mut Frame<'_>, area: Rect) {
        let proposals = &self.analysis.proposals;
        let block = self.block(
            format!(" What to change, best first ({}) ", proposals.len()),
            Some(Pane::Changes),
        );
        let inner = block.inner(area);
        frame.render_widget(block, area);
        let half = (inner.height / 2).clamp(1, 12);
        let [list, about] =
            Layout::vertical([Constraint::Length(half), Constraint::Min(1)]).areas(inner);
        let height = usize::from(list.height).max(1);
        let top = (self.change + 1).saturating_sub(height);
        let lines = proposals.iter().enumerate().skip(top).take(height);
        let lines: Vec<_> = lines
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
                Line::styled(line, style)
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
        let quiet = Style::new().add_modifier(Modifier::DIM);
        let mut lines = vec![Line::styled("─".repeat(width), quiet)];
        let place =
            |layer: usize, instruction: &str| format!("layer {layer}: {}", one_line(instruction));
        lines.push(Line::from(match proposal.base {
            Some(_) => one_line(&proposal.made_by),
            None => place(proposal.layer, &proposal.made_by),
        }));
        if let (Some(layer), Some(instruction)) = (proposal.hidden_in_layer, &proposal.hidden_by) {
            lines.push(Line::from(place(layer, instruction)));
        }
        lines.extend(wrapped(&proposal.advice, width).into_iter().map(Line::from));
        let green = Style::new().fg(Color::Green);
        for line in proposal.instead.iter().flat_map(|text| text.lines()) {
            for part in wrapped(&clean(line), width.saturating_sub(2)) {
                lines.push(Line::styled(format!("  {part}"), green));
            }
        }
        for path in &proposal.paths {
            let line = format!("{:>8}  {}", words::size(path.bytes), clean(&path.path));
            lines.push(Line::styled(line, quiet));
        }
        frame.render_widget(Paragraph::new(lines), area);
    }
}

fn draw_help(frame: &mut Frame<'_>) {
    let whole = frame.area();
    let lines = u16::try_from(HELP.lines().count()).unwrap_or(0) + 2;
    let [area] = Layout::vertical([Constraint::Length(lines)])
        .flex(ratatui::layout::Flex::Center)
        .areas(whole);
    let [area] = Layout::horizontal([Constraint::Length(58)])
        .flex(ratatui::layout::Flex::Center)
        .areas(area);
    frame.render_widget(Clear, area);
    let block = Block::bordered().title(" Keys ");
    frame.render_widget(Paragraph::new(HELP).block(block), area);
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
