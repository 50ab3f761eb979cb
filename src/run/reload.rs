//! Reloads at a time that a file gives, and the file that tells others that a reload reads files: `reload_time_file`,
//! `reload_file`.

use core::time::Duration;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use smol::{Task, future};

use crate::io::inotify::Inotify;
use crate::io::sys::{self, Calendar};
use crate::model::Global;

use super::options::Options;
use super::pidfile;
use super::reactor::{Source, sleep, spawn};

/// The longest sleep until a time of the day: the clock may be set meanwhile.
const GLANCE: Duration = Duration::from_secs(60);

/// Starts to watch the file that gives the time of the next reload, if there is to be one. Dropping the task ends that.
#[must_use]
pub fn timetable(global: &Global) -> Option<Task<()>> {
    let path = PathBuf::from(global.reload_time.as_ref()?);
    Some(spawn(keep_time(path, global.reload_repeat)))
}

async fn keep_time(path: PathBuf, repeat: bool) {
    let mut inotify = match Inotify::open() {
        Ok(inotify) => Source::new(inotify),
        Err(error) => return log::error!("cannot watch {}: {error}", path.display()),
    };
    let mut told = None;
    loop {
        let watch = inotify.get_mut();
        watch.directory(path.parent().unwrap_or(Path::new("/")));
        watch.file(&path);
        watch.settle();
        if let Err(error) = watch.drain() {
            return log::error!("cannot watch {}: {error}", path.display());
        }
        let text = fs::read_to_string(&path).ok();
        let line = text.as_deref().and_then(|text| text.lines().next());
        let due = line.and_then(|line| {
            let due = When::read(line).and_then(|when| when.next(present()));
            if due.is_none() && told.as_deref() != Some(line) {
                log::error!("{}: '{line}' is no time to come: no reload", path.display());
            }
            due
        });
        if due.is_some() && told.as_deref() != line {
            log::info!("next reload at {}", line.unwrap_or_default());
        }
        told = line.map(str::to_owned);
        if wait(&inotify, due).await {
            let every_day = repeat && line.is_some_and(|line| !line.contains(' '));
            if !every_day {
                // It would be due again tomorrow.
                let _ = fs::remove_file(&path);
            }
            // As if somebody had asked for it.
            let _ = sys::kill(i32::try_from(std::process::id()).unwrap_or(0), libc::SIGHUP);
        }
    }
}

/// Waits until the file may be another one, or until `due`, which is true.
async fn wait(inotify: &Source<Inotify>, due: Option<i64>) -> bool {
    let changed = async {
        let _ = inotify.readable().await;
        false
    };
    let time = async {
        let Some(due) = due else {
            return future::pending().await;
        };
        loop {
            let left = due.saturating_sub(present());
            match u64::try_from(left) {
                Ok(left @ 1..) => sleep(Duration::from_secs(left).min(GLANCE)).await,
                _ => return true,
            }
        }
    };
    future::or(changed, time).await
}

/// Seconds since 1970, by the clock of the host.
fn present() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(i64::MAX))
}

/// A line of the file: `HH:MM:SS`, `YY-MM-DD HH:MM:SS` or `YYYY-MM-DD HH:MM:SS`, with a `Z` behind it in universal time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct When {
    /// Year, month, day.
    date: Option<(i32, u8, u8)>,
    /// Hour, minute, second.
    time: (u8, u8, u8),
    universal: bool,
}

impl When {
    fn read(line: &str) -> Option<Self> {
        let (text, universal) = match line.strip_suffix('Z') {
            Some(text) => (text, true),
            None => (line, false),
        };
        let (date, time) = match text.split_once(' ') {
            Some((date, time)) => (Some(date), time),
            None => (None, text),
        };
        let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
        let date = match date {
            None => None,
            Some(date) => {
                let short = numbers(date, '-', [2, 2, 2]);
                // As strptime(3) reads two digits of a year.
                let short = short.map(|[y, m, d]| [y + if y < 69 { 2000 } else { 1900 }, m, d]);
                let [year, month, day] = short.or_else(|| numbers(date, '-', [4, 2, 2]))?;
                let small = |n| u8::try_from(n).ok();
                Some((i32::from(year), small(month)?, small(day)?))
            }
        };
        let small = |n: u16, below: u8| u8::try_from(n).ok().filter(|n| *n < below);
        Some(Self {
            date,
            time: (small(hour, 24)?, small(minute, 60)?, small(second, 60)?),
            universal,
        })
    }

