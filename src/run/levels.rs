//! How much of what each part of the program says is logged.

use core::str::FromStr;

use log::LevelFilter;

/// Parts that have a level of their own, by the modules that they are.
const PARTS: [(&str, &[&str]); 4] = [
    ("vrrp", &["::vrrp"]),
    ("check", &["::check"]),
    ("scripts", &["::scripts", "::errand", "::fifo"]),
    ("mail", &["::mailer"]),
];

/// `--log-level`: a level for everything, or for parts, as in `info,vrrp=debug`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Levels {
    all: Option<LevelFilter>,
    parts: [Option<LevelFilter>; PARTS.len()],
}

impl FromStr for Levels {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut levels = Self::default();
        for word in text.split(',') {
            let (part, level) = word.split_once('=').unwrap_or(("", word));
            let level = level
                .parse()
                .map_err(|_| "a level is off, error, warn, info, debug or trace")?;
            let place = PARTS.iter().position(|(name, _)| *name == part);
            let slot = match place.and_then(|place| levels.parts.get_mut(place)) {
                Some(slot) => slot,
                None if part.is_empty() => &mut levels.all,
                None => {
                    return Err(
                        "parts with a level of their own are vrrp, check, scripts and mail",
                    );
                }
            };
            *slot = Some(level);
        }
        Ok(levels)
    }
}

impl Levels {
    /// Everything at this level.
    #[must_use]
    pub const fn all(level: LevelFilter) -> Self {
        Self {
            all: Some(level),
            parts: [None; PARTS.len()],
        }
    }

    /// With `level` where nothing is said.
    #[must_use]
    pub fn or(mut self, level: LevelFilter) -> Self {
        self.all = self.all.or(Some(level));
        self
    }

    /// The most that any part says.
    #[must_use]
    pub fn most(&self) -> LevelFilter {
        let all = self.parts.iter().chain([&self.all]).flatten();
        all.max().copied().unwrap_or(LevelFilter::Off)
    }

    /// How much a module says.
    #[must_use]
    pub fn of(&self, module: &str) -> LevelFilter {
        let is_in =
            |(_, modules): &(&str, &[&str])| modules.iter().any(|part| module.contains(part));
        let place = PARTS.iter().position(is_in);
        let own = place.and_then(|place| self.parts.get(place).copied().flatten());
        own.or(self.all).unwrap_or(LevelFilter::Off)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_has_its_own_level_or_that_of_all() {
        let levels: Levels = "warn,vrrp=debug,check=off".parse().unwrap();
        let of = |module| levels.of(module);
        assert_eq!(of("keepalite::run::vrrp::router"), LevelFilter::Debug);
        assert_eq!(of("keepalite::run::check::director"), LevelFilter::Off);
        assert_eq!(of("keepalite::run::scripts"), LevelFilter::Warn);
        assert_eq!(of("keepalite::run"), LevelFilter::Warn);
        assert_eq!(levels.most(), LevelFilter::Debug);
    }

    #[test]
    fn what_is_not_said_is_as_ever() {
        let levels: Levels = "scripts=error".parse().unwrap();
        let levels = levels.or(LevelFilter::Info);
        assert_eq!(levels.of("keepalite::run::fifo"), LevelFilter::Error);
        assert_eq!(levels.of("keepalite::run::mailer"), LevelFilter::Info);
    }

    #[test]
    fn a_mistake_is_none_of_a_level() {
        for wrong in ["", "loud", "vrrp", "vrpp=info", "vrrp=", "vrrp=info,"] {
            assert!(wrong.parse::<Levels>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn modules_are_those_that_there_are() {
        assert!(module_path!().contains("::run::"));
        let modules = PARTS.iter().flat_map(|(_, modules)| *modules);
        for module in modules {
            let name = module.trim_start_matches("::");
            let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/run");
            let there = [here.join(name), here.join(format!("{name}.rs"))];
            assert!(there.iter().any(|path| path.exists()), "{name}");
        }
    }
}
