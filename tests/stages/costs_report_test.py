from genret.stages.costs_report import Costs

FIGURES = {
  "parameters": {"encoder": 1200, "docid embedding": 0, "all": 1200},
  "flops": {"step": 60, "query": 2_000_000, "training": 600},
  "operations": {
    "step": {"counted": 60, "compiled": None, "formula": 50},
    "query": {"counted": 2_000_000, "compiled": 2.1e6, "formula": 1.9e6},
  },
  "search": {"k": 10, "num_beams": 40},
  "latency": None,
  "bytes": {"weights": 4800},
  "training": {
    "steps": 10,
    "wall_seconds": 7200.0,
    "device_hours": 4.0,
    "loop_cpu_seconds": None,
  },
}


def test_what_is_not_known_is_a_dash_or_left_out():
  lines = Costs(FIGURES).table().splitlines()
  assert lines[1].split() == ["encoder", "1,200"]
  assert not any("docid embedding" in line for line in lines)
  [step] = [line for line in lines if "training step" in line]
  assert step.split()[-3:] == ["6.000e+01", "-", "5.000e+01"]
  assert lines[-1].split() == ["device-hours", "4.000"]


def test_latency_names_its_search():
  timed = {
    "p50_ms": 12.34,
    "p95_ms": 20.0,
    "batch_size": 64,
    "queries_per_second": 100.0,
  }
  text = Costs({**FIGURES, "latency": timed}).table()
  assert "search of 10 documents, 40 beams" in text
  assert "12.3 ms" in text
