//! Examples live beside this file, one program each. Here is what they share: the reading of their one flag.

/// The master that a command line names: `--master host:port` or `--master=host:port`; without it the usual port of
/// this machine. `None`: something else stands there.
pub fn master(arguments: &[String]) -> Option<&str> {
    match arguments {
        [] => Some("127.0.0.1:5050"),
        [flag, master] if flag == "--master" => Some(master),
        [both] => both.strip_prefix("--master="),
        _ => None,
    }
}

/// The programs in the project's README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_master_is_named_in_either_form() {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(master(&[]), Some("127.0.0.1:5050"));
        assert_eq!(master(&words("--master=h:1")), Some("h:1"));
        assert_eq!(master(&words("--master h:1")), Some("h:1"));
        assert_eq!(master(&words("--mister=h:1")), None);
        assert_eq!(master(&words("--master h:1 x")), None);
    }
}
