//! Points of the curve y² = x³ − 3x + b.
//!
//! Owns: addition and doubling in the coordinates (X, Y, ZZ, ZZZ) of Sutherland, where x = X/ZZ, y = Y/ZZZ
//! and ZZ³ = ZZZ² ("XYZZ" in the Explicit-Formulas Database); infinity is ZZ = 0.
//!
//! Invariant: both operations are complete: infinity, equal points and opposite points are told apart by
//! comparison. They branch on what they compute, for all of it is public.

use super::field::Field;

/// A point other than infinity, in one line of the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(align(64))]
pub(super) struct Affine {
    pub(super) x: Field,
    pub(super) y: Field,
}

impl Affine {
    /// What fills a table before it is computed.
    pub(super) const UNSET: Self = Self { x: Field::ZERO, y: Field::ZERO };

    /// The same point, or its opposite.
    #[inline(always)]
    pub(super) fn negated_if(self, negative: bool) -> Self {
        if negative { Self { x: self.x, y: self.y.neg() } } else { self }
    }
}

/// A point.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point {
    pub(super) x: Field,
    pub(super) y: Field,
    pub(super) zz: Field,
    pub(super) zzz: Field,
}

impl From<Affine> for Point {
    fn from(point: Affine) -> Self {
        Self { x: point.x, y: point.y, zz: Field::ONE, zzz: Field::ONE }
    }
}

impl Point {
    pub(super) const INFINITY: Self =
        Self { x: Field::ONE, y: Field::ONE, zz: Field::ZERO, zzz: Field::ZERO };

    pub(super) fn is_infinity(self) -> bool {
        self.zz.is_zero()
    }

    /// `dbl-2008-s-1` with a = −3, where 3X² + a·ZZ² = 3·(X − ZZ)·(X + ZZ). Infinity stays infinity, and no
    /// other point has a double at infinity: the order of the curve is odd.
    pub(super) fn double(self) -> Self {
        let u = self.y.add(self.y);
        let v = u.square();
        let w = u.mul(v);
        let s = self.x.mul(v);
        let third = self.x.sub(self.zz).mul(self.x.add(self.zz));
        let m = third.add(third).add(third);
        let x = m.square().sub(s).sub(s);
        let y = m.mul(s.sub(x)).sub(w.mul(self.y));
        Self { x, y, zz: v.mul(self.zz), zzz: w.mul(self.zzz) }
    }

    /// `madd-2008-s`.
    pub(super) fn add(self, other: Affine) -> Self {
        if self.is_infinity() {
            return other.into();
        }
        let p = other.x.mul(self.zz).sub(self.x);
        let r = other.y.mul(self.zzz).sub(self.y);
        if p.is_zero() {
            // One x: the same point, or opposite ones.
            return if r.is_zero() { self.double() } else { Self::INFINITY };
        }
        let pp = p.square();
        let ppp = p.mul(pp);
        let q = self.x.mul(pp);
        let x = r.square().sub(ppp).sub(q).sub(q);
        let y = r.mul(q.sub(x)).sub(self.y.mul(ppp));
        Self { x, y, zz: self.zz.mul(pp), zzz: self.zzz.mul(ppp) }
    }
}
