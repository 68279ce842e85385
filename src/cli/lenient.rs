//! Reading a command line that has flags of a later time: those that are not known are left out.

use clap::{Arg, Command};
use std::ffi::OsString;

/// The arguments without what the command does not know. The program and the command's name stay.
pub(super) fn lenient(command: &Command, arguments: Vec<OsString>) -> Vec<OsString> {
    let mut kept = vec![];
    let mut rest = arguments.into_iter();
    kept.extend(rest.by_ref().take(2));
    while let Some(argument) = rest.next() {
        let text = argument.to_string_lossy();
        let Some((arg, has_value)) = known(command, &text) else { continue };
        let takes_value = arg.get_action().takes_values();
        let value = (takes_value && !has_value).then(|| rest.next()).flatten();
        // To kubectl and to Linkerd a flag with an empty value is one that is not given.
        let is_empty = value.as_ref().is_some_and(|value| value.is_empty()) || text.ends_with('=');
        if takes_value && is_empty {
            continue;
        }
        // Linkerd passes lists on as Go prints them.
        match list(&text) {
            Some(flags) => kept.extend(flags),
            None => kept.push(argument),
        }
        kept.extend(value);
    }
    kept
}

/// The flag that a text is, and whether its value stands in it.
fn known<'a>(command: &'a Command, text: &str) -> Option<(&'a Arg, bool)> {
    if ["--help", "-h"].contains(&text) {
        return help(command);
    }
    if let Some(long) = text.strip_prefix("--") {
        let (name, has_value) =
            long.split_once('=').map_or((long, false), |(name, _)| (name, true));
        let arg = command.get_arguments().find(|arg| arg.get_long() == Some(name))?;
        // `--pre=false` is no flag of ours, and means that it is not set.
        return (arg.get_action().takes_values() || !has_value).then_some((arg, has_value));
    }
    let mut short = text.strip_prefix('-')?.chars();
    let name = short.next()?;
    let arg = command.get_arguments().find(|arg| arg.get_short() == Some(name))?;
    Some((arg, short.next().is_some()))
}

/// clap adds the flag itself; any flag without a value stands for it.
fn help(command: &Command) -> Option<(&Arg, bool)> {
    let flag = command.get_arguments().find(|arg| !arg.get_action().takes_values());
    flag.map(|flag| (flag, false))
}

/// `--as-group=[a,b]` as `--as-group=a --as-group=b`; none where it is no such list.
fn list(text: &str) -> Option<Vec<OsString>> {
    let (flag, value) = text.split_once('=')?;
    let items = value.strip_prefix('[')?.strip_suffix(']')?;
    let items = items.split(',').filter(|item| !item.is_empty());
    Some(items.map(|item| OsString::from(format!("{flag}={item}"))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ArgAction;

    #[test]
    fn unknown_flags_and_what_is_no_flag_are_left_out() {
        let command = Command::new("check")
            .arg(Arg::new("wait").long("wait").action(ArgAction::Set))
            .arg(Arg::new("output").long("output").short('o').action(ArgAction::Set))
            .arg(Arg::new("group").long("as-group").action(ArgAction::Append))
            .arg(Arg::new("pre").long("pre").action(ArgAction::SetTrue));
        for (line, kept) in [
            ("--wait=1s --new=1 --newer -z word", "--wait=1s"),
            ("--wait 1s --pre", "--wait 1s --pre"),
            ("-o json -ojson -o=json", "-o json -ojson -o=json"),
            ("--as-group=[] --as-group=[a,b]", "--as-group=a --as-group=b"),
            ("--as-group=a", "--as-group=a"),
            ("--pre=false", ""),
            ("--wait= --output= --pre", "--pre"),
            ("--help", "--help"),
            ("--", ""),
        ] {
            let arguments = ["linkerd-failover", "check"].into_iter().chain(line.split(' '));
            let read = lenient(&command, arguments.map(OsString::from).collect());
            let read: Vec<_> = read.iter().skip(2).map(|a| a.to_str().unwrap()).collect();
            assert_eq!(read.join(" "), kept, "{line}");
        }
        let empty = ["linkerd-failover", "check", "--wait", "", "--pre"].map(OsString::from);
        assert_eq!(lenient(&command, empty.into()).last().unwrap(), "--pre");
    }

    #[cfg(unix)]
    #[test]
    fn a_path_that_is_no_text_is_kept() {
        use std::os::unix::ffi::OsStringExt;
        let command = Command::new("check").arg(Arg::new("file").long("file"));
        let path = OsString::from_vec(b"--file=/\xff".to_vec());
        let line = vec!["linkerd-failover".into(), "check".into(), path.clone()];
        assert_eq!(lenient(&command, line).last(), Some(&path));
    }
}
