//! Arithmetic modulo a prime of 256 bits, in Montgomery form with R = 2²⁵⁶.
//!
//! Owns: addition, subtraction, multiplication. The product is the textbook one, limb by limb (CIOS: Koç,
//! Acar, Kaliski, "Analyzing and Comparing Montgomery Multiplication Algorithms", §5), for both primes.
//!
//! Invariant: what is returned is smaller than the modulus where the arguments are. All carries are explicit;
//! nothing overflows and nothing panics.

/// A number of 256 bits, the lowest 64 first.
pub(super) type Limbs = [u64; 4];

/// Zero, in any form.
pub(super) const ZERO: Limbs = [0; 4];

/// A prime above 2²⁵⁵.
pub(super) trait Modulus {
    /// The prime itself.
    const M: Limbs;
    /// R mod M: one, in Montgomery form. M is above 2²⁵⁵, so it is R − M.
    const ONE: Limbs = sub_wide(ZERO, Self::M).0;
    /// R² mod M: what brings a number into Montgomery form.
    const R2: Limbs = r2(Self::ONE, Self::M);
    /// −1/M mod 2⁶⁴.
    const INVERSE: u64 = negated_inverse(Self::M[0]);

    /// (`t` + k·M) / 2⁶⁴ for the k below 2⁶⁴ that makes it whole. `t` is below (2⁶⁴ + 1)·M, so what is
    /// returned is below 2M.
    #[inline(always)]
    fn fold(t: [u64; 6]) -> [u64; 5] {
        let k = t[0].wrapping_mul(Self::INVERSE);
        let (_, carry) = mac(t[0], k, Self::M[0], 0);
        let (r0, carry) = mac(t[1], k, Self::M[1], carry);
        let (r1, carry) = mac(t[2], k, Self::M[2], carry);
        let (r2, carry) = mac(t[3], k, Self::M[3], carry);
        let (r3, carry) = adc(t[4], carry, 0);
        [r0, r1, r2, r3, t[5].wrapping_add(carry)]
    }
}

/// `a + b + carry`: the low limb and the carry.
#[inline(always)]
pub(super) const fn adc(a: u64, b: u64, carry: u64) -> (u64, u64) {
    // At most 3·(2⁶⁴ − 1).
    let sum = (a as u128).wrapping_add(b as u128).wrapping_add(carry as u128);
    (sum as u64, (sum >> 64) as u64)
}

/// `a − b − borrow`, and whether it was negative.
#[inline(always)]
const fn sbb(a: u64, b: u64, borrow: bool) -> (u64, bool) {
    let (difference, first) = a.overflowing_sub(b);
    let (difference, second) = difference.overflowing_sub(borrow as u64);
    (difference, first | second)
}

/// `a + b·c + carry`: the low limb and the high one.
#[inline(always)]
const fn mac(a: u64, b: u64, c: u64, carry: u64) -> (u64, u64) {
    // At most (2⁶⁴ − 1)² + 2·(2⁶⁴ − 1) = 2¹²⁸ − 1.
    let sum =
        (b as u128).wrapping_mul(c as u128).wrapping_add(a as u128).wrapping_add(carry as u128);
    (sum as u64, (sum >> 64) as u64)
}

/// `a + b`, and the carry.
#[inline(always)]
pub(super) const fn add_wide(a: Limbs, b: Limbs) -> (Limbs, u64) {
    let (r0, carry) = adc(a[0], b[0], 0);
    let (r1, carry) = adc(a[1], b[1], carry);
    let (r2, carry) = adc(a[2], b[2], carry);
    let (r3, carry) = adc(a[3], b[3], carry);
    ([r0, r1, r2, r3], carry)
}

/// `a − b` mod 2²⁵⁶, and whether it was negative.
#[inline(always)]
pub(super) const fn sub_wide(a: Limbs, b: Limbs) -> (Limbs, bool) {
    let (r0, borrow) = sbb(a[0], b[0], false);
    let (r1, borrow) = sbb(a[1], b[1], borrow);
    let (r2, borrow) = sbb(a[2], b[2], borrow);
    let (r3, borrow) = sbb(a[3], b[3], borrow);
    ([r0, r1, r2, r3], borrow)
}

