//! The terminal view: layers on the left, the tree with what they did on the right, and what to
//! change. Keys are dive's where a terminal can tell them apart.
//!
//! It shows names of an image only with all that a terminal would act on made visible.

mod draw;
mod rows;

use std::io;

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use shiplap_ops::analyze::Analysis;
use shiplap_ops::analyze::report::LayerReport;
use shiplap_ops::analyze::tree::Tree;

use crate::output::Output;
use rows::{Choice, Row};

/// What the keys go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pane {
    Layers,
    Tree,
    Changes,
}

/// What is on the screen.
struct View<'a> {
    analysis: &'a Analysis,
    pane: Pane,
    /// The layer that is looked at.
    layer: usize,
    /// All layers above the base up to it are looked at together.
    is_aggregated: bool,
    tree: Tree,
    /// Of each layer, in bytes.
    sizes: Vec<u64>,
    /// Bytes of waste that lie in each layer.
    waste: Vec<u64>,
    /// What is told of the layer.
    report: Option<LayerReport<'a>>,
    choice: Choice,
    rows: Vec<Row>,
    /// The line of the tree that is looked at.
    cursor: usize,
    /// Whether mode and owner are shown; `None`: where there is room.
    attributes: Option<bool>,
    /// Whether they were, when it was drawn last.
    shows_attributes: bool,
    /// The change that is looked at.
    change: usize,
    /// What is typed goes into the filter.
    is_typing: bool,
    /// The first line of the help that is shown, if it is.
    help: Option<u16>,
    /// The first lines of the panes that are on the screen.
    tops: Tops,
    /// Lines of the pane that keys go to, as it was drawn last.
    page: usize,
    has_colours: bool,
}

/// The first lines of the panes.
#[derive(Debug, Clone, Copy, Default)]
struct Tops {
    layers: usize,
    tree: usize,
    changes: usize,
}

/// What a key asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Stay,
    Leave,
}

/// Shows the view until the user leaves.
pub(super) fn run(output: &Output, analysis: &Analysis) -> io::Result<()> {
    let mut view = View::new(analysis, output.may_paint());
    let mut screen = output.full_screen()?;
    loop {
        screen.terminal().draw(|frame| view.draw(frame))?;
        let key = match event::read()? {
            Event::Key(key) if key.kind != KeyEventKind::Release => key,
            _ => continue,
        };
        if view.key(key) == Next::Leave {
            return Ok(());
        }
    }
}

impl<'a> View<'a> {
    fn new(analysis: &'a Analysis, has_colours: bool) -> Self {
        // What was done last is looked at first.
        let layer = analysis.paths.layers().saturating_sub(1);
        let mut waste = vec![0; analysis.paths.layers()];
        for finding in &analysis.findings {
            if let Some(bytes) = waste.get_mut(usize::from(finding.layer)) {
                *bytes += finding.bytes;
            }
        }
        let mut view = Self {
            analysis,
            pane: Pane::Layers,
            layer,
            is_aggregated: false,
            tree: analysis.paths.tree(layer, layer),
            sizes: (0..analysis.paths.layers())
                .map(|layer| {
                    let entries = analysis.paths.layer_entries(layer);
                    entries.map(|(_, entry)| entry.own_bytes).sum()
                })
                .collect(),
            waste,
            report: None,
            choice: Choice::default(),
            rows: Vec::new(),
            cursor: 0,
            attributes: None,
            shows_attributes: false,
            change: 0,
            is_typing: false,
            help: None,
            tops: Tops::default(),
            page: 10,
            has_colours,
        };
        view.report = view.told();
        view.fill();
        view
    }

