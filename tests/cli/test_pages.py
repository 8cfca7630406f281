#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What comes from the tables: completion, manual page, schemas; and validate, which shares them."""
import copy
import json
import shutil
import subprocess

import shell
from shell import POLICIES, RECTIFY, ShellCase


class TestCompletion(ShellCase):
    def complete(self, line):
        """What bash offers behind `line`, in which the last word is being typed."""
        script = f"""
            source <({RECTIFY} completion bash)
            COMP_LINE={line!r} COMP_POINT={len(line)}
            read -ra COMP_WORDS <<< "$COMP_LINE"; [[ $COMP_LINE == *' ' ]] && COMP_WORDS+=('')
            COMP_WORDS[0]={RECTIFY} COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
            _rectify; printf '%s\\n' "${{COMPREPLY[@]}}" """
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
        return done.stdout.split()

    def test_bash_offers_commands_words_and_options(self):
        self.assertEqual(self.complete("rectify rep"), ["replay"])
        self.assertIn("generate", self.complete("rectify "))
        self.assertEqual(self.complete("rectify generate "), ["iam", "cloudformation", "terraform"])
        self.assertEqual(self.complete("rectify audit v"), ["verify"])
        self.assertEqual(self.complete("rectify replay x --max"),
                         ["--max-matches", "--max-growth"])
        self.assertEqual(self.complete("rectify generate iam --ro"), ["--role"])
        self.assertEqual(self.complete("rectify generate terraform --ro"), [])
        self.assertEqual(self.complete("rectify aws kms:GetKeyRot"), ["kms:GetKeyRotationStatus"])

    def test_output_that_cannot_be_written_is_a_failure(self):
        for words in (["explain", "startsWith"], ["config", "--defaults"], ["schema", "policy"],
                      ["completion", "bash"], ["help"], ["generate", "iam", "--policies", POLICIES,
                                                         "--account", "123456789012"]):
            with self.subTest(words), open("/dev/full", "w") as full:
                done = subprocess.run([RECTIFY, *words], stdout=full, stderr=subprocess.PIPE,
                                      text=True, check=False)
                self.assertEqual(done.returncode, 1, done.stderr)
                self.assertIn("L0023", done.stderr)
        with open("/dev/full", "w") as full:  # as grep does: 1 would mean that nothing matched
            done = subprocess.run([RECTIFY, "match", "--pattern", '{"a": [1]}'], stdout=full,
                                  input='{"a": 1}\n', stderr=subprocess.PIPE, text=True,
                                  check=False)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("L0023", done.stderr)

    def test_a_familys_name_alone_shows_its_commands(self):
        done = self.rectify("generate", status=64)
        for name in ("generate iam", "generate cloudformation", "generate terraform"):
            self.assertIn(f"rectify {name}", done.stderr)
        self.assertNotIn("audit", done.stderr)
        self.assertIn("no command `auditverify`; did you mean `audit verify`?",
                      self.rectify("auditverify", status=64).stderr)

    def test_every_command_is_in_every_script(self):
        names = {}
        for line in self.rectify("help").stdout.splitlines():
            words = line.split("  ")
            if line.startswith("  ") and words[1].strip():
                names[words[1].split()[0]] = True
        self.assertGreater(len(names), 10)
        for kind in ("zsh", "fish"):
            text = self.rectify("completion", kind).stdout
            for name in names:
                self.assertIn(name, text)
            self.assertIn("max-growth", text)
        self.rectify("completion", "tcsh", status=64)

    def test_the_scripts_parse(self):
        found = 0
        for kind, check in (("bash", ["bash", "-n"]), ("zsh", ["zsh", "-n"]),
                            ("fish", ["fish", "-n"])):
            if not shutil.which(check[0]):
                continue
            path = self.write(f"script.{kind}", self.rectify("completion", kind).stdout)
            subprocess.run([*check, path], check=True)
            found += 1
        self.assertGreater(found, 0)


class TestManual(ShellCase):
    def test_it_names_every_command_and_has_no_errors(self):
        page = self.rectify("man").stdout
        self.assertIn(".SH EXIT STATUS", page)
        for name in ("replay", "generate iam", "doctor", "audit verify"):
            self.assertIn(f".SS rectify {name}", page)
        program = shutil.which("groff")
        if not program:
            self.skipTest("no groff here")
        done = subprocess.run([program, "-man", "-Tutf8", "-ww", "-z"], input=page, text=True,
                              capture_output=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))


