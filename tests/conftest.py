"""Settings for all tests: CPU, TensorFlow's own messages off, honest skips."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# Compiling is most of a test: tiny programs are better not made fast.
os.environ.setdefault(
  "XLA_FLAGS",
  "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true",
)

DRIVER = "chromedriver"
WAITS = 120  # seconds for axe-core, on a machine with other work

# Where the extras have been installed, a test that skips for want of one has a
# fault.
NEEDS_EXTRAS = "GENRET_NEEDS_EXTRAS" in os.environ
EXTRAS = ("torch", "safetensors", "apache", "no part of genret[test]")


def _refuse_skip(report):
  reason = str(report.longrepr)
  wanting = [extra for extra in EXTRAS if extra in reason]
  if NEEDS_EXTRAS and report.skipped and wanting:
    report.outcome = "failed"
    report.longrepr = f"skipped although {wanting[0]} is promised: {reason}"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
  _refuse_skip((yield).get_result())


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector):
  _refuse_skip((yield).get_result())


def pytest_collection_modifyitems(items):
  """Counts what compiles for eight devices among the slow tests."""
  for item in items:
    if "on_eight_devices" in getattr(item, "fixturenames", ()):
      item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def on_eight_devices():
  """Runs a script in a process that sees eight devices; what it reported.

  Tests that use it are slow ones. The script stands beside the tests, and
  prints JSON as its last line.
  """

  def run(script):
    found = subprocess.run(
      [sys.executable, str(script)],
      env=os.environ
      | {
        "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": str(ROOT),
      },
      capture_output=True,
      text=True,
      check=False,
    )
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout.splitlines()[-1])

  return run


@pytest.fixture(scope="module")
def compile_once(tmp_path_factory):
  """Keeps compiled programs on disk while it is in use.

  For modules that make the same program several times, as a run that goes on
  after an interruption does.
  """
  import jax
  from jax.experimental.compilation_cache import compilation_cache

  settings = {
    "jax_compilation_cache_dir": str(tmp_path_factory.mktemp("compiled")),
    "jax_persistent_cache_min_compile_time_secs": 0.1,
    "jax_persistent_cache_min_entry_size_bytes": -1,
  }
  before = {name: getattr(jax.config, name) for name in settings}
  for name, value in settings.items():
    jax.config.update(name, value)
  compilation_cache.reset_cache()
  yield
  for name, value in before.items():
    jax.config.update(name, value)
  compilation_cache.reset_cache()


@pytest.fixture
def chat_server():
  """A chat server on this machine, whose faults a test chooses."""
  path = ROOT / "tests" / "querygen" / "chat_server.py"
  spec = importlib.util.spec_from_file_location("chat_server", path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  with module.chat_server() as server:
    yield server


@pytest.fixture(scope="session")
def browser():
  """Chromium without a window, driven; its console is kept."""
  webdriver = pytest.importorskip(
    "selenium.webdriver", reason="selenium is no part of genret[test]"
  )
  if not shutil.which(DRIVER):
    pytest.skip(f"{DRIVER} is no part of genret[test]")
  options = webdriver.ChromeOptions()
  for flag in ("headless=new", "no-sandbox", "disable-dev-shm-usage"):
    options.add_argument(f"--{flag}")
  options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
  service = webdriver.ChromeService(shutil.which(DRIVER))
  found = webdriver.Chrome(options=options, service=service)
  found.set_script_timeout(WAITS)
  yield found
  found.quit()


@pytest.fixture
def open_page(browser):
  """Returns what opens an address, at a width and in a theme."""

  def open_address(address, *, width, theme):
    size = {"width": width, "height": 900, "deviceScaleFactor": 1}
    browser.execute_cdp_cmd(
      "Emulation.setDeviceMetricsOverride", {**size, "mobile": width < 500}
    )
    wanted = [{"name": "prefers-color-scheme", "value": theme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": wanted})
    browser.get("about:blank")
    browser.get_log("browser")  # of the page before
    browser.get(address)
    return browser

  return open_address


@pytest.fixture(scope="session")
def violations():
  """Returns what asks axe-core for the faults of the page in a browser."""
  spec = importlib.util.find_spec("axe_playwright_python")
  if spec is None:
    pytest.skip("axe-playwright-python is no part of genret[test]")
  folder = Path(next(iter(spec.submodule_search_locations)))
  source = (folder / "axe.min.js").read_text("utf-8")

  def check(browser):
    browser.execute_script(source)
    found = browser.execute_async_script("axe.run().then(arguments[0])")
    assert len(found["passes"]) > 20
    return [
      (one["id"], one["impact"], one["nodes"][0]["html"])
      for one in found["violations"]
    ]

  return check
