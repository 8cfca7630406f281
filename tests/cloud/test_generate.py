#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What `rectify generate` makes: enough for every policy that comes with the program and not an
action more, under a server that enforces IAM; a stack that deploys and carries an event to its
queue; Terraform as `terraform fmt` has it.

moto checks actions for every service but resources only for S3, and knows no condition keys: the
documents are widened by that before they are given to it (`as_moto_can_check`)."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import urllib.request

import harness
from harness import CloudCase
from harness.cases import POLICIES
from harness.rectify import RECTIFY, ROOT, Rectify
from harness.runtime import Function, RuntimeApi, sqs_batch

# Actions that no call to moto can show to be needed, and why.
NOT_SHOWN = {
    "ec2:CreateTags": "AWS asks for it when a rule is authorised with tags; moto does not",
}


def generate(*args, status=0):
    done = subprocess.run([str(RECTIFY), "generate", *map(str, args)], capture_output=True,
                          text=True, check=False)
    if done.returncode != status:
        raise AssertionError(f"generate ended with {done.returncode}: {done.stderr}")
    return done


def actions_of(document):
    return sorted(a for s in document["Statement"] for a in s["Action"])


def without(document, action):
    statements = [{**s, "Action": [a for a in s["Action"] if a != action]}
                  for s in document["Statement"]]
    return {**document, "Statement": [s for s in statements if s["Action"]]}


