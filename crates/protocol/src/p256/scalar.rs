//! Integers modulo the order n of the curve (SP 800-186 §3.2.1.3).
//!
//! Owns: the inverse, and the digits by which a table is read.

use super::mont::{self, Limbs, Modulus};

/// The order of the curve.
#[derive(Debug, Clone, Copy)]
pub(super) struct Order;

impl Modulus for Order {
    const M: Limbs =
        [0xf3b9_cac2_fc63_2551, 0xbce6_faad_a717_9e84, u64::MAX, 0xffff_ffff_0000_0000];
}

/// Bits of a limb in the numbers of [`inverse`].
const BITS: u32 = 62;
const MASK: i64 = (1 << BITS) - 1;
/// Rounds of 62 division steps after which g is zero: 741 steps are enough for numbers of 256 bits
/// (Bernstein, Yang, "Fast constant-time gcd computation and modular inversion", theorem 11.2).
const ROUNDS: usize = 12;

/// A number of 310 bits with a sign: limbs of 62 bits, the lowest first; the highest has the sign.
type Wide = [i64; 5];

/// A transition matrix, scaled by 2⁶².
struct Matrix {
    u: i64,
    v: i64,
    q: i64,
    r: i64,
}

/// 1/`value` modulo n, for 0 < `value` < n: Bernstein and Yang's division steps, 62 at a time, in variable
/// time. `None` when the result, which is tried, is no inverse.
///
/// The result is in Montgomery form.
pub(super) fn inverse(value: Limbs) -> Option<Limbs> {
    let modulus = widen(Order::M);
    let (mut d, mut e): (Wide, Wide) = ([0; 5], [1, 0, 0, 0, 0]);
    let (mut f, mut g) = (modulus, widen(value));
    let mut eta = -1;
    for _ in 0..ROUNDS {
        if g == [0; 5] {
            break;
        }
        let matrix;
        (eta, matrix) = steps(eta, f[0] as u64, g[0] as u64);
        (d, e) = update_modular(&matrix, d, e, modulus);
        (f, g) = update(&matrix, f, g);
    }
    let inverse = mont::enter::<Order>(normal(d, f[4] < 0, modulus)?);
    // mul(value, inverse·R) is value·inverse.
    (mont::mul::<Order>(value, inverse) == [1, 0, 0, 0]).then_some(inverse)
}

fn widen(value: Limbs) -> Wide {
    let [a, b, c, d] = value;
    let limb = |bits: u64| (bits as i64) & MASK;
    [limb(a), limb(a >> 62 | b << 2), limb(b >> 60 | c << 4), limb(c >> 58 | d << 6), limb(d >> 56)]
}

/// 62 division steps on the low bits of f (odd) and g; several at a time where g has zeros at its end or a
/// multiple of f makes some.
fn steps(mut eta: i64, f: u64, g: u64) -> (i64, Matrix) {
    let (mut u, mut v, mut q, mut r) = (1u64, 0u64, 0u64, 1u64);
    let (mut f, mut g) = (f, g);
    let mut left = BITS;
    loop {
        let zeros = (g | (u64::MAX << left)).trailing_zeros();
        g >>= zeros;
        u <<= zeros;
        v <<= zeros;
        eta -= i64::from(zeros);
        left -= zeros;
        if left == 0 {
            break;
        }
        let multiple;
        if eta < 0 {
            eta = -eta;
            (f, g) = (g, f.wrapping_neg());
            (u, q) = (q, u.wrapping_neg());
            (v, r) = (r, v.wrapping_neg());
            // −g/f modulo 2⁶: f·(f² − 2) is −1/f modulo 64.
            let ff = f.wrapping_mul(f).wrapping_sub(2);
            multiple = f.wrapping_mul(g).wrapping_mul(ff) & bits(eta, left, 6);
        } else {
            // −g/f modulo 2⁴.
            let inverse = f.wrapping_add((f.wrapping_add(1) & 4) << 1);
            multiple = inverse.wrapping_neg().wrapping_mul(g) & bits(eta, left, 4);
        }
        g = g.wrapping_add(f.wrapping_mul(multiple));
        q = q.wrapping_add(u.wrapping_mul(multiple));
        r = r.wrapping_add(v.wrapping_mul(multiple));
    }
    (eta, Matrix { u: u as i64, v: v as i64, q: q as i64, r: r as i64 })
}

/// A mask of as many bits as g may be cleared of at once: no more than `most`, than steps are left, or than
/// pass before f and g change places.
fn bits(eta: i64, left: u32, most: u32) -> u64 {
    let count = u32::try_from(eta + 1).unwrap_or(most).min(left).min(most);
    (1 << count) - 1
}

/// (f, g) by the matrix, divided by 2⁶².
fn update(t: &Matrix, f: Wide, g: Wide) -> (Wide, Wide) {
    let product = |a: i64, b: i64| i128::from(a).wrapping_mul(i128::from(b));
    let (mut cf, mut cg) = (0i128, 0i128);
    let mut each = |f: i64, g: i64| {
        cf = (cf >> BITS).wrapping_add(product(t.u, f)).wrapping_add(product(t.v, g));
        cg = (cg >> BITS).wrapping_add(product(t.q, f)).wrapping_add(product(t.r, g));
        (cf as i64 & MASK, cg as i64 & MASK)
    };
    let _zero = each(f[0], g[0]);
    let (f0, g0) = each(f[1], g[1]);
    let (f1, g1) = each(f[2], g[2]);
    let (f2, g2) = each(f[3], g[3]);
    let (f3, g3) = each(f[4], g[4]);
    ([f0, f1, f2, f3, (cf >> BITS) as i64], [g0, g1, g2, g3, (cg >> BITS) as i64])
}

