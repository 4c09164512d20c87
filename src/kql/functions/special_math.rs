//! Trigonometry beyond sine and cosine, and the functions of probability.

use super::Accepts::{Integer, Number};
use super::{Context, Returns, ScalarFunction};
use crate::kql::order::{as_long, as_real};
use crate::kql::value::{Type, Value};

const REAL: Returns = Returns::Is(Type::Real);

pub const ROWS: &[ScalarFunction] = &[
    ScalarFunction::new("asin", &[Number], REAL, |_, v| real(v, f64::asin), "The arc sine.").named_as_argument(),
    ScalarFunction::new("acos", &[Number], REAL, |_, v| real(v, f64::acos), "The arc cosine.").named_as_argument(),
    ScalarFunction::new("atan", &[Number], REAL, |_, v| real(v, f64::atan), "The arc tangent.").named_as_argument(),
    ScalarFunction::new("atan2", &[Number, Number], REAL, atan2, "The angle of the point (second, first).").named_as_argument(),
    ScalarFunction::new("cot", &[Number], REAL, |_, v| real(v, |x| 1.0 / x.tan()), "The cotangent."),
    ScalarFunction::new("degrees", &[Number], REAL, |_, v| real(v, f64::to_degrees), "The angle in degrees."),
    ScalarFunction::new("radians", &[Number], REAL, |_, v| real(v, f64::to_radians), "The angle in radians."),
    ScalarFunction::new("gamma", &[Number], REAL, |_, v| real(v, gamma), "The gamma function.").named_as_argument(),
    ScalarFunction::new("loggamma", &[Number], REAL, |_, v| real(v, log_gamma), "The logarithm of the gamma function.").named_as_argument(),
    ScalarFunction::new("erf", &[Number], REAL, |_, v| real(v, erf), "The error function.").named_as_argument(),
    ScalarFunction::new("erfc", &[Number], REAL, |_, v| real(v, |x| 1.0 - erf(x)), "What is left of the error function to 1.").named_as_argument(),
    ScalarFunction::new("rand", &[Integer], REAL, rand, "A number from 0 to below 1, or a whole one below the value; the same each time the query runs at one moment.").optional_from(0).named_as_argument().varying(),
    ScalarFunction::new("new_guid", &[], Returns::Is(Type::Guid), new_guid, "A guid made of random numbers; the same each time the query runs at one moment.").varying(),
    ScalarFunction::new("bitset_count_ones", &[Integer], Returns::Is(Type::Long), |_, v| as_long(v[0]).map_or(Value::Null, |bits| Value::Long(i64::from(bits.count_ones()))), "How many bits are set.").named_as_argument(),
];

fn real(values: &[&Value], apply: fn(f64) -> f64) -> Value {
    as_real(values[0]).map_or(Value::Null, |number| Value::Real(apply(number)))
}

fn atan2(_: &Context, values: &[&Value]) -> Value {
    match (as_real(values[0]), as_real(values[1])) {
        (Some(y), Some(x)) => Value::Real(y.atan2(x)),
        _ => Value::Null,
    }
}

/// Lanczos' coefficients for g = 7.
const LANCZOS: [f64; 9] = [
    0.999_999_999_999_809_9,
    676.520_368_121_885_1,
    -1_259.139_216_722_402_8,
    771.323_428_777_653_1,
    -176.615_029_162_140_6,
    12.507_343_278_686_905,
    -0.138_571_095_265_720_12,
    9.984_369_578_019_572e-6,
    1.505_632_735_149_311_6e-7,
];

fn log_gamma(x: f64) -> f64 {
    if x < 0.5 {
        let sine = (std::f64::consts::PI * x).sin().abs();
        return (std::f64::consts::PI / sine).ln() - log_gamma(1.0 - x);
    }
    let x = x - 1.0;
    let (first, rest) = (LANCZOS[0], &LANCZOS[1..]);
    let sum = (1..)
        .zip(rest)
        .fold(first, |sum, (at, one)| sum + one / (x + f64::from(at)));
    let t = x + 7.5;
    0.5 * (2.0 * std::f64::consts::PI).ln() + (x + 0.5) * t.ln() - t + sum.ln()
}

fn gamma(x: f64) -> f64 {
    if x <= 0.0 && x.fract() == 0.0 {
        return f64::NAN;
    }
    // Whole numbers have exact factorials.
    if x.fract() == 0.0 && x <= 20.0 {
        return (1..x as i64).map(|one| one as f64).product();
    }
    let size = log_gamma(x).exp();
    let negative = x < 0.0 && x.floor().rem_euclid(2.0) == 1.0;
    if negative { -size } else { size }
}

/// By its series near zero, by the continued fraction of the rest further out.
fn erf(x: f64) -> f64 {
    let size = x.abs();
    let value = if size < 2.5 {
        let (mut term, mut sum) = (size, size);
        for n in 1..100 {
            let n = f64::from(n);
            term *= -size * size / n;
            sum += term / (2.0 * n + 1.0);
        }
        sum * std::f64::consts::FRAC_2_SQRT_PI
    } else {
        let mut tail = 0.0;
        for n in (1..60).rev() {
            tail = f64::from(n) / 2.0 / (size + tail);
        }
        1.0 - (-size * size).exp() / (size + tail) * std::f64::consts::FRAC_2_SQRT_PI / 2.0
    };
    if x < 0.0 { -value } else { value }
}

fn rand(context: &Context, values: &[&Value]) -> Value {
    // The 53 bits that a real holds.
    let share = (context.random() >> 11) as f64 / (1_u64 << 53) as f64;
    match values.first().map(|most| as_real(most)) {
        None => Value::Real(share),
        Some(Some(most)) => Value::Real((share * most).floor()),
        Some(None) => Value::Null,
    }
}

fn new_guid(context: &Context, _: &[&Value]) -> Value {
    let bits = u128::from(context.random()) << 64 | u128::from(context.random());
    let guid = uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid();
    Value::Guid(guid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_functions_of_probability_are_as_tables_have_them() {
        for (found, wanted) in [
            (gamma(5.0), 24.0),
            (gamma(0.5), std::f64::consts::PI.sqrt()),
            (gamma(-0.5), -2.0 * std::f64::consts::PI.sqrt()),
            (log_gamma(10.0), 362_880_f64.ln()),
            (erf(0.5), 0.520_499_877_813_046_5),
            (erf(-1.0), -0.842_700_792_949_714_9),
            (erf(3.0), 0.999_977_909_503_001_4),
        ] {
            assert!((found - wanted).abs() < 1e-9, "{found} {wanted}");
        }
    }
}
