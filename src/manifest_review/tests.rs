//! The command as people see it: manifests in, lines out. The forty cases in `tests/fixtures/manifests` are also
//! applied to a real API server, in `tests/integration/cli/validate.rs`.

use super::diagnostic::{Diagnostic, Level};
use super::formats::Format;
use super::input::Input;
use super::known_world::KnownWorld;
use super::report::{Outcome, Report};
use super::review::review;
use super::settings::ReviewSettings;
use crate::admission::view::Rules;
use crate::engine::{Defaults, Intent, annotations};
use crate::index::managed_object::ManagedObject;
use crate::kinds::Kind;
use crate::manifests::documents;
use std::fs;
use std::path::{Path, PathBuf};

fn settings() -> ReviewSettings {
    ReviewSettings {
        selector: annotations::CONTROLLED_BY.parse().unwrap(),
        rules: Rules::default(),
        defaults: Defaults::default(),
        namespace: "default".into(),
    }
}

fn reviewed(files: &[(&str, &str)]) -> Report {
    let mut input = Input::new("default");
    for (name, content) in files {
        input.add(name, content.as_bytes());
    }
    review(input, KnownWorld::empty(), &settings())
}

/// Every line about one file.
fn lines(content: &str) -> String {
    reviewed(&[("a.yaml", content)]).print(Format::Text)
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/manifests")
}

/// The cases of a folder, each as its name and its content.
fn cases(folder: &str) -> Vec<(String, String)> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(fixtures().join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    paths.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
}

fn services() -> String {
    fs::read_to_string(fixtures().join("services.yaml")).unwrap()
}

/// A case beside the Services that it names.
fn case(name: &str, content: &str) -> Report {
    reviewed(&[("services.yaml", &services()), (name, content)])
}

fn errors(report: &Report) -> Vec<String> {
    let errors = report.diagnostics.iter().filter(|d| d.level == Level::Error);
    sorted(errors.map(Diagnostic::text))
}

/// The lines of a report are in the order of the file, those of an answer in the order of the rules.
fn sorted(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut lines: Vec<String> = lines.collect();
    lines.sort();
    lines
}

/// Compares with a file beside the cases.
fn assert_output(name: &str, output: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(fixtures().join("output"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, output));
}

/// Faults that follow from other objects: the controller's parser does not have them, and its health does.
const BY_OTHER_OBJECTS: [&str; 3] =
    ["split-external-name.yaml", "split-ports.yaml", "split-of-flagger.yaml"];

#[test]
fn of_forty_manifests_the_command_refuses_what_the_parser_of_the_controller_cannot_read() {
    let (right, wrong) = (cases("right"), cases("wrong"));
    assert_eq!((right.len(), wrong.len()), (20, 20));
    for (name, content) in right.iter().chain(&wrong) {
        let object = documents::read(name, content.as_bytes()).remove(0).object.unwrap();
        let kind = object["kind"].as_str().unwrap();
        let kind = Kind::ALL.into_iter().find(|k| k.as_str() == kind).unwrap();
        let object = serde_json::from_value(object).unwrap();
        let read = Intent::read(&kind.read(&object), &Defaults::default()).problems;
        let read = sorted(read.iter().map(ToString::to_string));
        let managed = ManagedObject::read(kind, &object, &Defaults::default());
        let is_fine = managed.sets.is_ok() && managed.faults.is_empty();
        let report = case(name, content);
        if BY_OTHER_OBJECTS.contains(&name.as_str()) {
            assert!(is_fine && read.is_empty() && errors(&report).len() == 1, "{name}");
            continue;
        }
        assert_eq!(errors(&report), read, "{name}");
        assert_eq!(is_fine, read.is_empty(), "{name}");
        let is_right = right.iter().any(|(right, _)| right == name);
        assert_eq!(
            (is_fine, report.outcome() == Outcome::Admitted),
            (is_right, is_right),
            "{name}"
        );
    }
}