    fn told(&self) -> Option<LayerReport<'a>> {
        let is_there = self.layer < self.sizes.len();
        is_there.then(|| self.analysis.layer_report(self.layer))
    }

    /// Makes the lines of the tree anew; the cursor stays where it was, if that is still there.
    fn fill(&mut self) {
        let at = self.rows.get(self.cursor).map(|row| row.path);
        let is_base = self.layer == 0 && !self.is_aggregated;
        self.rows = rows::rows(&self.analysis.paths, &self.tree, &self.choice, is_base);
        let again = at.and_then(|path| self.rows.iter().position(|row| row.path == path));
        self.cursor = again.unwrap_or(0);
    }

    fn look_at(&mut self, layer: usize, is_aggregated: bool) {
        let last = self.analysis.paths.layers().saturating_sub(1);
        let layer = layer.min(last);
        if (layer, is_aggregated) == (self.layer, self.is_aggregated) {
            return;
        }
        (self.layer, self.is_aggregated) = (layer, is_aggregated);
        let first = if is_aggregated { layer.min(1) } else { layer };
        self.tree = self.analysis.paths.tree(first, layer);
        self.report = self.told();
        self.choice.opened.clear();
        self.fill();
    }

    fn key(&mut self, key: KeyEvent) -> Next {
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        if is_control && key.code == KeyCode::Char('c') {
            return Next::Leave;
        }
        if self.is_typing {
            self.type_filter(key.code, is_control);
            return Next::Stay;
        }
        if let Some(top) = self.help {
            self.help = match key.code {
                KeyCode::Up | KeyCode::Char('k') => Some(top.saturating_sub(1)),
                KeyCode::Down | KeyCode::Char('j') => Some(top.saturating_add(1)),
                _ => None,
            };
            return Next::Stay;
        }
        match (key.code, is_control) {
            (KeyCode::Char('q'), false) => return Next::Leave,
            (KeyCode::Char('?' | 'h') | KeyCode::F(1), false) => self.help = Some(0),
            (KeyCode::Tab, _) => {
                self.pane = match self.pane {
                    Pane::Layers => Pane::Tree,
                    Pane::Tree | Pane::Changes => Pane::Layers,
                };
            }
            (KeyCode::Char('p'), false) => {
                self.pane = match self.pane {
                    Pane::Changes => Pane::Layers,
                    Pane::Layers | Pane::Tree => Pane::Changes,
                };
            }
            // Terminals send the same for Control with `/`, `_` and `7`.
            (KeyCode::Char('f' | '7'), true) | (KeyCode::Char('/'), _) => {
                self.pane = Pane::Tree;
                self.is_typing = true;
            }
            (KeyCode::Esc, _) if self.pane == Pane::Changes => self.pane = Pane::Layers,
            (KeyCode::Esc, _) => {
                self.choice.filter.clear();
                self.fill();
            }
            _ => self.pane_key(key.code, is_control),
        }
        Next::Stay
    }

    fn pane_key(&mut self, code: KeyCode, is_control: bool) {
        let page = isize::try_from(self.page).unwrap_or(1).max(1);
        match (code, is_control) {
            (KeyCode::Up | KeyCode::Char('k'), false) => self.go(-1),
            (KeyCode::Down | KeyCode::Char('j'), false) => self.go(1),
            (KeyCode::PageUp, _) | (KeyCode::Char('u'), false) => self.go(-page),
            (KeyCode::PageDown, _) | (KeyCode::Char('d'), false) => self.go(page),
            (KeyCode::Home | KeyCode::Char('g'), _) => self.go(isize::MIN),
            (KeyCode::End | KeyCode::Char('G'), _) => self.go(isize::MAX),
            _ => match self.pane {
                Pane::Layers => self.layers_key(code),
                Pane::Tree => self.tree_key(code, is_control),
                Pane::Changes if code == KeyCode::Enter => self.show_change(),
                Pane::Changes => {}
            },
        }
    }

    fn go(&mut self, by: isize) {
        let (at, count) = match self.pane {
            Pane::Layers => (self.layer, self.analysis.paths.layers()),
            Pane::Tree => (self.cursor, self.rows.len()),
            Pane::Changes => (self.change, self.analysis.proposals.len()),
        };
        let to = at.saturating_add_signed(by).min(count.saturating_sub(1));
        match self.pane {
            Pane::Layers => self.look_at(to, self.is_aggregated),
            Pane::Tree => self.cursor = to,
            Pane::Changes => self.change = to,
        }
    }

    /// Goes to the largest file of the change that is looked at, in its layer.
    fn show_change(&mut self) {
        let Some(proposal) = self.analysis.proposals.get(self.change) else {
            return;
        };
        self.look_at(proposal.layer, false);
        self.pane = Pane::Tree;
        let paths = &self.analysis.paths;
        let largest = proposal.paths.first();
        let Some(path) = largest.and_then(|file| paths.find(file.path.as_bytes())) else {
            return;
        };
        self.choice.filter.clear();
        self.choice.hidden = [false; 4];
        let mut above = paths.parent(path);
        while above != paths.root() {
            self.choice.opened.insert(above, true);
            above = paths.parent(above);
        }
        self.fill();
        let at = self.rows.iter().position(|row| row.path == path);
        self.cursor = at.unwrap_or(self.cursor);
    }

    fn layers_key(&mut self, code: KeyCode) {
        match code {
            KeyCode::Char('a') => self.look_at(self.layer, true),
            KeyCode::Char('l') => self.look_at(self.layer, false),
            KeyCode::Enter | KeyCode::Right => self.pane = Pane::Tree,
            _ => {}
        }
    }

    fn tree_key(&mut self, code: KeyCode, is_control: bool) {
        match code {
            // Terminals send a NUL for Control and the space bar; some libraries call it so.
            KeyCode::Char(' ' | '@') if is_control => self.open_all(),
            KeyCode::Char('o') if is_control => self.change_order(),
            KeyCode::Null | KeyCode::Char('o') => self.open_all(),
            KeyCode::Char('s') => self.change_order(),
            KeyCode::Char(' ') | KeyCode::Enter => self.open(None),
            KeyCode::Right => self.open(Some(true)),
            KeyCode::Left => self.close_or_leave(),
            KeyCode::Char('a') => self.hide(0),
            KeyCode::Char('m') => self.hide(1),
            KeyCode::Char('r') => self.hide(2),
            KeyCode::Char('n' | 'u') => self.hide(3),
            KeyCode::Char('b') => self.attributes = Some(!self.shows_attributes),
            _ => {}
        }
    }

    fn hide(&mut self, kind: usize) {
        self.choice.hidden[kind] = !self.choice.hidden[kind];
        self.fill();
    }

    /// Opens or closes the directory that is looked at.
    fn open(&mut self, open: Option<bool>) {
        let Some(row) = self.rows.get(self.cursor).filter(|row| row.has_children) else {
            return;
        };
        let is_open = open.unwrap_or(!row.is_open);
        self.choice.opened.insert(row.path, is_open);
        self.fill();
    }

    /// Closes the directory that is looked at; of anything else goes to what it lies in.
    fn close_or_leave(&mut self) {
        let Some(row) = self.rows.get(self.cursor).copied() else {
            return;
        };
        if row.is_open {
            self.open(Some(false));
            return;
        }
        let above = self.analysis.paths.parent(row.path);
        if let Some(at) = self.rows.iter().position(|row| row.path == above) {
            self.cursor = at;
        }
    }

    fn change_order(&mut self) {
        self.choice.largest_first = !self.choice.largest_first;
        self.fill();
    }

    fn open_all(&mut self) {
        let is_any_open = self.rows.iter().any(|row| row.is_open);
        self.choice.all_open = Some(!is_any_open);
        self.choice.opened.clear();
        self.fill();
    }

    fn type_filter(&mut self, code: KeyCode, is_control: bool) {
        match code {
            KeyCode::Esc => {
                self.choice.filter.clear();
                self.is_typing = false;
            }
            KeyCode::Enter | KeyCode::Tab => self.is_typing = false,
            KeyCode::Backspace => {
                self.choice.filter.pop();
            }
            KeyCode::Char(c) if !is_control => self.choice.filter.push(c),
            _ => return,
        }
        self.fill();
    }
}