/// Whether `a < b`.
pub(super) const fn less(a: Limbs, b: Limbs) -> bool {
    sub_wide(a, b).1
}

/// `value + top·2²⁵⁶`, which is below 2M, modulo M.
#[inline(always)]
const fn reduce_once(value: Limbs, top: u64, modulus: Limbs) -> Limbs {
    let (reduced, borrow) = sub_wide(value, modulus);
    let keep = (borrow as u64 & (top ^ 1)).wrapping_neg();
    select(keep, value, reduced)
}

/// `a` where `mask` is all ones, `b` where it is zero.
#[inline(always)]
const fn select(mask: u64, a: Limbs, b: Limbs) -> Limbs {
    [
        b[0] ^ (mask & (a[0] ^ b[0])),
        b[1] ^ (mask & (a[1] ^ b[1])),
        b[2] ^ (mask & (a[2] ^ b[2])),
        b[3] ^ (mask & (a[3] ^ b[3])),
    ]
}

/// `a + b` modulo M.
#[inline(always)]
pub(super) fn add<M: Modulus>(a: Limbs, b: Limbs) -> Limbs {
    let (sum, carry) = add_wide(a, b);
    reduce_once(sum, carry, M::M)
}

/// `a − b` modulo M.
#[inline(always)]
pub(super) fn sub<M: Modulus>(a: Limbs, b: Limbs) -> Limbs {
    let (difference, borrow) = sub_wide(a, b);
    let mask = (borrow as u64).wrapping_neg();
    let [m0, m1, m2, m3] = M::M;
    add_wide(difference, [m0 & mask, m1 & mask, m2 & mask, m3 & mask]).0
}

/// `a·b/R` modulo M.
#[inline(always)]
pub(super) fn mul<M: Modulus>(a: Limbs, b: Limbs) -> Limbs {
    // INVARIANT: between two rows t is below 2M, so its fifth limb is zero or one.
    let t = row::<M>([0; 5], a[0], b);
    let t = row::<M>(t, a[1], b);
    let t = row::<M>(t, a[2], b);
    let [r0, r1, r2, r3, top] = row::<M>(t, a[3], b);
    reduce_once([r0, r1, r2, r3], top, M::M)
}

/// (`t` + `a`·`b` + k·M) / 2⁶⁴ for the k that makes it whole.
#[inline(always)]
fn row<M: Modulus>(t: [u64; 5], a: u64, b: Limbs) -> [u64; 5] {
    let (r0, carry) = mac(t[0], a, b[0], 0);
    let (r1, carry) = mac(t[1], a, b[1], carry);
    let (r2, carry) = mac(t[2], a, b[2], carry);
    let (r3, carry) = mac(t[3], a, b[3], carry);
    let (r4, r5) = adc(t[4], carry, 0);
    M::fold([r0, r1, r2, r3, r4, r5])
}

/// `value`, which need not be reduced, in Montgomery form.
#[inline(always)]
pub(super) fn enter<M: Modulus>(value: Limbs) -> Limbs {
    mul::<M>(value, M::R2)
}

/// The number that these bytes are, the highest first.
pub(super) fn from_bytes(bytes: &[u8; 32]) -> Limbs {
    let mut limbs = ZERO;
    for (limb, bytes) in limbs.iter_mut().rev().zip(bytes.as_chunks::<8>().0) {
        *limb = u64::from_be_bytes(*bytes);
    }
    limbs
}

/// Doubling R mod M 256 times.
const fn r2(one: Limbs, modulus: Limbs) -> Limbs {
    let (mut value, mut left) = (one, 256);
    while left > 0 {
        let (sum, carry) = add_wide(value, value);
        value = reduce_once(sum, carry, modulus);
        left -= 1;
    }
    value
}

/// −1/`odd` mod 2⁶⁴, by Newton's iteration: an odd number is its own inverse modulo 8, and each step doubles
/// the bits that are right (3, 6, 12, 24, 48, 96).
const fn negated_inverse(odd: u64) -> u64 {
    let (mut inverse, mut left) = (odd, 5);
    while left > 0 {
        inverse = inverse.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(inverse)));
        left -= 1;
    }
    inverse.wrapping_neg()
}
