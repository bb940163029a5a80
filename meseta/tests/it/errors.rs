//! What can't start says why in one line, exits with 1, and leaves nothing half-started.

use std::net::TcpListener;

use crate::support::Meseta;

fn refused(words: &[&str]) -> String {
    let (status, stdout, stderr) = Meseta::start(words).end();
    assert_eq!(status.code(), Some(1), "{words:?}: {stderr:?}");
    assert!(stdout.is_empty(), "{words:?}: {stdout:?}");
    assert_eq!(stderr.len(), 1, "{words:?}: one line: {stderr:#?}");
    stderr.into_iter().next().unwrap()
}

#[test]
fn unknown_commands_and_flags_and_bad_values() {
    for (words, expected) in [
        (&["mastr"][..], "meseta: there is no command 'mastr'"),
        (&["version", "--anything"], "unknown flag '--anything'"),
        (&["master", "--prot=1"], "unknown flag '--prot' (command line), did you mean '--port'?"),
        (&["master", "--port=99999"], "can't be '99999'"),
        (&["master", "--work_dir=/tmp", "--logging_level=INOF"], "can't be 'INOF': expected INFO"),
        (&["run", "--master=127.0.0.1:1", "--command="], "nothing to run"),
        (&["run", "--master=127.0.0.1:1", "--", ""], "the program's name is empty"),
        (&["master"], "flag '--work_dir' is needed"),
        (
            &["master", "--work_dir=/tmp", "--offer_timeout=soon"],
            "flag '--offer_timeout' (command line) can't be 'soon'",
        ),
        (&["agent", "--work_dir=/tmp"], "flag '--master' is needed"),
        (&["agent", "--work_dir=/tmp", "--master=127.0.0.1:1", "--resources=cpus"], "flag '--resources'"),
        (&["local", "--agents=many"], "expected a whole number"),
        (&["run", "--master=127.0.0.1:1"], "nothing to run"),
        (&["run", "--", "true"], "flag '--master' is needed"),
        (&["run", "--master=no port here", "--", "true"], "--master"),
    ] {
        let said = refused(words);
        assert!(said.contains(expected), "{words:?}: {said}");
    }
}

#[test]
fn who_a_master_is_and_with_whom_it_begins() {
    let base = ["master", "--work_dir=/nonexistent/never/made", "--port=5050"];
    for (words, expected) in [
        (&["--id=0"][..], "'--id' (command line) can't be '0': expected a whole number above zero"),
        (&["--id=one"], "can't be 'one': expected a whole number"),
        (&["--peers=1=a:5050,2=b:5050,3=c:5050"], "--id is missing: which of 1, 2, 3 is this master?"),
        (&["--id=4", "--peers=1=a:5050,2=b:5050,3=c:5050"], "master 4 (--id) is not among them (1, 2, 3)"),
        (&["--id=1", "--peers=1=a:5050,1=b:5050"], "there are two masters 1"),
        (&["--id=1", "--peers=1=a:5050,2=a:5050"], "masters 1 and 2 have one address"),
        (&["--id=1", "--peers=1=a:5051,2=b:5050"], "make --port (or --advertise_port) and --peers agree"),
        (
            &["--id=1", "--advertise_port=1", "--advertise_ip=10.0.0.1", "--peers=1=a:5050"],
            "reached at port 1;",
        ),
        (&["--id=1", "--peers=master"], "'master' is no master: expected ID=HOST:PORT"),
        (&["--id=1", "--peers="], "expected 1 to 9 masters"),
        (&["--join=a:5050"], "--id is missing: give a number that no master of that cluster has or had"),
        (&["--id=4", "--join=zk://a"], "'zk://a' is no address of a master"),
        (&["--id=1", "--peers=1=a:5050", "--join=b:5050"], "give one of them"),
        (&["--zk=zk://a:2181/mesos"], "there is no ZooKeeper here: name all masters with --peers=1="),
        (&["--registry=leveldb"], "expected one of replicated_log, in_memory"),
        (&["--id=1", "--registry=in_memory", "--peers=1=a:5050"], "use replicated_log, or leave --peers"),
        (&["--registry_strict"], "it must be false"),
        (&["--election_timeout=49ms"], "expected 50ms to 1mins"),
        (&["--election_timeout=2mins"], "expected 50ms to 1mins"),
        (&["--quorum=two"], "can't be 'two': expected a whole number"),
        (&["--agent_removal_rate_limit=10mins"], "such as 1/10mins"),
        (&["--recovery_agent_removal_limit=101%"], "more than 100%"),
    ] {
        let said = refused(&[&base[..], words].concat());
        assert!(said.contains(expected), "{words:?}: {said}");
    }
}

