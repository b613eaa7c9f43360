//! Times as people and files read them. Invariant: UTC, whole seconds, no time zone data base.

/// RFC 3339 of milliseconds since the Unix epoch, in whole seconds: `2026-11-20T12:00:00Z`.
pub fn rfc3339(milliseconds: u64) -> String {
    let (year, month, day) = civil(milliseconds / 86_400_000);
    format!("{year:04}-{month:02}-{day:02}T{}Z", time_of_day(milliseconds))
}

/// Seconds since the Unix epoch of `YYYY-MM-DDTHH:MM:SSZ`, if it is one.
pub fn parse_rfc3339(text: &str) -> Option<u64> {
    let bytes = text.as_bytes();
    let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'Z')];
    if bytes.len() != 20 || separators.iter().any(|&(at, separator)| bytes[at] != separator) {
        return None;
    }
    let digits: String = [0..4, 5..7, 8..10, 11..13, 14..16, 17..19].map(|part| &text[part]).concat();
    parse_digits(&digits)
}

/// Seconds since the Unix epoch of `YYYYMMDDHHMMSS` in UTC, if that is a moment from 1970 on.
pub fn parse_digits(text: &str) -> Option<u64> {
    if text.len() != 14 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number = |from: usize, to: usize| text[from..to].parse::<u64>().ok();
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    let (hour, minute, second) = (number(8, 10)?, number(10, 12)?, number(12, 14)?);
    let in_range = year >= 1970 && (1..=12).contains(&month) && hour < 24 && minute < 60 && second < 60;
    if !in_range || day == 0 || day > days_in_month(year, month) {
        return None;
    }
    let years = (1970..year).map(|year| if is_leap(year) { 366 } else { 365 }).sum::<u64>();
    let months = (1..month).map(|month| days_in_month(year, month)).sum::<u64>();
    Some((years + months + day - 1) * 86_400 + hour * 3600 + minute * 60 + second)
}

const fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

const fn days_in_month(year: u64, month: u64) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// `12:00:05` of milliseconds since the Unix epoch.
pub fn time_of_day(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000 % 86_400;
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// A length of time in a few characters: `0.4 s`, `12 s`, `2 min 05 s`, `1 h 03 min`.
pub fn duration(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    match seconds {
        0 if milliseconds == 0 => "0 s".to_owned(),
        0..10 if milliseconds % 1000 >= 100 => format!("{}.{} s", seconds, milliseconds % 1000 / 100),
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// Year, month and day of a number of days since 1970-01-01. Counts in eras of 400 years that start on 1 March, so that
/// the leap day is the last of its year.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_around_leap_days_and_the_epoch() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_763_640_000, "2025-11-20T12:00:00Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(seconds * 1000), text);
            assert_eq!(parse_rfc3339(text), Some(seconds));
        }
    }

    #[test]
    fn durations_read_well() {
        let said: Vec<String> = [0, 40, 400, 3_000, 59_999, 125_000, 3_780_000].map(duration).into();
        assert_eq!(said, ["0 s", "0 s", "0.4 s", "3 s", "59 s", "2 min 05 s", "1 h 03 min"]);
    }
}
