//! Calls that are too large to be taken.

use crate::script::Script;

fn ready() -> Script {
    let mut script = Script::new();
    for line in ["s1 subscribe", "a1 register h1 cpus:4;mem:1024;disk:1000"] {
        script.feed(line).expect("a line of the language");
    }
    script
}

fn many(count: usize, word: impl Fn(usize) -> String) -> String {
    (0..count).map(word).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_call_with_too_many_tasks_is_ignored() {
    let mut script = ready();
    let asked = format!("s1 0000 reconcile {}", many(50_001, |number| format!("t{number}")));
    assert_eq!(script.feed(&asked), Ok(vec![]));
    let launched =
        format!("s1 0000 accept O0 {}", many(50_001, |number| format!("t{number}@S0{{cpus:0.001}}")));
    assert_eq!(script.feed(&launched), Ok(vec![]));
    assert_eq!(script.feed("counters dropped_messages"), Ok(vec!["  dropped_messages = 2".to_owned()]));
    // The offer is still theirs to use.
    let told = script.feed("s1 0000 accept O0 t1@S0{cpus:4;mem:1024;disk:1000}").expect("a line");
    assert_eq!(told, ["a1 <- run 0000/t1 cpus:4;disk:1000;mem:1024"]);
}

#[test]
fn a_group_of_too_many_tasks_is_refused() {
    let mut script = ready();
    let tasks = many(1_001, |number| format!("t{number}@S0{{cpus:0.001}}"));
    let told = script.feed(&format!("s1 0000 accept O0 group+e1{{cpus:0.5;mem:64;disk:10}} {tasks}"));
    let told = told.expect("a line");
    let refused = |line: &&String| line.contains("The group has 1001 tasks: at most 1000");
    assert_eq!(told.iter().filter(refused).count(), 1_001, "{:?}", told.first());
}

#[test]
fn a_refusal_does_not_repeat_what_is_no_identity() {
    let mut script = ready();
    let told = script.feed(&format!("s1 0000 accept ={} t1@S0{{cpus:1}}", "x".repeat(10_000)));
    let told = told.expect("a line").join("\n");
    assert!(told.contains("is no longer valid") && told.len() < 1_000, "{told}");
}