#[test]
fn what_can_not_be_asked_of_masters() {
    let directory = tempfile::tempdir().unwrap();
    let work_dir = format!("--work_dir={}", directory.path().display());
    for (words, expected) in [
        (&["list"][..], "there is no 'meseta masters list': expected status, add, remove"),
        (&["add", "4"], "'4' is not ID=HOST:PORT"),
        (&["--master=nowhere", "status"], "expected host:port, or several"),
        (&["--timeout=0secs", "remove", "1"], "expected a duration above zero"),
        (
            &["--master=127.0.0.1:1", "status"],
            "no master answers (127.0.0.1:1: no master is there); start it, or",
        ),
        (&["remove", "1", "--master=127.0.0.1:1"], "no master answers (127.0.0.1:1"),
        (&["repair"], "flag '--from_peer' is needed"),
        (&["repair", "--from-peer=127.0.0.1:1"], "flag '--work_dir' is needed"),
        (
            &["repair", "--from-peer=127.0.0.1:1", &work_dir],
            "does not say which master it is: give its number",
        ),
        (&["repair", "--from-peer=127.0.0.1:1", &work_dir, "--id=2"], "no master answers (127.0.0.1:1"),
    ] {
        let said = refused(&[&["masters"], words].concat());
        assert!(said.contains(expected), "{words:?}: {said}");
    }
    assert!(!directory.path().join("replica").exists(), "nothing is begun");
}

#[test]
fn flags_from_the_environment_are_checked_too() {
    let environment = [("MESOS_ALLOCATION_INTERVAL", "often"), ("MESOS_WORK_DIR", "/tmp")];
    let (status, _, stderr) = Meseta::start_with(&["master"], &environment).end();
    assert_eq!(status.code(), Some(1));
    assert!(stderr[0].contains("environment variable MESOS_ALLOCATION_INTERVAL"), "{stderr:?}");
}

#[test]
fn a_port_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = format!("--port={}", taken.local_addr().unwrap().port());
    let directory = tempfile::tempdir().unwrap();
    let work_dir = format!("--work_dir={}", directory.path().display());
    for command in ["master", "agent", "local"] {
        let mut words = vec![command, &port, "--ip=127.0.0.1"];
        match command {
            "master" => words.push(&work_dir),
            "agent" => words.extend([work_dir.as_str(), "--master=127.0.0.1:1"]),
            _ => {}
        }
        let said = refused(&words);
        assert!(said.contains("the port is in use") && said.contains("--port"), "{said}");
    }
}

#[test]
fn a_work_directory_that_cannot_be_made() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let work_dir = format!("--work_dir={}/below", file.path().display());
    let said = refused(&["master", &work_dir, "--port=0"]);
    assert!(said.contains("can't be written") && said.contains("--work_dir"), "{said}");
}

#[test]
fn a_work_directory_that_another_master_holds() {
    let directory = tempfile::tempdir().unwrap();
    let (_master, _) = crate::support::start_master(directory.path());
    let work_dir = format!("--work_dir={}", directory.path().join("master").display());
    let said = refused(&["master", &work_dir, "--port=0", "--ip=127.0.0.1"]);
    assert!(said.contains("in use by another master"), "{said}");
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    for words in [&["help"][..], &["help", "agent"], &["version"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_meseta"));
        let output = command.args(words).stdout(writer).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{words:?}: {output:?}");
        assert!(output.stderr.is_empty(), "{words:?}: {output:?}");
    }
}

#[test]
fn help_and_version_are_there_for_every_command() {
    for words in [
        &["help"][..],
        &["--help"],
        &["version"],
        &["help", "master"],
        &["agent", "--help"],
        &["help", "run"],
    ] {
        let (status, stdout, stderr) = Meseta::start(words).end();
        assert_eq!(status.code(), Some(0), "{words:?}: {stderr:?}");
        assert!(!stdout.is_empty() && stderr.is_empty(), "{words:?}");
    }
}
