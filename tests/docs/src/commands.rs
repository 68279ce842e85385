//! Which commands only read, so that they may be repeated until the answer is as shown.

/// Programs that write nothing, however they are called.
const READERS: &[&str] = &[
    "awk", "cat", "cut", "diff", "echo", "grep", "head", "jq", "ls", "printf", "sed", "sort",
    "tail", "test", "tr", "true", "uniq", "wc", "yq",
];

/// What the subcommands of others are that only read. The first of its words that is a subcommand counts.
const SUBCOMMANDS: &[(&str, &[&str])] = &[
    (
        "kubectl",
        &[
            "api-resources",
            "api-versions",
            "auth",
            "cluster-info",
            "describe",
            "diff",
            "events",
            "explain",
            "get",
            "top",
            "version",
            "wait",
        ],
    ),
    ("linkerd-failover", &["check", "explain", "plan", "status", "validate"]),
    ("helm", &["history", "list", "show", "status", "template"]),
];

/// Subcommands that are followed by another one, of which not every one reads.
const WRITERS: &[&str] = &[
    "annotate", "apply", "create", "delete", "edit", "label", "patch", "replace", "rollout",
    "scale", "set",
];

/// Flags with which curl sends something.
const SENDS: &[&str] = &["-X", "-d", "--data", "--request", "-T", "-F"];

/// Whether every command of a script only reads.
pub(crate) fn only_read(script: &str) -> bool {
    let commands = split(script);
    !commands.is_empty() && commands.iter().all(|command| reads(command))
}

fn reads(command: &[String]) -> bool {
    let is_assignment = |word: &&String| {
        word.split_once('=').is_some_and(|(name, _)| {
            name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !name.is_empty()
        })
    };
    let mut arguments = command.iter().skip_while(is_assignment);
    let Some(program) = arguments.next() else { return true };
    let rest: Vec<&str> = arguments.map(String::as_str).collect();
    if program == "curl" {
        return !rest.iter().any(|word| SENDS.iter().any(|flag| word.starts_with(flag)));
    }
    if program == "sed" {
        return !rest.iter().any(|word| word.starts_with("-i"));
    }
    if READERS.contains(&program.as_str()) {
        return true;
    }
    let Some((_, readers)) = SUBCOMMANDS.iter().find(|(name, _)| name == program) else {
        return false;
    };
    let known = |word: &&&str| readers.contains(*word) || WRITERS.contains(*word);
    match rest.iter().find(known) {
        Some(&"rollout") => rest.contains(&"status") || rest.contains(&"history"),
        Some(word) => readers.contains(word),
        None => rest.contains(&"--version") || rest.contains(&"--help"),
    }
}

/// The words of each command. Quotes hold blanks and operators together; where a shell would
/// substitute within quotes, the words are no command that is known.
fn split(script: &str) -> Vec<Vec<String>> {
    let (mut commands, mut words, mut word) = (vec![], vec![], String::new());
    let mut quote = None;
    let mut chars = script.chars().peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), c) => word.push(c),
            (None, '\'' | '"') => quote = Some(c),
            (None, '\\') => {
                // A line that goes on.
                if chars.next_if_eq(&'\n').is_some() {
                    end_word(&mut words, &mut word);
                }
            }
            (None, '&') if word.ends_with('>') => word.push('&'),
            (None, '#') if word.is_empty() => while chars.next_if(|c| *c != '\n').is_some() {},
            (None, '\n' | ';' | '|' | '&' | '(' | ')') => {
                end_word(&mut words, &mut word);
                commands.push(std::mem::take(&mut words));
            }
            (None, c) if c.is_whitespace() => end_word(&mut words, &mut word),
            (None, c) => word.push(c),
        }
    }
    end_word(&mut words, &mut word);
    commands.push(words);
    commands.retain(|words| !words.is_empty());
    commands
}

fn end_word(words: &mut Vec<String>, word: &mut String) {
    if !word.is_empty() {
        words.push(std::mem::take(word));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_are_told_from_writers() {
        for (script, reads) in [
            ("kubectl -n emojivoto get httproute emoji-svc", true),
            ("kubectl get httproute emoji-svc -n emojivoto \\\n  -o jsonpath='{.a} {.b; c}'", true),
            ("kubectl describe service emoji-svc | grep -A3 'Events; all'", true),
            ("kubectl events -n emojivoto && linkerd-failover status", true),
            ("linkerd-failover explain httproute/emoji-svc -n emojivoto # the reason", true),
            ("A=1 cat emoji.yaml", true),
            ("curl -s http://127.0.0.1:8080/metrics", true),
            ("linkerd-failover --version", true),
            ("kubectl apply -f emoji.yaml", false),
            ("kubectl scale deployment/emoji --replicas=0 -n emojivoto", false),
            ("kubectl get x\nkubectl delete x", false),
            ("linkerd-failover pin httproute/emoji-svc", false),
            ("helm upgrade --install linkerd-failover x", false),
            ("helm status linkerd-failover", true),
            ("curl -X POST http://127.0.0.1/", false),
            ("sed -i s/a/b/ file", false),
            ("kubectl annotate x get=1", false),
            ("kubectl -n x rollout status deploy/y 2>&1 | tail -1", true),
            ("kubectl rollout restart deploy/y", false),
            ("make test", false),
            ("# nothing", false),
        ] {
            assert_eq!(only_read(script), reads, "{script}");
        }
    }
}
