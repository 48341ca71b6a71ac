import jax
import numpy as np

from genret.serving.metrics import Metrics


def test_answers_and_batches_are_counted():
  metrics = Metrics()
  metrics.answered("/search", 200, 0.02)
  metrics.answered("/search", 200, 0.02)
  metrics.answered("other", 404, 0.001)
  metrics.given_up("late")
  metrics.watch.waiting(7)
  metrics.watch.worked(5, 0.1)
  text = metrics.text().decode()
  for line in (
    'genret_requests_total{route="/search",status="200"} 2.0',
    'genret_requests_total{route="other",status="404"} 1.0',
    'genret_request_seconds_bucket{le="0.025",route="/search"} 2.0',
    'genret_given_up_total{why="late"} 1.0',
    "genret_waiting_queries 7.0",
    'genret_batch_queries_bucket{le="8.0"} 1.0',
    'genret_batch_queries_bucket{le="4.0"} 0.0',
    "genret_batch_seconds_count 1.0",
  ):
    assert line in text.splitlines(), line
  assert "process_resident_memory_bytes" in text
  assert metrics.answers == 3


def test_what_xla_compiles_is_counted():
  metrics = Metrics()
  double = jax.jit(lambda x: x * 2 + 5)
  for size in (2, 3, 3):
    double(np.ones(size))
  assert "genret_compilations_total 2.0" in metrics.text().decode().splitlines()


def test_services_count_apart():
  assert Metrics().registry is not Metrics().registry