/// (d, e) by the matrix, divided by 2⁶² modulo n. Both stay between −2n and n.
fn update_modular(t: &Matrix, d: Wide, e: Wide, n: Wide) -> (Wide, Wide) {
    /// 1/n modulo 2⁶².
    const INVERSE: i64 = Order::INVERSE.wrapping_neg() as i64 & MASK;
    let product = |a: i64, b: i64| i128::from(a).wrapping_mul(i128::from(b));
    // n is added where d or e is negative, and as often as makes the lowest 62 bits zero.
    let (sd, se) = (d[4] >> 63, e[4] >> 63);
    let (md, me) = ((t.u & sd).wrapping_add(t.v & se), (t.q & sd).wrapping_add(t.r & se));
    let first = |a: i64, b: i64| product(a, d[0]).wrapping_add(product(b, e[0]));
    let clear =
        |sum: i128, m: i64| m.wrapping_sub(INVERSE.wrapping_mul(sum as i64).wrapping_add(m) & MASK);
    let (md, me) = (clear(first(t.u, t.v), md), clear(first(t.q, t.r), me));
    let (mut cd, mut ce) = (0i128, 0i128);
    let mut each = |d: i64, e: i64, n: i64| {
        cd = (cd >> BITS).wrapping_add(product(t.u, d)).wrapping_add(product(t.v, e));
        ce = (ce >> BITS).wrapping_add(product(t.q, d)).wrapping_add(product(t.r, e));
        cd = cd.wrapping_add(product(n, md));
        ce = ce.wrapping_add(product(n, me));
        (cd as i64 & MASK, ce as i64 & MASK)
    };
    let _zero = each(d[0], e[0], n[0]);
    let (d0, e0) = each(d[1], e[1], n[1]);
    let (d1, e1) = each(d[2], e[2], n[2]);
    let (d2, e2) = each(d[3], e[3], n[3]);
    let (d3, e3) = each(d[4], e[4], n[4]);
    ([d0, d1, d2, d3, (cd >> BITS) as i64], [e0, e1, e2, e3, (ce >> BITS) as i64])
}

/// `value`, which lies between −2n and n, or its opposite, as a number between 0 and n.
fn normal(value: Wide, negate: bool, n: Wide) -> Option<Limbs> {
    let sum = |a: Wide, b: Wide, sign: i64| {
        let mut carry = 0i64;
        let mut each = |a: i64, b: i64| {
            carry = (carry >> BITS).wrapping_add(a).wrapping_add(b.wrapping_mul(sign));
            carry & MASK
        };
        let low = [each(a[0], b[0]), each(a[1], b[1]), each(a[2], b[2]), each(a[3], b[3])];
        each(a[4], b[4]);
        [low[0], low[1], low[2], low[3], carry]
    };
    let mut value = if value[4] < 0 { sum(value, n, 1) } else { value };
    if negate {
        value = sum([0; 5], value, -1);
    }
    if value[4] < 0 {
        value = sum(value, n, 1);
    }
    let limb = |at: i64| u64::try_from(at).ok();
    let [a, b, c, d, e] =
        [limb(value[0])?, limb(value[1])?, limb(value[2])?, limb(value[3])?, limb(value[4])?];
    let value = [a | b << 62, b >> 2 | c << 60, c >> 4 | d << 58, d >> 6 | e << 56];
    mont::less(value, Order::M).then_some(value)
}

/// `value` modulo n.
pub(super) fn reduced(value: Limbs) -> Limbs {
    // 2²⁵⁶ is below 2n.
    let (less, borrow) = mont::sub_wide(value, Order::M);
    if borrow { value } else { less }
}

/// A scalar as digits to the base 2^`WIDTH`, each between −2^(WIDTH−1) and 2^(WIDTH−1), for a `WIDTH` of at
/// most 16.
pub(super) struct Digits<const WIDTH: usize> {
    left: Limbs,
    carry: u64,
    negative: bool,
}

impl<const WIDTH: usize> Digits<WIDTH> {
    /// The digits of `value`, which is smaller than n.
    pub(super) fn of(value: Limbs) -> Self {
        // Of `value` and n − `value` the one below 2²⁵⁵ is taken, so the last carry has room.
        let opposite = mont::sub_wide(Order::M, value).0;
        let negative = mont::less(opposite, value);
        Self { left: if negative { opposite } else { value }, carry: 0, negative }
    }
}

impl<const WIDTH: usize> Iterator for Digits<WIDTH> {
    /// The size of the digit, and whether it is negative.
    type Item = (usize, bool);

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        let (base, half) = (1u64 << WIDTH, 1u64 << (WIDTH - 1));
        let digit = (self.left[0] & (base - 1)) + self.carry;
        let [a, b, c, d] = self.left;
        let up = 64 - WIDTH;
        self.left = [a >> WIDTH | b << up, b >> WIDTH | c << up, c >> WIDTH | d << up, d >> WIDTH];
        let large = digit > half;
        self.carry = u64::from(large);
        let size = if large { base - digit } else { digit };
        Some((size as usize, self.negative != large))
    }
}
