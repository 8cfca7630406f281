#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One event, one repair: each of the three policies against moto, over its own wire protocol."""
import harness
from harness import CloudCase, EXIT_WAITING

WORLD = [{"CidrIp": "0.0.0.0/0"}]


class TestTag(CloudCase):
    """s3-cost-center-tag: REST and XML."""

    def heal(self, *records):
        rectify = self.rectify("s3")
        self.assertEnded(rectify.run(*records))
        return rectify

    def test_a_bucket_without_tags_gets_the_tag(self):
        bucket = self.bucket()
        rectify = self.heal(harness.create_bucket(bucket))
        self.assertEqual(self.tags(bucket), {"cost-center": "unassigned"})
        self.assertEqual([r["state"] for r in rectify.of(bucket)], ["healed"])

    def test_other_tags_stay(self):
        bucket = self.bucket({"owner": "alice", "env": "dev", "ünï": "cödé &<>\""})
        self.heal(harness.create_bucket(bucket))
        self.assertEqual(self.tags(bucket), {"owner": "alice", "env": "dev", "ünï": "cödé &<>\"",
                                             "cost-center": "unassigned"})

    def test_a_compliant_bucket_is_only_read(self):
        bucket = self.bucket({"cost-center": "cc-1"})
        rectify = self.heal(harness.create_bucket(bucket))
        self.assertEqual(self.proxy.changes(bucket), [])
        self.assertEqual([r["state"] for r in rectify.of(bucket)], ["compliant"])

    def test_an_exempt_bucket_is_skipped_with_the_reason(self):
        bucket = self.bucket({"sandbox": "yes"})
        rectify = self.heal(harness.create_bucket(bucket, actor="platform-ann"))
        self.assertEqual(self.tags(bucket), {"sandbox": "yes"})
        (only,) = rectify.of(bucket)
        self.assertEqual(only["state"], "skipped")
        self.assertTrue(only["reason"])

    def test_a_bucket_that_is_gone_ends_as_gone(self):
        bucket = self.bucket()
        self.moto.client("s3").delete_bucket(Bucket=bucket)
        rectify = self.heal(harness.create_bucket(bucket))
        self.assertEqual([r["state"] for r in rectify.of(bucket)], ["gone"])
        self.assertEqual(self.proxy.changes(bucket), [])

    def test_the_second_run_of_the_same_event_calls_nothing(self):
        bucket = self.bucket()
        record = harness.create_bucket(bucket)
        rectify = self.heal(record)
        before = len(self.proxy.seen)
        self.assertEnded(rectify.run(record))
        later = [s.path for s in self.proxy.seen[before:] if bucket in s.path]
        self.assertEqual(later, [])
        self.assertEqual(len(rectify.of(bucket)), 1)

    def test_a_new_event_for_a_healed_bucket_changes_nothing(self):
        bucket = self.bucket()
        rectify = self.heal(harness.create_bucket(bucket))
        self.assertEnded(rectify.run(harness.put_bucket_tagging(bucket)))
        self.assertEqual(len(self.proxy.changes(bucket)), 1)
        self.assertEqual([r["state"] for r in rectify.of(bucket)], ["healed", "compliant"])

    def test_the_event_of_our_own_call_starts_nothing(self):
        bucket = self.bucket()
        rectify = self.heal(harness.create_bucket(bucket))
        (healed,) = rectify.of(bucket)
        attempt = rectify.show(healed["id"])["detail"]["attempts"][0]
        ours = harness.put_bucket_tagging(bucket)
        ours["requestID"] = attempt["request_id"]
        self.assertTrue(ours["requestID"])
        before = len(self.proxy.seen)
        self.assertEnded(rectify.run(ours))
        self.assertEqual([r["state"] for r in rectify.of(bucket)], ["healed"])
        self.assertEqual(len(self.proxy.seen), before)
        self.assertIn("our own call", rectify.command("audit", "show").stdout)

    def test_one_state_change_a_repair(self):
        bucket = self.bucket({"owner": "alice"})
        self.heal(harness.create_bucket(bucket))
        self.assertEqual([s.method for s in self.proxy.changes(bucket)], ["PUT"])

    def test_calls_carry_the_expected_bucket_owner(self):
        bucket = self.bucket()
        self.heal(harness.create_bucket(bucket))
        calls = [s for s in self.proxy.seen if bucket in s.path]
        self.assertGreaterEqual(len(calls), 3)  # read, write, read back
        for call in calls:
            self.assertEqual(call.headers.get("x-amz-expected-bucket-owner"), harness.ACCOUNT)

    def test_a_failed_call_never_matches(self):
        bucket = self.bucket()
        rectify = self.heal(harness.create_bucket(bucket, error="AccessDenied"))
        self.assertEqual(self.tags(bucket), {})
        self.assertEqual(rectify.of(bucket), [])

    def test_the_log_verifies(self):
        bucket = self.bucket()
        rectify = self.heal(harness.create_bucket(bucket))
        self.assertEnded(rectify.command("audit", "verify"))
        self.assertEnded(rectify.command("audit", "show"))


