//! Elements of the field of the curve: integers modulo p = 2²⁵⁶ − 2²²⁴ + 2¹⁹² + 2⁹⁶ − 1 (FIPS 186-5,
//! SP 800-186 §3.2.1.3).
//!
//! Invariant: a value of [`Field`] is in Montgomery form and smaller than p, so equal elements are equal
//! arrays.

use super::mont::{self, Limbs, Modulus};

/// The prime of the field.
#[derive(Debug, Clone, Copy)]
pub(super) struct Prime;

impl Modulus for Prime {
    const M: Limbs = [u64::MAX, 0xffff_ffff, 0, 0xffff_ffff_0000_0001];

    /// p is −1 modulo 2⁹⁶, so k is the lowest limb itself, and k·p = k·2⁹⁶ + k·p₃·2¹⁹² − k, where the last
    /// term only clears the lowest limb.
    #[inline(always)]
    fn fold(t: [u64; 6]) -> [u64; 5] {
        let k = t[0];
        let high = (k as u128).wrapping_mul(Self::M[3] as u128);
        let (r0, carry) = mont::adc(t[1], k << 32, 0);
        let (r1, carry) = mont::adc(t[2], k >> 32, carry);
        let (r2, carry) = mont::adc(t[3], high as u64, carry);
        let (r3, carry) = mont::adc(t[4], (high >> 64) as u64, carry);
        [r0, r1, r2, r3, t[5].wrapping_add(carry)]
    }
}

/// An element of the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field(pub(super) Limbs);

impl Field {
    pub(super) const ZERO: Self = Self(mont::ZERO);
    pub(super) const ONE: Self = Self(Prime::ONE);

    /// `value`, which is smaller than p.
    pub(super) fn new(value: Limbs) -> Self {
        Self(mont::enter::<Prime>(value))
    }

    pub(super) fn is_zero(self) -> bool {
        self == Self::ZERO
    }

    #[inline(always)]
    pub(super) fn add(self, other: Self) -> Self {
        Self(mont::add::<Prime>(self.0, other.0))
    }

    #[inline(always)]
    pub(super) fn sub(self, other: Self) -> Self {
        Self(mont::sub::<Prime>(self.0, other.0))
    }

    #[inline(always)]
    pub(super) fn neg(self) -> Self {
        Self::ZERO.sub(self)
    }

    #[inline(always)]
    pub(super) fn mul(self, other: Self) -> Self {
        Self(mont::mul::<Prime>(self.0, other.0))
    }

    #[inline(always)]
    pub(super) fn square(self) -> Self {
        self.mul(self)
    }

    /// 1/`self`, and zero for zero: `self` to the power of p − 2 (Fermat). For tables only.
    pub(super) fn inverse(self) -> Self {
        let exponent = mont::sub_wide(Prime::M, [2, 0, 0, 0]).0;
        let mut power = Self::ONE;
        for limb in exponent.iter().rev() {
            for bit in (0..64).rev() {
                power = power.square();
                if limb >> bit & 1 == 1 {
                    power = power.mul(self);
                }
            }
        }
        power
    }
}
