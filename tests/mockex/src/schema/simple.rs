//! The built-in types of text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Whether a name is a built-in type.
#[cfg(test)]
pub fn is_built_in(name: &str) -> bool {
    let built_in = "string nonEmptyString boolean int integer long short nonNegativeInteger unsignedInt unsignedShort double \
        dateTime date time duration base64Binary anyURI language guid bitmask propertyTagHexadecimal";
    built_in.split_whitespace().any(|known| known == name)
}

/// Whether a text is a value of a built-in type.
pub fn is_valid(name: &str, text: &str) -> bool {
    let value = text.trim();
    match name {
        "string" | "anyURI" => true,
        "nonEmptyString" => !text.is_empty(),
        "boolean" => matches!(value, "true" | "false" | "1" | "0"),
        "int" => value.parse::<i32>().is_ok(),
        "short" => value.parse::<i16>().is_ok(),
        "integer" | "long" => value.parse::<i64>().is_ok(),
        "nonNegativeInteger" => value.parse::<u64>().is_ok(),
        "unsignedInt" => value.parse::<u32>().is_ok(),
        "unsignedShort" => value.parse::<u16>().is_ok(),
        "double" => value.parse::<f64>().is_ok(),
        "dateTime" => is_date_time(value),
        "date" => is_date(value),
        "time" => without_zone(value).parse::<jiff::civil::Time>().is_ok(),
        "duration" => is_duration(value),
        "base64Binary" => is_base64(text),
        "language" => {
            !value.is_empty()
                && value
                    .split('-')
                    .all(|part| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        }
        "guid" => uuid::Uuid::try_parse(text).is_ok() && text.len() == 36,
        "bitmask" => hexadecimal(text).is_some_and(is_hexadecimal) || text.bytes().all(|byte| byte.is_ascii_digit()),
        "propertyTagHexadecimal" => {
            hexadecimal(text).is_some_and(|digits| (1..=4).contains(&digits.len()) && is_hexadecimal(digits))
        }
        _ => false,
    }
}

/// Cuts `Z` or an offset off a date or time.
fn without_zone(value: &str) -> &str {
    if let Some(rest) = value.strip_suffix('Z') {
        return rest;
    }
    let Some(start) = value.len().checked_sub(6) else { return value };
    match (value.get(..start), value.get(start..)) {
        (Some(rest), Some(zone)) if is_offset(zone) => rest,
        _ => value,
    }
}

fn is_offset(zone: &str) -> bool {
    zone.starts_with(['+', '-'])
        && zone.get(1..).is_some_and(|rest| {
            rest.split_once(':').is_some_and(|(hours, minutes)| {
                hours.len() == 2
                    && minutes.len() == 2
                    && hours.bytes().chain(minutes.bytes()).all(|byte| byte.is_ascii_digit())
            })
        })
}

fn is_date_time(value: &str) -> bool {
    let value = without_zone(value);
    value.split_once('T').is_some_and(|(date, time)| date.len() == 10 && time.len() >= 8)
        && value.parse::<jiff::civil::DateTime>().is_ok()
}

fn is_date(value: &str) -> bool {
    let value = without_zone(value);
    value.len() == 10 && value.parse::<jiff::civil::Date>().is_ok()
}

fn is_duration(value: &str) -> bool {
    let value = value.strip_prefix('-').unwrap_or(value);
    value.starts_with('P') && value.parse::<jiff::Span>().is_ok()
}

fn is_base64(text: &str) -> bool {
    if text.bytes().any(|byte| byte.is_ascii_whitespace()) {
        let packed: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        return STANDARD.decode(packed).is_ok();
    }
    STANDARD.decode(text).is_ok()
}

fn hexadecimal(text: &str) -> Option<&str> {
    text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))
}

fn is_hexadecimal(digits: &str) -> bool {
    digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::is_valid;

    #[test]
    fn values_are_told_from_what_only_looks_like_them() {
        for (name, good, bad) in [
            ("boolean", "true", "True"),
            ("dateTime", "2016-03-28T09:00:00+02:00", "2016-03-28"),
            ("dateTime", "2016-03-28T09:00:00", "2016-02-30T09:00:00Z"),
            ("date", "2016-04-04+02:00", "2016-4-4"),
            ("duration", "-PT1H", "1h"),
            ("base64Binary", "aGk=\n", "aGk"),
            ("propertyTagHexadecimal", "0x300B", "0x12345"),
            ("guid", "00062008-0000-0000-C000-000000000046", "00062008000000000C000000000000046"),
            ("language", "en-US", "en_US"),
        ] {
            assert!(is_valid(name, good), "{name} {good}");
            assert!(!is_valid(name, bad), "{name} {bad}");
        }
    }
}
