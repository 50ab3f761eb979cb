//! Figures: what was asked, what both daemons answered, and whether that is good enough.

use std::fmt::Write as _;

/// What a figure is compared with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Aim {
    /// Our median divided by theirs is at most this.
    Ratio(f64),
    /// Our median is at most this, in the unit of the row; its sign does not count.
    AtMost(f64),
    /// Our median is at most theirs and this much, which is the noise of such a figure.
    NoMoreThan(f64),
    /// Just to be known.
    None,
}

/// One thing that is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question {
    /// In a few words.
    pub(crate) what: &'static str,
    /// Of the figures.
    pub(crate) unit: &'static str,
    /// What is wanted.
    pub(crate) aim: Aim,
}

/// The answers of one daemon, one for each repetition that went well.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    pub(crate) fn push(&mut self, value: f64) {
        if value.is_finite() {
            self.0.push(value);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The value below which this part of the samples lies; `None` without samples.
    pub(crate) fn quantile(&self, part: f64) -> Option<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().checked_sub(1)?;
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an index of a few thousand"
        )]
        let place = (part * last as f64).round() as usize;
        sorted.get(place.min(last)).copied()
    }

    /// Between the two in the middle where their number is even.
    pub(crate) fn median(&self) -> Option<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let upper = *sorted.get(sorted.len() / 2)?;
        let lower = *sorted.get(sorted.len().checked_sub(1)? / 2)?;
        Some(f64::midpoint(lower, upper))
    }

    pub(crate) fn mean(&self) -> f64 {
        #[allow(clippy::cast_precision_loss, reason = "a few thousand")]
        let count = self.0.len() as f64;
        self.0.iter().sum::<f64>() / count
    }

    /// "min / median / max"
    fn spread(&self) -> String {
        match (self.quantile(0.0), self.median(), self.quantile(1.0)) {
            (Some(min), Some(median), Some(max)) => {
                format!("{} / {} / {}", short(min), short(median), short(max))
            }
            _ => "-".to_owned(),
        }
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut samples = Self::default();
        values.into_iter().for_each(|value| samples.push(value));
        samples
    }
}

/// A question with both answers.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) case: String,
    pub(crate) question: Question,
    pub(crate) ours: Samples,
    pub(crate) theirs: Samples,
}

impl Row {
    /// Asks both sides in turn, ours first, as often as `reps`; each time a side gives one figure for each question, or tells why
    /// it has none.
    pub(crate) fn measured<const N: usize>(
        case: &str,
        questions: [Question; N],
        reps: usize,
        mut measure: impl FnMut(usize) -> Result<[f64; N], String>,
    ) -> [Self; N] {
        let mut rows = questions.map(|question| Self {
            case: case.to_owned(),
            question,
            ours: Samples::default(),
            theirs: Samples::default(),
        });
        for side in (0..2).cycle().take(2 * reps) {
            match measure(side) {
                Ok(figures) => {
                    for (row, figure) in rows.iter_mut().zip(figures) {
                        [&mut row.ours, &mut row.theirs][side].push(figure);
                    }
                }
                Err(error) => println!("{case}: {error}"),
            }
        }
        for row in &rows {
            println!("{}", row.line());
        }
        rows
    }

    fn ratio(&self) -> Option<f64> {
        Some(self.ours.median()? / self.theirs.median()?).filter(|r| r.is_finite())
    }

    fn met(&self) -> Option<bool> {
        let ours = self.ours.median()?;
        match self.question.aim {
            Aim::Ratio(most) => Some(self.ratio()? <= most),
            Aim::AtMost(most) => Some(ours.abs() <= most),
            Aim::NoMoreThan(noise) => Some(ours <= self.theirs.median()? + noise),
            Aim::None => None,
        }
    }

    fn aim(&self) -> String {
        let wanted = match self.question.aim {
            Aim::Ratio(most) => format!("ratio {}", short(most)),
            Aim::AtMost(most) => format!("{} {}", short(most), self.question.unit),
            Aim::NoMoreThan(noise) => format!("theirs + {}", short(noise)),
            Aim::None => return String::new(),
        };
        match self.met() {
            Some(true) => format!("{wanted}: met"),
            Some(false) => format!("{wanted}: **missed**"),
            None => wanted,
        }
    }

    fn cells(&self) -> [String; 7] {
        [
            format!("{}: {}", self.case, self.question.what),
            self.question.unit.to_owned(),
            self.ours.spread(),
            self.theirs.spread(),
            self.ratio().map_or("-".to_owned(), short),
            format!("{}+{}", self.ours.len(), self.theirs.len()),
            self.aim(),
        ]
    }

    /// One line for the eye.
    pub(crate) fn line(&self) -> String {
        let [what, unit, ours, theirs, ratio, n, aim] = self.cells();
        format!("{what:<52} {unit:<8} {ours:>26} | {theirs:>26}  x{ratio:<7} n={n:<6} {aim}")
    }
}

/// The summary in Markdown.
pub(crate) fn table(rows: &[Row], names: [&str; 2]) -> String {
    let [ours, theirs] = names;
    let mut text = format!(
        "| what | unit | {ours} min / median / max | {theirs} min / median / max | ratio | n | aim |\n\
         |---|---|---|---|---|---|---|\n"
    );
    for row in rows {
        let _ = writeln!(text, "| {} |", row.cells().join(" | "));
    }
    text
}

/// The same for programs, with every sample.
pub(crate) fn json(rows: &[Row], names: [&str; 2]) -> String {
    let list = |samples: &Samples| {
        let all: Vec<String> = samples.0.iter().map(f64::to_string).collect();
        format!("[{}]", all.join(","))
    };
    let rows: Vec<String> = rows
        .iter()
        .map(|row| {
            let met = row.met().map_or("null".to_owned(), |met| met.to_string());
            let ratio = row.ratio().map_or("null".to_owned(), |r| r.to_string());
            format!(
                "{{\"case\":\"{}\",\"what\":\"{}\",\"unit\":\"{}\",\"a\":{},\"b\":{},\"ratio\":{ratio},\"met\":{met}}}",
                row.case,
                row.question.what,
                row.question.unit,
                list(&row.ours),
                list(&row.theirs),
            )
        })
        .collect();
    let [ours, theirs] = names;
    format!(
        "{{\"a\":\"{ours}\",\"b\":\"{theirs}\",\"rows\":[\n{}\n]}}\n",
        rows.join(",\n")
    )
}

/// Three digits that count.
fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
