//! keepalite and keepalived side by side: the same configuration on the same virtual LAN, one after the other and again, so
//! that what else this machine does falls on both.
//!
//! ```text
//! cargo bench --bench versus [-- [--quick] [--control] [--reps N] CASE …]
//! ```
//!
//! `--quick` takes under a minute and shows that everything works; its figures mean little. `--control` gives keepalived
//! twice: how far apart its two columns are is what this machine cannot tell apart. Each figure comes with its aim; figures
//! are minimum, median and maximum over the repetitions. The table and every sample are left in `target/bench/`.
//!
//! The release build is made first, unless `KEEPALITE` names a program; `KEEPALIVED` names the other one. With
//! `VERSUS_LOG` set both write their log where the laboratory keeps it, and a failure shows it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a bench may fail loudly"
)]

use std::io;
use std::process::ExitCode;

use figure::{Aim, Question, Row};
use side::Side;

mod build;
mod cost;
mod figure;
mod interval;
#[path = "../lab/mod.rs"]
mod lab;
mod many;
mod memory;
mod reload;
mod side;
mod start;
mod takeover;
mod usage;

type Case = fn(&mut Bench) -> io::Result<()>;

const CASES: [(&str, Case); 8] = [
    ("takeover", takeover::run),
    ("interval", interval::run),
    ("many", many::run),
    ("cost", cost::run),
    ("memory", memory::run),
    ("start", start::run),
    ("test", start::check),
    ("reload", reload::run),
];

/// What a case works with.
pub(crate) struct Bench {
    /// Ours and theirs.
    pub(crate) sides: [Side; 2],
    /// Ours as it is shipped, linked statically, where it has been built.
    pub(crate) fixed: Option<Side>,
    /// Their side, as the fixed peer of whoever is measured.
    pub(crate) peer: Side,
    pub(crate) quick: bool,
    control: bool,
    reps: Option<usize>,
    rows: Vec<Row>,
}

impl Bench {
    /// A figure that depends on the effort.
    pub(crate) fn effort<T>(&self, quick: T, full: T) -> T {
        if self.quick { quick } else { full }
    }

    /// Measures both sides in turn; each repetition gives one figure for each question.
    pub(crate) fn compare<const N: usize>(
        &mut self,
        case: &str,
        questions: [Question; N],
        reps: usize,
        measure: impl FnMut(&Side) -> io::Result<[f64; N]>,
    ) {
        let sides = self.sides.clone();
        self.compare_sides(case, &sides, questions, reps, measure);
    }

    /// The same with other sides than the usual.
    pub(crate) fn compare_sides<const N: usize>(
        &mut self,
        case: &str,
        sides: &[Side; 2],
        questions: [Question; N],
        reps: usize,
        mut measure: impl FnMut(&Side) -> io::Result<[f64; N]>,
    ) {
        let questions = questions.map(|question| Question {
            // What is compared with itself has no aim.
            aim: if self.control {
                Aim::None
            } else {
                question.aim
            },
            ..question
        });
        let rows = Row::measured(case, questions, self.reps.unwrap_or(reps), |number| {
            let side = &sides[number];
            measure(side).map_err(|error| format!("{}: {error}", side.name))
        });
        self.rows.extend(rows);
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("versus: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> io::Result<()> {
    let (mut quick, mut control, mut reps, mut wanted) = (false, false, None, Vec::new());
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            // Cargo's own.
            "--bench" => {}
            "--quick" => quick = true,
            "--control" => control = true,
            "--reps" => reps = words.next().and_then(|n| n.parse().ok()),
            case if CASES.iter().any(|(name, _)| *name == case) => wanted.push(word),
            other => {
                let names = CASES.map(|(name, _)| name).join(" ");
                let usage = format!(
                    "{other} is no case; these are: {names}, after --quick, --control, --reps N"
                );
                return Err(io::Error::other(usage));
            }
        }
    }
    if !lab::permitted() {
        return Err(io::Error::other("network namespaces need root here"));
    }
    let theirs = Side {
        name: "keepalived".to_owned(),
        program: build::theirs()?,
    };
    let ours = if control {
        Side {
            name: "keepalived again".to_owned(),
            ..theirs.clone()
        }
    } else {
        Side {
            name: "keepalite".to_owned(),
            program: build::release("standard")?,
        }
    };
    let mut bench = Bench {
        fixed: build::shipped().filter(|_| !control).map(|program| Side {
            name: "keepalite, static".to_owned(),
            program,
        }),
        peer: theirs.clone(),
        sides: [ours, theirs],
        quick,
        control,
        reps,
        rows: Vec::new(),
    };
    let began = std::time::Instant::now();
    println!("machine at the beginning: {}", load());
    for (name, case) in CASES {
        if wanted.is_empty() || wanted.iter().any(|w| w == name) {
            case(&mut bench)
                .map_err(|error| io::Error::new(error.kind(), format!("{name}: {error}")))?;
        }
    }
    let names = bench.sides.each_ref().map(|side| side.name.as_str());
    println!(
        "machine at the end: {}; this took {:.0} s\n",
        load(),
        began.elapsed().as_secs_f64()
    );
    println!("{}", figure::table(&bench.rows, names));
    let directory = build::target().join("bench");
    std::fs::create_dir_all(&directory)?;
    let file = |extension: &str| directory.join(format!("versus.{extension}"));
    std::fs::write(file("md"), figure::table(&bench.rows, names))?;
    std::fs::write(file("json"), figure::json(&bench.rows, names))?;
    println!("written to {}", file("json").display());
    Ok(())
}

/// How busy the machine is.
fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    format!("load {} on {processors} processors", load.trim())
}
