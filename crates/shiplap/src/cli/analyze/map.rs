//! A map of sizes: rectangles within a rectangle, each as large as what it stands for, as square as
//! can be (Bruls, Huizing, van Wijk: Squarified Treemaps, 2000).

/// A rectangle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Area {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

impl Area {
    /// What is left within a frame and below a headline.
    pub(super) fn within(self, frame: f64, headline: f64) -> Self {
        Self {
            x: self.x + frame,
            y: self.y + headline,
            width: (self.width - 2.0 * frame).max(0.0),
            height: (self.height - headline - frame).max(0.0),
        }
    }
}

/// Divides an area among `sizes`, which descend; the result is in their order.
pub(super) fn divide(area: Area, sizes: &[f64]) -> Vec<Area> {
    let total: f64 = sizes.iter().sum();
    // Where nothing has a size, nothing gets a place.
    let scale = match total > 0.0 {
        true => area.width * area.height / total,
        false => 0.0,
    };
    let sizes: Vec<f64> = sizes.iter().map(|size| size * scale).collect();
    let mut areas = Vec::with_capacity(sizes.len());
    let mut rest = area;
    let mut done = 0;
    while done < sizes.len() {
        let side = rest.width.min(rest.height);
        let mut end = done + 1;
        while end < sizes.len() && worst(&sizes[done..=end], side) <= worst(&sizes[done..end], side)
        {
            end += 1;
        }
        rest = lay(rest, &sizes[done..end], &mut areas);
        done = end;
    }
    areas
}

/// The most oblong of a row's rectangles, as the ratio of its sides.
fn worst(row: &[f64], side: f64) -> f64 {
    let sum: f64 = row.iter().sum();
    let largest = row.first().copied().unwrap_or(0.0);
    let smallest = row.last().copied().unwrap_or(0.0);
    let (side, sum) = (side * side, sum * sum);
    let ratio = (side * largest / sum).max(sum / (side * smallest));
    if ratio.is_nan() { f64::INFINITY } else { ratio }
}

/// Lays a row along the shorter side; what is left.
fn lay(rest: Area, row: &[f64], areas: &mut Vec<Area>) -> Area {
    let sum: f64 = row.iter().sum();
    let is_column = rest.width >= rest.height;
    let side = if is_column { rest.height } else { rest.width };
    let depth = if side > 0.0 { sum / side } else { 0.0 };
    let mut at = 0.0;
    for size in row {
        let length = if depth > 0.0 { size / depth } else { 0.0 };
        areas.push(match is_column {
            true => Area {
                x: rest.x,
                y: rest.y + at,
                width: depth,
                height: length,
            },
            false => Area {
                x: rest.x + at,
                y: rest.y,
                width: length,
                height: depth,
            },
        });
        at += length;
    }
    match is_column {
        true => Area {
            x: rest.x + depth,
            width: (rest.width - depth).max(0.0),
            ..rest
        },
        false => Area {
            y: rest.y + depth,
            height: (rest.height - depth).max(0.0),
            ..rest
        },
    }
}

#[cfg(test)]
mod tests {
    use super::{Area, divide};

    #[test]
    fn areas_are_sizes_and_lie_within() {
        let whole = Area {
            x: 10.0,
            y: 20.0,
            width: 600.0,
            height: 400.0,
        };
        for sizes in [
            &[6.0, 6.0, 4.0, 3.0, 2.0, 2.0, 1.0][..],
            &[1.0],
            &[1000.0, 1.0, 1.0],
            &[0.0, 0.0],
            &[],
        ] {
            let areas = divide(whole, sizes);
            assert_eq!(areas.len(), sizes.len());
            let total: f64 = sizes.iter().sum();
            for (area, size) in areas.iter().zip(sizes) {
                let expected = whole.width * whole.height * size / total.max(1.0);
                let found = area.width * area.height;
                assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
                assert!(area.x >= whole.x - 1e-9 && area.y >= whole.y - 1e-9);
                assert!(area.x + area.width <= whole.x + whole.width + 1e-6);
                assert!(area.y + area.height <= whole.y + whole.height + 1e-6);
            }
        }
    }

    /// The example of the paper: 6, 6, 4, 3, 2, 2, 1 in 6 by 4.
    #[test]
    fn as_square_as_can_be() {
        let whole = Area {
            x: 0.0,
            y: 0.0,
            width: 6.0,
            height: 4.0,
        };
        let areas = divide(whole, &[6.0, 6.0, 4.0, 3.0, 2.0, 2.0, 1.0]);
        let first = areas[0];
        assert_eq!((first.width, first.height), (3.0, 2.0));
        let ratio = |area: &Area| (area.width / area.height).max(area.height / area.width);
        assert!(areas.iter().all(|area| ratio(area) < 3.0));
    }
}
