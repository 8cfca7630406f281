#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Random cases for every operation of every service, answered by botocore and by us.

  requests   a random input, written by botocore's serializers
  answers    a random output, written by moto's serializers, read by botocore's parsers
  endpoints  random parameters, and values near those that the rules compare with, resolved by
             botocore's rules engine

They are written as files of the forms that conform_aws_model and conform_aws_endpoints read, and
those programs, which this one runs over them, list what differs. The models are a pack made from
the same botocore, so that none differ. Needs botocore and moto."""
import argparse
import base64
import datetime
import json
import pathlib
import random
import subprocess
import sys
import tempfile
import urllib.parse

import botocore.endpoint_provider
import botocore.loaders
import botocore.model
import botocore.parsers
import botocore.serialize
import moto.core.model
from botocore.utils import percent_encode_sequence
from moto.core.serialize import get_serializer_class

PROTOCOLS = ("json", "rest-json", "rest-xml", "smithy-rpc-v2-cbor", "query", "ec2")
WORDS = ("a", "x y", "ü", "日本", "💡", "a/b", "a+b", "100%", "%2F", "a&b=c", "<t>", "\"q\"", "'",
         "\\", "~-_.", "*", "(1)", ":", ";", ",", "@", "#", "?", "true", "null", "0", "-1", "1e5",
         "../up", "//", " lead", "trail ", "tab\tin", "line\nin", "cr\rin", "", "nbsp\u00a0",
         "\u2028",
         "arn:aws:iam::123456789012:role/r", "2026-01-02T03:04:05Z", "{}", "[1]", "${x}", "a" * 300)
PLAIN = ("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
         "-_.~!$&'()*+,;=:@/ %\"<>?#[]{}|")


class Maker:
    """Random values of a shape, tagged as the cases have them: {"$blob"}, {"$ts"}."""

    def __init__(self, rng, share):
        self.rng, self.share = rng, share

    def text(self, shape, plain):
        rng = self.rng
        if getattr(shape, "enum", None) and rng.random() < 0.95:
            return rng.choice(shape.enum)
        low = shape.metadata.get("min", 0)
        high = min(shape.metadata.get("max", 60), max(low, 60))
        if plain:
            text = "".join(rng.choice(PLAIN) for _ in range(rng.randint(1, 12))).strip()
        else:
            text = "".join(rng.choice(WORDS) for _ in range(rng.randint(0, 3)))
        text = (text * (low // max(len(text), 1) + 1) if text else "x" * low)[:max(high, 1)]
        return (text.strip() or "x" * max(low, 1)).ljust(low, "y") if plain else text

    def number(self, shape, bits):
        low = int(shape.metadata.get("min", -2 ** (bits - 1)))
        high = int(shape.metadata.get("max", 2 ** (bits - 1) - 1))
        return self.rng.choice([low, high, self.rng.randint(low, high), min(max(0, low), high)])

    def time(self):
        seconds = self.rng.choice([0, 1, 951782400, 1767323045, self.rng.randint(0, 4102444799)])
        micros = self.rng.choice([0, 0, 0, 500000, 123000, self.rng.randrange(1000) * 1000])
        at = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
        return at + datetime.timedelta(seconds=seconds, microseconds=micros)

    def document(self, depth=0):
        rng = self.rng
        kinds = [None, True, 7, 1.5, rng.choice(WORDS)]
        if depth < 3 and rng.random() < 0.5:
            return rng.choice([[self.document(depth + 1) for _ in range(rng.randint(0, 3))],
                               {w: self.document(depth + 1) for w in rng.sample(WORDS[:20], 2)}])
        return rng.choice(kinds)

    def structure(self, shape, depth):
        rng, out = self.rng, {}
        names = list(shape.members)
        if shape.is_tagged_union:
            names = [rng.choice(names)]
        for name in names:
            needed = name in shape.required_members or shape.is_tagged_union
            if needed or (depth < 6 and rng.random() < self.share / (1 + depth)):
                out[name] = self.make(shape.members[name], depth + 1)
        return out

    def make(self, shape, depth=0, plain=False):
        rng, kind = self.rng, shape.type_name
        where = shape.serialization.get("location")
        plain = (plain or where in ("header", "headers", "uri") or
                 shape.serialization.get("hostLabel"))
        if kind == "structure" and shape.is_document_type:
            return self.document()
        if kind == "structure":
            return self.structure(shape, depth)
        if kind == "list":
            low = shape.metadata.get("min", 0)
            count = low if depth > 8 else max(low, rng.randint(0, 3))
            return [self.make(shape.member, depth + 1, plain) for _ in range(count)]
        if kind == "map":
            low = shape.metadata.get("min", 0)
            count = low if depth > 8 else max(low, rng.randint(0, 3))
            keys = [self.make(shape.key, depth + 1, plain) or "k" for _ in range(count)]
            if where == "headers":
                keys = [f"k{i}" for i in range(count)]
            return {key: self.make(shape.value, depth + 1, plain) for key in keys}
        if kind == "string" and shape.serialization.get("jsonvalue"):
            return self.document()
        if kind in ("string", "character"):
            return self.text(shape, plain)
        if kind == "integer":
            return self.number(shape, 32)
        if kind == "long":
            return self.number(shape, 54)
        if kind in ("float", "double"):
            low, high = shape.metadata.get("min", -1e6), shape.metadata.get("max", 1e6)
            return float(rng.choice([low, high, 0.5 * (low + high), rng.uniform(low, high)]))
        if kind == "boolean":
            return rng.random() < 0.5
        if kind == "blob":
            return rng.choice([b"", b"text", rng.randbytes(rng.randint(1, 40))])
        if kind == "timestamp":
            return self.time()
        raise ValueError(kind)


def tag(v):
    if isinstance(v, (bytes, bytearray)):
        return {"$blob": base64.b64encode(v).decode()}
    if isinstance(v, datetime.datetime):
        return {"$ts": v.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")}
    if isinstance(v, dict):
        return {k: tag(w) for k, w in v.items()}
    if isinstance(v, (list, tuple)):
        return [tag(w) for w in v]
    return v


def body_value(body, protocol=None):
    if isinstance(body, dict):
        return {"text": urllib.parse.urlencode(body, doseq=True)}
    if hasattr(body, "read"):
        body = body.read()
    body = body.encode() if isinstance(body, str) else bytes(body)
    if protocol == "rest-xml":  # botocore does it in a handler
        body = body.replace(b"\r", b"&#xD;")
    return {"b64": base64.b64encode(body).decode()}


def make_request(op, maker):
    params = maker.make(op.input_shape) if op.input_shape else {}
    serializer = botocore.serialize.create_serializer(op.service_model.resolved_protocol)
    made = serializer.serialize_to_request(params, op)
    uri = made["url_path"]
    if made["query_string"]:
        query = made["query_string"]
        query = query if isinstance(query, str) else percent_encode_sequence(query)
        uri += ("&" if "?" in uri else "?") + query
    out = {"op": op.name, "mode": "random", "params": tag(params), "method": made["method"],
           "uri": uri, "headers": {k: v if isinstance(v, str) else v.decode() if
                                   isinstance(v, bytes) else str(v)
                                   for k, v in made["headers"].items()},
           "body": body_value(made["body"] if made["body"] is not None else b"",
                              op.service_model.resolved_protocol)}
    if made.get("host_prefix"):
        out["hostPrefix"] = made["host_prefix"]
    return out


def make_answer(op, maker, moto_op):
    output = maker.make(op.output_shape) if op.output_shape else {}
    protocol = op.service_model.resolved_protocol
    written = get_serializer_class(op.service_model.service_name,
                                   protocol)(moto_op).serialize(output)
    body = written["body"]
    body = body.encode() if isinstance(body, str) else bytes(body or b"")
    headers = {k: str(v) for k, v in written["headers"].items()}
    parser = botocore.parsers.create_parser(protocol)
    answer = {"body": body, "headers": botocore.parsers.CaseInsensitiveDict(headers) if
              hasattr(botocore.parsers, "CaseInsensitiveDict") else headers,
              "status_code": written["status_code"]}
    payload = op.get_streaming_output()
    if payload is not None and payload.type_name == "blob":
        raise ValueError("a stream")
    expect = parser.parse(answer, op.output_shape)
    expect.pop("ResponseMetadata", None)
    return {"op": op.name, "mode": "random",
            "status": written["status_code"], "headers": headers, "body": body_value(body),
            "expect": tag(expect)}


# ---- endpoints ----

REGIONS = ("us-east-1", "us-west-2", "eu-central-1", "us-gov-west-1", "cn-north-1", "us-iso-east-1",
           "us-isob-east-1", "eusc-de-east-1", "aws-global", "ap-southeast-7", "mars-north-1", "",
           "bad region", "us-east-1-fips", "s3-external-1")
URLS = ("https://example.com", "http://10.0.0.1:8080/base", "https://[::1]:9/x/",
        "https://e.com?q=1",
        "nonsense", "https://beta.example.com:443", "http://localhost/a b")
TEXTS = ("bucket", "Bucket_1", "my.bucket", "a", "123456789012", "bucket--use1-az1--x-s3",
         "b--xa-s3", "arn:aws:s3:us-west-2:123456789012:accesspoint:myap",
         "arn:aws:s3:us-west-2:123456789012:accesspoint/myap/extra",
         "arn:aws-cn:s3:cn-north-1:123456789012:accesspoint:myap",
         "arn:aws:s3::123456789012:accesspoint:mrap.alias",
         "arn:aws:s3-object-lambda:us-east-1:123456789012:accesspoint/olap",
         "arn:aws:s3-outposts:us-west-2:123456789012:outpost:op-01234567890123456:accesspoint:ap",
         "arn:aws:s3-outposts:us-west-2:123456789012:outpost/op-01234567890123456/bucket/b",
         "arn:aws:dynamodb:us-east-1:222222222222:table/t", "arn:aws:kinesis:eu-west-1:1:stream/s",
         "arn:", "arn:aws", "arn:aws:x:::", "abc123.456def", "true", "preferred", "required",
         "disabled", "ü", "", "a/b", "-", "test-op0-bucket-op-01234567890123456--op-s3",
         "e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0--op-s3")


def make_endpoint_case(rng, rules, partitions, number):
    provider = botocore.endpoint_provider.EndpointProvider(rules, partitions)
    params = {}
    for name, spec in rules["parameters"].items():
        if spec.get("required") and "default" not in spec or rng.random() < 0.5:
            if spec["type"].lower() == "boolean":
                params[name] = rng.random() < 0.5
            elif spec["type"].lower() == "stringarray":
                params[name] = rng.sample(TEXTS, rng.randint(0, 2))
            elif name == "Region":
                params[name] = rng.choice(REGIONS)
            elif name == "Endpoint":
                params[name] = rng.choice(URLS)
            else:
                params[name] = rng.choice(TEXTS)
    case = {"documentation": f"random {number} {json.dumps(params)}", "params": params}
    try:
        got = provider.resolve_endpoint(**params)
    except botocore.exceptions.EndpointProviderError as error:
        text = getattr(error, "kwargs", {}).get("msg", "")
        case["expect"] = {"error": text if text in json.dumps(rules, ensure_ascii=False) else ""}
        return case
    except Exception:  # rules that forget that a parameter may be missing
        return None
    case["expect"] = {"endpoint": {"url": got.url, "properties": got.properties,
                                   "headers": got.headers}}
    return case


# ---- running ----

def written(case):
    """Its JSON; raises where the oracle gave something that has none."""
    return json.dumps(case)


def write_services(options, home, loader):
    reasons = {}
    counts = dict.fromkeys(("requests", "answers", "endpoints", "left out"), 0)
    partitions = loader.load_data("partitions")
    for folder in ("requests", "responses", "endpoints/services"):
        (home / folder).mkdir(parents=True)
    (home / "endpoints" / "partitions.json").write_text(json.dumps(partitions))
    for service in options.service or loader.list_available_services("service-2"):
        data = loader.load_service_model(service, "service-2")
        model = botocore.model.ServiceModel(data, service)
        moto_model = moto.core.model.ServiceModel(data, service)
        protocol = next((p for p in PROTOCOLS if p in
                         data["metadata"].get("protocols", [data["metadata"]["protocol"]])))
        requests, answers = [], []
        for name in model.operation_names:
            op, moto_op = model.operation_model(name), moto_model.operation_model(name)
            for i in range(options.rounds):
                rng = random.Random(f"{options.seed} {service} {name} {i}")
                maker = Maker(rng, rng.choice((0.2, 0.6, 0.9)))
                work = (
                    ("requests", lambda: requests.append(written(make_request(op, maker)))),
                    ("answers", lambda: answers.append(written(make_answer(op, maker, moto_op)))))
                for kind, make in work:
                    try:
                        make()
                        counts[kind] += 1
                    except Exception as error:  # whatever the oracle cannot do is no case
                        counts["left out"] += 1
                        reason = f"{kind}: {type(error).__name__}: {str(error)[:60]}"
                        reasons[reason] = reasons.get(reason, 0) + 1
        head = {"service": service, "apiVersion": data["metadata"]["apiVersion"],
                "protocol": protocol}
        for folder, vectors in (("requests", requests), ("responses", answers)):
            text = f'{json.dumps(head)[:-1]}, "vectors": [{",".join(vectors)}]}}'
            (home / folder / f"{service}.json").write_text(text)
        rules = loader.load_service_model(service, "endpoint-rule-set-1")
        rng = random.Random(f"{options.seed} {service} endpoints")
        cases = [case for i in range(options.endpoints)
                 if (case := make_endpoint_case(rng, rules, partitions, i))]
        counts["endpoints"] += len(cases)
        (home / "endpoints" / "services" / f"{service}.json").write_text(
            json.dumps({"testCases": cases}))
    if options.reasons:
        for reason, n in sorted(reasons.items(), key=lambda item: -item[1]):
            print(f"left out: {n:6} {reason}")
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build"))
    parser.add_argument("--rounds", type=int, default=1, help="cases of each kind, an operation")
    parser.add_argument("--endpoints", type=int, default=20, help="endpoint cases a service")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--reasons", action="store_true", help="why cases were left out")
    parser.add_argument("--keep", type=pathlib.Path, help="where to leave the files")
    parser.add_argument("service", nargs="*")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rectify-differential-") as temporary:
        home = options.keep or pathlib.Path(temporary)
        loader = botocore.loaders.create_loader()
        data = pathlib.Path(botocore.__file__).parent / "data"
        pack = home / "models"
        subprocess.run([options.build / "src" / "rectify", "models", "pack", data, pack],
                       check=True,
                       stdout=subprocess.DEVNULL)
        counts = write_services(options, home, loader)
        print(f"botocore {botocore.__version__}: " +
              ", ".join(f"{n} {kind}" for kind, n in counts.items()), flush=True)
        failed = 0
        for program, where in (("aws_model", home), ("aws_endpoints", home / "endpoints")):
            done = subprocess.run([options.build / "tests" / "conform" / f"conform_{program}",
                                   where,
                                   pack], check=False)
            failed |= done.returncode not in (0, 77)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
