//! Weights that need not be whole, and the whole ones in the same proportions.

use crate::engine::WeightLimits;
use serde_json::Value;

/// A weight in billionths, as fine as a Kubernetes quantity is.
pub(crate) type Nanos = u128;

const ONE: Nanos = 1_000_000_000;

/// A whole weight in billionths.
pub(crate) fn of_whole(weight: u32) -> Nanos {
    Nanos::from(weight) * ONE
}

/// Reads what the schemas of `TrafficSplit` let through: a number, or a quantity such as `500m`.
/// An absent weight is 0, as everywhere in this program. Written here because what is needed is a
/// ratio of whole numbers, and none of a quantity's other meanings.
pub(crate) fn read(value: Option<&Value>) -> Option<Nanos> {
    match value {
        None | Some(Value::Null) => Some(0),
        Some(Value::Number(number)) => quantity(&number.to_string()),
        Some(Value::String(text)) => quantity(text),
        Some(_) => None,
    }
}

fn quantity(text: &str) -> Option<Nanos> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits: Nanos = format!("{whole}{fraction}").parse().ok()?;
    let (power, binary) = scale(suffix)?;
    let power = 9 + power - i32::try_from(fraction.len()).ok()?;
    let factor = 10_u128.checked_pow(power.unsigned_abs())?;
    let scaled = digits.checked_mul(1_u128 << binary)?;
    if power >= 0 {
        return scaled.checked_mul(factor);
    }
    // What is finer than a billionth is rounded up, as Kubernetes does it: a third is 0.3333333333333333.
    Some(scaled.div_ceil(factor))
}

/// What a suffix multiplies by: a power of ten, and one of two.
fn scale(suffix: &str) -> Option<(i32, u32)> {
    let exponent = suffix.strip_prefix(['e', 'E']).filter(|e| !matches!(*e, "" | "i"));
    if let Some(exponent) = exponent {
        let exponent = exponent.parse().ok().filter(|e| (-30..=30).contains(e));
        return exponent.map(|exponent| (exponent, 0));
    }
    Some(match suffix {
        "" => (0, 0),
        "n" => (-9, 0),
        "u" => (-6, 0),
        "m" => (-3, 0),
        "k" => (3, 0),
        "M" => (6, 0),
        "G" => (9, 0),
        "T" => (12, 0),
        "P" => (15, 0),
        "E" => (18, 0),
        "Ki" => (0, 10),
        "Mi" => (0, 20),
        "Gi" => (0, 30),
        "Ti" => (0, 40),
        "Pi" => (0, 50),
        "Ei" => (0, 60),
        _ => return None,
    })
}

/// The same weights where they are whole and small enough; otherwise the smallest whole ones in
/// the same proportions, if those are small enough.
pub(crate) fn whole(weights: &[Nanos], limits: WeightLimits) -> Option<Vec<u32>> {
    divided(weights, ONE, limits).or_else(|| {
        let common = weights.iter().copied().fold(0, greatest_common_divisor);
        divided(weights, common.max(1), limits)
    })
}

/// The same, or whole weights that come as near to the proportions as the limits allow; none that
/// is above 0 becomes 0.
pub(crate) fn scaled(weights: &[Nanos], limits: WeightLimits) -> Vec<u32> {
    whole(weights, limits).unwrap_or_else(|| rounded(weights, limits))
}

fn divided(weights: &[Nanos], by: Nanos, limits: WeightLimits) -> Option<Vec<u32>> {
    let divide = |weight: &Nanos| {
        let whole = weight.is_multiple_of(by).then(|| weight / by)?;
        u32::try_from(whole).ok().filter(|whole| *whole <= limits.weight)
    };
    let weights: Vec<u32> = weights.iter().map(divide).collect::<Option<_>>()?;
    let sum: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
    (sum <= u64::from(limits.sum)).then_some(weights)
}

fn rounded(weights: &[Nanos], limits: WeightLimits) -> Vec<u32> {
    // What is multiplied below keeps within 128 bits.
    const BITS: u32 = 80;
    let largest = weights.iter().copied().max().unwrap_or(0);
    let shift = (Nanos::BITS - largest.leading_zeros()).saturating_sub(BITS);
    let largest = (largest >> shift).max(1);
    let sum = weights.iter().map(|weight| weight >> shift).sum::<Nanos>().max(1);
    let above_0 = weights.iter().filter(|weight| **weight > 0).count();
    let room = Nanos::from(limits.sum).saturating_sub(above_0 as Nanos);
    let one = |weight: &Nanos| {
        if *weight == 0 {
            return 0;
        }
        let weight = weight >> shift;
        let scaled = (weight * room / sum).min(weight * Nanos::from(limits.weight) / largest);
        u32::try_from(scaled).unwrap_or(limits.weight).max(1)
    };
    weights.iter().map(one).collect()
}

