//! Gathers the values of flags from the command line, the environment and a directory of files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use protocol::notation::Span;

use super::{Flag, Kind};

/// Longest value of a flag that is read from a file, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Where a value stands that nobody gave.
const DEFAULT_PLACE: &str = "default";

/// Why flags were refused: one line that says what and how to mend it.
#[derive(Debug, thiserror::Error)]
pub enum FlagError {
    /// Nobody declared it.
    #[error("unknown flag '{given}' ({place}){hint}; see 'meseta help {command}'")]
    Unknown {
        /// As it was given.
        given: String,
        /// Where it was given.
        place: String,
        /// A flag that looks like it.
        hint: String,
        /// Of which command.
        command: &'static str,
    },
    /// A value is missing.
    #[error("flag '--{name}' ({place}) needs a value: --{name}=VALUE")]
    NoValue {
        /// The flag.
        name: &'static str,
        /// Where it was given.
        place: String,
    },
    /// A value can't be understood.
    #[error("flag '--{name}' ({place}) can't be '{value}': {problem}")]
    BadValue {
        /// The flag.
        name: &'static str,
        /// Where it was given.
        place: String,
        /// What was given.
        value: String,
        /// What was expected.
        problem: String,
    },
    /// A flag without which the command can't start.
    #[error("flag '--{name}' is needed: {help}")]
    Missing {
        /// The flag.
        name: &'static str,
        /// What it is for.
        help: &'static str,
    },
    /// A file can't be read.
    #[error("cannot read {path} ({purpose}): {error}; make it readable or take it away")]
    File {
        /// Which.
        path: PathBuf,
        /// What for.
        purpose: String,
        /// Why.
        error: std::io::Error,
    },
    /// A word that belongs to no flag.
    #[error("unexpected argument '{given}'; see 'meseta help {command}'")]
    Argument {
        /// As it was given.
        given: String,
        /// Of which command.
        command: &'static str,
    },
}

/// What surrounds a command: passed in, so that tests bring their own.
#[derive(Debug, Default)]
pub struct Surroundings {
    /// Environment variables.
    pub environment: BTreeMap<String, String>,
    /// Directories of flag files, looked at in order unless `--flags_dir` names another; those that don't exist are passed over.
    pub directories: Vec<PathBuf>,
}

impl Surroundings {
    /// Those of this process.
    pub fn of_process(directories: &[&str]) -> Self {
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self { environment, directories: directories.iter().map(PathBuf::from).collect() }
    }
}

/// What a command takes besides flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arguments {
    /// Nothing.
    None,
    /// Everything from the first word that is no flag, or after `--`.
    Trailing,
    /// Every word that is no flag, wherever it stands.
    Anywhere,
}

/// The values of a command's flags.
#[derive(Debug)]
pub struct Flags {
    values: BTreeMap<&'static str, (String, String)>,
    declared: &'static [Flag],
    /// The arguments that are no flags.
    pub rest: Vec<String>,
}

impl Flags {
    /// Gathers and checks them.
    ///
    /// # Errors
    /// The first thing that is wrong; see [`FlagError`].
    pub fn load(
        command: &'static str,
        declared: &'static [Flag],
        arguments: Arguments,
        words: &[String],
        surroundings: &Surroundings,
    ) -> Result<Self, FlagError> {
        let mut flags = Self { values: BTreeMap::new(), declared, rest: Vec::new() };
        flags.read_words(command, arguments, words)?;
        flags.read_environment(surroundings)?;
        match flags.values.get("flags_dir").map(|(directory, _)| PathBuf::from(directory)) {
            Some(directory) => flags.read_directory(command, &directory, true)?,
            None => {
                for directory in &surroundings.directories {
                    flags.read_directory(command, directory, false)?;
                }
            }
        }
        for flag in declared {
            if let Some(default) = flag.default {
                flags.values.entry(flag.name).or_insert_with(|| (default.into(), DEFAULT_PLACE.into()));
            }
        }
        Ok(flags)
    }

