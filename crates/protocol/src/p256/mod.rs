//! A faster way to see that an ECDSA signature on P-256 is right.
//!
//! Owns: tables of multiples of public keys, and the equation of FIPS 186-5 §6.4.2 computed with them.
//!
//! Never does: refuse. What it does not accept, the library judges, so a fault here costs time and never a
//! valid token. And it never sees a secret: it branches and reads memory by what it computes, which is right
//! for public keys, signatures and hashes of tokens, and for nothing else.
//!
//! Invariant: what it accepts, the library accepts. `docs/adr/0006-fast-p256.md` says why this may be trusted.

mod field;
mod gradual;
mod mont;
mod point;
mod scalar;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use gradual::Gradual;

use field::{Field, Prime};
use mont::{Limbs, Modulus};
use point::{Affine, Point};
use scalar::Order;
use std::sync::LazyLock;
use table::Table;

/// The generator (SP 800-186 §3.2.1.3), as x and y.
const GENERATOR: [Limbs; 2] = [
    [0xf4a1_3945_d898_c296, 0x7703_7d81_2deb_33a0, 0xf8bc_e6e5_63a4_40f2, 0x6b17_d1f2_e12c_4247],
    [0xcbb6_4068_37bf_51f5, 0x2bce_3357_6b31_5ece, 0x8ee7_eb4a_7c0f_9e16, 0x4fe3_42e2_fe1a_7f9b],
];

static GENERATOR_TABLE: LazyLock<Table> = LazyLock::new(|| {
    let [x, y] = GENERATOR.map(Field::new);
    Table::new(Affine { x, y })
});

/// A public key, prepared.
struct Prepared(Table);

impl Prepared {
    /// Prepares the key with these coordinates, which must be those of a point on the curve.
    fn new(x: &[u8; 32], y: &[u8; 32]) -> Self {
        let [x, y] = [x, y].map(|it| Field::new(mont::from_bytes(it)));
        LazyLock::force(&GENERATOR_TABLE);
        Self(Table::new(Affine { x, y }))
    }

    /// Whether `signature` is this key's of a message with this SHA-256.
    fn accepts(&self, hash: &[u8; 32], signature: &[u8; 64]) -> bool {
        let ([r, s], _) = signature.as_chunks::<32>() else { return false };
        self.equation(mont::from_bytes(hash), mont::from_bytes(r), mont::from_bytes(s))
    }

    /// FIPS 186-5 §6.4.2.
    fn equation(&self, e: Limbs, r: Limbs, s: Limbs) -> bool {
        // Step 1: r and s lie between 1 and n − 1.
        let in_range = |it: Limbs| it != mont::ZERO && mont::less(it, Order::M);
        if !in_range(r) || !in_range(s) {
            return false;
        }
        // Steps 3 and 4. The hash has as many bits as n.
        let Some(inverse) = scalar::inverse(s) else { return false };
        let u = mont::mul::<Order>(scalar::reduced(e), inverse);
        let v = mont::mul::<Order>(r, inverse);
        // Step 5.
        let sum = table::product((&GENERATOR_TABLE, u), (&self.0, v));
        x_is(sum, r)
    }
}

/// FIPS 186-5 §6.4.2, steps 5 to 8: `sum` is not infinity, and its x is `r` modulo n. As p is below 2n, that
/// is `r` or `r` + n, and x = X/ZZ is compared as X = x·ZZ.
fn x_is(sum: Point, r: Limbs) -> bool {
    if sum.is_infinity() {
        return false;
    }
    let is = |x: Limbs| Field::new(x).mul(sum.zz) == sum.x;
    let (other, carry) = mont::add_wide(r, Order::M);
    is(r) || (carry == 0 && mont::less(other, Prime::M) && is(other))
}
