//! keepalite and keepalived side by side as directors, in one boot of user-mode Linux, in turn and again.
//!
//! ```text
//! cargo bench --bench balance [-- [--quick] [--reps N] CASE …]
//! ```
//!
//! User-mode Linux has one processor and its own clock: compare figures within a run only. `floor` is the kernel's part: the
//! same changes sent by nobody but the bench. Each figure comes with its aim; figures are minimum, median and maximum over
//! the repetitions. The table is left in `target/bench/`. What the static binary occupies is measured if `cross/build x86_64` has
//! made it.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a bench may fail loudly, and does not need all of what it shares"
)]

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use figure::{Question, Row};

#[path = "../build.rs"]
mod build;
mod check;
mod death;
#[path = "../figure.rs"]
mod figure;
mod ground;
#[path = "../../lab/mod.rs"]
mod lab;
mod load;
mod probe;
mod served;
#[path = "../../uml/mod.rs"]
mod uml;
#[path = "../usage.rs"]
mod usage;

use ground::Ground;

type Case = fn(&mut Bench) -> io::Result<()>;

const CASES: [(&str, Case); 8] = [
    ("load", load::run),
    ("tcp", check::tcp),
    ("http", check::http),
    ("nginx", probe::http),
    ("tls", probe::tls),
    ("udp", probe::udp),
    ("shared", probe::shared),
    ("death", death::run),
];

/// Stands for a program that there is not.
const NONE: &str = "none";

/// No run takes as long.
const PATIENCE: Duration = Duration::from_secs(1800);

/// One of the two.
#[derive(Clone, Debug)]
pub(crate) struct Side {
    pub(crate) name: &'static str,
    pub(crate) program: PathBuf,
}

/// What a case works with.
pub(crate) struct Bench {
    pub(crate) sides: [Side; 2],
    /// The static build, if there is one, and theirs.
    pub(crate) shipped: Option<[Side; 2]>,
    pub(crate) ground: Ground,
    quick: bool,
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
        measure: impl Fn(&Ground, &Side) -> io::Result<[f64; N]>,
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
        measure: impl Fn(&Ground, &Side) -> io::Result<[f64; N]>,
    ) {
        let rows = Row::measured(case, questions, self.reps.unwrap_or(reps), |number| {
            let side = &sides[number];
            measure(&self.ground, side).map_err(|error| format!("{}: {error}", side.name))
        });
        self.rows.extend(rows);
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|w| w != "--bench")
        .collect();
    let done = if uml::is_inside() {
        inside(&words)
    } else {
        outside(&words)
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("balance: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Makes the programs, and runs this one in a kernel with IPVS.
fn outside(words: &[String]) -> io::Result<()> {
    let shown = |path: PathBuf| path.display().to_string();
    let programs = [
        shown(build::release("full")?),
        shown(build::theirs()?),
        build::shipped().map_or_else(|| NONE.to_owned(), shown),
    ];
    let mut arguments: Vec<&str> = programs.iter().map(String::as_str).collect();
    arguments.extend(words.iter().map(String::as_str));
    let console = uml::boot(&arguments, PATIENCE);
    let end = console.find("RESULT ").unwrap_or(console.len());
    let (said, result) = console.split_at(end);
    println!("{said}");
    let table = said.find("| what |").and_then(|at| said.get(at..));
    let directory = build::target().join("bench");
    std::fs::create_dir_all(&directory)?;
    let file = directory.join("balance.md");
    std::fs::write(&file, table.unwrap_or_default())?;
    println!("written to {}", file.display());
    if result.starts_with("RESULT 0") {
        Ok(())
    } else {
        Err(io::Error::other("it did not end well"))
    }
}

fn inside(words: &[String]) -> io::Result<()> {
    let [ours, theirs, shipped, words @ ..] = words else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let (mut quick, mut reps, mut wanted) = (false, None, Vec::new());
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--quick" => quick = true,
            "--reps" => reps = words.next().and_then(|n| n.parse().ok()),
            case if CASES.iter().any(|(name, _)| *name == case) => wanted.push(case),
            other => {
                let names = CASES.map(|(name, _)| name).join(" ");
                let usage =
                    format!("{other} is no case; these are: {names}, after --quick, --reps N");
                return Err(io::Error::other(usage));
            }
        }
    }
    let side = |name, program: &String| Side {
        name,
        program: program.into(),
    };
    let mut bench = Bench {
        sides: [side("keepalite", ours), side("keepalived", theirs)],
        shipped: (shipped != NONE)
            .then(|| [side("keepalite", shipped), side("keepalived", theirs)]),
        ground: Ground::new()?,
        quick,
        reps,
        rows: Vec::new(),
    };
    for (name, case) in CASES {
        if wanted.is_empty() || wanted.contains(&name) {
            case(&mut bench)
                .map_err(|error| io::Error::new(error.kind(), format!("{name}: {error}")))?;
        }
    }
    let names = bench.sides.each_ref().map(|side| side.name);
    println!("{}", figure::table(&bench.rows, names));
    Ok(())
}
