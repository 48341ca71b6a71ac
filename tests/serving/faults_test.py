import json

from genret.serving import faults


def test_retry_after_is_whole_seconds_and_never_none():
  assert faults.full(0.0).headers == {"retry-after": "1"}
  assert faults.full(2.2).headers == {"retry-after": "3"}


def test_bodies_are_json_whatever_the_message_holds():
  fault = faults.Fault(422, 'a "b" é \ud800')
  assert json.loads(fault.body) == {"error": fault.message}


def test_statuses():
  assert faults.stopping().status == 503
  assert faults.late(3.0).status == 504
  assert faults.full(0.0).status == 429
