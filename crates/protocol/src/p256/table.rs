//! Multiples of a point, prepared: for each window of [`WIDTH`] bits those by 1 … 2^(WIDTH−1), so that a
//! product is one addition a window and no doubling.

use super::field::Field;
use super::mont::Limbs;
use super::point::{Affine, Point};
use super::scalar::Digits;

/// Bits of a window: 64 additions a verification, and 256 KiB a table, of which several fit into a cache of
/// second level. With 7 bits it is 74 and 148 KiB, with 9 bits 58 and 464 KiB.
pub(super) const WIDTH: usize = 8;
/// Windows of a scalar.
const WINDOWS: usize = 256usize.div_ceil(WIDTH);
/// Points of a window.
const HALF: usize = 1 << (WIDTH - 1);

/// The multiples of one point.
pub(super) struct Table {
    windows: Box<[[Affine; HALF]]>,
}

impl Table {
    /// The table of a point of order n. Takes about 2 ms.
    ///
    /// INVARIANT: no multiple in it is infinity: each is by k·2^i with 0 < k ≤ 2^(WIDTH−1), which the prime n
    /// does not divide.
    pub(super) fn new(point: Affine) -> Self {
        let windows = bases(point).iter().map(|base| window(*base)).collect();
        Self { windows }
    }

    /// The pieces of `scalar`·point, to be added up.
    #[inline(always)]
    pub(super) fn pieces(&self, scalar: Limbs) -> impl Iterator<Item = Option<Affine>> {
        self.windows.iter().zip(Digits::<WIDTH>::of(scalar)).map(|(window, (size, negative))| {
            // Zero wraps around to no entry.
            window.get(size.wrapping_sub(1)).map(|point| point.negated_if(negative))
        })
    }
}

/// `u`·G + `v`·Q.
pub(super) fn product((g, u): (&Table, Limbs), (q, v): (&Table, Limbs)) -> Point {
    let mut sum = Point::INFINITY;
    for (one, other) in g.pieces(u).zip(q.pieces(v)) {
        for piece in [one, other].into_iter().flatten() {
            sum = sum.add(piece);
        }
    }
    sum
}

/// The point by 2^(`WIDTH`·i), for each window i.
fn bases(point: Affine) -> [Affine; WINDOWS] {
    let mut next = Point::from(point);
    let mut points = [next; WINDOWS];
    for slot in &mut points {
        *slot = next;
        for _ in 0..WIDTH {
            next = next.double();
        }
    }
    affine(&points)
}

fn window(base: Affine) -> [Affine; HALF] {
    let mut next = Point::INFINITY;
    let points = [(); HALF].map(|()| {
        next = next.add(base);
        next
    });
    affine(&points)
}

/// The points in affine form, by one inversion for all (Montgomery's trick). None of them is infinity.
fn affine<const N: usize>(points: &[Point; N]) -> [Affine; N] {
    let mut all = Field::ONE;
    // The product of what came before.
    let before = points.each_ref().map(|point| {
        let before = all;
        all = all.mul(point.zzz);
        before
    });
    let mut inverse = all.inverse();
    let mut out = [Affine::UNSET; N];
    for ((point, before), out) in points.iter().zip(before).zip(&mut out).rev() {
        let zzz = inverse.mul(before);
        inverse = inverse.mul(point.zzz);
        // ZZ/ZZZ is 1/Z, and its square 1/ZZ.
        let zz = point.zz.mul(zzz).square();
        *out = Affine { x: point.x.mul(zz), y: point.y.mul(zzz) };
    }
    out
}
