#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`rectify aws` against versitygw, an S3 over a file system that checks signatures."""
import unittest

import harness
from harness.go_s3 import Versity
from harness.s3_cases import S3Cases


class TestVersity(S3Cases, unittest.TestCase):
    server = Versity
    paths = ()
    refused_paths = dict.fromkeys(("../up", ".."), "")


if __name__ == "__main__":
    harness.main()
