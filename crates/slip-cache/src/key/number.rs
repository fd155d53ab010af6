//! One spelling for every number: its digits without needless zeros, and a power of ten.

/// Powers with more digits than this are kept as they were written: no two of them are worth comparing.
const LONGEST_POWER: usize = 9;

/// Is it written in the one spelling already? So are most numbers of requests.
pub(super) fn is_plain(raw: &[u8]) -> bool {
    match raw {
        [b'0'] => true,
        [b'-', digits @ ..] | digits => {
            digits.iter().all(u8::is_ascii_digit) && matches!(digits.last(), Some(b'1'..=b'9'))
        }
    }
}

/// The one spelling of a valid JSON number. Exact: nothing goes through a float, so `1e400` stays apart from `2e400` and
/// 2⁵³ + 1 from 2⁵³. Zero has no sign.
pub(super) fn write(raw: &[u8], out: &mut Vec<u8>) {
    let (negative, rest) = match raw {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let (mantissa, power) = match rest.iter().position(|b| matches!(b, b'e' | b'E')) {
        Some(at) => (rest.get(..at).unwrap_or_default(), rest.get(at + 1..).unwrap_or_default()),
        None => (rest, &[][..]),
    };
    let (sign, figures) = match power {
        [b'-', figures @ ..] => (-1, figures),
        [b'+', figures @ ..] | figures => (1, figures),
    };
    let zeros = figures.iter().take_while(|b| **b == b'0').count();
    let figures = figures.get(zeros..).unwrap_or_default();
    let start = out.len();
    if negative {
        out.push(b'-');
    }
    let digits = out.len();
    let mut power = 0i64;
    let mut fraction = false;
    for byte in mantissa {
        match byte {
            b'.' => fraction = true,
            b'0' if out.len() == digits => power -= i64::from(fraction),
            digit => {
                out.push(*digit);
                power -= i64::from(fraction);
            }
        }
    }
    if out.len() == digits {
        out.truncate(start);
        out.push(b'0');
        return;
    }
    if figures.len() > LONGEST_POWER {
        out.truncate(start);
        out.extend_from_slice(raw);
        return;
    }
    while out.last() == Some(&b'0') {
        out.pop();
        power += 1;
    }
    let written = figures.iter().fold(0i64, |n, b| n * 10 + i64::from(b - b'0'));
    power += sign * written;
    if power != 0 {
        out.push(b'e');
        out.extend_from_slice(power.to_string().as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelt(raw: &str) -> String {
        let mut out = Vec::new();
        write(raw.as_bytes(), &mut out);
        if is_plain(raw.as_bytes()) {
            assert_eq!(out, raw.as_bytes(), "a plain number is in the one spelling");
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn one_number_has_one_spelling() {
        for (want, spellings) in [
            ("0", &["0", "-0", "0.0", "-0.00e7", "0E-9", "0e99999999999999999999"][..]),
            ("1", &["1", "1.0", "1e0", "1E+0", "10e-1", "0.1e1", "0.001e+003", "1.000", "100e-002"]),
            ("-7e-1", &["-0.7", "-0.70", "-7e-1", "-70E-2"]),
            ("1e3", &["1000", "1e3", "1000.0", "0.1e4"]),
            ("1e400", &["1e400", "10e399", "0.01E+402"]),
            ("9007199254740993", &["9007199254740993", "9007199254740993.0", "9007199254740.993e3"]),
            ("25e-1", &["2.5", "2.50", "25e-1", "0.25e1"]),
            ("10000000000000000000000000000001e-31", &["1.0000000000000000000000000000001"]),
        ] {
            for raw in spellings {
                assert_eq!(spelt(raw), want, "{raw}");
            }
        }
    }

    #[test]
    fn different_numbers_stay_apart() {
        let all = [
            "0",
            "1",
            "-1",
            "2",
            "0.1",
            "10",
            "1e400",
            "2e400",
            "1e401",
            "1e-400",
            "9007199254740992",
            "9007199254740993",
            "0.30000000000000004",
            "0.3",
            "1e99999999999",
            "1e-99999999999",
            "1e99999999998",
        ];
        for (at, a) in all.iter().enumerate() {
            for b in all.iter().skip(at + 1) {
                assert_ne!(spelt(a), spelt(b), "{a} and {b}");
            }
        }
    }
}
