"""Settings for all tests: CPU, TensorFlow's own messages off, honest skips."""

import os

import pytest

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

# Where torch has been installed, a test that skips for want of it has a fault.
NEEDS_TORCH = "GENRET_NEEDS_TORCH" in os.environ


def _refuse_skip(report):
  reason = str(report.longrepr)
  if NEEDS_TORCH and report.skipped and "torch" in reason:
    report.outcome = "failed"
    report.longrepr = f"skipped although torch is promised: {reason}"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
  _refuse_skip((yield).get_result())


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector):
  _refuse_skip((yield).get_result())