class TestPorts(CloudCase):
    """ec2-no-world-open-admin-ports: the EC2 query protocol."""

    def group(self, permissions):
        ec2 = self.moto.client("ec2")
        vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
        name = f"g-{self.home.name}-{self.id()}"[-200:]
        group = ec2.create_security_group(GroupName=name, Description="test", VpcId=vpc)["GroupId"]
        ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=permissions)
        return group

    def rules(self, group):
        answer = self.moto.client("ec2").describe_security_groups(GroupIds=[group])
        found = set()
        for p in answer["SecurityGroups"][0]["IpPermissions"]:
            for r in p["IpRanges"] + p["Ipv6Ranges"]:
                found.add((p["IpProtocol"], p.get("FromPort"), p.get("ToPort"),
                           r.get("CidrIp") or r.get("CidrIpv6"), r.get("Description", "")))
        return found

    def event(self, group):
        return harness.authorize_ingress(group, [{"ipProtocol": "tcp", "fromPort": 22,
                                                  "toPort": 22, "ipRanges": {"items": [
                                                      {"cidrIp": "0.0.0.0/0"}]}}])

    def test_the_world_loses_ssh_and_every_other_rule_stays(self):
        group = self.group([
            {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [
                {"CidrIp": "0.0.0.0/0", "Description": "oops"},
                {"CidrIp": "10.0.0.0/8", "Description": "office"}]},
            {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": WORLD}])
        rectify = self.rectify("ec2")
        self.assertEnded(rectify.run(self.event(group)))
        self.assertEqual(self.rules(group), {("tcp", 22, 22, "10.0.0.0/8", "office"),
                                             ("tcp", 443, 443, "0.0.0.0/0", "")})
        self.assertEqual([r["state"] for r in rectify.of(group)], ["healed"])

    def test_the_world_in_v6_loses_rdp(self):
        group = self.group([{"IpProtocol": "tcp", "FromPort": 3389, "ToPort": 3389,
                             "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}])
        self.assertEnded(self.rectify("ec2").run(self.event(group)))
        self.assertEqual(self.rules(group), set())

    def test_a_prefix_of_8_is_not_the_world_and_one_of_7_is(self):
        group = self.group([{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [
            {"CidrIp": "16.0.0.0/8"}, {"CidrIp": "32.0.0.0/7"}]}])
        self.assertEnded(self.rectify("ec2").run(self.event(group)))
        self.assertEqual(self.rules(group), {("tcp", 22, 22, "16.0.0.0/8", "")})

    def test_a_range_wider_than_the_port_asks_and_changes_nothing(self):
        group = self.group([{"IpProtocol": "tcp", "FromPort": 0, "ToPort": 65535,
                             "IpRanges": WORLD}])
        rectify = self.rectify("ec2")
        self.assertEnded(rectify.run(self.event(group)), EXIT_WAITING)
        self.assertEqual(self.rules(group), {("tcp", 0, 65535, "0.0.0.0/0", "")})
        self.assertEqual([r["state"] for r in rectify.of(group)], ["asking"])


class TestRotation(CloudCase):
    """kms-key-rotation: JSON."""

    def test_a_new_key_gets_rotation(self):
        kms = self.moto.client("kms")
        key = kms.create_key()["KeyMetadata"]["KeyId"]
        self.assertFalse(kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"])
        self.assertEnded(self.rectify("kms").run(harness.create_key(key)))
        self.assertTrue(kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"])

    def test_a_key_whose_rotation_was_turned_off_gets_it_back(self):
        kms = self.moto.client("kms")
        key = kms.create_key()["KeyMetadata"]["KeyId"]
        kms.enable_key_rotation(KeyId=key)
        kms.disable_key_rotation(KeyId=key)
        self.assertEnded(self.rectify("kms").run(harness.disable_key_rotation(key)))
        self.assertTrue(kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"])


if __name__ == "__main__":
    harness.main()
