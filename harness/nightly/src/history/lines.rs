//! Nights as JSON Lines: one a line, the oldest first.

use std::collections::BTreeSet;

use super::{History, Night, SCHEMA};
use crate::error::NightError;
use crate::plan::{Form, Partition};

/// 10000-01-01, in seconds since 1970: years have four digits.
const YEAR_10000: i64 = 253_402_300_800;

/// `nights` as text.
#[must_use]
pub fn lines(nights: &[Night]) -> String {
    let line = |night: &Night| serde_json::to_string(night).unwrap_or_default() + "\n";
    nights.iter().map(line).collect()
}

/// Why line `index` of those of a file is no night.
fn unfit(index: usize, why: String) -> NightError {
    NightError::Unfit(format!("line {}: {why}", index + 1))
}

/// The nights of `text`, at least one.
///
/// # Errors
/// A line is no night.
pub fn read(text: &str) -> Result<Vec<Night>, NightError> {
    let of = |(index, line): (usize, &str)| {
        let unfit = |why: String| unfit(index, why);
        if line.trim().is_empty() {
            return Err(unfit("it is empty".to_owned()));
        }
        let night: Night = serde_json::from_str(line).map_err(|error| unfit(error.to_string()))?;
        match (&*night.document, night.schema) {
            // What the second form has beside the first may be left out.
            ("night", 1 | SCHEMA) => whole(&night).map_err(unfit).map(|()| Night { schema: SCHEMA, ..night }),
            (document, schema) => {
                Err(unfit(format!("`{document}` of schema {schema}, not `night` of {SCHEMA}")))
            }
        }
    };
    let nights: Vec<Night> = text.lines().enumerate().map(of).collect::<Result<_, _>>()?;
    if nights.is_empty() {
        return Err(NightError::Unfit("there is no night in it".to_owned()));
    }
    Ok(nights)
}

/// Adds those of `nights` that `history` does not have, each under a number of its own; gives how many it added.
///
/// # Errors
/// The history cannot take one of them, then it takes none; or it cannot be written.
pub fn import(history: &History, nights: &[Night]) -> Result<usize, NightError> {
    // But for its number, which each history gives itself.
    let name = |night: &Night| lines(&[Night { night: 0, ..night.clone() }]);
    let mut known: BTreeSet<String> = history.nights()?.iter().map(name).collect();
    let fresh: Vec<(usize, &Night)> =
        nights.iter().enumerate().filter(|(_, night)| known.insert(name(night))).collect();
    history.at_once(|| {
        fresh.iter().try_for_each(|(index, night)| {
            history.add(night).map(drop).map_err(|error| unfit(*index, error.to_string()))
        })
    })?;
    Ok(fresh.len())
}

/// What the form of a night cannot say: that its numbers are some, and that its end and its status belong together.
fn whole(night: &Night) -> Result<(), String> {
    let time = |seconds: f64| seconds.is_finite() && seconds >= 0.0;
    if night.part.parse::<Partition>().is_err() {
        return Err(format!("part `{}` is none, such as 1/3", night.part));
    }
    if night.status.is_some() != night.seconds.is_some() || night.status.is_some_and(|status| status > 1) {
        return Err("its status is 0 or 1, and null with its seconds".to_owned());
    }
    if ![Form::Full, Form::Short].iter().any(|form| form.name() == night.form) {
        return Err("its form is neither `full` nor `short`".to_owned());
    }
    let counts = night.cells.iter().flat_map(|cell| [cell.traces, cell.operations, cell.status]);
    if counts.chain([night.night]).any(|count| count < 0) {
        return Err("a count in it is below 0".to_owned());
    }
    let begun = night.parts.iter().map(|part| part.started).chain([night.started]);
    if let Some(begun) = begun.into_iter().find(|begun| !(0..YEAR_10000).contains(begun)) {
        return Err(format!("it begins {begun} s after 1970, which is no time of ours"));
    }
    let mut seconds = night.seconds.into_iter().chain(night.cells.iter().map(|cell| cell.seconds));
    if !seconds.all(time) || night.measures.iter().any(|measure| !measure.value.is_finite()) {
        return Err("a number in it is none".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nights_are_added_all_or_none() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::write(folder.path()).unwrap();
        let good =
            lines(&[Night { seconds: Some(1.0), status: Some(0), ..Night::begun(5, "r", "short", "1/1") }]);
        let import = |history: &History, text: &str| import(history, &read(text)?);
        let cell = r#""cells":[{"name":"c","traces":-1,"operations":1,"seconds":1.0,"status":0}]"#;
        let twice = r#""parts":[{"part":"1/2","started":1},{"part":"1/2","started":1}]"#;
        for (bad, why) in [
            (good.replace("\"status\":0", "\"status\":7"), "line 2: its status is 0 or 1"),
            (good.replace("\"1/1\"", "\"../../etc\""), "line 2: part `../../etc` is none"),
            (good.replace("\"seconds\":1.0", "\"seconds\":-1.0"), "line 2: a number in it is none"),
            (good.replace("\"short\"", "\"shorter\""), "line 2: its form is neither"),
            (good.replace("\"parts\":[]", twice), "line 2: "),
            (good.replace("\"cells\":[]", cell), "line 2: a count in it is below 0"),
            (good.replace("\"started\":5,", "\"started\":253402300800,"), "line 2: it begins 253402300800 s"),
            (good.replace("\"started\":5,", "\"started\":-1,"), "line 2: it begins -1 s"),
            ("\n".to_owned(), "line 2: it is empty"),
        ] {
            assert_ne!(bad, good);
            let bad = bad.replace("\"started\":5", "\"started\":6");
            let error = import(&history, &format!("{good}{bad}{good}")).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
            assert_eq!(history.nights().unwrap().len(), 0, "{why}");
        }
        assert!(import(&history, "").is_err());
        let later = good.replace("\"started\":5", "\"started\":6");
        assert_eq!(import(&history, &format!("{good}{later}{good}")).unwrap(), 2);
        assert_eq!(import(&history, &good).unwrap(), 0, "it is there");
        let old = good.replace("\"schema\":2", "\"schema\":1");
        assert_ne!(old, good);
        assert_eq!(import(&history, &old).unwrap(), 0, "the same, from before there was `bisect`");
        let other = good.replace("\"schema\":2", "\"schema\":3");
        assert!(import(&history, &other).unwrap_err().to_string().contains("of schema 3"));
        assert_eq!(history.nights().unwrap().len(), 2);
    }
}