fn greatest_common_divisor(a: Nanos, b: Nanos) -> Nanos {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::MAX_WEIGHT;
    use proptest::prelude::*;
    use serde_json::json;

    /// A route's.
    const LIMITS: WeightLimits = WeightLimits { weight: 1_000_000, sum: u32::MAX };
    const OF_A_SPLIT: WeightLimits = WeightLimits { weight: MAX_WEIGHT, sum: MAX_WEIGHT };

    #[test]
    fn fractions_become_whole_in_the_same_proportions() {
        for (weights, expected) in [
            (json!([1, 0]), Some(vec![1, 0])),
            (json!([50, 50]), Some(vec![50, 50])),
            (json!(["7", null]), Some(vec![7, 0])),
            (json!([1.0, 0]), Some(vec![1, 0])),
            (json!([0.5, 0.5]), Some(vec![1, 1])),
            (json!(["500m", "1500m"]), Some(vec![1, 3])),
            (json!([0.1, 0.9]), Some(vec![1, 9])),
            (json!([0.3333, 0.6667]), Some(vec![3333, 6667])),
            (json!(["500m", 2]), Some(vec![1, 4])),
            (json!([1e-7, 3e-7]), Some(vec![1, 3])),
            (json!(["1k", "+2e3"]), Some(vec![1000, 2000])),
            (json!(["1Ki", ".5"]), Some(vec![2048, 1])),
            (json!([1_000_000, 0]), Some(vec![1_000_000, 0])),
            (json!([2_000_000, 1_000_000]), Some(vec![2, 1])),
            (json!([0, 0]), Some(vec![0, 0])),
            (json!([1_000_001, 1]), None),
            (json!([0.333_333_333, 0.666_666_667]), None),
        ] {
            let read: Option<Vec<_>> =
                weights.as_array().unwrap().iter().map(|weight| read(Some(weight))).collect();
            assert_eq!(whole(&read.unwrap(), LIMITS), expected, "{weights}");
        }
    }

    #[test]
    fn what_is_finer_than_a_billionth_is_rounded_up_and_keeps_its_proportions() {
        // As a JSON writer prints thirds.
        let thirds = [json!(1.0 / 3.0), json!(2.0 / 3.0)];
        let thirds: Vec<Nanos> = thirds.iter().map(|weight| read(Some(weight)).unwrap()).collect();
        assert_eq!(thirds, [333_333_334, 666_666_667]);
        let [one, two] = scaled(&thirds, OF_A_SPLIT)[..] else { panic!("two") };
        assert!(two.abs_diff(2 * one) <= 1, "{one} {two}");
        assert_eq!(read(Some(&json!("0.0000000001"))), Some(1));
    }

    #[test]
    fn a_quantity_has_the_suffixes_of_kubernetes() {
        for (text, whole) in [
            ("2000000000n", 2),
            ("2000000u", 2),
            ("2000m", 2),
            ("2", 2),
            ("2k", 2_000),
            ("2M", 2_000_000),
            ("2G", 2_000_000_000),
            ("2T", 2_000_000_000_000),
            ("2P", 2_000_000_000_000_000),
            ("2E", 2_000_000_000_000_000_000),
            ("2Ki", 2 << 10),
            ("2Mi", 2 << 20),
            ("2Gi", 2 << 30),
            ("2Ti", 2 << 40),
            ("2Pi", 2 << 50),
            ("2Ei", 2 << 60),
            ("2e3", 2_000),
            ("2E3", 2_000),
            ("2000e-3", 2),
        ] {
            assert_eq!(read(Some(&json!(text))), Some(whole * ONE), "{text}");
        }
    }

    #[test]
    fn what_is_no_weight_is_not_read() {
        for weight in [
            json!(-1),
            json!(""),
            json!("."),
            json!("half"),
            json!("1.2.3"),
            json!("1e"),
            json!("1e99"),
            json!(1e300),
            json!("1x"),
            json!(true),
            json!([]),
            json!("999999999999999999999999999999999999999"),
        ] {
            assert_eq!(read(Some(&weight)), None, "{weight}");
        }
    }

    #[test]
    fn proportions_that_whole_numbers_cannot_express_are_approximated() {
        let thirds = [333_333_333, 666_666_667];
        assert_eq!(scaled(&thirds, OF_A_SPLIT), [143_164, 286_329]);
        assert_eq!(scaled(&[of_whole(400_000), of_whole(400_000)], OF_A_SPLIT), [1, 1]);
        assert_eq!(scaled(&[u128::MAX / 2, 1, 0], OF_A_SPLIT), [429_494, 1, 0]);
    }

    proptest! {
        #[test]
        fn scaled_weights_keep_within_the_limits_and_none_is_lost(
            weights in proptest::collection::vec(prop_oneof![
                Just(0), 0..u128::from(u64::MAX), 0..u128::MAX / 1_000,
            ], 0..40),
        ) {
            for limits in [LIMITS, OF_A_SPLIT] {
                let given = scaled(&weights, limits);
                let sum: u64 = given.iter().map(|weight| u64::from(*weight)).sum();
                prop_assert!(sum <= u64::from(limits.sum));
                for (given, weight) in given.iter().zip(&weights) {
                    prop_assert!(*given <= limits.weight);
                    prop_assert_eq!(*given == 0, *weight == 0);
                }
            }
        }
    }
}
