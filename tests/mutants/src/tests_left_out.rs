//! Sources without their tests: of a room that is only used, tests would be compiled for nothing.

/// The text without what is under `#[cfg(test)]` as a module: a file that is declared, or one in the text, which
/// goes to the end of the file.
///
/// What else is under `#[cfg(test)]` stays: tests of other rooms use it.
pub fn tests_left_out(text: &str) -> String {
    let mut kept = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line != "#[cfg(test)]" {
            kept += line;
            kept.push('\n');
            continue;
        }
        let mut attributes = vec![line];
        while let Some(attribute) = lines.next_if(|next| next.starts_with("#[")) {
            attributes.push(attribute);
        }
        match lines.peek() {
            Some(next) if is_module(next) && next.ends_with('{') => break,
            Some(next) if is_module(next) => {
                lines.next();
            }
            _ => attributes.iter().for_each(|line| {
                kept += line;
                kept.push('\n');
            }),
        }
    }
    kept
}

fn is_module(line: &str) -> bool {
    let line = line.strip_prefix("pub(crate) ").unwrap_or(line);
    line.starts_with("mod ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_of_tests_are_left_out_and_what_tests_of_others_use_is_not() {
        let text = "mod a;\n#[cfg(test)]\nmod a_tests;\nmod b;\n#[cfg(test)]\n#[path = \"b_tests.rs\"]\nmod tests;\n\
                    #[cfg(test)]\npub(crate) mod c_support;\n\
                    #[cfg(test)]\nfn counted() {}\nfn last() {}\n#[cfg(test)]\nmod tests {\n    fn x() {}\n}\n";
        let left = "mod a;\nmod b;\n#[cfg(test)]\nfn counted() {}\nfn last() {}\n";
        assert_eq!(tests_left_out(text), left);
    }

    #[test]
    fn an_attribute_further_in_is_not_one_of_a_module_of_the_file() {
        let text = "fn a() {\n    #[cfg(test)]\n    STEPS.set(1);\n}\n";
        assert_eq!(tests_left_out(text), text);
    }
}