def as_moto_can_check(document):
    def widen(statement):
        s3 = all(a.startswith("s3:") for a in statement["Action"])
        return {"Effect": statement["Effect"], "Action": statement["Action"],
                "Resource": statement["Resource"] if s3 else "*"}
    kept = [widen(s) for s in document["Statement"]]
    return {**document, "Statement": kept or [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}


def policy_folder(home, name, assignments=None):
    folder = pathlib.Path(home) / f"only-{name}"
    folder.mkdir(exist_ok=True)
    shutil.copy(POLICIES[name], folder)
    if assignments:
        (folder / "rectify.yaml").write_text(assignments)
    return folder


class TestEnoughAndNoMore(CloudCase):
    """Base credentials that may only assume the two roles; the roles have what was generated. Of
    each policy one resource is named by an event, another is found by a scan."""

    def setUp(self):
        super().setUp()
        self.addCleanup(self.tell_moto, "reset-auth", b"1000000000")
        self.runs = 0

    def tell_moto(self, what, data=b""):
        request = urllib.request.Request(f"{self.moto.endpoint}/moto-api/{what}", data=data,
                                         headers={"Content-Type": "text/plain"})
        with urllib.request.urlopen(request):
            pass

    def base(self):
        """The environment with base credentials, made in an empty moto."""
        self.tell_moto("reset-auth", b"1000000000")
        self.tell_moto("reset")
        iam = self.moto.client("iam")
        iam.create_user(UserName="rectify")
        iam.put_user_policy(UserName="rectify", PolicyName="p", PolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}]}))
        key = iam.create_access_key(UserName="rectify")["AccessKey"]
        return {**self.moto.environment(), "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
                "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}

    def make_roles(self, documents):
        trust = json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]})
        iam = self.moto.client("iam")
        for role, document in documents.items():
            iam.create_role(RoleName=role, AssumeRolePolicyDocument=trust)
            iam.put_role_policy(RoleName=role, PolicyName="p", PolicyDocument=json.dumps(
                as_moto_can_check(document)))

    def scans(self, policy, names):
        """Whether what exists can be listed, in observe mode."""
        looking = Rectify(self.home / f"scan-{self.runs}", self.env, [POLICIES[policy]], [
            '{policies: ["*"], accounts: "*", mode: observe, roles: {read: %s}}' % names["read"]])
        try:
            done = looking.command("scan", timeout_s=20)
        except subprocess.TimeoutExpired:
            return False  # it waits for a right that it will not get
        return "cannot be listed" not in done.stderr

    def story(self, policy, documents):
        """Repairs what an event names and what a scan finds, and takes it back; the ends."""
        self.runs += 1
        rectify = Rectify(self.home / f"run-{self.runs}", self.base(), [POLICIES[policy]], [
            '{policies: ["*"], accounts: "*", mode: enforce, settle: 0s, '
            'roles: {read: read, act: act}}'])
        self.make_roles(documents)
        event = getattr(self, f"make_{policy}")()
        policies = ("--policies", rectify.policies)
        self.tell_moto("reset-auth", b"0")  # from here on IAM is enforced
        try:
            rectify.run(event, timeout_s=20)
            rectify.command("scan", *policies, "--account", harness.ACCOUNT, timeout_s=20)
            for found in [r for r in rectify.list() if r["state"] == "asking"]:
                rectify.command("approve", found["id"], "--by", "bob")
            rectify.run(timeout_s=20)
            for found in [r for r in rectify.list() if r["state"] == "healed"]:
                rectify.command("rollback", found["id"], *policies, "--by", "bob", timeout_s=20)
        except subprocess.TimeoutExpired:
            pass  # it waits for a right that it will not get
        return sorted(r["state"] for r in rectify.list() if r["state"] != "compliant")

    def make_s3(self):
        self.bucket({"owner": "alice"})
        return harness.create_bucket(self.bucket())

    def make_kms(self):
        kms = self.moto.client("kms")
        key, _ = (kms.create_key()["KeyMetadata"]["KeyId"] for _ in range(2))
        return harness.create_key(key)

    def make_ec2(self):
        ec2, made = self.moto.client("ec2"), []
        vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
        for low, high in ((22, 22), (20, 25)):
            group = ec2.create_security_group(GroupName=f"from-{low}", Description="t",
                                              VpcId=vpc)["GroupId"]
            ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[
                {"IpProtocol": "tcp", "FromPort": low, "ToPort": high,
                 "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])
            made.append(harness.authorize_ingress(group, []))
        return made[0]

    WANTED = ["healed", "healed", "rolled back", "rolled back"]

    def check(self, policy):
        documents = json.loads(generate(
            "iam", "--policies", policy_folder(self.home, policy)).stdout)
        self.assertEqual(self.story(policy, documents), self.WANTED)
        for role, document in documents.items():
            for action in actions_of(document):
                if action in NOT_SHOWN:
                    continue
                less = {**documents, role: without(document, action)}
                self.assertNotEqual(self.story(policy, less), self.WANTED,
                                    f"{policy}: the {role} role does without {action}")

    def test_s3(self):
        self.check("s3")

    def test_kms(self):
        self.check("kms")

    def test_ec2(self):
        self.check("ec2")

    def test_roles_the_wrong_way_round_are_not_enough(self):
        documents = json.loads(generate("iam", "--policies",
                                        policy_folder(self.home, "s3")).stdout)
        swapped = {"read": documents["act"], "act": documents["read"]}
        self.assertNotEqual(self.story("s3", swapped), self.WANTED)


class TestDocuments(unittest.TestCase):
    """What can be checked without a server."""

    def setUp(self):
        if not RECTIFY.exists():
            self.skipTest("rectify is not built yet")
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="rectify-generate-"))
        self.addCleanup(shutil.rmtree, self.home, ignore_errors=True)

    def iam(self, *args, policies=ROOT / "policies"):
        return json.loads(generate("iam", "--policies", policies, *args).stdout)

    def test_the_calls_of_every_policys_cases_are_allowed_and_nothing_else(self):
        """The recorder is the cases beside each policy: they name every call that an event makes;
        a scan's are in the policy."""
        import yaml
        actions = {"s3:DeleteBucketTagging": "s3:PutBucketTagging",
                   "s3:ListBuckets": "s3:ListAllMyBuckets"}
        for name, path in POLICIES.items():
            cases = yaml.safe_load(path.with_suffix(".test.yaml").read_text())["cases"]
            scan = yaml.safe_load(path.read_text())["detect"]["scan"]["read"]
            called = {call["call"] for case in cases for call in case.get("calls", ())}
            called |= {call["call"] for call in scan.values()}
            wanted = {actions.get(c, c) for c in called}
            documents = self.iam(policies=policy_folder(self.home, name))
            allowed = set(actions_of(documents["read"])) | set(actions_of(documents["act"]))
            self.assertEqual(allowed - set(NOT_SHOWN), wanted, name)

    def test_place_and_account_narrow_the_resources(self):
        self.assertEqual(
            {r for d in self.iam().values() for s in d["Statement"]
             for r in ([s["Resource"]] if isinstance(s["Resource"], str) else s["Resource"])},
            {"*", "arn:aws:s3:::*", "arn:aws:kms:*:*:key/*", "arn:aws:ec2:*:*:security-group/*",
             "arn:aws:ec2:*:*:security-group-rule/*", "arn:aws:ec2:*:*:*/*"})
        folder = policy_folder(self.home, "kms", 'assignments: [{policies: ["*"], accounts: '
                               '["111122223333"], mode: enforce}]\n')
        both = self.iam("--account", "111122223333", "--region", "cn-north-1", "--role", "one",
                        policies=folder)["Statement"]
        self.assertEqual({s["Resource"]: s["Action"][0] for s in both},
                         {"*": "kms:ListKeys",
                          "arn:aws-cn:kms:cn-north-1:111122223333:key/*": "kms:DescribeKey"})
        other = self.iam("--account", "444455556666", policies=folder)
        self.assertEqual([d["Statement"] for d in other.values()], [[], []])

    def test_a_call_to_another_region_is_not_narrowed_to_the_given_one(self):
        folder = policy_folder(self.home, "kms")
        path = folder / POLICIES["kms"].name
        text = path.read_text()
        call = "  - call: kms:EnableKeyRotation\n"
        self.assertIn(call, text)
        path.write_text(text.replace(call, call + "    region: us-east-1\n"))
        document = self.iam("--region", "eu-west-1", "--role", "act", policies=folder)
        self.assertEqual({s["Resource"]: s["Action"] for s in document["Statement"]},
                         {"arn:aws:kms:*:*:key/*": ["kms:EnableKeyRotation"],
                          "arn:aws:kms:eu-west-1:*:key/*": ["kms:DisableKeyRotation"]})

    def test_buckets_are_confined_to_the_account(self):
        document = self.iam("--account", "111122223333", "--role", "read")
        (buckets,) = [s for s in document["Statement"] if "s3:GetBucketTagging" in s["Action"]]
        self.assertEqual(buckets["Condition"],
                         {"StringEquals": {"aws:ResourceAccount": "111122223333"}})

    def test_a_policy_that_only_observes_never_acts(self):
        folder = policy_folder(self.home, "s3")
        path = folder / POLICIES["s3"].name
        path.write_text(path.read_text().replace("mode: enforce", "mode: observe"))
        documents = self.iam(policies=folder)
        self.assertEqual(documents["act"]["Statement"], [])
        self.assertIn("s3:GetBucketTagging", actions_of(documents["read"]))

    def test_an_operation_that_iam_has_no_known_action_for_is_refused(self):
        folder = policy_folder(self.home, "s3")
        path = folder / POLICIES["s3"].name
        text = path.read_text()
        start = text.index("act:\n")
        path.write_text(text[:start] + "act:\n  - call: s3:CreateSession\n    with: {Bucket: "
                        "'${resource.id}'}\n    undo: none\n    undo_none: x\n" +
                        "verify: {else: person}\nguard: {mode: approve}\n")
        done = generate("iam", "--policies", folder, status=1)
        self.assertIn("J0002", done.stderr)
        self.assertIn("s3:CreateSession", done.stderr)

    def test_the_same_policies_give_the_same_bytes(self):
        for kind in ("iam", "cloudformation", "terraform"):
            self.assertEqual(*(generate(kind, "--policies", ROOT / "policies").stdout
                               for _ in range(2)))

    def test_wrong_usage(self):
        generate("iam", "--policies", ROOT / "policies", "--account", "12", status=64)
        generate("iam", "--policies", ROOT / "policies", "--role", "root", status=64)
        generate("iam", "--policies", self.home, status=1)

    def many(self, names):
        """A policy that looks at all these operations of EC2."""
        folder = self.home / "many"
        folder.mkdir()
        (folder / "p.yaml").write_text(
            "policy: p\nresource: {type: AWS::EC2::VPC}\ndetect:\n  events:\n" +
            "".join(f"    ec2:{n}: \"'x'\"\n" for n in names) +
            "decide:\n  read: {t: {call: ec2:DescribeVpcs}}\n  violation: size(t.Vpcs) > 9\n")
        template = json.loads(generate("cloudformation", "--policies", folder).stdout)
        return [r["Properties"] for r in template["Resources"].values()
                if r["Type"] == "AWS::Events::Rule" and "EventPattern" in r["Properties"]]

    def patterns(self, count, value="x"):
        folder = self.home / f"patterns-{count}"
        folder.mkdir()
        for i in range(count):
            (folder / f"p{i}.yaml").write_text(
                f"policy: p{i}\nresource: {{type: AWS::EC2::VPC}}\n"
                f"detect: {{pattern: {{source: ['{value}{i}']}}, resources: \"'x'\"}}\n"
                "decide:\n  read: {t: {call: ec2:DescribeVpcs}}\n  violation: size(t.Vpcs) > 9\n")
        return folder

    def test_as_many_rules_as_a_bus_takes_and_one_more_is_an_error(self):
        stack = json.loads(generate("cloudformation", "--policies", self.patterns(300)).stdout)
        kinds = [r["Type"] for r in stack["Resources"].values()]
        self.assertEqual(kinds.count("AWS::Events::Rule"), 300 + 1)  # and the schedule
        done = generate("cloudformation", "--policies", self.patterns(301), status=1)
        self.assertIn("J0006", done.stderr)

    def test_a_pattern_that_is_too_long_is_an_error(self):
        frame = len('{"source":["0"]}')
        done = generate("terraform", "--policies", self.patterns(1, "x" * (2048 - frame)))
        self.assertIn("rectify-pattern-p0", done.stdout)
        shutil.rmtree(self.home / "patterns-1")
        done = generate("terraform", "--policies", self.patterns(1, "x" * (2049 - frame)),
                        status=1)
        self.assertIn("J0005", done.stderr)

    def test_more_rights_than_a_role_can_hold_are_an_error(self):
        import botocore.session
        facts, names = (ROOT / "src" / "policy" / "iam.txt").read_text(), []
        for service in ("ec2", "iam", "rds", "redshift"):
            model = botocore.session.get_session().get_service_model(service)
            names += [f"{service}:{n}" for n in model.operation_names
                      if n.startswith(("Describe", "Get", "List")) and
                      f"!{service}:{n}\n" not in facts and not getattr(
                          model.operation_model(n).input_shape, "required_members", None)]
        folder = self.home / "rights"
        while True:  # models may be newer than the facts
            done = self.rights_of(folder, names)
            unknown = re.search(r"J0002.*`([\w:-]+)` needs", done.stderr)
            if not unknown:
                break
            names.remove(unknown.group(1))
        self.assertIn("J0004", done.stderr)

    @staticmethod
    def rights_of(folder, names):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for i in range(0, len(names), 10):
            steps = "".join(f"  - {{call: '{n}', undo: none, undo_none: x}}\n"
                            for n in names[i:i + 10])
            (folder / f"p{i}.yaml").write_text(
                f"policy: p{i}\nresource: {{type: AWS::EC2::VPC}}\ndetect:\n  events:\n"
                "    ec2:CreateVpc: \"'x'\"\ndecide:\n  read: {t: {call: ec2:DescribeVpcs}}\n"
                f"  violation: size(t.Vpcs) > 9\nact:\n{steps}guard: {{mode: enforce}}\n")
        return generate("iam", "--policies", folder, "--role", "act", status=1)

    def test_patterns_stay_within_their_limit_and_lose_nothing(self):
        import botocore.session
        model = botocore.session.get_session().get_service_model("ec2")
        names = [n for n in model.operation_names if n.startswith(("Create", "Modify"))]
        self.assertGreater(len(names), 150)
        rules = self.many(names)
        self.assertGreater(len(rules), 2)
        self.assertEqual(len({r["Name"] for r in rules}), len(rules))
        found = [n for r in rules for n in r["EventPattern"]["detail"]["eventName"]]
        self.assertEqual(sorted(found), sorted(set(names)))
        sizes = [len(json.dumps(r["EventPattern"], separators=(",", ":"))) for r in rules]
        self.assertLessEqual(max(sizes), 2048)
        self.assertGreater(sizes[0], 1980)  # as full as it goes