    fn read_words(
        &mut self,
        command: &'static str,
        arguments: Arguments,
        words: &[String],
    ) -> Result<(), FlagError> {
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let Some(body) = word.strip_prefix("--") else {
                if arguments == Arguments::None || word.starts_with('-') && word.len() > 1 {
                    let given = word.clone();
                    return Err(match word.starts_with('-') {
                        true => self.unknown(given, "command line".into(), command),
                        false => FlagError::Argument { given, command },
                    });
                }
                self.rest.push(word.clone());
                if arguments == Arguments::Anywhere {
                    continue;
                }
                self.rest.extend(words.cloned());
                return Ok(());
            };
            if body.is_empty() {
                self.rest.extend(words.cloned());
                return match (arguments, self.rest.first()) {
                    (Arguments::None, Some(given)) => {
                        Err(FlagError::Argument { given: given.clone(), command })
                    }
                    _ => Ok(()),
                };
            }
            let (name, value) = match body.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (body, None),
            };
            let Some((flag, negated)) = self.find(name) else {
                return Err(self.unknown(format!("--{name}"), "command line".into(), command));
            };
            let place = "command line".to_owned();
            let value = match (value, flag.kind, negated) {
                (None, Kind::Switch, negated) => (!negated).to_string(),
                (Some(value), _, false) => value,
                (Some(_), _, true) => {
                    return Err(self.unknown(format!("--{name} with a value"), place, command));
                }
                (None, _, _) => words
                    .next()
                    .cloned()
                    .ok_or(FlagError::NoValue { name: flag.name, place: place.clone() })?,
            };
            self.values.remove(flag.name);
            self.put(flag, value, place)?;
        }
        Ok(())
    }

    fn read_environment(&mut self, surroundings: &Surroundings) -> Result<(), FlagError> {
        for flag in self.declared {
            for name in std::iter::once(&flag.name).chain(flag.aliases) {
                let variable = format!("MESOS_{}", name.to_uppercase());
                if let Some(value) = surroundings.environment.get(&variable) {
                    self.put(flag, value.clone(), format!("environment variable {variable}"))?;
                }
            }
        }
        Ok(())
    }

    fn read_directory(
        &mut self,
        command: &'static str,
        directory: &Path,
        needed: bool,
    ) -> Result<(), FlagError> {
        let purpose = || format!("flags of 'meseta {command}'");
        let failed =
            |path: &Path, error| FlagError::File { path: path.to_owned(), purpose: purpose(), error };
        let entries = match std::fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !needed => return Ok(()),
            Err(error) => return Err(failed(directory, error)),
        };
        let mut paths = Vec::new();
        for entry in entries {
            paths.push(entry.map_err(|error| failed(directory, error))?.path());
        }
        paths.sort();
        for path in paths {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.starts_with('.') || path.is_dir() {
                continue;
            }
            let place = format!("file {}", path.display());
            let switch = name.strip_prefix('?');
            let Some((flag, negated)) = self.find(switch.unwrap_or(&name)) else {
                return Err(self.unknown(name, place, command));
            };
            let value = match switch {
                Some(_) => (!negated).to_string(),
                None => read_small(&path).map_err(|error| failed(&path, error))?,
            };
            self.put(flag, value, place)?;
        }
        Ok(())
    }

    /// Keeps a value unless there is one from a place that goes before.
    fn put(&mut self, flag: &'static Flag, value: String, place: String) -> Result<(), FlagError> {
        if self.values.contains_key(flag.name) {
            return Ok(());
        }
        let value = match value.strip_prefix("file://") {
            None => value,
            Some(path) => read_small(Path::new(path)).map_err(|error| FlagError::File {
                path: path.into(),
                purpose: format!("value of --{}", flag.name),
                error,
            })?,
        };
        if let Err(problem) = flag.kind.check(&value) {
            return Err(FlagError::BadValue { name: flag.name, place, value, problem });
        }
        self.values.insert(flag.name, (value, place));
        Ok(())
    }

    /// The flag of a name, with `-` for `_` allowed, and whether it was negated by `no-`.
    fn find(&self, given: &str) -> Option<(&'static Flag, bool)> {
        let is = |flag: &Flag, name: &str| flag.name == name || flag.aliases.contains(&name);
        let name = given.replace('-', "_");
        if let Some(flag) = self.declared.iter().find(|flag| is(flag, &name)) {
            return Some((flag, false));
        }
        let name = name.strip_prefix("no_")?;
        let flag = self.declared.iter().find(|flag| flag.kind == Kind::Switch && is(flag, name))?;
        Some((flag, true))
    }

    fn unknown(&self, given: String, place: String, command: &'static str) -> FlagError {
        let name = given.trim_start_matches('-').replace('-', "_");
        let near = self
            .declared
            .iter()
            .map(|flag| (distance(&name, flag.name), flag.name))
            .min()
            .filter(|(distance, near)| *distance * 2 <= near.len());
        let hint = near.map(|(_, near)| format!(", did you mean '--{near}'?")).unwrap_or_default();
        FlagError::Unknown { given, place, hint, command }
    }

    /// The value, if anybody gave one. A flag that the command doesn't have has none: what several commands have in
    /// common asks for all of theirs.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(|(value, _)| value.as_str())
    }

    /// Whether somebody gave it: it has a value that is not its default.
    pub fn given(&self, name: &str) -> bool {
        self.values.get(name).is_some_and(|(_, place)| place != DEFAULT_PLACE)
    }

    /// The value, or the error that it is missing.
    ///
    /// # Errors
    /// Nobody gave it.
    pub fn needed(&self, name: &'static str) -> Result<&str, FlagError> {
        let help = self.declared.iter().find(|flag| flag.name == name).map_or("", |flag| flag.help);
        self.text(name).ok_or(FlagError::Missing { name, help })
    }

    /// A switch; off when nobody gave it.
    pub fn switch(&self, name: &str) -> bool {
        matches!(self.text(name), Some("true" | "1"))
    }

    /// A value of another type; its kind was checked when it was loaded.
    pub fn parsed<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.text(name).and_then(|text| text.parse().ok())
    }

    /// A duration.
    pub fn duration(&self, name: &str) -> Option<Duration> {
        self.parsed::<Span>(name).map(|span| span.0)
    }

    /// The refusal of a value that only its user could check.
    pub fn refuse(&self, name: &'static str, problem: impl Into<String>) -> FlagError {
        let (value, place) = self.values.get(name).cloned().unwrap_or_default();
        FlagError::BadValue { name, place, value, problem: problem.into() }
    }

    /// All values with their names, for `/flags` and the log.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.values.iter().map(|(name, (value, _))| (*name, value.as_str()))
    }
}

