#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The whole way against a simulated AWS: four buckets, one CreateBucket event each, the story of
each remediation, the tags read back with boto3, then one repair taken back. Exits 0 only if all of
it came out as it says."""
import argparse
import pathlib
import shutil
import sys
import tempfile
import time
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "cloud"))
from harness import Moto, Rectify, create_bucket  # noqa: E402

POLICY = ROOT / "policies" / "s3" / "s3-cost-center-tag.yaml"
ASSIGNMENT = '{policies: ["*"], accounts: "*", mode: enforce, settle: 0s}'
OURS = {"cost-center": "unassigned"}

# name, what it is, tags before, tags after, state
BUCKETS = [
    ("bare", "no tags", {}, OURS, "healed"),
    ("tagged", "other tags", {"owner": "alice", "env": "dev"},
     {"owner": "alice", "env": "dev", **OURS}, "healed"),
    ("fine", "the tag is already there", {"cost-center": "cc-42"}, {"cost-center": "cc-42"},
     "compliant"),
    ("sandbox", "exempt", {"sandbox": "yes"}, {"sandbox": "yes"}, "skipped"),
]


class Wrong(Exception):
    """Something did not come out as the demo says."""


def title(text):
    print(f"\n\x1b[1m{text}\x1b[0m" if sys.stdout.isatty() else f"\n{text}", flush=True)


def tags_text(tags):
    return " ".join(f"{k}={v}" for k, v in sorted(tags.items())) or "(none)"


def get_tags(s3, bucket):
    try:
        return {t["Key"]: t["Value"] for t in s3.get_bucket_tagging(Bucket=bucket)["TagSet"]}
    except s3.exceptions.ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchTagSet":
            return {}
        raise


def put_tags(s3, bucket, tags):
    s3.put_bucket_tagging(Bucket=bucket, Tagging={
        "TagSet": [{"Key": k, "Value": v} for k, v in tags.items()]})


def make_buckets(s3):
    run = uuid.uuid4().hex[:8]
    names = {}
    for name, what, before, _, _ in BUCKETS:
        names[name] = f"demo-{run}-{name}"
        s3.create_bucket(Bucket=names[name])
        if before:
            put_tags(s3, names[name], before)
        print(f"  {names[name]:24} {what:26} {tags_text(before)}")
    return names


def must(done, allowed=(0,)):
    if done.returncode not in allowed:
        raise Wrong(f"{' '.join(done.args)}\nended with {done.returncode}: "
                    f"{done.stderr or done.stdout}")
    return done


def check(s3, names, rectify):
    wrong = 0
    for name, _, before, after, state in BUCKETS:
        tags, found = get_tags(s3, names[name]), rectify.of(names[name])
        right = tags == after and [r["state"] for r in found] == [state]
        wrong += not right
        print(f"  {'ok   ' if right else 'WRONG'} {names[name]:24} {state:10} "
              f"{tags_text(before)}  ->  {tags_text(tags)}")
    if wrong:
        raise Wrong(f"{wrong} of {len(BUCKETS)} buckets are not as they should be")


def roll_back(s3, bucket, rectify):
    by_hand = {**get_tags(s3, bucket), "by-hand": "kept"}
    put_tags(s3, bucket, by_hand)
    print(f"  a person adds by-hand=kept to {bucket}: {tags_text(by_hand)}")
    ident = rectify.of(bucket)[0]["id"]
    print(f"  rectify rollback {ident}\n")
    must(rectify.command("rollback", ident))
    taken_back = rectify.of(bucket)[-1]
    print(must(rectify.command("show", taken_back["id"])).stdout)
    tags = get_tags(s3, bucket)
    expected = {k: v for k, v in by_hand.items() if k != "cost-center"}
    print(f"  {'ok   ' if tags == expected else 'WRONG'} {bucket}: {tags_text(tags)}")
    if tags != expected:
        raise Wrong(f"expected {tags_text(expected)}")


def demo(home, rectify_path, moto):
    s3 = moto.client("s3")
    title("Four buckets in a simulated AWS, and their tags")
    names = make_buckets(s3)
    rectify = Rectify(home, moto.environment(), [POLICY], [ASSIGNMENT], binary=rectify_path)
    title("One CreateBucket event each: rectify run --policies ... --events events.jsonl")
    start = time.monotonic()
    actors = {"sandbox": "platform-ann"}
    done = must(rectify.run(*[create_bucket(b, actor=actors.get(kind, "alice"))
                              for kind, b in names.items()]))
    print("  " + (done.stderr + done.stdout).strip().replace("\n", "\n  "))
    print(f"  all four are at their ends after {time.monotonic() - start:.2f} s")
    title("The story of each: rectify show ID")
    for bucket in names.values():
        for remediation in rectify.of(bucket):
            print(must(rectify.command("show", remediation["id"])).stdout)
    title("Read back with boto3, before and after")
    check(s3, names, rectify)
    title("Taking one repair back, after a person has changed something else")
    roll_back(s3, names["tagged"], rectify)
    title("The audit log: rectify audit verify")
    print("  " + must(rectify.command("audit", "verify")).stdout.strip())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rectify", type=pathlib.Path, required=True)
    options = parser.parse_args()
    if not options.rectify.exists():
        print(f"demo: there is no {options.rectify}; ./dev build makes it", file=sys.stderr)
        return 1
    start = time.monotonic()
    home = tempfile.mkdtemp(prefix="rectify-demo-")
    try:
        with Moto() as moto:
            demo(home, options.rectify.resolve(), moto)
    except Wrong as wrong:
        print(f"\ndemo: FAILED: {wrong}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(home, ignore_errors=True)
    title(f"Exactly the right two changed and kept their tags; the repair taken back left the "
          f"rest alone ({time.monotonic() - start:.1f} s).")
    return 0


if __name__ == "__main__":
    sys.exit(main())
