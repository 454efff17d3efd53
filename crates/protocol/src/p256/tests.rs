use super::field::Field;
use super::gradual;
use super::mont::{self, Limbs, Modulus};
use super::scalar::{self, Digits, Order};
use super::table::{self, Table};
use super::*;
use crate::Algorithm;
use crate::jwk::VerifyingKey;
use crate::sign::SigningKey;
use aws_lc_rs::digest::{Digest, SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use fiat_crypto::p256_64 as fiat_p;
use fiat_crypto::p256_scalar_64 as fiat_n;
use proptest::prelude::*;
use std::sync::LazyLock;

const N: Limbs = Order::M;
const P: Limbs = Prime::M;
const ONE: Limbs = [1, 0, 0, 0];

fn bytes(value: Limbs) -> [u8; 32] {
    let mut out = [0; 32];
    for (to, limb) in out.chunks_mut(8).zip(value.iter().rev()) {
        to.copy_from_slice(&limb.to_be_bytes());
    }
    out
}

fn small(value: u64) -> Limbs {
    [value, 0, 0, 0]
}

fn minus(a: Limbs, b: Limbs) -> Limbs {
    mont::sub_wide(a, b).0
}

fn plus(a: Limbs, b: Limbs) -> Limbs {
    mont::add_wide(a, b).0
}

/// `a·b` modulo n.
fn times(a: Limbs, b: Limbs) -> Limbs {
    mont::mul::<Order>(mont::enter::<Order>(a), b)
}

fn unhex(text: &str) -> [u8; 32] {
    std::array::from_fn(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
}

/// `point` as x and y.
fn coordinates(point: Point) -> [Limbs; 2] {
    let (zz, zzz) = (point.zz.inverse(), point.zzz.inverse());
    [point.x.mul(zz), point.y.mul(zzz)].map(|it| mont::mul::<Prime>(it.0, ONE))
}

/// `scalar`·G as x and y.
fn multiple(scalar: Limbs) -> [Limbs; 2] {
    coordinates(table::product((&GENERATOR_TABLE, scalar), (&GENERATOR_TABLE, mont::ZERO)))
}

/// The same key for us and for the library.
struct Both {
    table: Prepared,
    library: ParsedPublicKey,
}

impl Both {
    fn new([x, y]: [Limbs; 2]) -> Self {
        let (x, y) = (bytes(x), bytes(y));
        let point = [&[4][..], &x, &y].concat();
        let library = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).unwrap();
        Self { table: Prepared::new(&x, &y), library }
    }

    /// The verdict, which must be the library's.
    fn verdict(&self, e: Limbs, r: Limbs, s: Limbs) -> bool {
        let signature = [bytes(r), bytes(s)].concat();
        let hash = Digest::import_less_safe(&bytes(e), &SHA256).unwrap();
        let library = self.library.verify_digest_sig(&hash, &signature).is_ok();
        let ours = self.table.accepts(&bytes(e), &signature.try_into().unwrap());
        assert_eq!(ours, library, "e {e:x?} r {r:x?} s {s:x?}");
        ours
    }
}

/// Limbs of which many are at the ends of their range.
fn limbs() -> impl Strategy<Value = Limbs> {
    let limb = prop_oneof![
        Just(0u64),
        Just(1),
        Just(u64::MAX),
        Just(0xffff_ffff),
        Just(0xffff_ffff_0000_0000),
        Just(0xffff_ffff_0000_0001),
        any::<u64>(),
        any::<u64>(),
        any::<u64>(),
    ];
    [limb.clone(), limb.clone(), limb.clone(), limb]
}

fn below(modulus: Limbs) -> impl Strategy<Value = Limbs> {
    let near = (0u64..4).prop_map(move |less| minus(modulus, small(less + 1)));
    prop_oneof![
        8 => limbs().prop_map(move |it| if mont::less(it, modulus) { it } else { minus(it, modulus) }),
        1 => near,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn the_field_computes_as_fiat_crypto_does(a in below(P), b in below(P)) {
        use fiat_p::fiat_p256_montgomery_domain_field_element as Element;
        let run = |with: fn(&mut Element, &Element, &Element)| {
            let mut out = Element([0; 4]);
            with(&mut out, &Element(a), &Element(b));
            out.0
        };
        prop_assert_eq!(mont::mul::<Prime>(a, b), run(fiat_p::fiat_p256_mul));
        prop_assert_eq!(mont::mul::<Prime>(a, a), run(|out, a, _| fiat_p::fiat_p256_square(out, a)));
        prop_assert_eq!(mont::add::<Prime>(a, b), run(fiat_p::fiat_p256_add));
        prop_assert_eq!(mont::sub::<Prime>(a, b), run(fiat_p::fiat_p256_sub));
        let mut entered = Element([0; 4]);
        fiat_p::fiat_p256_to_montgomery(
            &mut entered,
            &fiat_p::fiat_p256_non_montgomery_domain_field_element(a),
        );
        prop_assert_eq!(Field::new(a).0, entered.0);
    }

    #[test]
    fn scalars_compute_as_fiat_crypto_does(a in below(N), b in below(N)) {
        use fiat_n::fiat_p256_scalar_montgomery_domain_field_element as Element;
        let run = |with: fn(&mut Element, &Element, &Element)| {
            let mut out = Element([0; 4]);
            with(&mut out, &Element(a), &Element(b));
            out.0
        };
        prop_assert_eq!(mont::mul::<Order>(a, b), run(fiat_n::fiat_p256_scalar_mul));
        prop_assert_eq!(mont::add::<Order>(a, b), run(fiat_n::fiat_p256_scalar_add));
        prop_assert_eq!(mont::sub::<Order>(a, b), run(fiat_n::fiat_p256_scalar_sub));
    }

    #[test]
    fn an_inverse_is_one(a in below(N)) {
        prop_assume!(a != mont::ZERO);
        let inverse = scalar::inverse(a).expect("every number below n but zero has an inverse");
        prop_assert!(mont::less(inverse, N));
        prop_assert_eq!(mont::mul::<Order>(a, inverse), ONE);
    }

    #[test]
    fn the_inverse_of_anything_ends(a in limbs()) {
        let _ = scalar::inverse(a);
    }

    #[test]
    fn digits_add_up(a in below(N)) {
        let mut sum = mont::ZERO;
        let digits: Vec<_> = Digits::<{ table::WIDTH }>::of(a).take(256usize.div_ceil(table::WIDTH)).collect();
        for (size, negative) in digits.into_iter().rev() {
            prop_assert!(size <= 1 << (table::WIDTH - 1));
            for _ in 0..table::WIDTH {
                sum = mont::add::<Order>(sum, sum);
            }
            let digit = small(size as u64);
            sum = if negative { mont::sub::<Order>(sum, digit) } else { mont::add::<Order>(sum, digit) };
        }
        prop_assert_eq!(sum, a);
    }
}

#[test]
fn inverses_at_the_ends() {
    for a in [ONE, small(2), small(3), minus(N, ONE), minus(N, small(2)), [0, 0, 0, 1 << 63]] {
        assert_eq!(mont::mul::<Order>(a, scalar::inverse(a).unwrap()), ONE);
    }
    assert_eq!(scalar::inverse(mont::ZERO), None);
    assert_eq!(scalar::inverse(N), None);
}

#[test]
fn the_generator_lies_on_the_curve_and_has_order_n() {
    let [x, y] = GENERATOR;
    assert!(VerifyingKey::p256(bytes(x), bytes(y)).is_ok());
    let opposite = multiple(minus(N, ONE));
    assert_eq!(opposite, [x, minus(P, y)]);
    let g = Affine { x: Field::new(x), y: Field::new(y) };
    let last = Point::from(Affine { x: g.x, y: g.y.neg() });
    assert!(last.add(g).is_infinity());
    assert!(Point::INFINITY.double().is_infinity());
    assert_eq!(coordinates(Point::INFINITY.add(g)), [x, y]);
}

#[test]
fn small_multiples_are_repeated_sums() {
    let [x, y] = GENERATOR.map(Field::new);
    let g = Affine { x, y };
    let mut sum = Point::INFINITY;
    for k in 1..=600u64 {
        sum = sum.add(g);
        assert_eq!(multiple(small(k)), coordinates(sum), "{k}");
        let [x, y] = coordinates(sum);
        assert_eq!(multiple(minus(N, small(k))), [x, minus(P, y)], "-{k}");
    }
    // Doubling in the table's own way, and by the addition of equal points.
    assert_eq!(coordinates(Point::from(g).add(g)), coordinates(Point::from(g).double()));
}

/// u·G + v·Q with Q = d·G is (u + v·d)·G, where the sum passes through equal points, opposite points and
/// infinity too.
#[test]
fn sums_meet_equal_and_opposite_points() {
    let ends = [
        mont::ZERO,
        ONE,
        small(2),
        small(127),
        small(128),
        small(129),
        small(255),
        small(256),
        minus(N, ONE),
        minus(N, small(2)),
        minus(N, small(128)),
        [0x1234_5678_9abc_def0, 0xfedc_ba98_7654_3210, 7, 0x8000_0000_0000_0000],
    ];
    for d in [ONE, small(2), minus(N, ONE), small(128), small(0x1_0000_0001)] {
        let [x, y] = multiple(d).map(Field::new);
        let q = Table::new(Affine { x, y });
        for u in ends {
            let opposite = |it| mont::sub::<Order>(mont::ZERO, it);
            let shared = times(u, scalar_of(scalar::inverse(d).unwrap()));
            for v in ends.into_iter().chain([shared, opposite(shared)]) {
                let sum = table::product((&GENERATOR_TABLE, u), (&q, v));
                let whole = mont::add::<Order>(u, times(v, d));
                match whole == mont::ZERO {
                    true => assert!(sum.is_infinity()),
                    false => assert_eq!(coordinates(sum), multiple(whole)),
                }
            }
        }
    }
}

/// The number that has this Montgomery form.
fn scalar_of(inner: Limbs) -> Limbs {
    mont::mul::<Order>(inner, ONE)
}

#[test]
fn rfc6979_a2_5_signatures_are_accepted() {
    let x = unhex("60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6");
    let y = unhex("7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299");
    let key = VerifyingKey::p256(x, y).unwrap();
    for (message, r, s) in [
        (
            "sample",
            "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716",
            "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8",
        ),
        (
            "test",
            "F1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367",
            "019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083",
        ),
    ] {
        let signature = [unhex(r), unhex(s)].concat();
        assert_eq!(key.accepted_by_table(message.as_bytes(), &signature), Some(true));
        assert!(key.verifies(Algorithm::Es256, message.as_bytes(), &signature));
        assert_eq!(key.accepted_by_table(b"another", &signature), Some(false));
        assert!(!key.verifies(Algorithm::Es256, b"another", &signature));
        assert_eq!(key.accepted_by_table(message.as_bytes(), &signature[..63]), Some(false));
        let long = [&signature[..], &[0]].concat();
        assert_eq!(key.accepted_by_table(message.as_bytes(), &long), Some(false));
    }
}

/// A signature of `e` by the key d with the nonce k.
fn signed(e: Limbs, d: Limbs, k: Limbs) -> [Limbs; 2] {
    let r = scalar::reduced(multiple(k)[0]);
    let sum = mont::add::<Order>(scalar::reduced(e), times(r, d));
    [r, times(sum, scalar_of(scalar::inverse(k).unwrap()))]
}

#[test]
fn fips186_5_s6_4_2_step_1_r_and_s_lie_between_1_and_n() {
    let d = small(0xdead_beef_1234);
    let both = Both::new(multiple(d));
    let e = mont::from_bytes(&unhex(&"5a".repeat(32)));
    let [r, s] = signed(e, d, small(0x1234_5678_9abc));
    assert!(both.verdict(e, r, s));
    // (r, −s) is right as well: ECDSA signatures come in pairs.
    assert!(both.verdict(e, r, minus(N, s)));
    let ends = [mont::ZERO, ONE, minus(N, ONE), N, plus(N, ONE), minus(P, ONE), P, [u64::MAX; 4]];
    for bad in ends {
        assert!(!both.verdict(e, bad, s));
        assert!(!both.verdict(e, r, bad));
        for other in ends {
            assert!(!both.verdict(e, bad, other));
        }
    }
    // Beyond n by the same number.
    assert!(!both.verdict(e, plus(r, N), s));
    assert!(!both.verdict(e, r, plus(s, N)));
}

#[test]
fn hashes_at_the_ends() {
    for d in [ONE, minus(N, ONE), small(2), small(77)] {
        let both = Both::new(multiple(d));
        for e in [mont::ZERO, ONE, minus(N, ONE), N, plus(N, ONE), [u64::MAX; 4], P] {
            for k in [ONE, small(2), minus(N, ONE), small(128), small(65_537), d] {
                let [r, s] = signed(e, d, k);
                if s != mont::ZERO {
                    assert!(both.verdict(e, r, s), "d {d:x?} e {e:x?} k {k:x?}");
                    assert!(!both.verdict(e, r, minus(s, ONE)), "d {d:x?} e {e:x?} k {k:x?}");
                }
            }
        }
    }
}

/// u·G + v·Q is infinity for every s, where e = −r·d.
#[test]
fn fips186_5_s6_4_2_infinity_is_refused() {
    let d = small(0xabcdef);
    let both = Both::new(multiple(d));
    for r in [ONE, small(99), minus(N, ONE), multiple(small(5))[0]] {
        let e = mont::sub::<Order>(mont::ZERO, times(r, d));
        for s in [ONE, small(3), minus(N, ONE)] {
            assert!(!both.verdict(e, r, s));
        }
    }
}

/// A key whose x is between n and p: with e = 0 and r = s the sum is the key itself, and r is x − n.
#[test]
fn fips186_5_s6_4_2_an_x_of_n_and_more_is_reduced() {
    let b = Field::new(mont::from_bytes(&unhex(
        "5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b",
    )));
    let mut found = 0;
    for above in 1..40 {
        let x = plus(N, small(above));
        let field = Field::new(x);
        let three = Field::new(small(3));
        let square = field.square().sub(three).mul(field).add(b);
        let root = root(square);
        if root.square() != square {
            continue;
        }
        found += 1;
        let y = mont::mul::<Prime>(root.0, ONE);
        let both = Both::new([x, y]);
        let r = small(above);
        for e in [mont::ZERO, N] {
            assert!(both.verdict(e, r, r));
            assert!(!both.verdict(e, r, plus(r, ONE)));
            assert!(!both.verdict(e, plus(r, ONE), r));
        }
    }
    assert!(found > 5, "{found}");
}

/// The same signatures whose r + n is no x: r is not below p − n.
#[test]
fn an_r_that_has_no_second_x_is_compared_once() {
    let r = minus(P, N);
    let sum = Point { x: Field::ZERO, y: Field::ONE, zz: Field::ONE, zzz: Field::ONE };
    // r + n is p, which is the zero of the field, and is no x.
    assert!(!x_is(sum, r));
    assert!(!x_is(Point::INFINITY, ONE));
    let nothing = Point { x: Field::ZERO, ..Point::INFINITY };
    assert!(!x_is(nothing, ONE));
}

/// p is 3 modulo 4: `value` to the power of (p + 1)/4.
fn root(value: Field) -> Field {
    let [a, b, c, d] = plus(P, ONE);
    let exponent = [a >> 2 | b << 62, b >> 2 | c << 62, c >> 2 | d << 62, d >> 2];
    let mut power = Field::ONE;
    for limb in exponent.iter().rev() {
        for bit in (0..64).rev() {
            power = power.square();
            if limb >> bit & 1 == 1 {
                power = power.mul(value);
            }
        }
    }
    power
}

/// Keys of the library, each with its signing half.
static KEYS: LazyLock<Vec<SigningKey>> =
    LazyLock::new(|| (0..3).map(|_| SigningKey::generate(Algorithm::Es256).unwrap()).collect());

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn verdicts_are_those_of_the_library(
        key in 0usize..3,
        message in proptest::collection::vec(any::<u8>(), 0..200),
        at in 0usize..64,
        with in 1u8..,
    ) {
        let signer = &KEYS[key];
        let key = signer.public().material();
        let good = signer.sign(&message).unwrap();
        prop_assert_eq!(key.accepted_by_table(&message, &good), Some(true));
        prop_assert!(key.verifies(Algorithm::Es256, &message, &good));
        let mut bad = good.clone();
        bad[at] ^= with;
        prop_assert_eq!(key.accepted_by_table(&message, &bad), Some(false));
        prop_assert!(!key.verifies(Algorithm::Es256, &message, &bad));
        let mut other = message.clone();
        other.push(with);
        prop_assert_eq!(key.accepted_by_table(&other, &good), Some(false));
    }

    #[test]
    fn equations_are_judged_as_the_library_judges(e in limbs(), d in below(N), k in below(N), s in limbs()) {
        prop_assume!(d != mont::ZERO && k != mont::ZERO);
        let both = Both::new(multiple(d));
        let [r, right] = signed(e, d, k);
        prop_assert_eq!(both.verdict(e, r, right), r != mont::ZERO && right != mont::ZERO);
        both.verdict(e, r, s);
        both.verdict(s, r, right);
        both.verdict(e, s, right);
    }
}

#[test]
fn a_key_gets_its_table_after_so_many_signatures_and_there_are_only_so_many() {
    let key = |d| multiple(small(d)).map(bytes);
    let used = |d: u64, times: u32| {
        let [x, y] = key(d);
        let gradual = Gradual::default();
        for _ in 0..times {
            gradual.verified(&x, &y);
        }
        gradual
    };
    let has = |it: &Gradual| format!("{it:?}") == "Prepared";
    let message = digest(&SHA256, b"message");
    let hash: [u8; 32] = message.as_ref().try_into().unwrap();
    let [r, s] = signed(mont::from_bytes(&hash), small(5), small(11)).map(bytes);
    let signature = [r, s].concat();

    let early = used(5, gradual::AFTER - 1);
    assert!(!has(&early) && !early.accepts(|| hash, &signature));
    let clone = early.clone();
    let [x, y] = key(5);
    clone.verified(&x, &y);
    assert!(has(&early) && has(&clone));
    assert!(early.accepts(|| hash, &signature) && !early.accepts(|| [0; 32], &signature));

    let rest: Vec<_> = (6..).take(gradual::TABLES - 1).map(|d| used(d, gradual::AFTER)).collect();
    assert!(rest.iter().all(has));
    let late = used(3, gradual::AFTER);
    assert!(!has(&late));
    // Room comes back with the last clone of a key, and a key that was late is tried again.
    drop(early);
    assert!(!has(&used(3, gradual::AFTER)));
    drop(clone);
    let [x, y] = key(3);
    late.verified(&x, &y);
    assert!(!has(&late));
    for _ in 1..gradual::AFTER {
        late.verified(&x, &y);
    }
    assert!(has(&late));
}