#[test]
fn every_fault_is_a_line_in_each_format() {
    let (services, wrong) = (services(), cases("wrong"));
    let mut files = vec![("services.yaml", services.as_str())];
    files.extend(wrong.iter().map(|(name, content)| (name.as_str(), content.as_str())));
    let report = reviewed(&files);
    assert_eq!(report.outcome().exit_code(), 1);
    assert_output("wrong.txt", &report.print(Format::Text));
    assert_output("wrong.github", &report.print(Format::GitHub));
    assert_output("wrong.json", &report.print(Format::Json));
}

#[test]
fn what_is_right_has_notes_and_warnings_and_success_is_reported() {
    let lines: String = cases("right")
        .iter()
        .map(|(name, content)| {
            let report = case(name, content);
            assert_eq!(report.outcome().exit_code(), 0, "{name}");
            let printed = report.print(Format::Text);
            assert!(printed.contains("ok: 1 object would be admitted"), "{name}: {printed}");
            let of_case = printed.lines().filter(|line| line.starts_with(name.as_str()));
            of_case.map(|line| format!("{line}\n")).collect::<String>()
        })
        .collect();
    assert_output("right.txt", &lines);
}

#[test]
fn with_strict_a_warning_is_a_fault_and_what_is_not_checked_is_none() {
    let split =
        fs::read_to_string(fixtures().join("right/split-misspelt-annotation.yaml")).unwrap();
    let lenient = case("split.yaml", &split);
    assert_eq!(
        (lenient.outcome(), lenient.strictly().outcome()),
        (Outcome::Admitted, Outcome::Faults)
    );
    let split = fs::read_to_string(fixtures().join("right/split.yaml")).unwrap();
    assert_eq!(reviewed(&[("split.yaml", &split)]).strictly().outcome(), Outcome::Admitted);
}

const SPLIT: &str = "apiVersion: split.smi-spec.io/v1alpha2
kind: TrafficSplit
metadata: {name: emoji, labels: {failover.linkerd.io/controlled-by: x}, annotations: {failover.linkerd.io/primary-service: emoji-svc}}
spec:
  service: emoji-svc
  backends:
  - {service: emoji-svc, weight: 1}
  - {service: emoji-svc-west, weight: 0}
";

const SERVICES: &str = "---
apiVersion: v1
kind: Service
metadata: {name: emoji-svc}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: emoji-svc-west}
spec: {ports: [{port: 80}]}
";

