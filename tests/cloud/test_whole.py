#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A deployment, whole: what `rectify generate` makes is deployed into the hub's account and into a
member's; an event on the member's bus goes through the member's rule to the hub's bus, through the
hub's rule into the queue, and the bucket is healed in the member's account by the roles of the two
stacks, while IAM is enforced and we are the function's role from the first call on.

Where moto is not AWS, and what is done instead:
- A role's rights are not checked for resources (but S3's) and conditions: before IAM is enforced,
  the deployed roles' policies are widened by just that, and by the batch calls of SQS, whose right
  is that of the single call. Trust policies are read, not enforced.
- An event that goes from bus to bus is given the second account; AWS keeps the account that it came
  from. The proxy gives it back on its way out of the queue (`as_aws_delivers`).
- Bus policies are not known to its CloudFormation: they are read in the template.
- It runs no function without Docker: messages are handed to the program as Lambda hands them, by
  the runtime API, or it polls the queue itself."""
import ast
import hashlib
import json
import urllib.parse
import urllib.request
import uuid

import harness
from harness import CloudCase, create_bucket
from harness.rectify import ROOT
from harness.runtime import Function, RuntimeApi, sqs_batch

from test_accounts import boto
from test_generate import as_moto_can_check, generate

HUB, MEMBER, STRANGER = harness.ACCOUNT, "111122223333", "444455556666"
BATCHES = ("sqs:ChangeMessageVisibility", "sqs:DeleteMessage")
HERE = ("--policies", ROOT / "policies", "--region", harness.REGION)
CONFIG = f"""
accounts: {{"{MEMBER}": {{name: shop}}}}
assignments:
  - policies: "*"
    accounts: ["{MEMBER}"]
    mode: enforce
    settle: 0s
    roles: {{read: rectify-read, act: rectify-act, external_id: xyz-1}}