class TestTerraform(unittest.TestCase):
    """The module's text, by Terraform's own formatter and a parser of its language."""

    setUp = TestDocuments.setUp

    def module(self, *args):
        text = generate("terraform", "--policies", ROOT / "policies", *args).stdout
        (self.home / "main.tf").write_text(text)
        return text

    def test_it_is_formatted_as_terraform_would(self):
        program = shutil.which("terraform") or shutil.which(
            "tofu", path=f"{ROOT / '.servers'}:{os.environ['PATH']}")
        if not program:
            self.skipTest("neither terraform nor tofu here (./dev servers builds tofu)")
        for of in ((), ("--region", "eu-west-1", "--account", "111122223333"),
                   ("--region", "eu-west-1", "--member-of", "123456789012")):
            self.module(*of)
            done = subprocess.run([program, "fmt", "-check", "-diff", str(self.home)],
                                  capture_output=True, text=True, check=False,
                                  env={**os.environ, "TF_CLI_CONFIG_FILE": os.devnull})
            self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_it_parses_and_holds_what_the_template_holds(self):
        try:
            import hcl2
        except ImportError:
            self.skipTest("no python-hcl2 here (PyPI)")
        module = hcl2.loads(self.module())
        kinds = sorted(k.strip('"') for r in module["resource"] for k in r)
        self.assertEqual(kinds.count("aws_cloudwatch_event_rule"), 4)  # ec2, kms, s3, schedule
        self.assertEqual(kinds.count("aws_iam_role"), 4)
        self.assertEqual(kinds.count("aws_cloudwatch_metric_alarm"), 3)

    def test_a_members_module_holds_what_its_template_holds(self):
        try:
            import hcl2
        except ImportError:
            self.skipTest("no python-hcl2 here (PyPI)")
        of = ("--member-of", "123456789012", "--region", "eu-west-1")
        module = hcl2.loads(self.module(*of))
        kinds = sorted(k.strip('"') for r in module["resource"] for k in r)
        self.assertEqual(kinds.count("aws_cloudwatch_event_rule"), 3)
        self.assertEqual(kinds.count("aws_iam_role"), 3)
        template = json.loads(generate("cloudformation", "--policies", ROOT / "policies",
                                       *of).stdout)
        roles = [r for r in template["Resources"].values() if r["Type"] == "AWS::IAM::Role"]
        self.assertEqual(len(roles), 3)

    def test_the_articles_rule_and_rights_are_in_it(self):
        folder = policy_folder(self.home, "s3")
        text = generate("terraform", "--policies", folder).stdout
        for part in ('"source"      = ["aws.s3"]',
                     '"detail-type" = ["AWS API Call via CloudTrail"]',
                     '"eventSource"  = ["s3.amazonaws.com"]', '"CreateBucket"',
                     '"s3:GetBucketTagging"', '"s3:PutBucketTagging"', ':s3:::*"',
                     '"logs:CreateLogStream", "logs:PutLogEvents"'):
            self.assertIn(part, text)