fn read_small(path: &Path) -> std::io::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    std::fs::File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(std::io::Error::other(format!("longer than {MAX_FILE_BYTES} bytes")));
    }
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

/// Edit distance (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substitution = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substitution.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAGS: &[Flag] = &[
        Flag { name: "work_dir", aliases: &[], kind: Kind::Text, default: None, help: "Where." },
        Flag { name: "port", aliases: &[], kind: Kind::Port, default: Some("5050"), help: "The port." },
        Flag { name: "quiet", aliases: &[], kind: Kind::Switch, default: Some("false"), help: "No log." },
        Flag {
            name: "agent_ping_timeout",
            aliases: &["slave_ping_timeout"],
            kind: Kind::Duration,
            default: Some("15secs"),
            help: "How long.",
        },
    ];

    fn load(words: &[&str], surroundings: &Surroundings) -> Result<Flags, FlagError> {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        Flags::load("master", FLAGS, Arguments::None, &words, surroundings)
    }

    fn error(words: &[&str]) -> String {
        load(words, &Surroundings::default()).unwrap_err().to_string()
    }

    #[test]
    fn the_command_line_goes_before_the_environment_and_that_before_files_and_defaults() {
        let directory = tempfile::tempdir().unwrap();
        for (name, value) in [("port", "3\n"), ("work_dir", "/files\n"), ("?quiet", "")] {
            std::fs::write(directory.path().join(name), value).unwrap();
        }
        let environment = [("MESOS_PORT", "2"), ("MESOS_SLAVE_PING_TIMEOUT", "2mins")];
        let surroundings = Surroundings {
            environment: environment.map(|(name, value)| (name.into(), value.into())).into(),
            directories: vec![directory.path().into(), "/nonexistent".into()],
        };
        let flags = load(&["--port=1"], &surroundings).unwrap();
        assert_eq!(flags.text("port"), Some("1"));
        let flags = load(&[], &surroundings).unwrap();
        assert_eq!(flags.text("port"), Some("2"));
        assert_eq!(flags.text("work_dir"), Some("/files"));
        assert_eq!(flags.duration("agent_ping_timeout"), Some(Duration::from_secs(120)));
        assert!(flags.switch("quiet"));
        let flags = load(&["--no-quiet"], &surroundings).unwrap();
        assert!(!flags.switch("quiet"));
        assert_eq!(load(&[], &Surroundings::default()).unwrap().text("port"), Some("5050"));
    }

    #[test]
    fn both_forms_of_values_and_both_spellings_of_names_are_read() {
        let none = Surroundings::default();
        for words in
            [&["--work_dir", "/x"][..], &["--work_dir=/x"], &["--work-dir=/x"], &["--work-dir", "/x"]]
        {
            assert_eq!(load(words, &none).unwrap().text("work_dir"), Some("/x"));
        }
        assert_eq!(load(&["--port=1", "--port=2"], &none).unwrap().text("port"), Some("2"), "the last wins");
    }

    #[test]
    fn a_value_may_stand_in_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "7777\n").unwrap();
        let flags = load(&[&format!("--port=file://{}", file.path().display())], &Surroundings::default());
        assert_eq!(flags.unwrap().text("port"), Some("7777"));
        assert!(
            error(&["--port=file:///nonexistent"]).contains("cannot read /nonexistent (value of --port)")
        );
    }

    #[test]
    fn what_is_wrong_is_said_in_one_line_with_a_remedy() {
        for (words, expected) in [
            (
                &["--prot=1"][..],
                "unknown flag '--prot' (command line), did you mean '--port'?; see 'meseta help master'",
            ),
            (&["--zzzzzzzzzz"], "unknown flag '--zzzzzzzzzz' (command line); see 'meseta help master'"),
            (&["-p"], "unknown flag '-p' (command line)"),
            (&["--work_dir"], "flag '--work_dir' (command line) needs a value: --work_dir=VALUE"),
            (&["--port=x"], "flag '--port' (command line) can't be 'x': expected a port, 0 to 65535"),
            (&["--quiet=maybe"], "flag '--quiet' (command line) can't be 'maybe': expected true or false"),
            (&["--agent_ping_timeout=15"], "flag '--agent_ping_timeout' (command line) can't be '15': "),
            (&["stray"], "unexpected argument 'stray'; see 'meseta help master'"),
        ] {
            let said = error(words);
            assert!(said.starts_with(expected), "{words:?}: {said}");
            assert!(!said.contains('\n'), "{said}");
        }
    }

    #[test]
    fn a_file_that_names_no_flag_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("prot"), "1").unwrap();
        let surroundings =
            Surroundings { directories: vec![directory.path().into()], ..Surroundings::default() };
        let said = load(&[], &surroundings).unwrap_err().to_string();
        assert!(
            said.contains("unknown flag 'prot' (file ") && said.contains("did you mean '--port'?"),
            "{said}"
        );
    }

    #[test]
    fn trailing_words_belong_to_the_command_that_takes_them() {
        let words: Vec<String> = ["--port=1", "sleep", "--x", "1"].map(Into::into).into();
        let flags = Flags::load("run", FLAGS, Arguments::Trailing, &words, &Surroundings::default()).unwrap();
        assert_eq!(flags.rest, ["sleep", "--x", "1"]);
        assert!(flags.given("port") && !flags.given("quiet") && !flags.given("work_dir"));
        let words: Vec<String> = ["add", "--port=1", "x", "--", "--y"].map(Into::into).into();
        let flags = Flags::load("run", FLAGS, Arguments::Anywhere, &words, &Surroundings::default()).unwrap();
        assert_eq!(flags.text("port"), Some("1"));
        assert_eq!(flags.rest, ["add", "x", "--y"]);
    }
}
