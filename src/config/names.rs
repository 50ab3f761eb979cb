//! Names that an administrator gives to numbers of routing: the files of iproute2.

use std::fs;
use std::path::Path;

use super::value::integer;

/// Where iproute2 looks, the administrator's own first.
const ETC: &str = "/etc/iproute2";
/// Where distributions have what they ship.
const USR: [&str; 2] = ["/usr/share/iproute2", "/usr/lib/iproute2"];

/// Directories that are given instead.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// `iproute_etc_dir`.
    pub(super) etc: Option<String>,
    /// `iproute_usr_dir`.
    pub(super) usr: Option<String>,
}

impl Names {
    /// The number of a name in a file such as `rt_tables`, or in one of its directory, as `rt_tables.d/mine.conf`.
    pub(super) fn number(&self, file: &str, name: &str) -> Option<u32> {
        let etc = [self.etc.as_deref().unwrap_or(ETC)];
        let given = self.usr.as_deref().map(|usr| [usr]);
        let usr = given.as_ref().map_or(&USR[..], |given| &given[..]);
        let mut directories = etc.iter().chain(usr).map(Path::new);
        directories.find_map(|directory| {
            in_file(&directory.join(file), name)
                .or_else(|| in_directory(&directory.join(format!("{file}.d")), name))
        })
    }
}

fn in_directory(directory: &Path, name: &str) -> Option<u32> {
    let mut files: Vec<_> = fs::read_dir(directory)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|end| end == "conf"))
        .collect();
    files.sort_unstable();
    files.iter().find_map(|file| in_file(file, name))
}

/// Lines are a number and a name.
fn in_file(file: &Path, name: &str) -> Option<u32> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_ascii_whitespace();
        let (number, known) = (words.next()?, words.next()?);
        let number = (known == name).then(|| integer(number)).flatten()?;
        u32::try_from(number).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_administrators_names_come_before_those_of_the_distribution() {
        let root = std::env::temp_dir().join(format!("names-{}", std::process::id()));
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("etc/rt_tables", "# mine\n\n100 uplink # the first\n");
        write("etc/rt_tables.d/more.conf", "0x65\tbackup\n");
        write("etc/rt_tables.d/more.old", "102 old\n");
        write("usr/rt_tables", "7 uplink\n255 local\n");
        let directory = |name: &str| Some(root.join(name).display().to_string());
        let names = Names {
            etc: directory("etc"),
            usr: directory("usr"),
        };
        let number = |name| names.number("rt_tables", name);
        assert_eq!(number("uplink"), Some(100));
        assert_eq!(number("backup"), Some(101));
        assert_eq!(number("local"), Some(255));
        assert_eq!(number("old"), None);
        fs::remove_dir_all(&root).unwrap();
    }
}