class TestSchema(ShellCase):
    def setUp(self):
        super().setUp()
        try:
            import jsonschema
            import yaml
        except ImportError:
            self.skipTest("no jsonschema and yaml for this Python")
        self.validator = jsonschema.Draft7Validator

        class Loader(yaml.SafeLoader):
            """YAML 1.2's core: no dates."""
        Loader.yaml_implicit_resolvers = {
            k: [r for r in v if r[0] != "tag:yaml.org,2002:timestamp"]
            for k, v in yaml.SafeLoader.yaml_implicit_resolvers.items()}
        self.load = lambda text: yaml.load(text, Loader)
        self.dump = yaml.safe_dump

    def schema(self, *args):
        schema = json.loads(self.rectify("schema", *args).stdout)
        self.validator.check_schema(schema)
        return self.validator(schema)

    def test_every_policy_is_good_by_it(self):
        schema = self.schema()
        paths = [p for p in POLICIES.rglob("*.yaml") if not p.name.endswith(".test.yaml")]
        self.assertGreaterEqual(len(paths), 3)
        for path in paths:
            errors = [e.message for e in schema.iter_errors(self.load(path.read_text()))]
            self.assertEqual(errors, [], path.name)

    def test_what_validate_refuses_the_schema_refuses(self):
        schema = self.schema()
        good = self.load((POLICIES / "s3" / "s3-cost-center-tag.yaml").read_text())

        def change(*path, to):
            policy = copy.deepcopy(good)
            at = policy
            for key in path[:-1]:
                at = at[key]
            at[path[-1]] = to
            return policy
        bad = [
            change("unknown", to=1), change("severity", to="urgent"),
            change("guard", "mode", to="on"), change("guard", "breaker", "unknown", to=1),
            change("guard", "exempt", 0, "unknown", to=1), change("resource", "scope", to="x"),
            change("act", 0, "unknown", to=1), change("act", 0, "undo", 0, "unknown", to=1),
            change("decide", "read", "tagging", "unknown", to=1),
            change("detect", "settle", to="soon"), change("detect", "scan", "unknown", to=1),
            change("params", "value", "unknown", to=1), change("verify", "else", to="pray"),
        ]
        for policy in bad:
            self.write("p/p.yaml", self.dump(policy))
            self.rectify("validate", "--policies", "p", status=1)
            self.assertFalse(schema.is_valid(policy), policy)
        self.write("p/p.yaml", self.dump(good))
        self.rectify("validate", "--policies", "p")

    def test_the_config(self):
        schema = self.schema("config")
        good = {"accounts": {"111122223333": {"env": "prod"}}, "assignments": [
            {"policies": ["*"], "accounts": {"env": "prod"}, "mode": "off", "settle": "5m",
             "roles": {"read": "r", "act": "a"}}]}
        self.assertTrue(schema.is_valid(good))
        self.assertFalse(schema.is_valid({**good, "unknown": 1}))
        self.assertFalse(schema.is_valid({}))
        self.rectify("schema", "world", status=64)


class TestValidate(ShellCase):
    def test_all_errors_at_once_offline(self):
        text = (POLICIES / "s3" / "s3-cost-center-tag.yaml").read_text()
        self.write("p/a.yaml", text.replace("severity: low", "severity: urgent")
                   .replace("owner: platform\nseverity", "ownr: platform\nseverity"))
        self.write("p/b.yaml", text.replace("s3:ListBuckets", "s3:DeleteBucket")
                   .replace("policy: s3-cost-center-tag", "policy: b"))
        done = self.rectify("validate", "--policies", "p", status=1,
                            env={"PATH": "/usr/bin", "HOME": str(self.home)})
        self.assertIn("unknown key `ownr`", done.stderr)
        self.assertIn("did you mean `owner`", done.stderr)
        self.assertIn("not a severity", done.stderr)
        self.assertIn("s3:DeleteBucket` is not a reviewed read-only operation", done.stderr)
        self.assertRegex(done.stderr, r"\d errors")


if __name__ == "__main__":
    shell.main()