"""


class TestWhole(CloudCase):
    def setUp(self):
        super().setUp()
        self.addCleanup(self.tell_moto, "reset-auth", b"1000000000")
        self.tell_moto("reset-auth", b"1000000000")
        self.tell_moto("reset")
        self.s3 = {a: boto(self.moto, "s3", a) for a in (MEMBER, STRANGER)}
        self.deploy_hub()
        self.deploy_member()
        self.proxy.rewrite, self.proxy.signed = self.as_aws_delivers, True

    def tell_moto(self, what, data=b""):
        request = urllib.request.Request(f"{self.moto.endpoint}/moto-api/{what}", data=data,
                                         headers={"Content-Type": "text/plain"})
        urllib.request.urlopen(request).close()

    # ---- the two stacks ----

    def deploy(self, account, template, **parameters):
        cloudformation = boto(self.moto, "cloudformation", account)
        cloudformation.create_stack(
            StackName="rectify", TemplateBody=template, Capabilities=["CAPABILITY_NAMED_IAM"],
            Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()])
        (stack,) = cloudformation.describe_stacks(StackName="rectify")["Stacks"]
        self.assertEqual(stack["StackStatus"], "CREATE_COMPLETE")
        return {o["OutputKey"]: o["OutputValue"] for o in stack.get("Outputs", [])}

    def deploy_hub(self):
        s3 = self.moto.client("s3")
        s3.create_bucket(Bucket="code")
        s3.put_object(Bucket="code", Key="rectify.zip", Body=b"PK\x05\x06" + b"\0" * 18)
        made = self.deploy(None, generate("cloudformation", *HERE).stdout, CodeBucket="code",
                           CodeKey="rectify.zip", Store="postgres://x", Members=MEMBER)
        self.queue = made["QueueUrl"]
        # moto runs events through schedules too, and cannot call a function from there
        boto(self.moto, "events").remove_targets(Rule="rectify-schedule", Ids=["rectify"])

    def deploy_member(self):
        self.deploy(MEMBER, generate("cloudformation", *HERE, "--member-of", HUB).stdout,
                    ExternalId="xyz-1")

    def as_aws_delivers(self, seen, data):
        """The answer of a queue with the account that each event came from."""
        if seen.operation != "ReceiveMessage":
            return data
        answer = json.loads(data)
        for message in answer.get("Messages", []):
            event = json.loads(message["Body"])
            event["account"] = event["detail"]["recipientAccountId"]
            message["Body"] = json.dumps(event)
            message["MD5OfBody"] = hashlib.md5(message["Body"].encode()).hexdigest()
        return json.dumps(answer).encode()

    # ---- who we are ----

    def document_of(self, account, role):
        """Name and document of the role's one policy."""
        iam = boto(self.moto, "iam", account)
        (name,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
        document = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        # what a stack made is kept in Python's own writing
        return name, ast.literal_eval(document) if isinstance(document, str) else document

    def widen(self, account, role):
        """The role's deployed policy, as moto can check it."""
        iam = boto(self.moto, "iam", account)
        name, document = self.document_of(account, role)
        allowed = [s for s in document["Statement"] if s["Effect"] == "Allow"]
        for statement in allowed:
            if isinstance(statement["Action"], str):
                statement["Action"] = [statement["Action"]]
            statement["Action"] += [f"{a}Batch" for a in statement["Action"] if a in BATCHES]
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(
            as_moto_can_check({**document, "Statement": allowed})))

    def as_function(self):
        """The environment of the function: its role's credentials, IAM enforced."""
        keys = self.moto.client("sts").assume_role(
            RoleArn=f"arn:aws:iam::{HUB}:role/rectify", RoleSessionName="rectify")["Credentials"]
        for account, role in ((None, "rectify"), (MEMBER, "rectify-read"),
                              (MEMBER, "rectify-act")):
            self.widen(account, role)
        self.tell_moto("reset-auth", b"0")
        return {"AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
                "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
                "AWS_SESSION_TOKEN": keys["SessionToken"]}

    def rectify_as(self, env):
        rectify = self.rectify(*harness.cases.POLICIES, env=env)
        (rectify.policies / "rectify.yaml").write_text(CONFIG)
        return rectify

    # ---- what happens in the accounts ----

    def make(self, account):
        """A bucket without its tag, and its event on the account's bus."""
        name = f"t-{uuid.uuid4().hex[:12]}"
        self.s3[account].create_bucket(Bucket=name)
        record = create_bucket(name, account=account)
        boto(self.moto, "events", account).put_events(Entries=[
            {"Source": "aws.s3", "DetailType": "AWS API Call via CloudTrail",
             "Detail": json.dumps(record)}])
        return name

    def tags_in(self, account, bucket):
        self.tell_moto("reset-auth", b"1000000000")
        from botocore.exceptions import ClientError
        try:
            answer = self.s3[account].get_bucket_tagging(Bucket=bucket)
        except ClientError as e:
            self.assertEqual(e.response["Error"]["Code"], "NoSuchTagSet")
            return {}
        return {t["Key"]: t["Value"] for t in answer["TagSet"]}

    def assumed(self):
        found = set()
        for seen in self.proxy.seen:
            form = dict(urllib.parse.parse_qsl(seen.body.decode("latin-1")))
            if form.get("Action") == "AssumeRole":
                found.add((form["RoleArn"], form.get("ExternalId")))
        return found

    def roles_by_method(self, bucket):
        """The role behind each call to the bucket, by its credentials."""
        sessions = {}
        for seen in self.proxy.seen:
            if b"Action=AssumeRole" in seen.body:
                arn = dict(urllib.parse.parse_qsl(seen.body.decode()))["RoleArn"]
                sessions[seen.answer.split(b"<AccessKeyId>")[1].split(b"<")[0].decode()] = arn
        return {(s.method, sessions.get(s.headers["authorization"].split("Credential=")[1]
                                        .split("/")[0], "").rsplit("/", 1)[-1])
                for s in self.proxy.seen if bucket in s.path}

    HEALED = {"cost-center": "unassigned"}

    def test_an_event_in_the_member_heals_there_by_the_queue(self):
        bucket, foreign = self.make(MEMBER), self.make(STRANGER)
        rectify = self.rectify_as(self.as_function())
        done = rectify.command("run", "--policies", rectify.policies, "--events", self.queue)
        self.assertEnded(done)
        self.assertEqual(self.tags_in(MEMBER, bucket), self.HEALED)
        self.assertEqual(self.tags_in(STRANGER, foreign), {})  # no stack there: nothing arrives
        self.assertEqual([r["state"] for r in rectify.list()], ["healed"])
        self.assertEqual(self.assumed(), {(f"arn:aws:iam::{MEMBER}:role/{r}", "xyz-1")
                                          for r in ("rectify-read", "rectify-act")})
        self.assertEqual(self.roles_by_method(bucket),
                         {("GET", "rectify-read"), ("PUT", "rectify-act")})
        attributes = self.moto.client("sqs").get_queue_attributes(
            QueueUrl=self.queue, AttributeNames=["All"])["Attributes"]
        self.assertEqual((attributes["ApproximateNumberOfMessages"],
                          attributes["ApproximateNumberOfMessagesNotVisible"]), ("0", "0"))

    def test_an_event_in_the_member_heals_there_by_the_function(self):
        bucket = self.make(MEMBER)
        messages = boto(self.moto, "sqs").receive_message(QueueUrl=self.queue)["Messages"]
        bodies = [{**json.loads(m["Body"]), "account": MEMBER} for m in messages]
        api = RuntimeApi().start()
        self.addCleanup(api.stop)
        function = Function(api, self.rectify_as(self.as_function()))
        self.addCleanup(function.stop)
        answer = api.answer(api.give(sqs_batch(*bodies)))
        self.assertEqual(answer["batchItemFailures"], [])
        self.assertEqual(self.tags_in(MEMBER, bucket), self.HEALED)

    def test_without_one_right_of_the_act_role_nothing_is_healed_and_it_says_so(self):
        bucket = self.make(MEMBER)
        env = self.as_function()
        self.tell_moto("reset-auth", b"1000000000")
        iam = boto(self.moto, "iam", MEMBER)
        _, document = self.document_of(MEMBER, "rectify-act")
        for statement in document["Statement"]:
            statement["Action"] = [a for a in statement["Action"] if a != "s3:PutBucketTagging"]
        document["Statement"] = [s for s in document["Statement"] if s["Action"]]
        iam.put_role_policy(RoleName="rectify-act", PolicyName="act",
                            PolicyDocument=json.dumps(document))
        self.tell_moto("reset-auth", b"0")
        rectify = self.rectify_as(env)
        rectify.command("run", "--policies", rectify.policies, "--events", self.queue)
        self.assertEqual(self.tags_in(MEMBER, bucket), {})
        (found,) = rectify.list()
        self.assertEqual(found["state"], "needs person")
        self.assertIn("AccessDenied", json.dumps(rectify.show(found["id"])))

    def test_who_trusts_whom(self):
        """Read where moto does not enforce it: what the deployed roles, and the bus, let in."""
        iam = boto(self.moto, "iam", MEMBER)
        for role in ("rectify-read", "rectify-act"):
            (trust,) = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]["Statement"]
            self.assertEqual(trust["Principal"], {"AWS": f"arn:aws:iam::{HUB}:role/rectify"})
            self.assertEqual(trust["Condition"], {"StringEquals": {"sts:ExternalId": "xyz-1"}})
        (target,) = boto(self.moto, "events", MEMBER).list_targets_by_rule(
            Rule="rectify-s3")["Targets"]
        self.assertEqual(target["Arn"],
                         f"arn:aws:events:{harness.REGION}:{HUB}:event-bus/default")
        self.assertEqual(target["RoleArn"], f"arn:aws:iam::{MEMBER}:role/rectify-forward")
        _, forward = self.document_of(MEMBER, "rectify-forward")
        self.assertEqual([(s["Action"], s["Resource"]) for s in forward["Statement"]],
                         [("events:PutEvents", target["Arn"])])
        _, own = self.document_of(None, "rectify")
        others = [s for s in own["Statement"] if "::*:role/rectify-act" in str(s["Resource"])]
        self.assertEqual([(s["Effect"], s["Condition"]) for s in others],
                         [("Allow", {"StringEquals": {"aws:ResourceAccount": [MEMBER]}}),
                          ("Deny", {"StringEquals": {"aws:ResourceOrgID": ""}})])


class TestMembers(CloudCase):
    def test_the_accounts_of_rectify_yaml_are_the_members(self):
        rectify = self.rectify("s3")
        (rectify.policies / "rectify.yaml").write_text(CONFIG)
        of = ("--policies", rectify.policies)
        stack = json.loads(generate("cloudformation", *of).stdout)
        self.assertEqual(stack["Parameters"]["Members"]["Default"], MEMBER)
        self.assertEqual(stack["Resources"]["MemberEvents"]["Properties"]["Statement"]["Principal"],
                         {"AWS": {"Ref": "Members"}})
        alone = json.loads(generate("cloudformation", *of, "--account", MEMBER).stdout)
        self.assertEqual(alone["Parameters"]["Members"]["Default"], "")
        self.assertIn(f'default     = ["{MEMBER}"]', generate("terraform", *of).stdout)

    def test_a_member_wants_a_hub_and_its_region(self):
        for args in (("--member-of", "12"), ("--member-of", HUB)):
            generate("cloudformation", "--policies", ROOT / "policies", *args, status=64)


if __name__ == "__main__":
    harness.main()