class TestStack(CloudCase):
    def template(self):
        return generate("cloudformation", "--policies", ROOT / "policies").stdout

    def test_cfn_lint_has_nothing_to_say(self):
        beside = f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"
        program = shutil.which("cfn-lint", path=beside)
        found = subprocess.run([program, "--version"], capture_output=True, check=False) \
            if program else None
        if not found or found.returncode != 0:
            self.skipTest("no working cfn-lint here (PyPI)")
        for of in ((), ("--member-of", harness.ACCOUNT, "--region", "eu-west-1")):
            path = self.home / "stack.json"
            path.write_text(generate("cloudformation", "--policies", ROOT / "policies",
                                     *of).stdout)
            done = subprocess.run([program, "-t", str(path)], capture_output=True, text=True,
                                  check=False)
            self.assertEqual((done.returncode, done.stdout), (0, ""))

    def parameters(self, **more):
        return [{"ParameterKey": k, "ParameterValue": v} for k, v in {
            "CodeBucket": "code", "CodeKey": "rectify.zip", "Store": "postgres://x",
            **more}.items()]

    def test_the_function_has_what_the_program_needs(self):
        """The settings that the program counts on, with and without a file system."""
        cloudformation, functions = self.moto.client("cloudformation"), self.moto.client("lambda")
        ec2, moto = self.moto.client("ec2"), self.moto.endpoint + "/moto-api/reset"
        for mounts in (False, True):
            urllib.request.urlopen(urllib.request.Request(moto, method="POST")).close()
            s3 = self.moto.client("s3")
            s3.create_bucket(Bucket="code")
            s3.put_object(Bucket="code", Key="rectify.zip", Body=b"PK\x05\x06" + b"\0" * 18)
            more = {} if not mounts else {
                "Subnets": ec2.describe_subnets()["Subnets"][0]["SubnetId"],
                "SecurityGroups": ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"],
                "AccessPoint": "arn:aws:elasticfilesystem:us-east-1:123456789012:access-point/"
                               "fsap-0123456789abcdef0", "Store": "/mnt/rectify/rectify.db"}
            cloudformation.create_stack(
                StackName="fits", TemplateBody=self.template(),
                Capabilities=["CAPABILITY_NAMED_IAM"], Parameters=self.parameters(**more))
            function = functions.get_function(FunctionName="rectify")
            settings = function["Configuration"]
            self.assertEqual((settings["Runtime"], settings["Handler"]),
                             ("provided.al2023", "bootstrap"))
            self.assertEqual(settings["Environment"]["Variables"]["RECTIFY_STORE"],
                             more.get("Store", "postgres://x"))
            (mapping,) = functions.list_event_source_mappings()["EventSourceMappings"]
            self.assertEqual(mapping["FunctionResponseTypes"], ["ReportBatchItemFailures"])
            queue = self.moto.client("sqs").get_queue_url(QueueName="rectify-events")["QueueUrl"]
            visible = self.moto.client("sqs").get_queue_attributes(
                QueueUrl=queue, AttributeNames=["VisibilityTimeout"])["Attributes"]
            self.assertGreaterEqual(int(visible["VisibilityTimeout"]), 6 * settings["Timeout"])
            self.assertEqual(bool(settings.get("VpcConfig", {}).get("SubnetIds")), bool(more))
            policy = self.moto.client("iam").get_role_policy(
                RoleName="rectify", PolicyName="rectify")["PolicyDocument"]
            effects = re.findall(r"Effect\W+(\w+)", str(policy))  # in a form of moto's own
            self.assertEqual(effects, 3 * ["Allow"] + 2 * ["Deny"] +
                             2 * ["Allow" if more else "Deny"])
            self.assertEqual(function.get("Concurrency", {}).get("ReservedConcurrentExecutions"),
                             1 if more else None)

    def test_it_deploys_and_an_event_arrives_through_rule_and_queue(self):
        body = b"PK\x05\x06" + b"\0" * 18  # an empty zip
        s3 = self.moto.client("s3")
        s3.create_bucket(Bucket="code")
        s3.put_object(Bucket="code", Key="rectify.zip", Body=body)
        cloudformation = self.moto.client("cloudformation")
        cloudformation.create_stack(
            StackName="rectify", TemplateBody=self.template(),
            Capabilities=["CAPABILITY_NAMED_IAM"],
            Parameters=self.parameters())
        (stack,) = cloudformation.describe_stacks(StackName="rectify")["Stacks"]
        self.assertEqual(stack["StackStatus"], "CREATE_COMPLETE")
        queue = {o["OutputKey"]: o["OutputValue"] for o in stack["Outputs"]}["QueueUrl"]
        iam = self.moto.client("iam")
        read = iam.get_role_policy(RoleName="rectify-read", PolicyName="read")["PolicyDocument"]
        self.assertIn("s3:GetBucketTagging", str(read))  # moto keeps it in a form of its own
        events = self.moto.client("events")
        # moto runs events through schedules too, and cannot call a function from there
        events.remove_targets(Rule="rectify-schedule", Ids=["rectify"])
        for name, error in (("first", None), ("second", "AccessDenied")):
            record = harness.create_bucket(name, error=error)
            events.put_events(Entries=[{"Source": "aws.s3", "Detail": json.dumps(record),
                                        "DetailType": "AWS API Call via CloudTrail"}])
        sqs = self.moto.client("sqs")
        got = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        names = [json.loads(m["Body"])["detail"]["requestParameters"]["bucketName"] for m in got]
        self.assertEqual(names, ["first"])  # a failed call does not pass the rule
        self.function_takes(got)

    def function_takes(self, messages):
        """The messages as Lambda hands them over: their bucket is healed."""
        bodies = [{**json.loads(m["Body"]), "account": harness.ACCOUNT} for m in messages]  # moto
        bucket = bodies[0]["detail"]["requestParameters"]["bucketName"]  # leaves the account out
        self.moto.client("s3").create_bucket(Bucket=bucket)
        api = RuntimeApi().start()
        self.addCleanup(api.stop)
        function = Function(api, self.rectify("s3"))
        self.addCleanup(function.stop)
        answer = api.answer(api.give(sqs_batch(*bodies)))
        self.assertEqual(answer["batchItemFailures"], [])
        self.assertEqual(self.tags(bucket), {"cost-center": "unassigned"}, answer)


if __name__ == "__main__":
    harness.main()