    /// When that comes next after `now`, in seconds since 1970; never if it is over, or no day of any calendar.
    fn next(self, now: i64) -> Option<i64> {
        let (hour, minute, second) = self.time;
        let today = Calendar::at(now, self.universal);
        let (year, month, day) = self.date.unwrap_or((today.year, today.month, today.day));
        let asked = Calendar {
            year,
            month,
            day,
            hour,
            minute,
            second,
        };
        let at = asked.seconds(self.universal)?;
        if at > now {
            return (Calendar::at(at, self.universal) == asked).then_some(at);
        }
        let tomorrow = Calendar {
            day: day.saturating_add(1),
            ..asked
        };
        match self.date {
            Some(_) => None,
            None => tomorrow.seconds(self.universal),
        }
    }
}

/// Three numbers with so many digits each.
fn numbers(text: &str, between: char, digits: [usize; 3]) -> Option<[u16; 3]> {
    let mut parts = text.split(between);
    let mut all = [0; 3];
    for (number, digits) in all.iter_mut().zip(digits) {
        let part = parts.next().filter(|part| part.len() == digits)?;
        let is_number = part.bytes().all(|byte| byte.is_ascii_digit());
        *number = is_number.then(|| part.parse().ok()).flatten()?;
    }
    parts.next().is_none().then_some(all)
}

/// `reload_file`: there and empty from before a reload reads the first file until the last process has read the last one, so
/// that whoever writes the configuration knows when not to.
#[derive(Debug, Default)]
pub struct Mark(Option<PathBuf>);

impl Mark {
    /// The one of a configuration.
    #[must_use]
    pub fn of(options: &Options, global: &Global) -> Self {
        let given = global.reload_file.as_ref();
        let beside = || pidfile::path(None, options, global).with_file_name("keepalived.reload");
        Self(given.map(|path| path.as_ref().map_or_else(beside, PathBuf::from)))
    }

    /// Reading begins.
    pub fn set(&self) {
        let Some(path) = &self.0 else { return };
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(true).mode(0o644);
        let made = options.custom_flags(libc::O_NOFOLLOW).open(path);
        if let Err(error) = made {
            log::error!("cannot write the reload file {}: {error}", path.display());
        }
    }

    /// One of so many processes has read everything: the last one takes it away. Each leaves a byte for the others to count.
    pub fn has_read(&self, processes: usize) {
        let Some(path) = &self.0 else { return };
        let opened = OpenOptions::new().append(true).open(path);
        let noted = opened.and_then(|mut file| {
            file.write_all(b".")?;
            file.metadata()
        });
        let readers = noted.map_or(0, |metadata| metadata.len());
        if usize::try_from(readers).unwrap_or(usize::MAX) >= processes {
            self.clear();
        }
    }

    /// Nothing is read any more.
    pub fn clear(&self) {
        if let Some(path) = &self.0 {
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-03-01 12:00:00 in universal time.
    const NOON: i64 = 1_772_366_400;

    fn next(line: &str) -> Option<i64> {
        When::read(line)?.next(NOON).map(|at| at - NOON)
    }

    #[test]
    fn a_time_of_the_day_comes_today_or_tomorrow_and_a_date_comes_once() {
        assert_eq!(next("12:00:01Z"), Some(1));
        assert_eq!(next("12:00:00Z"), Some(86_400));
        assert_eq!(next("11:59:59Z"), Some(86_399));
        assert_eq!(next("2026-03-01 13:00:00Z"), Some(3600));
        assert_eq!(next("26-03-31 12:00:00Z"), Some(30 * 86_400));
        assert_eq!(next("2026-03-01 12:00:00Z"), None);
        assert_eq!(next("2026-02-30 13:00:00Z"), None);
    }

    #[test]
    fn what_is_written_in_any_other_way_is_no_time() {
        for line in [
            "",
            "12:00",
            "12:00:60Z",
            " 12:00:00Z",
            "12:00:00 Z",
            "2026-3-1 12:00:00Z",
            "2026-03-01  12:00:00Z",
            "+1:00:00Z",
        ] {
            assert_eq!(When::read(line), None, "{line}");
        }
    }
}