#[test]
fn a_service_outside_the_input_is_reported_as_not_checked_and_never_as_missing() {
    insta::assert_snapshot!(lines(SPLIT), @r#"
    a.yaml:5: not checked: TrafficSplit/emoji: spec.service: found "emoji-svc", which could not be looked up, expected a Service in namespace default; check with: kubectl -n default get service emoji-svc
    a.yaml:7: not checked: TrafficSplit/emoji: spec.backends[0].service: found "emoji-svc", which could not be looked up, expected a Service in namespace default; check with: kubectl -n default get service emoji-svc
    a.yaml:8: not checked: TrafficSplit/emoji: spec.backends[1].service: found "emoji-svc-west", which could not be looked up, expected a Service in namespace default; check with: kubectl -n default get service emoji-svc-west
    not checked, since no cluster is asked: which endpoints are ready; failover objects, ServiceProfiles and ReferenceGrants outside the input; the live objects that an apply would update: each counts as new; the protection that namespace default asks for; --live asks one
    ok: 1 object would be admitted, 3 facts not checked, 1 file
    "#);
    insta::assert_snapshot!(lines(&format!("{SPLIT}{SERVICES}")), @"
    not checked, since no cluster is asked: which endpoints are ready; failover objects, ServiceProfiles and ReferenceGrants outside the input; the live objects that an apply would update: each counts as new; the protection that namespace default asks for; --live asks one
    ok: 1 object would be admitted, 2 objects for context, 1 file
    ");
    let misspelt = SPLIT.replace("service: emoji-svc-west", "service: emoji-svc-wset");
    insta::assert_snapshot!(lines(&format!("{misspelt}{SERVICES}")), @r#"
    a.yaml:8: not checked: TrafficSplit/emoji: spec.backends[1].service: found "emoji-svc-wset", which could not be looked up, expected a Service in namespace default; did you mean emoji-svc-west? check with: kubectl -n default get service emoji-svc-wset
    not checked, since no cluster is asked: which endpoints are ready; failover objects, ServiceProfiles and ReferenceGrants outside the input; the live objects that an apply would update: each counts as new; the protection that namespace default asks for; --live asks one
    ok: 1 object would be admitted, 1 fact not checked, 2 objects for context, 1 file
    "#);
}

#[test]
fn objects_are_judged_one_beside_the_other_as_they_would_be_applied() {
    let second = SPLIT.replace("name: emoji,", "name: second,");
    insta::assert_snapshot!(lines(&format!("{SPLIT}---\n{second}{SERVICES}")), @r#"
    a.yaml:14: warning: TrafficSplit/second: spec.service: found "emoji-svc", the apex of emoji too, expected one object for an apex; they overwrite each other's routing: delete one of the two; emoji is the older
    not checked, since no cluster is asked: which endpoints are ready; failover objects, ServiceProfiles and ReferenceGrants outside the input; the live objects that an apply would update: each counts as new; the protection that namespace default asks for; --live asks one
    ok: 2 objects would be admitted, 1 warning, 2 objects for context, 1 file
    "#);
}

#[test]
fn what_is_declared_on_services_secrets_and_namespaces_is_judged_too() {
    let input = r#"
apiVersion: v1
kind: Service
metadata:
  name: web-svc
  annotations:
    failover.linkerd.io/down-until: tomorrow
---
apiVersion: v1
kind: Service
metadata: {name: api-svc, annotations: {failover.linkerd.io/down-until: "2999-01-31T14:30:00Z"}}
---
apiVersion: v1
kind: Secret
type: mirror.linkerd.io/remote-kubeconfig
metadata:
  name: cluster-credentials-west
  annotations: {failover.linkerd.io/down-until: soon}
---
apiVersion: v1
kind: Secret
metadata: {name: other, annotations: {failover.linkerd.io/down-until: soon}}
---
apiVersion: v1
kind: Namespace
metadata:
  name: emojivoto
  annotations:
    failover.linkerd.io/protection: full
---
apiVersion: policy.linkerd.io/v1beta3
kind: HTTPRoute
metadata: {name: emoji, labels: {failover.linkerd.io/controlled-by: x}}
"#;
    let printed = lines(input);
    let (before, after) = printed.split_once("it is ").unwrap();
    let shown = format!("{before}it is{}", &after["2026-11-26T11:03:54Z".len()..]);
    insta::assert_snapshot!(shown, @r#"
    a.yaml:7: Service/web-svc: metadata.annotations[failover.linkerd.io/down-until]: found "tomorrow", expected an RFC 3339 time such as 2026-01-31T14:30:00Z; kubectl annotate --overwrite … failover.linkerd.io/down-until=$(date -u -d +30min +%FT%TZ) sets one
    a.yaml:11: warning: Service/api-svc: metadata.annotations[failover.linkerd.io/down-until]: found 2999-01-31T14:30:00Z, expected a time within 168h; it is now: the Service counts as down until then
    a.yaml:18: Secret/cluster-credentials-west: metadata.annotations[failover.linkerd.io/down-until]: found "soon", expected an RFC 3339 time such as 2026-01-31T14:30:00Z; kubectl annotate --overwrite … failover.linkerd.io/down-until=$(date -u -d +30min +%FT%TZ) sets one
    a.yaml:29: warning: Namespace/emojivoto: metadata.annotations[failover.linkerd.io/protection]: found "full" on namespace emojivoto, expected "standard" or "seamless"; it is ignored; mend it with: kubectl annotate namespace emojivoto failover.linkerd.io/protection=seamless --overwrite
    a.yaml:31: warning: HTTPRoute/emoji: httproutes.policy.linkerd.io default/emoji matches failover.linkerd.io/controlled-by, which marks objects to fail over, but this kind is not failed over: expected one of trafficsplits.split.smi-spec.io, httproutes.gateway.networking.k8s.io, grpcroutes.gateway.networking.k8s.io. Make it an HTTPRoute of gateway.networking.k8s.io, or take the label off
    not checked, since no cluster is asked: which endpoints are ready; failover objects, ServiceProfiles and ReferenceGrants outside the input; the live objects that an apply would update: each counts as new; --live asks one
    2 faults in 5 objects, 3 warnings, 1 document of other kinds skipped, 1 file
    "#);
    // 2999 is far away, whatever day it is.
    let declared = SERVICES.replace("metadata: {name: emoji-svc}", r#"metadata: {name: emoji-svc, annotations: {failover.linkerd.io/down-until: "2026-01-31T14:30:00Z"}}"#);
    let shown = lines(&format!("{SPLIT}{declared}"));
    assert!(shown.contains("a.yaml:12: warning: Service/emoji-svc: metadata.annotations[failover.linkerd.io/down-until]: found 2026-01-31T14:30:00Z, expected a time that is still to come"), "{shown}");
}

#[test]
fn what_is_not_managed_or_of_another_kind_is_counted() {
    let unlabelled = SPLIT.replace("labels: {failover.linkerd.io/controlled-by: x}", "labels: {}");
    let deployment =
        "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: emoji}\n---\nreplicas: 2\n";
    insta::assert_snapshot!(lines(&format!("{unlabelled}{deployment}")), @"ok: nothing to validate, 1 object without the label, 2 documents of other kinds skipped, 1 file");
    insta::assert_snapshot!(lines("# nothing\n"), @"ok: nothing to validate, 1 file");
}

/// Every line but for what no cluster was asked.
fn verdicts(content: &str) -> String {
    let lines = lines(content);
    let lines = lines.lines().filter(|line| !line.contains("not checked"));
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn a_kind_that_is_nearly_one_is_never_skipped() {
    let split = format!("{SPLIT}{SERVICES}");
    let of = |version: &str| {
        verdicts(&split.replace("apiVersion: split.smi-spec.io/v1alpha2\n", version))
    };
    let text = [
        of("apiVersion: smi-spec.io/v1alpha2\n"),
        of("apiVersion: split.smi-spec.io\n"),
        of("apiVersion: v1\n"),
        of(""),
        verdicts(&split.replace("kind: TrafficSplit", "kind: trafficsplit")),
        // Somebody else's.
        verdicts("apiVersion: example.com/v1\nkind: HTTPRoute\nmetadata: {name: emoji}\n"),
    ];
    insta::assert_snapshot!(text.concat(), @r#"
    a.yaml:1: warning: TrafficSplit/emoji: apiVersion: found "smi-spec.io/v1alpha2", expected split.smi-spec.io/v1alpha4, split.smi-spec.io/v1alpha3, split.smi-spec.io/v1alpha2, split.smi-spec.io/v1alpha1; this kind is not failed over: mend it, or take the label off
    ok: 1 object would be admitted, 1 warning, 2 objects for context, 1 file
    a.yaml:1: TrafficSplit/emoji: apiVersion: found "split.smi-spec.io", expected split.smi-spec.io/v1alpha4, split.smi-spec.io/v1alpha3, split.smi-spec.io/v1alpha2, split.smi-spec.io/v1alpha1; write a group and a version: no API server takes it otherwise
    1 fault in 1 object, 2 objects for context, 1 file
    a.yaml:1: warning: TrafficSplit/emoji: apiVersion: found "v1", expected split.smi-spec.io/v1alpha4, split.smi-spec.io/v1alpha3, split.smi-spec.io/v1alpha2, split.smi-spec.io/v1alpha1; this kind is not failed over: mend it, or take the label off
    ok: 1 object would be admitted, 1 warning, 2 objects for context, 1 file
    a.yaml:1: TrafficSplit/emoji: apiVersion: found nothing, expected split.smi-spec.io/v1alpha4, split.smi-spec.io/v1alpha3, split.smi-spec.io/v1alpha2, split.smi-spec.io/v1alpha1; write a group and a version: no API server takes it otherwise
    1 fault in 1 object, 2 objects for context, 1 file
    a.yaml:2: trafficsplit/emoji: kind: found "trafficsplit", expected TrafficSplit; write it with these capitals
    1 fault in 1 object, 2 objects for context, 1 file
    ok: nothing to validate, 1 document of other kinds skipped, 1 file
    "#);
}

#[test]
fn a_field_that_no_api_server_takes_has_its_line() {
    let weight = SPLIT.replace("x}, annotations", "yes}, annotations");
    insta::assert_snapshot!(verdicts(&format!("{weight}{SERVICES}")), @r#"
    a.yaml:3: TrafficSplit/emoji: metadata.labels[failover.linkerd.io/controlled-by]: found true, expected a text; put it into quotes
    1 fault in 1 object, 2 objects for context, 1 file
    "#);
    insta::assert_snapshot!(verdicts(&SPLIT.replace("name: emoji,", "name: 5,")), @r#"
    a.yaml:3: TrafficSplit/: metadata.name: found 5, expected a text; put it into quotes
    1 fault in 1 object, 1 file
    "#);
    let text = "apiVersion: v1\nkind: Service\nmetadata:\n  name: a\nspec:\n  ports:\n  - port: 80\n  - port: http\n";
    insta::assert_snapshot!(verdicts(text), @r#"
    a.yaml:8: Service/a: spec.ports[1].port: found "http", expected a whole number; write it as a number, without quotes
    1 fault in 1 object, 1 file
    "#);
    for without in ["", "metadata: null\n", "metadata: {}\n"] {
        let split =
            format!("apiVersion: split.smi-spec.io/v1alpha2\nkind: TrafficSplit\n{without}");
        assert_eq!(
            verdicts(&split),
            "ok: nothing to validate, 1 object without the label, 1 file\n"
        );
    }
}

#[test]
fn an_object_that_stands_twice_is_a_warning_with_both_places() {
    let other = SPLIT.replace("name: emoji,", "name: emoji, namespace: backup,");
    let generated = SPLIT.replace("name: emoji,", "generateName: emoji-,");
    let all = [SPLIT, &other, &generated, &generated, SPLIT].join("---\n");
    let verdicts = verdicts(&format!("{all}{SERVICES}"));
    let again: Vec<&str> = verdicts.lines().filter(|line| line.contains("again")).collect();
    insta::assert_snapshot!(again.join("\n"), @"a.yaml:39: warning: TrafficSplit/emoji: metadata.name: found the object of a.yaml:1 again, expected each object once: an apply writes both, and the last one stays; take one of the two out");
}

#[test]
fn nothing_of_a_manifest_controls_the_terminal() {
    let content = SPLIT.replace("name: emoji,", "name: \"emoji\\e[2J\\nnext\\u202e\",");
    let report =
        reviewed(&[("a\u{202e}.yaml", &content.replace("weight: 1", "weight: \"\\e[0m\""))]);
    // GitHub has to find the file by its name.
    for (format, file) in [(Format::Text, "-"), (Format::GitHub, "a\u{202e}.yaml")] {
        let printed = report.print(format).replace(file, "");
        let obeyed = |c: char| c == '\u{1b}' || c == '\u{202e}';
        assert!(printed.contains("emoji") && !printed.contains(obeyed), "{printed:?}");
        assert!(!printed.lines().any(|line| line.starts_with("next")), "{printed}");
    }
}

#[test]
fn standard_input_has_no_file_that_github_could_show() {
    let report = reviewed(&[("-", &SPLIT.replace("weight: 1", "weight: x"))]);
    let printed = report.print(Format::GitHub);
    let fault = printed.lines().find(|line| line.starts_with("::error"));
    insta::assert_snapshot!(fault.unwrap(), @r#"::error title=TrafficSplit/emoji::-:7: spec.backends[0].weight: found "x", expected a whole number from 0 to 429496"#);
    let report = reviewed(&[("./a.yaml", &SPLIT.replace("weight: 1", "weight: x"))]);
    assert!(report.print(Format::GitHub).contains("::error file=a.yaml,line=7,title="));
}

#[test]
fn objects_of_lists_have_their_lines_and_the_namespace_that_is_given() {
    let list = r#"{"kind": "List", "items": [
  {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}},
  {"apiVersion": "gateway.networking.k8s.io/v1alpha2", "kind": "HTTPRoute",
   "metadata": {"name": "emoji", "labels": {"failover.linkerd.io/controlled-by": "x"}},
   "spec": {"parentRefs": [{"kind": "Service", "group": "core", "name": "emoji-svc"}],
    "rules": [{"backendRefs": [
      {"name": "emoji-svc", "port": 80},
      {"name": "emoji-svc-west", "port": "80"}]}]}}]}"#;
    insta::assert_snapshot!(lines(list), @r#"
    a.yaml:3: not checked: HTTPRoute/emoji: apiVersion: found "gateway.networking.k8s.io/v1alpha2", expected gateway.networking.k8s.io/v1, gateway.networking.k8s.io/v1beta1; kubectl explain httproutes.gateway.networking.k8s.io shows what a cluster serves
    a.yaml:5: not checked: HTTPRoute/emoji: spec.parentRefs: found "emoji-svc", which could not be looked up, expected a Service in namespace default; check with: kubectl -n default get service emoji-svc
    a.yaml:7: not checked: HTTPRoute/emoji: spec.rules[0].backendRefs[0].name: found "emoji-svc", which could not be looked up, expected a Service in namespace default; check with: kubectl -n default get service emoji-svc
    a.yaml:8: HTTPRoute/emoji: spec.rules[0].backendRefs[1].port: found "80", expected the port of emoji-svc-west
    not checked, since no cluster is asked: which endpoints are ready; failover objects, ServiceProfiles and ReferenceGrants outside the input; the live objects that an apply would update: each counts as new; --live asks one
    1 fault in 1 object, 3 facts not checked, 1 object for context, 1 file
    "#);
}

#[test]
fn what_cannot_be_read_is_one_line_with_the_next_step_and_spoils_nothing_else() {
    let aliases: String =
        (1..40).map(|i| format!("a{i}: &a{i} [*a{0}, *a{0}, *a{0}, *a{0}]\n", i - 1)).collect();
    let latin = b"a: caf\xE9\n";
    let binary: Vec<u8> = (0..4096_u32).map(|i| (i * 167 % 251) as u8).collect();
    for (name, content) in [
        ("list.yaml", b"- a: 1\n".as_slice()),
        ("text.yaml", b"error from server\n"),
        ("twice.yaml", b"a: 1\nb: 2\na: 3\n"),
        ("twice.json", b"{\"a\": 1,\n\"a\": 2}"),
        ("open.yaml", b"a: 1\nb: [\n"),
        ("latin.yaml", latin),
        ("template.yaml", b"a: {{ .Values.a }}\n"),
        ("quoted.yaml", b"kind: Service\nmetadata: {name: \"{{ .Values.a }}\"}\n"),
        ("aliases.yaml", format!("a0: &a0 [1, 2]\n{aliases}").as_bytes()),
        ("deep.yaml", "[".repeat(100_000).as_bytes()),
        ("deep.json", "{\"a\":".repeat(100_000).as_bytes()),
        ("binary.json", &binary),
        ("control.yaml", b"\x1f\x8b\x08\x00"),
    ] {
        let mut input = Input::new("default");
        input.add(name, content);
        input.add("split.yaml", SPLIT.as_bytes());
        let report = review(input, KnownWorld::empty(), &settings());
        assert_eq!(report.outcome().exit_code(), 2, "{name}");
        let printed = report.print(Format::Text);
        let about: Vec<&str> = printed.lines().filter(|line| line.starts_with(name)).collect();
        let [line] = about.as_slice() else { panic!("{name}: {printed}") };
        assert!(
            line.contains(": found ") && line.contains(", expected a manifest in YAML or JSON; "),
            "{line}"
        );
        assert!(line.len() < 600, "{line}");
        assert!(printed.contains("split.yaml:"), "{name}: {printed}");
    }
}
