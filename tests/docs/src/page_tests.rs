use super::*;

fn faults(text: &str) -> Vec<String> {
    read("docs/a.md", text).1.iter().map(Fault::to_string).collect()
}

fn page(text: &str) -> Page {
    let (page, faults) = read("docs/a.md", text);
    assert_eq!(faults, [], "{text}");
    page
}

fn run(script: &str) -> Commands {
    Commands { script: script.into(), ..Commands::default() }
}

#[test]
fn a_page_is_read_into_steps() {
    let text = "# A\n\n<!-- cluster: installed -->\nText.\n\n```yaml\n# emoji.yaml\na: 1\n```\n\n```sh\nkubectl apply -f emoji.yaml\n```\n```output\ndone\n```\n\nAnd:\n\n<!-- exit status: 1 -->\n```sh\nfalse\n```\n\n<!-- run:\na\nb\n-->\n\n```yaml\napiVersion: v1\nkind: Service\n```\n\n```yaml\nvalues: 1\n```\n";
    let shown = Shown { line: 14, text: "done\n".into() };
    let steps = [
        (6, Action::Save { name: "emoji.yaml".into(), text: "# emoji.yaml\na: 1\n".into() }),
        (11, Action::Run(Commands { output: Some(shown), ..run("kubectl apply -f emoji.yaml\n") })),
        (21, Action::Run(Commands { exit_status: 1, ..run("false\n") })),
        (25, Action::Run(Commands { hidden: true, ..run("a\nb") })),
        (30, Action::DryRun("apiVersion: v1\nkind: Service\n".into())),
    ];
    let steps = steps.map(|(line, action)| Step { line, action }).to_vec();
    let expected =
        Page { path: "docs/a.md".into(), scene: Scene::Installed, steps, left_out: vec![] };
    assert_eq!(page(text), expected);
}

#[test]
fn what_is_marked_is_left_out_with_its_reason_and_what_it_would_print_is_not_compared() {
    let page = page(
        "<!-- not run: needs a kubelet -->\n```sh\nkubectl logs x\n```\n\n```output\nlines\n```\n\n<!-- not run: other CRDs -->\n```yaml\nkind: A\napiVersion: b\n```\n",
    );
    let left_out = |line, language: &str, reason: &str| LeftOut {
        line,
        language: language.into(),
        reason: reason.into(),
    };
    assert_eq!(
        page.left_out,
        [left_out(2, "sh", "needs a kubelet"), left_out(11, "yaml", "other CRDs")]
    );
    assert_eq!(page.steps, []);
    assert_eq!(page.scene, Scene::Emojivoto, "the default");
}

#[test]
fn blocks_of_lists_lose_their_indentation() {
    let page = page("1. Do:\n\n   ```sh\n   a\n     b\n   ```\n\n   ```output\n   c\n   ```\n");
    let Action::Run(commands) = &page.steps[0].action else { panic!("{page:?}") };
    assert_eq!((page.steps[0].line, commands.script.as_str()), (3, "a\n  b\n"));
    assert_eq!(commands.output.as_ref().map(|shown| shown.text.as_str()), Some("c\n"));
}

#[test]
fn every_broken_rule_is_said_with_its_line() {
    for (text, fault) in [
        ("a\n\n```console\nb\n```\n", "docs/a.md:3: a ```console block: write ```sh"),
        ("```bash\nb\n```\n", "docs/a.md:1: a ```bash block: write ```sh"),
        ("```\nb\n```\n", "docs/a.md:1: a block without a language"),
        ("    code\n", "docs/a.md:1: a code block by indentation"),
        ("```sh\na\n$ b\n```\n", "docs/a.md:3: a prompt"),
        ("```sh\n\n```\n", "docs/a.md:1: a block without commands"),
        ("```output\nb\n```\n", "docs/a.md:1: an ```output block that follows no ```sh block"),
        ("```sh\na\n```\n\ntext\n\n```output\nb\n```\n", "docs/a.md:7: an ```output block that"),
        (
            "```sh\na\n```\n```output\nb\n```\n```output\nc\n```\n",
            "docs/a.md:7: an ```output block that",
        ),
        (
            "<!-- not run: why -->\n\ntext\n\n```sh\na\n```\n",
            "docs/a.md:1: no block follows this mark",
        ),
        ("<!-- exit status: 1 -->\n", "docs/a.md:1: no block follows this mark"),
        ("<!-- not run: why -->\n```json\n{}\n```\n", "docs/a.md:1: `not run` is a mark of"),
        (
            "<!-- exit status: 2 -->\n```yaml\na: b\n```\n",
            "docs/a.md:1: `exit status` is a mark of",
        ),
        ("<!-- not run: -->\n```sh\na\n```\n", "docs/a.md:1: `not run` has no reason"),
        (
            "<!-- cluster: linked -->\n<!-- cluster: empty -->\n",
            "docs/a.md:2: `cluster:` stands in line 1",
        ),
        (
            "```sh\na\n```\n\n<!-- cluster: empty -->\n",
            "docs/a.md:5: `cluster:` comes after a block",
        ),
    ] {
        let found = faults(text);
        assert!(found.len() == 1 && found[0].starts_with(fault), "{text}: {found:?}");
    }
}

#[test]
fn a_name_in_the_first_line_saves_a_file_and_other_comments_do_not() {
    for (text, name) in [
        ("# emoji-svc.yaml\na: 1\n", Some("emoji-svc.yaml")),
        ("# Of the chart.\na: 1\n", None),
        ("# ../a.yaml\n", None),
        ("a: 1\n# b.yaml\n", None),
    ] {
        assert_eq!(file_name(text), name, "{text}");
    }
    assert!(is_object("kind: A\napiVersion: b\n---\napiVersion: c\nkind: D\n"));
    assert!(!is_object("kind: A\napiVersion: b\n---\nvalues: 1\n"));
    assert!(!is_object("spec:\n  kind: A\n  apiVersion: b\n"));
}
